"""What the routes about invoices, credit notes and billing details send and read."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from quntedge.api.models import In, InvoiceOut, MoneyOut, Out
from quntedge.invoices.documents import Document
from quntedge.invoices.lines import Line
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.invoices.parties import BuyerDetails, Seller
from quntedge.invoices.profiles import Profile


class LineOut(Out):
    """A line of a document, without tax; the tax is a line of its own, with its rate in hundredths of a percent."""

    kind: str = Field(examples=["plan"], description="plan, proration, discount, tax or adjustment.")
    label: str = Field(examples=["Monthly"])
    amount: MoneyOut
    period_start: datetime | None
    period_end: datetime | None
    tax_basis_points: int | None = Field(examples=[2000])

    @classmethod
    def of(cls, line: Line) -> "LineOut":
        """A line as it is sent."""
        return cls(
            kind=line.kind,
            label=line.label,
            amount=MoneyOut.of(line.amount),
            period_start=line.period_start,
            period_end=line.period_end,
            tax_basis_points=line.tax_basis_points,
        )


class SellerOut(Out):
    """Who sold, as it stands on the document."""

    name: str
    line1: str | None
    line2: str | None
    postcode: str | None
    city: str | None
    country: str | None = Field(examples=["FR"])
    vat_id: str | None
    registration: str | None

    @classmethod
    def of(cls, seller: Seller) -> "SellerOut":
        """A seller as it is sent."""
        return cls(
            name=seller.name,
            line1=seller.line1,
            line2=seller.line2,
            postcode=seller.postcode,
            city=seller.city,
            country=seller.country,
            vat_id=seller.vat_id,
            registration=seller.registration,
        )


class BuyerOut(Out):
    """Who bought, as it stands on the document."""

    company: str | None
    name: str | None
    email: str | None
    line1: str | None
    line2: str | None
    postcode: str | None
    city: str | None
    country: str | None = Field(examples=["FR"])
    vat_id: str | None

    @classmethod
    def of(cls, buyer: BuyerDetails) -> "BuyerOut":
        """A buyer as it is sent."""
        return cls(
            company=buyer.company,
            name=buyer.name,
            email=buyer.email,
            line1=buyer.line1,
            line2=buyer.line2,
            postcode=buyer.postcode,
            city=buyer.city,
            country=buyer.country,
            vat_id=buyer.vat_id,
        )


class CreditNoteOut(Out):
    """A credit note. `total` is negative for one that cancels an earlier one, whose refund failed (`cancels`)."""

    id: str = Field(examples=["crn_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    number: str = Field(examples=["CN-2026-000007"])
    invoice_id: str
    refund_id: str
    cancels: str | None
    total: MoneyOut
    tax: MoneyOut
    issued_at: datetime

    @classmethod
    def of(cls, row: CreditNote) -> "CreditNoteOut":
        """A credit note row."""
        return cls(
            id=row.id,
            number=row.number,
            invoice_id=row.invoice_id,
            refund_id=row.refund_id,
            cancels=row.reverses_id,
            total=MoneyOut(amount_minor=row.total_minor, currency=row.currency),
            tax=MoneyOut(amount_minor=row.tax_minor, currency=row.currency),
            issued_at=row.issued_at,
        )


class InvoiceDetailOut(InvoiceOut):
    """One invoice with everything on it. Lines and parties are there from the moment it has its number."""

    lines: list[LineOut]
    seller: SellerOut | None
    buyer: BuyerOut | None
    credit_notes: list[CreditNoteOut]

    @classmethod
    def of_document(
        cls, row: Invoice, document: Document | None, credit_notes: Sequence[CreditNote]
    ) -> "InvoiceDetailOut":
        """An invoice, what stands on it, and what has corrected it."""
        return cls(
            **InvoiceOut.of(row).model_dump(),
            lines=[] if document is None else [LineOut.of(line) for line in document.lines],
            seller=None if document is None else SellerOut.of(document.seller),
            buyer=None if document is None else BuyerOut.of(document.buyer),
            credit_notes=[CreditNoteOut.of(note) for note in credit_notes],
        )


class StaffInvoiceOut(InvoiceOut):
    """One invoice with whose it is, and what it belongs to at Whop."""

    user: str
    whop_payment_id: str | None
    whop_invoice_id: str | None

    @classmethod
    def staff(cls, row: Invoice) -> "StaffInvoiceOut":
        """An invoice row with what is none of the customer's business."""
        return cls(**InvoiceOut.of(row).model_dump(), **_staff_members(row))


class StaffInvoiceDetailOut(InvoiceDetailOut, StaffInvoiceOut):
    """One invoice with everything on it, whose it is, and what it belongs to at Whop."""

    @classmethod
    def staff_document(
        cls, row: Invoice, document: Document | None, credit_notes: Sequence[CreditNote]
    ) -> "StaffInvoiceDetailOut":
        """An invoice, what stands on it, and what has corrected it."""
        told = InvoiceDetailOut.of_document(row, document, credit_notes)
        return cls(**told.model_dump(), **_staff_members(row))


class StaffCreditNoteOut(CreditNoteOut):
    """A credit note with whose it is."""

    user: str

    @classmethod
    def staff(cls, row: CreditNote) -> "StaffCreditNoteOut":
        """A credit note row with whose it is."""
        return cls(**CreditNoteOut.of(row).model_dump(), user=row.user_id)


def _staff_members(row: Invoice) -> dict[str, Any]:
    return {"user": row.user_id, "whop_payment_id": row.whop_payment_id, "whop_invoice_id": row.whop_invoice_id}


class BillingDetailsIn(In):
    """What is to stand on invoices from now on. Name or company, address, city and country are needed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "company": "Example SARL",
                    "line1": "1 rue de la Paix",
                    "postcode": "75002",
                    "city": "Paris",
                    "country": "FR",
                    "vat_id": "FR40303265045",
                }
            ]
        },
    )

    company: str | None = Field(None, max_length=1024)
    name: str | None = Field(None, max_length=1024)
    email: str | None = Field(None, max_length=1024)
    line1: str | None = Field(None, max_length=1024)
    line2: str | None = Field(None, max_length=1024)
    postcode: str | None = Field(None, max_length=1024)
    city: str | None = Field(None, max_length=1024)
    country: str | None = Field(None, max_length=64, description="ISO 3166-1, two letters.")
    vat_id: str | None = Field(None, max_length=1024, description="Its form and check digits are checked.")


class BillingDetailsOut(BuyerOut):
    """The billing details. `entered` is false while they are those of the account."""

    entered: bool

    @classmethod
    def of_profile(cls, profile: Profile | None) -> "BillingDetailsOut":
        """The current details; empty ones for none."""
        details = BuyerDetails() if profile is None else profile.details
        entered = profile is not None and not profile.automatic
        return cls(entered=entered, **BuyerOut.of(details).model_dump())
