"""Facts about changes of plan that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """What has become of a change."""

    SCHEDULED = "scheduled"
    WITHDRAWN = "withdrawn"
    DONE_NOW = "done_now"
    DONE_LATER = "done_later"
    SWITCHED = "switched"
    """The buyer changed the plan at the gateway."""
    NOT_COLLECTED = "not_collected"
    """The charge at the end of the period failed; it is tried again."""
    FAILED = "failed"
    """The change has come to nothing. Where the old plan has run out, the subscription has ended."""


@dataclass(frozen=True, slots=True)
class PlanChangeNews:
    """Something a customer is told about a change of plan. Recorded once for each stage of a change.

    Amounts in minor units of `currency`: `charged_minor` was collected, `refund_minor` goes back, `price_minor` is the
    full price of the new plan. `next_attempt_at` is when a charge is tried again. `ended`: there is no subscription
    any more.
    """

    change_id: str
    stage: Stage
    user_id: str
    subscription_id: str
    from_plan_id: str
    to_plan_id: str
    to_free: bool
    currency: str
    price_minor: int
    charged_minor: int
    refund_minor: int
    extension_days: int
    effective_at: datetime | None
    attempt: int = 1
    next_attempt_at: datetime | None = None
    reason: str | None = None
    ended: bool = False
    new_version: bool = False
    """It is the seller who moves the subscriber to new terms of the plan they have."""
