"""Who may pause, for how long, and what follows: for access and for the next charge. Pure.

What the gateway does not document is a choice (decision 0026): nothing is charged during a pause; a period that runs
out meanwhile is charged when the pause ends, and the next period begins then; one that has not is charged when it runs
out, as if there had been no pause.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.pauses.errors import (
    AlreadyPaused,
    InvalidPauseEnd,
    NothingToPause,
    NotPaused,
    PauseInTrial,
    PauseNotOffered,
    PauseWhileCancelling,
    PauseWhileChanging,
    PauseWhilePastDue,
)

MONTH = timedelta(days=30)
"""A month of a pause, as of a plan: the gateway counts days."""

SHORTEST = timedelta(hours=12)
LONGEST = timedelta(days=730)
"""Without a limit of the plan's: a date further away is more likely a slip."""

REMIND_BEFORE = timedelta(days=3)
CHECK_AFTER = timedelta(minutes=10)
"""How long after a pause should have ended we look, if nobody has told us that it has."""

CHECK_AGAIN = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a subscription matters for pausing. `access` is the plan's policy: keep, period or none."""

    status: str
    renews: bool
    cancel_at_period_end: bool
    period_end: datetime | None
    access: str
    max_days: int | None
    is_changing: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What a pause will be. `access_until` None: access is kept. `charge_at` None: nothing until it is resumed.

    `max_until` is the latest end the plan allows, None for any or none at all.
    """

    resume_at: datetime | None
    access_until: datetime | None
    charge_at: datetime | None
    max_until: datetime | None
    open_ended: bool


def check_standing(standing: Standing) -> None:
    """Raises the reason why this subscription cannot be paused now, if there is one."""
    if standing.status == "completed" or not standing.renews:
        raise NothingToPause("Your plan is paid for good: nothing renews, so there is nothing to pause.")
    if standing.max_days == 0:
        raise PauseNotOffered("This plan cannot be paused. You can cancel it and come back at any time.")
    if standing.status == "trialing":
        raise PauseInTrial("A trial cannot be paused. Cancel before it ends and nothing is charged.")
    if standing.status == "past_due":
        raise PauseWhilePastDue("The last payment is still open. Pay it or update your card, then pause.")
    if standing.status == "paused":
        raise AlreadyPaused("Your subscription is paused already. To choose another end, move it.")
    if standing.status != "active":
        raise NothingToPause("You have no running subscription that could be paused.")
    if standing.cancel_at_period_end:
        raise PauseWhileCancelling(
            "Your subscription is set to end with its period. Undo the cancellation first, then pause."
        )
    if standing.is_changing:
        raise PauseWhileChanging(
            "Another change of your subscription is under way or planned. Let it finish or withdraw it, then pause."
        )


def end_of_pause(until: datetime | None, days: int | None, now: datetime) -> datetime | None:
    """When a pause asked for like this ends; None for one without an end. Raises `InvalidPauseEnd` for both at once."""
    if until is not None and days is not None:
        raise _wrong("Give `until` or `days`, not both.")
    if days is not None:
        if not 1 <= days <= LONGEST.days:
            raise _wrong(f"A pause has 1 to {LONGEST.days} days.", "days")
        return now + timedelta(days=days)
    return until


def check_movable(standing: Standing) -> None:
    """Raises the reason why the end of a pause cannot be moved now, if there is one."""
    if standing.status != "paused":
        raise NotPaused("Your subscription is not paused.")
    if standing.is_changing:
        raise PauseWhileChanging("Something else is being done to your subscription. Look again in a moment.")


def terms(standing: Standing, resume_at: datetime | None, now: datetime, *, paused_at: datetime | None = None) -> Terms:
    """What follows from pausing until then: now, or, of a pause that runs, since `paused_at`. Raises `InvalidPauseEnd`.

    However often its end is moved, a pause lasts no longer than the plan allows.
    """
    began = paused_at or now
    limit = None if standing.max_days is None else began + timedelta(days=standing.max_days)
    if resume_at is None:
        if limit is not None:
            raise _wrong(f"This plan can be paused for at most {standing.max_days} days: say until when.")
    elif resume_at < now + SHORTEST:
        raise _wrong("A pause ends twelve hours from now or later.")
    elif limit is not None and resume_at > limit:
        raise _wrong(f"This plan can be paused for at most {standing.max_days} days.")
    elif resume_at > began + LONGEST:
        raise _wrong(f"A pause ends within {LONGEST.days} days, or when you resume.")
    access_until = interrupted_at({"keep": None, "none": began}.get(standing.access, standing.period_end), resume_at)
    charge_at = None if resume_at is None else next_charge(resume_at, standing.period_end)
    return Terms(resume_at, access_until, charge_at, limit, open_ended=limit is None)


def longest(standing: Standing) -> timedelta:
    """How long a pause may last as a whole."""
    return LONGEST if standing.max_days is None else min(LONGEST, timedelta(days=standing.max_days))


def interrupted_at(access_until: datetime | None, resume_at: datetime | None) -> datetime | None:
    """When access ends because of a pause; None when it is kept, or when the pause is over before it would end."""
    if access_until is not None and resume_at is not None and resume_at <= access_until:
        return None
    return access_until


def next_charge(resumed_at: datetime, period_end: datetime | None) -> datetime:
    """When the next charge comes after a pause that ends then."""
    return resumed_at if period_end is None else max(resumed_at, period_end)


def reminder_at(paused_at: datetime, resume_at: datetime | None) -> datetime | None:
    """When to remind of the end: three days before, of a short pause when half of it is over. None without an end."""
    if resume_at is None:
        return None
    return resume_at - min(REMIND_BEFORE, (resume_at - paused_at) / 2)


def choices(max_days: int | None, now: datetime) -> list[tuple[int, datetime]]:
    """The numbers of months the plan allows, of 1, 2 and 3, each with its end."""
    limit = LONGEST.days if max_days is None else max_days
    return [(months, now + months * MONTH) for months in (1, 2, 3) if months * MONTH.days <= limit]


def _wrong(message: str, field: str = "until") -> InvalidPauseEnd:
    return InvalidPauseEnd(message, errors=[{"field": field, "message": message}])
