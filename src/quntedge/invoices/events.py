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
