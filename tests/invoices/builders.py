"""A seller, and what tests of invoices need besides payments."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from quntedge.gateway.port import RefundSnapshot, RefundStatus
from quntedge.invoices.documents import Corrected, Document
from quntedge.invoices.lines import credit_lines, invoice_lines
from quntedge.invoices.parties import BuyerDetails, Seller
from quntedge.invoices.words import tax_word
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.pricing.labels import line_text
from quntedge.pricing.rules import Label, LineKind
from quntedge.pricing.rules import Line as PriceLine
from quntedge.pricing.told import Told, price_told, told
from quntedge.refunds.service import ObservedRefund, RefundedPayment, RefundService
from quntedge.storage.unit_of_work import UnitOfWork
from tests.payments.builders import AT, USER

SELLER = Seller(
    code="",
    name="QuntEdge SAS",
    line1="12 rue des Tests",
    line2=None,
    postcode="75002",
    city="Paris",
    country="FR",
    vat_id="FR40303265045",
    registration="RCS Paris 303 265 045",
    email="billing@seller.test",
    note=None,
    time_zone="UTC",
)
BUYER = BuyerDetails(
    company="Éditions Müller & Söhne GmbH",
    name="Camille Martin",
    email="compta@mueller.test",
    line1="Hauptstraße 7",
    line2="Hinterhaus",
    postcode="10115",
    city="Berlin",
    country="DE",
    vat_id="DE136695976",
)


def seller(**over: Any) -> Seller:
    """A French company."""
    return replace(SELLER, **over)


def charge(
    total: Money, subtotal: Money | None = None, tax: Money | None = None, tax_behavior: str | None = None
) -> Told:
    """What the gateway tells of a payment."""
    return told(
        total.amount_minor,
        total.currency,
        subtotal=None if subtotal is None else subtotal.amount_minor,
        tax=None if tax is None else tax.amount_minor,
        tax_behavior=tax_behavior,
    )


PLAN = PriceLine(LineKind.PLAN, Label.PLAN, Money.zero("usd"))


def document(**over: Any) -> Document:
    """An invoice over $31.61 from Paris to Berlin: $29.00 and 9 % of tax. `agreed` are lines of a price that came off,
    each with its text."""
    amounts = over.pop("amounts", charge(Money(3161, "usd"), Money(2900, "usd"), Money(261, "usd"), "exclusive"))
    language, agreed = over.get("language", "en"), over.pop("agreed", ())
    from_to = over.get("seller", SELLER)
    price = price_told(amounts, PLAN, [line for line, _ in agreed])
    texts = [over.pop("plan", "Pro"), *(text for _, text in agreed)]
    items = [line for line in price.lines if line.kind is not LineKind.TAX]
    texts += [line_text(line, language) for line in items[len(texts) :]]
    lines = invoice_lines(
        price, texts, tax_word(language, from_to.country), plan_id="pln_1", period=(AT, AT + timedelta(days=30))
    )
    plain = Document(
        kind="invoice",
        number="INV-2026-000042",
        issued_on=AT.date(),
        issued_at=AT,
        paid_on=AT.date(),
        payment_reference="pay_A1b2C3",
        language=language,
        seller=SELLER,
        buyer=BUYER,
        buyer_id="usr_1",
        lines=lines,
    )
    return replace(plain, **over)


def credit_note(
    kind: str = "credit_note", amount: int = 1500, tax: int = 124, rate: int = 900, **over: Any
) -> Document:
    """A credit note over $15.00 for that invoice, or, with negative amounts, the cancellation of one. `rate` is that of
    the invoice's tax, in basis points."""
    plain = Document(
        kind=kind,
        number="CN-2026-000003",
        issued_on=AT.date() + timedelta(days=9),
        issued_at=AT + timedelta(days=9),
        paid_on=None,
        payment_reference="pay_A1b2C3",
        language="en",
        seller=SELLER,
        buyer=BUYER,
        buyer_id="usr_1",
        lines=credit_lines("Refund for invoice INV-2026-000042", "VAT", Money(amount, "usd"), Money(tax, "usd"), rate),
        corrects=Corrected("INV-2026-000042", AT.date(), "CN-2026-000002" if kind == "cancellation" else None),
    )
    return replace(plain, **over)


async def refund(
    unit: UnitOfWork,
    transaction_id: str,
    payment_id: str,
    amount_minor: int,
    refund_id: str = "rf_1",
    status: RefundStatus = RefundStatus.SUCCEEDED,
    hours: int = 1,
) -> None:
    """Applies a refund as read from Whop `hours` after the payment; commits nothing."""
    told = RefundSnapshot(
        refund_id=refund_id,
        status=status,
        raw_status=status.value,
        amount=Money(amount_minor, "usd"),
        payment_id=payment_id,
        created_at=AT + timedelta(hours=1),
        updated_at=AT + timedelta(hours=hours),
    )
    await RefundService(PaymentService()).apply(
        unit, [ObservedRefund(told, "msg_r")], {payment_id: RefundedPayment(transaction_id, USER)}
    )
