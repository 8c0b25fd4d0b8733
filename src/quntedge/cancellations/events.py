"""Facts about ends that were wished for, for the mails that tell of them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CancellationScheduled:
    """A subscription will end with its period, and the gateway knows. Recorded once for each cancellation."""

    cancellation_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    membership_id: str
    trial: bool
    access_until: datetime | None


@dataclass(frozen=True, slots=True)
class CancellationUndone:
    """A cancellation was taken back, here or at the gateway: the subscription goes on. Recorded once for each."""

    cancellation_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    membership_id: str
    trial: bool
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class WithdrawalReceived:
    """A consumer has withdrawn from a contract. Its receipt is confirmed at once, before anything else is done."""

    withdrawal_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class RefundOwed:
    """Money is owed back to a customer: a row of `refund_request` that is new. In minor units of `currency`."""

    request_id: str
    transaction_id: str
    user_id: str
    amount_minor: int
    currency: str
