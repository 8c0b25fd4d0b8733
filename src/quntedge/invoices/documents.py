"""Invoices and credit notes as documents: everything that stands on one, read from rows that never change."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.invoices.entities import logo_at, seller_at
from quntedge.invoices.lines import Line
from quntedge.invoices.logo import Logo
from quntedge.invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from quntedge.invoices.parties import BuyerDetails, Seller
from quntedge.invoices.profiles import BillingProfiles
from quntedge.invoices.vat import is_european
from quntedge.invoices.writing import line_of
from quntedge.kit.money import Money
from quntedge.pricing.rules import sum_of


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a credit note refers to. Dates in the seller's time zone."""

    invoice_number: str
    invoice_date: date
    credit_number: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One invoice or credit note. `kind` is `invoice`, `credit_note` or `cancellation` (of a credit note).

    Amounts of a cancellation are negative. `issued_on` and `paid_on` are days in the seller's time zone.
    """

    kind: str
    number: str
    issued_on: date
    issued_at: datetime
    paid_on: date | None
    payment_reference: str | None
    language: str
    seller: Seller
    buyer: BuyerDetails
    buyer_id: str
    lines: tuple[Line, ...]
    corrects: Corrected | None = None
    logo: Logo | None = None
    """The picture at its head; None is the product's mark."""

    @property
    def currency(self) -> str:
        """Lower-case code."""
        return self.lines[0].amount.currency

    @property
    def tax(self) -> Money:
        """The tax in the total."""
        return sum_of((line for line in self.lines if line.kind == "tax"), self.currency)

    @property
    def net(self) -> Money:
        """The total without tax."""
        return sum_of((line for line in self.lines if line.kind != "tax"), self.currency)

    @property
    def total(self) -> Money:
        """What is owed, paid or credited."""
        return sum_of(self.lines, self.currency)

    @property
    def tax_basis_points(self) -> int:
        """The rate of the tax, 0 where there is none."""
        return next((line.tax_basis_points or 0 for line in self.lines if line.kind == "tax"), 0)

    @property
    def is_taxed(self) -> bool:
        """Whether tax is charged, or credited; the tax in a few cents may well be none."""
        return any(line.kind == "tax" for line in self.lines)

    @property
    def reverse_charge(self) -> bool:
        """Whether the buyer owes the tax: both have numbers of the EU, of different countries, and none was charged."""
        seller, buyer = self.seller.vat_id, self.buyer.vat_id
        if self.is_taxed or seller is None or buyer is None:
            return False
        return is_european(seller) and is_european(buyer) and seller[:2] != buyer[:2]


async def invoice_document(session: AsyncSession, profiles: BillingProfiles, invoice: Invoice) -> Document:
    """A numbered, complete invoice as a document. Raises ValueError for another one."""
    if invoice.number is None or invoice.legal_entity_id is None or invoice.billing_profile_id is None:
        raise ValueError("only a numbered invoice with its parties is a document")
    seller = await seller_at(session, invoice.legal_entity_id)
    lines = await session.scalars(
        select(InvoiceLine).where(InvoiceLine.invoice_id == invoice.id).order_by(InvoiceLine.position)
    )
    issued_at = invoice.paid_at or invoice.issued_at
    issued_on = _day(issued_at, seller)
    return Document(
        kind="invoice",
        number=invoice.number,
        issued_on=issued_on,
        issued_at=issued_at,
        paid_on=issued_on,
        payment_reference=invoice.whop_payment_id,
        language=invoice.locale or "en",
        seller=seller,
        buyer=await profiles.at(session, invoice.billing_profile_id),
        buyer_id=invoice.user_id,
        lines=tuple(line_of(row, invoice.currency) for row in lines),
        logo=await logo_at(session, seller),
    )


async def credit_note_document(session: AsyncSession, profiles: BillingProfiles, note: CreditNote) -> Document:
    """A credit note as a document."""
    seller = await seller_at(session, note.legal_entity_id)
    invoice = await session.get_one(Invoice, note.invoice_id)
    reversed_note = None if note.reverses_id is None else await session.get_one(CreditNote, note.reverses_id)
    lines = await session.scalars(
        select(CreditNoteLine).where(CreditNoteLine.credit_note_id == note.id).order_by(CreditNoteLine.position)
    )
    return Document(
        kind="credit_note" if reversed_note is None else "cancellation",
        number=note.number,
        issued_on=_day(note.issued_at, seller),
        issued_at=note.issued_at,
        paid_on=None,
        payment_reference=invoice.whop_payment_id,
        language=note.locale,
        seller=seller,
        buyer=await profiles.at(session, note.billing_profile_id),
        buyer_id=note.user_id,
        lines=tuple(line_of(row, note.currency) for row in lines),
        corrects=Corrected(
            invoice_number=str(invoice.number),
            invoice_date=_day(invoice.paid_at or invoice.issued_at, seller),
            credit_number=None if reversed_note is None else reversed_note.number,
        ),
        logo=await logo_at(session, seller),
    )


def _day(moment: datetime, seller: Seller) -> date:
    return moment.astimezone(ZoneInfo(seller.time_zone)).date()
