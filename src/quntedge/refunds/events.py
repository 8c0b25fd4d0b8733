"""Facts about refunds that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RefundMoved:
    """A refund came to another status. Amounts in minor units of `currency`, which is the payment's.

    `counted` is True exactly once, when the money counts as given back (`succeeded`); `uncounted` when one that had
    counted turned out to have failed after all.
    """

    refund_id: str
    transaction_id: str
    user_id: str
    subscription_id: str | None
    whop_refund_id: str
    currency: str
    amount_minor: int
    reason: str | None
    before_status: str | None
    status: str
    counted: bool
    uncounted: bool
    occurred_at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class PaymentRefunded:
    """More of a payment has gone back: `payment.refunded` when all of it has, else `payment.partially_refunded`.

    The gateway has no such events; these are derived from the refunds that count. Amounts in minor units of `currency`:
    `refunded_minor` has gone back in all, `amount_minor` of it just now. `refund_id` is the latest refund of them and
    `actor` who wanted it.
    """

    kind: str
    transaction_id: str
    user_id: str
    subscription_id: str | None
    refund_id: str
    currency: str
    total_minor: int
    refunded_minor: int
    amount_minor: int
    actor: str
    cause: str
