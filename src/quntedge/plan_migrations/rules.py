"""Who moves to a plan's new terms, when, and what keeps a subscriber from it. Pure.

Nobody pays a higher price whom we have not told at least `NOTICE_DAYS` before, and nobody pays one for time that was
paid for already: the new terms begin with the first period after the notice. Until two days before nothing is done at
the gateway, so that customers pause, cancel and change as ever.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from quntedge.kit.money import Money

NOTICE_DAYS = 30
"""The shortest notice of a higher price."""
LONGEST_NOTICE_DAYS = 365

LEAD = timedelta(days=2)
"""How long before the end of the period the gateway is told."""
MARGIN = timedelta(hours=1)
"""How long after the time of an event it is looked at, if nothing else was heard of it."""
LOOK_AGAIN = timedelta(days=1)


class Skip(StrEnum):
    """Why a subscriber is not moved at all. Part of the public contract."""

    NOT_SOLD = "not_sold"
    """The new terms do not exist in the currency they pay in."""
    OTHER_PERIOD = "other_period"
    """The new terms are for a longer or shorter period: nobody is bound for longer than they agreed to."""
    SPECIAL_PRICE = "special_price"
    """They pay something else than their version's price, by a promotion or an agreement."""
    ENDING = "ending"
    """They have cancelled."""


class Left(StrEnum):
    """Why a subscriber who was told is not moved after all. Part of the public contract."""

    ENDED = "ended"
    CHANGED_PLAN = "changed_plan"
    NOT_PAID = "not_paid"
    """Their period was over, and the new one could not be collected."""
    HAS_VERSION = "has_version"
    """They have the terms already."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Terms in one currency: the price of a period, and how many days it has."""

    version: int
    price: Money
    period_days: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a subscription decides about its move. `price` is what its next renewal costs, None where unknown."""

    status: str
    plan_id: str
    version: int
    period_end: datetime | None
    cancel_at_period_end: bool
    price: Money | None
    is_changing: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """The move is to be planned now, for the end of the running period."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """Nothing is to be done before then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Leave:
    """The subscriber is left out from now on."""

    reason: Left


Next = Begin | Look | Leave


def obstacle(standing: Standing, bought: Offer | None, offer: Offer | None) -> Skip | None:
    """Why somebody who has these terms cannot be moved to that offer; None when they can."""
    if standing.cancel_at_period_end:
        return Skip.ENDING
    if bought is None or offer is None:
        return Skip.NOT_SOLD
    if bought.period_days != offer.period_days:
        return Skip.OTHER_PERIOD
    if standing.price is not None and standing.price != bought.price:
        return Skip.SPECIAL_PRICE
    return None


def not_before(now: datetime, old: Money, new: Money, notice_days: int) -> datetime:
    """The earliest time at which somebody told now may move. Only a higher price has to wait."""
    return now + timedelta(days=notice_days) if new > old else now


def expected_at(period_end: datetime | None, not_before: datetime) -> datetime:
    """What a notice names: the end of the running period if the move can be then, else the day from which on the next
    renewal brings the new price. Later renewals are the gateway's to date, so they are never computed."""
    return max(period_end, not_before) if period_end is not None else not_before


def first_look(period_end: datetime | None, not_before: datetime, now: datetime) -> datetime:
    """When to look at somebody who has just been told: before the end of the running period, if they may move then,
    else after it, when the end of the next one is known."""
    if period_end is None:
        return now
    return max(now, period_end - LEAD if period_end >= not_before else period_end + MARGIN)


def next_step(standing: Standing, plan_id: str, to_version: int, not_before: datetime, now: datetime) -> Next:
    """What to do about a subscriber who waits.

    A trial ends at the price it began with; who is past due pays first; who is paused comes back first; who has
    cancelled stays cancelled, and is looked at again when that was to happen. All of them move at the end of a period
    that they pay for afterwards.
    """
    if standing.status in ("canceled", "expired", "completed"):
        return Leave(Left.ENDED)
    if standing.plan_id != plan_id:
        return Leave(Left.CHANGED_PLAN)
    if standing.version >= to_version:
        return Leave(Left.HAS_VERSION)
    end = standing.period_end
    if end is None or standing.status in ("past_due", "paused", "incomplete"):
        return Look(now + LOOK_AGAIN)
    busy = standing.status == "trialing" or standing.cancel_at_period_end or standing.is_changing
    if busy or end < not_before or end <= now:
        return Look(max(end, now) + MARGIN)
    return Begin(end) if end - LEAD <= now else Look(end - LEAD)
