"""Facts about saved means of payment that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MethodSaved:
    """The gateway says that somebody has saved a means of payment.

    `setup_id` is ours, of the page that we sent them to; None where they came another way. `cause` is the delivery that
    said so.
    """

    member_id: str
    method_id: str | None
    setup_id: str | None
    cause: str


@dataclass(frozen=True, slots=True)
class MethodExpiring:
    """The card that pays a live subscription expires soon: with the end of `exp_month`. Told once for card and month.

    `expires_at` is the first instant at which it is no longer valid (UTC).
    """

    method_id: str
    user_id: str
    subscription_id: str
    plan_id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int
    exp_year: int
    expires_at: datetime
