"""The file about a dispute: what our records say, put together for a bank. Pure: the same records give the same file.

Everything in it comes from a record of ours; what we do not record is named in `missing` instead of being made up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from quntedge.gateway.disputed import EvidenceTexts
from quntedge.kit.money import Money

LONGEST_TEXT = 20_000
"""The most characters Whop takes for one place of the evidence."""
MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened, in one line."""

    at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Buyer:
    """The customer as we know them. `terms_accepted_at`: when they agreed to the terms of service; `billing_address`:
    what they gave for invoices."""

    user_id: str
    name: str | None
    email: str | None
    since: datetime
    terms_accepted_at: datetime | None
    billing_address: str | None = None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought: the plan, and our own checkout where it began there."""

    plan_name: str | None = None
    plan_tagline: str = ""
    period_days: int | None = None
    features: tuple[str, ...] = ()
    checkout_id: str | None = None
    checkout_opened_at: datetime | None = None
    checkout_completed_at: datetime | None = None
    price_shown: Money | None = None


@dataclass(frozen=True, slots=True)
class DisputedCharge:
    """The dispute and the payment it is about."""

    dispute_id: str
    whop_dispute_id: str
    reason: str | None
    reason_code: str | None
    amount: Money
    inquiry: bool
    opened_at: datetime
    due_at: datetime | None
    payment_id: str
    whop_payment_id: str
    total: Money | None
    paid_at: datetime | None
    billing_reason: str | None
    method: str | None
    refunded: Money


@dataclass(frozen=True, slots=True)
class DisputeRecords:
    """All we know that bears on a dispute. Lists are in the order of time."""

    product_name: str
    billing_url: str
    withdrawal_refund: str
    charge: DisputedCharge
    buyer: Buyer
    purchase: Purchase
    subscription_status: str | None = None
    subscription_ended_at: datetime | None = None
    history: Sequence[Happening] = ()
    sign_ins: Sequence[Happening] = ()
    mails: Sequence[Happening] = ()
    payments: Sequence[Happening] = ()
    invoices: Sequence[Happening] = ()
    refunds: Sequence[Happening] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the file: facts by name, then what happened when."""

    key: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    happenings: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class DisputeFile:
    """The whole file. `texts` is what goes into Whop's places, `missing` what a bank may ask for and we cannot show."""

    dispute_id: str
    title: str
    texts: EvidenceTexts
    sections: tuple[Section, ...]
    missing: tuple[str, ...] = field(default=())


def compose(records: DisputeRecords, *, notes: str | None = None, refusal: str | None = None) -> DisputeFile:
    """The file. `notes` and `refusal` (why a refund was refused) are what a person adds to it."""
    charge = records.charge
    return DisputeFile(
        dispute_id=charge.dispute_id,
        title=f"Dispute {charge.whop_dispute_id}",
        texts=_texts(records, notes, refusal),
        sections=tuple(
            section for section in _sections(records, notes, refusal) if section.facts or section.happenings
        ),
        missing=_missing(records),
    )


def _texts(records: DisputeRecords, notes: str | None, refusal: str | None) -> EvidenceTexts:
    charge, buyer = records.charge, records.buyer
    return EvidenceTexts(
        access_activity_log=_log([*records.sign_ins, *records.history]),
        billing_address=buyer.billing_address,
        cancellation_policy_disclosure=_cut(_cancellation_policy(records)),
        customer_email_address=buyer.email,
        customer_name=buyer.name,
        notes=_cut(notes) if notes else _cut(_summary(records)),
        product_description=_cut(_product(records)),
        refund_policy_disclosure=_cut(_refund_policy(records)),
        refund_refusal_explanation=_cut(refusal) if refusal else None,
        service_date=f"{charge.paid_at:%Y-%m-%d}" if charge.paid_at else None,
    )


def _product(records: DisputeRecords) -> str:
    bought = records.purchase
    if bought.plan_name is None:
        return f"Access to {records.product_name}, a web application."
    words = [f"Access to {records.product_name}, a web application, under the plan {bought.plan_name}."]
    if bought.plan_tagline:
        words.append(bought.plan_tagline)
    if bought.period_days:
        words.append(f"It renews every {bought.period_days} days until it is cancelled.")
    if bought.features:
        words.append(f"It includes: {', '.join(bought.features)}.")
    return " ".join(words)


def _cancellation_policy(records: DisputeRecords) -> str:
    agreed = _agreement(records.buyer)
    return (
        f"{agreed}Customers cancel by themselves at any time on {records.billing_url}, at once or to the end of the "
        "period that is paid; nothing is charged after that. Every renewal and every cancellation is confirmed by mail."
    )


def _refund_policy(records: DisputeRecords) -> str:
    back = "the whole price" if records.withdrawal_refund == "full" else "the price of the time that is left"
    return (
        f"{_agreement(records.buyer)}Consumers may withdraw from the contract within 14 days of buying, on "
        f"{records.billing_url}, and get {back} back."
    )


def _agreement(buyer: Buyer) -> str:
    if buyer.terms_accepted_at is None:
        return ""
    return f"The customer agreed to the terms of service on {stamp(buyer.terms_accepted_at)}. "


def _summary(records: DisputeRecords) -> str:
    charge = records.charge
    paid = f"paid on {stamp(charge.paid_at)}" if charge.paid_at else "paid"
    parts = [f"The payment of {_amount(charge.total)} was {paid}."]
    if records.sign_ins:
        parts.append(f"The customer signed in {len(records.sign_ins)} times that are still on record.")
    if records.mails:
        parts.append(f"{len(records.mails)} mails about the purchase were sent.")
    if charge.refunded:
        parts.append(f"{_amount(charge.refunded)} of it was refunded.")
    return " ".join(parts)


def _sections(records: DisputeRecords, notes: str | None, refusal: str | None) -> list[Section]:
    charge, buyer, bought = records.charge, records.buyer, records.purchase
    return [
        Section(
            "dispute",
            "The dispute",
            _facts(
                ("Dispute", f"{charge.whop_dispute_id} ({charge.dispute_id})"),
                ("Kind", "inquiry" if charge.inquiry else "chargeback"),
                ("Reason", " ".join(part for part in (charge.reason, charge.reason_code) if part)),
                ("Amount", _amount(charge.amount)),
                ("Opened", stamp(charge.opened_at)),
                ("Evidence due", stamp(charge.due_at)),
            ),
        ),
        Section(
            "payment",
            "The payment",
            _facts(
                ("Payment", f"{charge.whop_payment_id} ({charge.payment_id})"),
                ("Total", _amount(charge.total)),
                ("Paid", stamp(charge.paid_at)),
                ("For", charge.billing_reason),
                ("Method", charge.method),
                ("Refunded", _amount(charge.refunded) if charge.refunded else None),
            ),
            tuple(records.refunds),
        ),
        Section(
            "customer",
            "The customer",
            _facts(
                ("Customer", buyer.user_id),
                ("Name", buyer.name),
                ("E-mail", buyer.email),
                ("Billing address", buyer.billing_address),
                ("Known since", stamp(buyer.since)),
                ("Agreed to the terms", stamp(buyer.terms_accepted_at)),
            ),
        ),
        Section(
            "purchase",
            "What was bought",
            _facts(
                ("Plan", bought.plan_name),
                ("Description", _product(records)),
                ("Checkout", bought.checkout_id),
                ("Checkout opened", stamp(bought.checkout_opened_at)),
                ("Checkout completed", stamp(bought.checkout_completed_at)),
                ("Price shown", _amount(bought.price_shown)),
            ),
        ),
        Section(
            "subscription",
            "The subscription",
            _facts(("Status now", records.subscription_status), ("Ended", stamp(records.subscription_ended_at))),
            tuple(records.history),
        ),
        Section("access", "Sign-ins", (), tuple(records.sign_ins)),
        Section("payments", "All payments of this customer", (), tuple(records.payments)),
        Section("invoices", "Invoices", (), tuple(records.invoices)),
        Section("mails", "Mails that were sent", (), tuple(records.mails)),
        Section(
            "policies",
            "What customers agree to",
            _facts(("Cancellation", _cancellation_policy(records)), ("Refunds", _refund_policy(records))),
        ),
        Section("notes", "Remarks", _facts(("Remarks", notes), ("Why no refund was given", refusal))),
    ]


def _missing(records: DisputeRecords) -> tuple[str, ...]:
    gaps = [
        "a log of single uses of the product: only sign-ins are recorded here, the application itself may have more",
    ]
    if not records.sign_ins:
        gaps.append("sign-ins: none is on record (they are kept while a session can be used)")
    if records.buyer.terms_accepted_at is None:
        gaps.append("consent to the terms: this customer bought at Whop and never signed up here")
    if records.buyer.billing_address is None:
        gaps.append("a billing address: the checkout is Whop's, and the customer gave none for invoices")
    if records.buyer.email is None:
        gaps.append("the customer's e-mail address")
    return tuple(gaps)


def _facts(*pairs: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in pairs if value)


def _log(happenings: Sequence[Happening]) -> str | None:
    ordered = sorted(happenings, key=lambda one: one.at)[-MOST_LINES:]
    lines = [f"{stamp(one.at)}  {one.what}{f' ({one.detail})' if one.detail else ''}" for one in ordered]
    return _cut("\n".join(lines)) if lines else None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _amount(money: Money | None) -> str:
    return "" if money is None else f"{money.to_major_text()} {money.currency.upper()}"


def stamp(at: datetime | None) -> str:
    """A time for banks: to the minute, in UTC; empty when there is none."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
