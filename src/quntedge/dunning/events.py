"""Facts about unpaid renewals that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DunningOpened:
    """A renewal was not paid. Amount in minor units."""

    case_id: str
    user_id: str
    subscription_id: str
    transaction_id: str
    amount_minor: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class DunningClosed:
    """A case has ended. `state` is recovered, exhausted, canceled or superseded; `closed_by` whose doing it was."""

    case_id: str
    user_id: str
    subscription_id: str
    transaction_id: str
    state: str
    outcome: str
    closed_by: str | None
    opened_at: datetime
    amount_minor: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class GraceEnding:
    """Access ends soon, at `grace_until`, if nothing is paid. Once in a case's life."""

    case_id: str
    user_id: str
    subscription_id: str
    plan_id: str
    transaction_id: str
    amount_minor: int | None
    currency: str
    grace_until: datetime


@dataclass(frozen=True, slots=True)
class AccessPaused:
    """Access has ended because the time for paying is over; paying brings it back. Once in a case's life."""

    case_id: str
    user_id: str
    subscription_id: str
    plan_id: str
    transaction_id: str
    amount_minor: int | None
    currency: str
    grace_until: datetime
