"""Facts about pauses that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PauseBegan:
    """A subscription is paused, whoever did it. `access_until` None: access is kept all the while."""

    pause_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    paused_at: datetime
    resume_at: datetime | None
    access_until: datetime | None
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class PauseMoved:
    """A pause that runs has got another end. `move_id` tells one such wish from another; `access_until` as above."""

    pause_id: str
    move_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    resume_at: datetime | None
    access_until: datetime | None
    charge_at: datetime | None


@dataclass(frozen=True, slots=True)
class PauseEnding:
    """A pause will soon end by itself, and collection go on: the first charge comes at `charge_at`."""

    pause_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    resume_at: datetime
    charge_at: datetime


@dataclass(frozen=True, slots=True)
class PauseEnded:
    """A subscription is not paused any more and goes on."""

    pause_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    ended_at: datetime
    charge_at: datetime
