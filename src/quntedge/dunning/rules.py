"""What becomes of a renewal that failed. Pure: facts and a moment in, a closing or a timetable out.

Whop charges renewals and tries them again for about five days. We follow that and add to it where it stops: a try of
ours waits for one of Whop's, never the other way round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from quntedge.dunning.daytime import is_within, next_slot

GATEWAY_SPAN = timedelta(days=5)
"""How long Whop tries by itself. An attempt of Whop's this soon after ours takes its place; one that is planned later
than that is no retry but the next period's bill, and holds nobody up."""

AFTER_GATEWAY = timedelta(hours=1)
"""How long after the time of an attempt of Whop's its outcome is looked up, where no delivery has told it."""

GATEWAY_LATE = timedelta(hours=12)
"""How long after its time an attempt of Whop's is still expected."""

MISSED = timedelta(hours=1)
"""How late an attempt of ours may be and still be made outside the customer's day."""

LOOK_AGAIN = timedelta(days=1)
"""How often something is looked up that should have changed by itself."""

LAST_CALL = timedelta(days=1)
"""What is left to the customer after the last attempt, before the subscription ends."""

REMIND_BEFORE = timedelta(days=1)
"""How long before access is paused the customer is reminded. Who has just been told of the failure is not."""

LONGEST = timedelta(days=60)
"""After this a case ends, whatever its plan says: Whop keeps an unpaid membership no longer either."""

USUAL_GRACE = timedelta(days=7)
"""Stands in while a subscription has not been told to be past due yet."""

RENEWALS = frozenset({"subscription_cycle", "subscription_update"})
"""Billing reasons of payments that keep a subscription going. A first payment that fails starts nothing."""


class State(StrEnum):
    """Where a case is. All but `open` are final."""

    OPEN = "open"
    RECOVERED = "recovered"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"


class Actor(StrEnum):
    """Who tried to collect a payment."""

    WHOP = "whop"
    US = "us"
    CUSTOMER = "customer"


class Refusal(StrEnum):
    """What a bank's refusal means, by the words that payments use for it."""

    SOFT = "soft"
    ACT = "customer_must_act"
    NEW_METHOD = "needs_another_method"
    HARD = "hard"
    UNCLEAR = "unclear"


class Step(StrEnum):
    """What has to happen next, as the customer is told."""

    RETRY = "retry"
    CARD = "card"
    CONFIRM = "confirm"
    PAY = "pay"


@dataclass(frozen=True, slots=True)
class Policy:
    """The plan's rules for retries."""

    max_attempts: int = 3
    backoff_days: Sequence[int] = (1, 3, 9)
    window: tuple[int, int] = (9, 18)

    def wait(self, attempts: int) -> timedelta:
        """How long after a failure the next try comes, when so many were made. The last wait is used again and again
        by a plan that allows more tries than it has waits."""
        days = self.backoff_days
        return timedelta(days=days[min(attempts, len(days) - 1)] if days else 1)

    @property
    def span(self) -> timedelta:
        """How long all tries together take."""
        return sum((self.wait(number) for number in range(self.max_attempts)), timedelta(0))


@dataclass(frozen=True, slots=True)
class Facts:
    """What Whop has told of the payment and of the subscription it is for."""

    payment_status: str
    paid: bool
    """Whether the money was collected, whatever became of it later."""
    gateway_next_at: datetime | None
    membership_id: str
    subscription_status: str
    subscription_membership_id: str
    grace_until: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """What of a case decides what comes next."""

    case_id: str
    decline_class: str
    attempts_own: int
    method_changes: int
    retries_refused: bool
    cancel_requested: bool
    opened_at: datetime
    last_failed_at: datetime
    trying_since: datetime | None
    """When the attempt began that we, or the customer through us, do not know the outcome of yet."""
    looked_at: datetime | None
    needs_review: bool
    reminded: bool
    access_paused: bool


@dataclass(frozen=True, slots=True)
class Closing:
    """How a case ends, and the word for why."""

    state: State
    outcome: str


@dataclass(frozen=True, slots=True)
class Timetable:
    """When what is due without any news. At most one of the first three is set."""

    next_attempt_at: datetime | None = None
    look_at: datetime | None = None
    end_at: datetime | None = None
    remind_at: datetime | None = None
    pause_access_at: datetime | None = None

    @property
    def first(self) -> datetime | None:
        """The earliest of them."""
        return min((at for at in (getattr(self, f.name) for f in fields(self)) if at is not None), default=None)


ENDED = frozenset({"canceled", "expired"})
_FAILED = frozenset({"failed", "requires_action"})
_RETRIABLE = frozenset({"failed", "open", "unresolved"})


def opens(payment_status: str, billing_reason: str | None) -> bool:
    """Whether a payment in this state is one to run after."""
    return billing_reason in RENEWALS and payment_status in _FAILED


def closing(facts: Facts, *, cancel_requested: bool) -> Closing | None:
    """Whether the case is at its end, whatever was planned. The payment has the first word: what was collected is
    collected, however the rest arrives."""
    if facts.paid:
        return Closing(State.RECOVERED, "paid")
    replaced = facts.membership_id != facts.subscription_membership_id
    if facts.subscription_status in ENDED:
        if cancel_requested:
            return Closing(State.CANCELED, "cancellation")
        return Closing(State.SUPERSEDED, "other_membership") if replaced else Closing(State.EXHAUSTED, "unpaid")
    if replaced:
        return Closing(State.SUPERSEDED, "other_membership")
    if facts.payment_status == "void" and facts.subscription_status != "past_due":
        return Closing(State.CANCELED, "payment_void")
    return None


def tries_allowed(policy: Policy, decline_class: str) -> int:
    """How many tries of ours a decline leaves. A card that was refused for good, or whose owner has to act, is not
    tried again by us; where the bank does not say why, once less than the plan allows."""
    match decline_class:
        case Refusal.SOFT:
            return policy.max_attempts
        case Refusal.UNCLEAR:
            return max(policy.max_attempts - 1, 0)
        case _:
            return 0


def timetable(held: Held, facts: Facts, policy: Policy, zone: ZoneInfo, now: datetime) -> Timetable:
    """What is due when, for an open case that nobody is working on."""
    if held.cancel_requested and facts.subscription_status == "past_due":
        return _leaving(held, facts, policy)
    if held.cancel_requested or facts.subscription_status == "paused":
        # Somebody else's doing is on its way; should it get lost, we find out.
        return Timetable(look_at=_look_again(held))
    if facts.subscription_status != "past_due":
        # The payment was told before the membership. That takes seconds; a lost delivery is found by looking.
        return Timetable(look_at=_look_again(held))
    told = Timetable(
        remind_at=_remind_at(held, facts),
        pause_access_at=_pause_access_at(held, facts),
    )
    found = _collecting(held, facts, policy, zone, now)
    return Timetable(found.next_attempt_at, found.look_at, found.end_at, told.remind_at, told.pause_access_at)


def _leaving(held: Held, facts: Facts, policy: Policy) -> Timetable:
    """Who leaves is not charged any more. The end that was asked for is on its way; should Whop have refused it, it
    comes when that of any unpaid subscription does."""
    end, look = ends_at(held, facts, policy), _look_again(held)
    return Timetable(look_at=look) if look < end else Timetable(end_at=end)


def _collecting(held: Held, facts: Facts, policy: Policy, zone: ZoneInfo, now: datetime) -> Timetable:
    if held.needs_review:
        # The gateway answers as nobody expected. Nothing is charged and nothing ended on such ground.
        return Timetable(look_at=_look_again(held))
    if held.trying_since is not None:
        return Timetable(look_at=_after_gateway(held, held.trying_since))
    if facts.payment_status in ("pending", "authorized"):
        return Timetable(look_at=_look_again(held))
    own = _own_attempt(held, facts, policy, zone, now)
    end = ends_at(held, facts, policy)
    theirs = facts.gateway_next_at
    if theirs is not None and now < theirs + GATEWAY_LATE and theirs <= (own + GATEWAY_SPAN if own else end):
        return Timetable(look_at=_after_gateway(held, theirs))
    return Timetable(next_attempt_at=own) if own else Timetable(end_at=end)


def _own_attempt(held: Held, facts: Facts, policy: Policy, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When we try next. A time that was missed for long is not made up for in the middle of the night."""
    is_retriable = facts.payment_status in _RETRIABLE and not held.retries_refused
    if not is_retriable or held.attempts_own >= tries_allowed(policy, held.decline_class):
        return None
    seed = f"{held.case_id}:{held.method_changes}:{held.attempts_own}"
    at = next_slot(held.last_failed_at + policy.wait(held.attempts_own), zone, policy.window, seed)
    if now - at > MISSED and not is_within(now, zone, policy.window):
        at = next_slot(now, zone, policy.window, seed)
    return at if at <= held.opened_at + LONGEST else None


def ends_at(held: Held, facts: Facts, policy: Policy) -> datetime:
    """When the subscription ends if nothing is tried any more: never before the access that was promised, and not
    before a customer who has to find another card had as long as one whose card is tried again."""
    grace = facts.grace_until or held.opened_at + USUAL_GRACE
    unpaid = max(held.opened_at + policy.span, held.last_failed_at + LAST_CALL)
    return max(grace, min(unpaid, held.opened_at + LONGEST))


def _after_gateway(held: Held, attempt_at: datetime) -> datetime:
    """When to look what came of an attempt: an hour later, and hourly from then on."""
    return max(attempt_at, held.looked_at or attempt_at) + AFTER_GATEWAY


def _look_again(held: Held) -> datetime:
    """Soon at first, then once a day."""
    if held.looked_at is None:
        return held.opened_at + AFTER_GATEWAY
    return held.looked_at + LOOK_AGAIN


def _remind_at(held: Held, facts: Facts) -> datetime | None:
    if held.reminded or held.access_paused or facts.grace_until is None:
        return None
    at = facts.grace_until - REMIND_BEFORE
    return at if at >= held.opened_at + REMIND_BEFORE / 2 else None


def _pause_access_at(held: Held, facts: Facts) -> datetime | None:
    """When the customer is told that access is paused. Where Whop tries about then, perhaps for the last time, what
    comes of that is told instead, or first."""
    at, theirs = facts.grace_until, facts.gateway_next_at
    if held.access_paused or at is None:
        return None
    return theirs + 2 * AFTER_GATEWAY if theirs is not None and abs(theirs - at) < AFTER_GATEWAY else at


def next_try(own: datetime | None, theirs: datetime | None, end: datetime | None) -> datetime | None:
    """When the payment is tried next, by whomever. What Whop plans for after the end does not come about."""
    if own is not None:
        return own
    return theirs if end is None else None


def next_step(payment_status: str, decline_class: str, next_try_at: datetime | None) -> Step:
    """What the customer should do. With an attempt ahead there is nothing they must do, unless it cannot succeed."""
    if payment_status == "requires_action" or decline_class == Refusal.ACT:
        return Step.CONFIRM
    if decline_class in (Refusal.NEW_METHOD, Refusal.HARD):
        return Step.CARD
    return Step.RETRY if next_try_at is not None else Step.PAY


def outlives_gateway(grace_days: int, policy: Policy) -> bool:
    """Whether a plan promises more days than an unpaid membership has where Whop cancels it by itself."""
    return max(timedelta(days=grace_days), policy.span) > GATEWAY_SPAN
