"""Facts about payments that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PaymentRecorded:
    """A payment's record was made or changed. Amounts in minor units of `currency`.

    `newly_paid` is True once in a payment's life; `failed_attempt` carries the number of an attempt seen for the
    first time, with `decline_class` saying what it means.
    """

    transaction_id: str
    user_id: str
    subscription_id: str | None
    plan_id: str | None
    whop_payment_id: str
    whop_membership_id: str | None
    before_status: str | None
    status: str
    billing_reason: str | None
    currency: str
    subtotal_minor: int | None
    tax_minor: int | None
    total_minor: int | None
    refunded_minor: int
    attempts_failed: int
    newly_paid: bool
    newly_failed: bool
    failed_attempt: int | None
    decline_class: str | None
    paid_at: datetime | None
    occurred_at: datetime
    gateway_updated_at: datetime | None
    checkout_id: str | None
    cause: str
