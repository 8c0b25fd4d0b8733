"""Facts about invoices that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class InvoicePaid:
    """An invoice was paid and got its number. Once in an invoice's life."""

    invoice_id: str
    number: str
    user_id: str
    subscription_id: str | None
    transaction_id: str | None
    plan_id: str | None
    currency: str
    total_minor: int
    billing_reason: str | None
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class CreditNoteIssued:
    """A credit note was issued. `total_minor` is negative for one that cancels an earlier one, `reverses_id`."""

    credit_note_id: str
    number: str
    invoice_id: str
    invoice_number: str
    user_id: str
    subscription_id: str | None
    plan_id: str | None
    refund_id: str
    reverses_id: str | None
    currency: str
    total_minor: int
    issued_at: datetime
