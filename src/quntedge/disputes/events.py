"""Facts about disputes that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DisputeMoved:
    """A dispute was opened, came to another status, or its amounts changed. Amounts in minor units of `currency`.

    `withdrawn_minor` is what the gateway holds back because of it after this move (0 for inquiries and once it is won),
    `before_withdrawn_minor` what it held back before; `fee_minor` and `before_fee_minor` likewise, but in minor units
    of `fee_currency` and `before_fee_currency`: the gateway charges fees in a currency of its own choice, which need
    not be the payment's. A fee currency is None exactly while there is no fee (its amount is 0 then).
    """

    dispute_id: str
    transaction_id: str
    user_id: str
    subscription_id: str | None
    whop_dispute_id: str
    currency: str
    amount_minor: int
    withdrawn_minor: int
    before_withdrawn_minor: int
    fee_minor: int
    fee_currency: str | None
    before_fee_minor: int
    before_fee_currency: str | None
    inquiry: bool
    before_status: str | None
    status: str
    opened: bool
    lost: bool
    won: bool
    evidence_due_at: datetime | None
    occurred_at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert about a payment of ours was seen, for the first time or again. `fee_minor`, in minor units of
    `fee_currency`, is what the gateway charges for it by now; a fee currency is None exactly while that is nothing."""

    alert_id: str
    transaction_id: str
    user_id: str
    fee_minor: int
    fee_currency: str | None
    occurred_at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class DisputeDeadlineNear:
    """Evidence is due in at most `days_left` days and has not been sent. Once for each deadline and number of days."""

    dispute_id: str
    whop_dispute_id: str
    evidence_due_at: datetime
    days_left: int


@dataclass(frozen=True, slots=True)
class DisputedEndFailed:
    """A subscription was to end because of a dispute, and the gateway did not end it."""

    dispute_id: str
    transaction_id: str
    subscription_id: str
    user_id: str
    reason: str
