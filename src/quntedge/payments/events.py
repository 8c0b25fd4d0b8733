"""Facts about payments that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PaymentRecorded:
    """A payment's record was made or changed. Amounts in minor units of `currency`.

    `net_minor` is what is left of the total after the gateway's fees, None while it has not said. `fee_minor` is what
    collecting it cost (tax that the gateway remits included), fixed before anything was given back or disputed, None
    while that is not known. `discount_minor` is what was taken off the subtotal, None where the gateway's amounts do
    not tell. `disputed_minor` is what the buyer's bank holds back or has taken.
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
    net_minor: int | None
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
    discount_minor: int | None = None
    fee_minor: int | None = None
    disputed_minor: int = 0
    tax_behavior: str | None = None
    whop_promo_code_id: str | None = None
    whop_member_id: str | None = None
    whop_method_id: str | None = None
    method_kind: str | None = None
    method_brand: str | None = None
    method_last4: str | None = None
    method_exp_month: int | None = None
    method_exp_year: int | None = None
