"""The states of a subscription as data: what may be said of it in each, what follows, and what that is called.

A subscription is derived from its memberships (`rules.derive`), so what is said now decides its status, whatever it was
before: every trigger has one target. What the step *means* depends on where it came from: that is the table. `judge`,
`derive` and `describe` in `rules` act by it, and the documentation is made from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Status of a subscription."""

    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"
    EXPIRED = "expired"
    COMPLETED = "completed"


class Access(StrEnum):
    """When a status opens the features of its plan."""

    NEVER = "no"
    ALWAYS = "yes, for ever"
    UNTIL_CANCELLATION = "yes; only until its period ends where it is to be cancelled"
    GRACE = "yes until the grace is over, then no"
    PAUSE_POLICY = "as the plan says: kept, until the end of the period that was paid, or not at all"
    PAID_TIME = "until `ended_at`, then no"


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """What a status means. `live`: the customer has something now; there is one such subscription for each."""

    meaning: str
    access: Access
    live: bool


STATUSES: Mapping[Status, StatusFacts] = {
    Status.INCOMPLETE: StatusFacts("bought, but not begun, or not clear yet", Access.NEVER, live=False),
    Status.TRIALING: StatusFacts("a trial runs", Access.UNTIL_CANCELLATION, live=True),
    Status.ACTIVE: StatusFacts("paid, or its successor is awaited", Access.UNTIL_CANCELLATION, live=True),
    Status.PAST_DUE: StatusFacts("a renewal could not be collected", Access.GRACE, live=True),
    Status.PAUSED: StatusFacts("nothing is collected for a while", Access.PAUSE_POLICY, live=True),
    Status.CANCELED: StatusFacts("ended because somebody wanted that, or nobody paid", Access.PAID_TIME, live=False),
    Status.EXPIRED: StatusFacts("ended by itself", Access.NEVER, live=False),
    Status.COMPLETED: StatusFacts("paid once, for ever", Access.ALWAYS, live=True),
}

LIVE = frozenset(status for status, facts in STATUSES.items() if facts.live)
ENDED = frozenset({Status.CANCELED, Status.EXPIRED})


class Trigger(StrEnum):
    """What may be said of a subscription, or happen to it."""

    DRAFTED = "drafted"
    UNCLEAR = "unclear"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    SUCCESSOR_AWAITED = "successor_awaited"
    PAYMENT = "payment"
    PERIOD_OVER = "period_over"
    GRACE_OVER = "grace_over"


MEANINGS: Mapping[Trigger, str] = {
    Trigger.DRAFTED: "the membership has not begun",
    Trigger.UNCLEAR: "the membership's status is unresolved, or one we do not know",
    Trigger.TRIALING: "the membership is on trial",
    Trigger.ACTIVE: "the membership is paid; after a pause: it is resumed",
    Trigger.PAST_DUE: "the membership's renewal failed",
    Trigger.PAUSED: "ours: the membership is paid or past due, and its collection is paused",
    Trigger.COMPLETED: "the membership is paid for good",
    Trigger.CANCELED: "the membership was cancelled",
    Trigger.EXPIRED: "the membership ran out",
    Trigger.SUCCESSOR_AWAITED: "ours: the membership has ended, and another is to take its place",
    Trigger.PAYMENT: "money was collected",
    Trigger.PERIOD_OVER: "the period is over, and nobody has said anything",
    Trigger.GRACE_OVER: "the grace is over, and nobody has said anything",
}

TARGETS: Mapping[Trigger, Status] = {
    Trigger.DRAFTED: Status.INCOMPLETE,
    Trigger.UNCLEAR: Status.INCOMPLETE,
    Trigger.TRIALING: Status.TRIALING,
    Trigger.ACTIVE: Status.ACTIVE,
    Trigger.PAST_DUE: Status.PAST_DUE,
    Trigger.PAUSED: Status.PAUSED,
    Trigger.COMPLETED: Status.COMPLETED,
    Trigger.CANCELED: Status.CANCELED,
    Trigger.EXPIRED: Status.EXPIRED,
    Trigger.SUCCESSOR_AWAITED: Status.ACTIVE,
}
"""Where a subscription stands when this is said of it. The triggers that are left out never change a status."""

SAID_BY_WHOP: Mapping[str, Trigger] = {
    "drafted": Trigger.DRAFTED,
    "unresolved": Trigger.UNCLEAR,
    "unknown": Trigger.UNCLEAR,
    "trialing": Trigger.TRIALING,
    "active": Trigger.ACTIVE,
    "past_due": Trigger.PAST_DUE,
    "completed": Trigger.COMPLETED,
    "canceled": Trigger.CANCELED,
    "expired": Trigger.EXPIRED,
}
"""What each status of a membership says. One that is not here is unclear."""


class Guard(StrEnum):
    """Under what condition something may be believed."""

    NONE = ""
    READ_BY_US = "only when we have read it ourselves"


class Effect(StrEnum):
    """What a step brings with it besides the new status."""

    STARTS_ACCESS = "access starts"
    ENDS_ACCESS = "access ends; what is unpaid is void"
    OPENS_DUNNING = "grace and dunning begin"
    CLOSES_DUNNING = "grace and dunning end"


@dataclass(frozen=True, slots=True)
class Transition:
    """What follows from a trigger in a status. `status` is None for a subscription that does not exist yet.

    `entry` names the row of the history; None when none is written, or when it is named by what else has changed
    (`subscription.renewed` and the like). `why` explains a status that stays.
    """

    status: Status | None
    trigger: Trigger
    target: Status | None
    entry: str | None
    guard: Guard
    effects: frozenset[Effect]
    why: str


CREATED = "subscription.created"
STARTED = "subscription.started"
PAID = "subscription.paid"
ACCESS_PAUSED = "subscription.access_paused"
RECORDED = "subscription.recorded"
WITHIN_A_STATUS = (
    "subscription.renewed",
    "subscription.cancellation_scheduled",
    "subscription.cancellation_withdrawn",
    "subscription.plan_changed",
    "subscription.updated",
)
"""What a change is called that leaves the status as it is."""

_SPECIAL: Mapping[tuple[Status, Trigger], str] = {
    (Status.TRIALING, Trigger.ACTIVE): "subscription.trial_converted",
    (Status.TRIALING, Trigger.SUCCESSOR_AWAITED): "subscription.successor_awaited",
    (Status.PAST_DUE, Trigger.ACTIVE): "subscription.recovered",
    (Status.PAST_DUE, Trigger.SUCCESSOR_AWAITED): "subscription.successor_awaited",
    (Status.PAUSED, Trigger.ACTIVE): "subscription.resumed",
    (Status.PAUSED, Trigger.SUCCESSOR_AWAITED): "subscription.successor_awaited",
    (Status.COMPLETED, Trigger.SUCCESSOR_AWAITED): "subscription.successor_awaited",
}
"""Steps with a name of their own. The others are named after the status they lead to."""

_NOTED: Mapping[tuple[Status, Trigger], str] = {(Status.PAST_DUE, Trigger.GRACE_OVER): ACCESS_PAUSED}
"""What the clock brings that is worth an entry, although no status changes: access rests until the money comes."""

_LEFT_ONLY_BY_READING: Mapping[Status, frozenset[Trigger]] = {
    # What has ended comes back, and what is for ever goes back, only if Whop says so when it is asked.
    Status.CANCELED: frozenset(TARGETS) - {Trigger.CANCELED, Trigger.EXPIRED, Trigger.SUCCESSOR_AWAITED},
    Status.EXPIRED: frozenset(TARGETS) - {Trigger.CANCELED, Trigger.EXPIRED, Trigger.SUCCESSOR_AWAITED},
    Status.COMPLETED: frozenset({Trigger.DRAFTED, Trigger.TRIALING, Trigger.ACTIVE, Trigger.PAST_DUE, Trigger.PAUSED}),
    # What has begun is not unbegun by a delivery.
    Status.TRIALING: frozenset({Trigger.DRAFTED}),
    Status.ACTIVE: frozenset({Trigger.DRAFTED}),
    Status.PAST_DUE: frozenset({Trigger.DRAFTED}),
    Status.PAUSED: frozenset({Trigger.DRAFTED}),
}

_KNOWN_STAYS = "what is unclear never replaces what is known; the subscription is marked for review"
_SAID_ALREADY = "it is so already; what else has changed names the entry"
_NOTHING_THERE = "there is no subscription that this could be about"

_AFTER_ITS_PERIOD: Mapping[Status, str] = {
    Status.INCOMPLETE: "it has not begun",
    Status.TRIALING: "what follows is Whop's to say; if it says nothing, the membership is read again",
    Status.ACTIVE: "a renewal is awaited; if none is seen, the membership is read again. Access ends by the clock when"
    " it is to be cancelled",
    Status.PAST_DUE: "the grace decides about access",
    Status.PAUSED: "the plan's policy decides about access, by the clock",
    Status.CANCELED: "it has ended",
    Status.EXPIRED: "it has ended",
    Status.COMPLETED: "it has no end",
}


def _stays(status: Status, trigger: Trigger) -> str:
    """Why a status stays as it is."""
    if trigger is Trigger.UNCLEAR:
        return "it is not clear yet" if status is Status.INCOMPLETE else _KNOWN_STAYS
    if trigger is Trigger.PAYMENT:
        return "money alone changes no status: the membership says what it was for"
    if trigger is Trigger.PERIOD_OVER:
        return _AFTER_ITS_PERIOD[status]
    if trigger is Trigger.GRACE_OVER:
        return (
            "access ends by the clock; the status changes with the end"
            if status is Status.PAST_DUE
            else "no grace runs"
        )
    return _SAID_ALREADY


def _effects(before: Status | None, after: Status | None) -> frozenset[Effect]:
    found = {
        Effect.STARTS_ACCESS: before not in LIVE and after in LIVE,
        Effect.ENDS_ACCESS: before in LIVE and after not in LIVE,
        Effect.OPENS_DUNNING: before is not Status.PAST_DUE and after is Status.PAST_DUE,
        Effect.CLOSES_DUNNING: before is Status.PAST_DUE and after is not Status.PAST_DUE,
    }
    return frozenset(effect for effect, follows in found.items() if follows)


def _first(trigger: Trigger) -> Transition:
    """What is said of a subscription that does not exist yet."""
    target = TARGETS.get(trigger)
    if target is None or trigger is Trigger.SUCCESSOR_AWAITED:
        return Transition(None, trigger, None, None, Guard.NONE, frozenset(), _NOTHING_THERE)
    return Transition(None, trigger, target, CREATED, Guard.NONE, _effects(None, target), "")


def _next(status: Status, trigger: Trigger) -> Transition:
    guard = Guard.READ_BY_US if trigger in _LEFT_ONLY_BY_READING.get(status, ()) else Guard.NONE
    target = status if trigger is Trigger.UNCLEAR else TARGETS.get(trigger, status)
    if target is status:
        entry = _NOTED.get((status, trigger)) or (PAID if trigger is Trigger.PAYMENT else None)
        return Transition(status, trigger, status, entry, guard, frozenset(), _stays(status, trigger))
    effects = _effects(status, target)
    named = STARTED if Effect.STARTS_ACCESS in effects else f"subscription.{target.value}"
    return Transition(status, trigger, target, _SPECIAL.get((status, trigger), named), guard, effects, "")


TRANSITIONS: Mapping[tuple[Status | None, Trigger], Transition] = {
    **{(None, trigger): _first(trigger) for trigger in Trigger},
    **{(status, trigger): _next(status, trigger) for status in Status for trigger in Trigger},
}
"""An answer for every pair; those that change nothing say why."""


def transition(status: Status | None, trigger: Trigger) -> Transition:
    """What follows from a trigger in a status; None is the status of what does not exist yet."""
    return TRANSITIONS[status, trigger]


def said_by(membership_status: str) -> Trigger:
    """What a membership with this status at Whop says."""
    return SAID_BY_WHOP.get(membership_status, Trigger.UNCLEAR)


def entries() -> tuple[str, ...]:
    """Every name an entry of the history may have."""
    named = {found.entry: None for found in TRANSITIONS.values() if found.entry is not None}
    return (*named, *WITHIN_A_STATUS, RECORDED)
