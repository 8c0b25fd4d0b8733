"""What a subscription is, given what Whop says about its memberships. Pure: no database, no clock of its own.

A subscription is never edited directly by a webhook. A webhook updates one `MembershipState`; the subscription is then
derived from all of its memberships. That makes the result independent of the order in which deliveries arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quntedge.subscriptions.machine import ENDED, SAID_BY_WHOP, TARGETS, Effect, Guard, Trigger, said_by, transition
from quntedge.subscriptions.machine import LIVE as LIVE
from quntedge.subscriptions.machine import Status as Status

# What a membership's status at Whop makes of a subscription decides what it counts for here.
TERMINAL_MEMBERSHIP = frozenset(word for word, said in SAID_BY_WHOP.items() if TARGETS[said] in ENDED)
MEMBERSHIP_ALIVE = frozenset(word for word, said in SAID_BY_WHOP.items() if TARGETS[said] in LIVE)
_UNCLEAR = frozenset(word for word, said in SAID_BY_WHOP.items() if said is Trigger.UNCLEAR)

# Which membership speaks for the subscription when there are several: the more alive, the better.
_PREFERENCE = {
    "completed": 6,
    "active": 5,
    "trialing": 4,
    "past_due": 3,
    "unresolved": 2,
    "drafted": 1,
    "canceled": 0,
    "expired": 0,
    "unknown": 0,
}


GATEWAY_SPAN = timedelta(days=5)
"""How long Whop tries to collect a renewal by itself, before it cancels the membership or leaves that to us."""


def grace_kept(grace_days: int, *, gateway_cancels: bool) -> int:
    """How many days of grace a customer can be promised: where Whop cancels unpaid memberships by itself, no more than
    it leaves, whatever the plan says."""
    return min(grace_days, GATEWAY_SPAN.days) if gateway_cancels else grace_days


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What of a plan decides what a subscription to it is. `grace_days` are those that can be kept (`grace_kept`).

    `pause_access`: during a pause access is kept (`keep`), lasts as long as the paid period (`period`) or ends at once
    (`none`).
    """

    plan_id: str
    grace_days: int
    version: int = 1
    pause_access: str = "period"


@dataclass(frozen=True, slots=True)
class MembershipState:
    """One Whop membership as we hold it. `updated_at` is Whop's and orders snapshots; None sorts before everything.

    `past_due_since`, `paused_at`, `resume_at` and `superseded_at` are ours: no snapshot tells them.
    """

    membership_id: str
    plan_id: str
    status: str
    raw_status: str
    whop_plan_id: str
    whop_user_id: str | None
    whop_member_id: str | None
    cancel_at_period_end: bool
    paused: bool
    needs_review: bool
    canceled_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    expires_at: datetime | None
    renewal_price_minor: int | None
    currency: str | None
    past_due_since: datetime | None
    paused_at: datetime | None
    resume_at: datetime | None
    superseded_at: datetime | None
    plan_version: int
    created_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """What follows from the memberships. Compared field by field to see whether anything changed."""

    status: Status
    plan_id: str
    membership_id: str
    cancel_at_period_end: bool
    needs_review: bool
    period_start: datetime | None
    period_end: datetime | None
    trial_end: datetime | None
    grace_until: datetime | None
    paused_at: datetime | None
    resume_at: datetime | None
    pause_access_until: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None
    renewal_price_minor: int | None
    currency: str | None
    plan_version: int


_STATE_FIELDS = tuple(field.name for field in fields(SubscriptionState))


class Verdict(StrEnum):
    """What to do with an incoming snapshot."""

    APPLY = "applied"
    UNCHANGED = "unchanged"
    STALE = "stale"
    REREAD = "reread"


def judge(held: MembershipState | None, incoming: MembershipState, *, from_gateway: bool) -> Verdict:
    """Decides whether a snapshot may replace what we hold.

    `from_gateway` marks one we read ourselves just now, which is the truth. An older snapshot is stale; an equally old
    one that differs, one without a time, and one that the table of the machine guards (it would bring an ended
    membership back, say) are read again first.
    """
    if held is None:
        return Verdict.APPLY if from_gateway or incoming.updated_at is not None else Verdict.REREAD
    if incoming.updated_at is None or held.updated_at is None:
        if not from_gateway:
            return Verdict.REREAD
        return Verdict.UNCHANGED if _same(held, incoming) else Verdict.APPLY
    if incoming.updated_at < held.updated_at:
        return Verdict.STALE
    if _same(held, incoming) and incoming.updated_at == held.updated_at:
        return Verdict.UNCHANGED
    if from_gateway:
        return Verdict.APPLY
    if incoming.updated_at == held.updated_at:
        return Verdict.REREAD
    status = TARGETS[said_by(held.status)]
    if transition(status, said_by(incoming.status)).guard is Guard.READ_BY_US:
        return Verdict.REREAD
    return Verdict.APPLY


def _same(held: MembershipState, incoming: MembershipState) -> bool:
    ignored = ("past_due_since", "paused_at", "resume_at", "superseded_at", "plan_id", "plan_version", "status")
    return all(
        getattr(held, field.name) == getattr(incoming, field.name)
        for field in fields(MembershipState)
        if field.name not in ignored
    )


def past_due_since(held: MembershipState | None, incoming: MembershipState) -> datetime | None:
    """When the present spell of being past due began, by Whop's clock; None when it is not past due.

    A spell ends with its period, even if nobody told us of the recovery: a lost delivery must not use up the grace of
    the next period.
    """
    if incoming.status != "past_due":
        return None
    if (
        held is not None
        and held.status == "past_due"
        and held.past_due_since is not None
        and held.period_end == incoming.period_end
    ):
        return held.past_due_since
    return incoming.updated_at


def keep_known_status(held: MembershipState | None, incoming: MembershipState) -> str:
    """The status to hold. One that we do not know, or that Whop has not resolved, never replaces one that we know:
    it cannot take access away, and staff are told through `needs_review`."""
    if incoming.status in _UNCLEAR and held is not None:
        return held.status
    return incoming.status


def with_own_facts(held: MembershipState | None, incoming: MembershipState, *, told_of_pause: bool) -> MembershipState:
    """A snapshot joined with what only we know. Most snapshots do not tell (`told_of_pause`) of a pause at all."""
    paused = incoming.paused if held is None or told_of_pause else held.paused
    since = held.paused_at if held is not None else None
    return replace(
        incoming,
        paused=paused,
        paused_at=(since or incoming.updated_at) if paused else None,
        resume_at=held.resume_at if held is not None and paused else None,
        superseded_at=held.superseded_at if held is not None else None,
    )


def changed_hands(held: MembershipState | None, incoming: MembershipState) -> bool:
    """Whether Whop moved the membership to another of its users. Who may use it here is for staff to decide."""
    if held is None or held.whop_user_id is None or incoming.whop_user_id is None:
        return False
    return held.whop_user_id != incoming.whop_user_id


def learn(held: MembershipState, stale: MembershipState) -> MembershipState:
    """What is held after a stale snapshot: it replaces nothing, but what came first may arrive last.

    An earlier report of the same unpaid period moves the beginning of the grace; a status that we know fills in for one
    that we do not.
    """
    if held.status in _UNCLEAR and stale.status not in _UNCLEAR:
        return replace(held, status=stale.status, past_due_since=past_due_since(None, stale))
    if (
        held.status == stale.status == "past_due"
        and held.period_end == stale.period_end
        and held.past_due_since is not None
        and stale.updated_at is not None
    ):
        return replace(held, past_due_since=min(held.past_due_since, stale.updated_at))
    return held


def current_membership(memberships: Sequence[MembershipState], spoke: str | None = None) -> MembershipState:
    """The membership that speaks for the subscription: the most alive one, then the one that runs longest.

    One that was replaced speaks only while nothing has taken its place: neither something that is alive, nor
    something that came, and has ended since. `spoke` is the one that did so far, if it had begun.
    """
    successors = [m for m in memberships if m.superseded_at is None and m.status in MEMBERSHIP_ALIVE]
    return max(
        successors or [m for m in memberships if not _was_succeeded(m, memberships, spoke)],
        key=lambda m: (_PREFERENCE.get(m.status, 0), m.period_end or _NEVER, m.created_at or _NEVER, m.membership_id),
    )


def _was_succeeded(replaced: MembershipState, memberships: Sequence[MembershipState], spoke: str | None) -> bool:
    """Whether what a membership was replaced by has come, and is over. One that never began (an attempt to pay that
    came to nothing) was no successor: another is still awaited. What is paid once has no period that tells; that it
    has begun shows in its having spoken."""
    if replaced.superseded_at is None or replaced.status not in TERMINAL_MEMBERSHIP:
        return False
    return any(
        other.superseded_at is None
        and other.status in TERMINAL_MEMBERSHIP
        and (other.period_start is not None or other.membership_id == spoke)
        and (other.created_at or _NEVER) > (replaced.created_at or _NEVER)
        for other in memberships
    )


_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def derive(memberships: Sequence[MembershipState], terms: PlanTerms, spoke: str | None = None) -> SubscriptionState:
    """The state of a subscription with these memberships (at least one), of which the current one has these terms.

    A membership whose successor is on its way is expected to end: the subscription goes on until somebody says that no
    successor comes.
    """
    chosen = current_membership(memberships, spoke)
    awaited = chosen.superseded_at is not None
    status = TARGETS[trigger_of(chosen)]
    grace_from = chosen.past_due_since if status is Status.PAST_DUE else None
    return SubscriptionState(
        status=status,
        plan_id=chosen.plan_id,
        membership_id=chosen.membership_id,
        cancel_at_period_end=chosen.cancel_at_period_end and status in LIVE and not awaited,
        needs_review=any(m.needs_review for m in memberships),
        period_start=chosen.period_start,
        period_end=chosen.period_end,
        trial_end=chosen.period_end if status is Status.TRIALING else None,
        grace_until=grace_from + timedelta(days=terms.grace_days) if grace_from else None,
        paused_at=chosen.paused_at if status is Status.PAUSED else None,
        resume_at=chosen.resume_at if status is Status.PAUSED else None,
        pause_access_until=_pause_access_until(chosen, terms) if status is Status.PAUSED else None,
        canceled_at=None if awaited else chosen.canceled_at,
        ended_at=_ended_at(chosen, status),
        renewal_price_minor=chosen.renewal_price_minor,
        currency=chosen.currency,
        plan_version=chosen.plan_version,
    )


def _pause_access_until(membership: MembershipState, terms: PlanTerms) -> datetime | None:
    """When access ends during a pause; None while it is kept."""
    if terms.pause_access == "keep":
        return None
    if terms.pause_access == "none":
        return membership.paused_at or membership.period_end
    return membership.period_end


def trigger_of(speaking: MembershipState) -> Trigger:
    """What the membership that speaks for a subscription says, joined with what only we know of it."""
    if speaking.superseded_at is not None and speaking.status in TERMINAL_MEMBERSHIP:
        return Trigger.SUCCESSOR_AWAITED
    said = said_by(speaking.status)
    return Trigger.PAUSED if speaking.paused and said in (Trigger.ACTIVE, Trigger.PAST_DUE) else said


def _ended_at(membership: MembershipState, status: Status) -> datetime | None:
    """When it ended: the period's end if that had come by the time Whop said so, else the moment it said so.

    One that was cancelled after its period was over had gone on unpaid until then.
    """
    if status not in ENDED:
        return None
    if membership.period_end is None or membership.updated_at is None:
        return membership.updated_at or membership.period_end
    canceled = membership.canceled_at if status is Status.CANCELED else None
    if canceled is not None and membership.period_end < canceled <= membership.updated_at:
        return canceled
    return min(membership.period_end, membership.updated_at)


RENEWAL_GAP = timedelta(hours=6)
"""How late after the end of a period a renewal may be before we ask for it, unless the settings say otherwise."""


RENEWING = frozenset({Status.TRIALING, Status.ACTIVE})
"""What is followed by another period by itself."""


def renewal_check_at(state: SubscriptionState, speaking: MembershipState, gap: timedelta) -> datetime | None:
    """When to look for the renewal if nobody has told us of it; None when none is expected."""
    expected = state.status in RENEWING and not state.cancel_at_period_end
    if not expected or state.period_end is None or speaking.superseded_at is not None:
        return None
    return state.period_end + gap


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of a subscription means to the rest of the product. `kind` names the entry of its history."""

    kind: str
    started: bool = False
    ended: bool = False


def as_json(state: SubscriptionState) -> dict[str, Any]:
    """The state as it is written into the history: plain values, times in ISO 8601."""
    values = ((name, getattr(state, name)) for name in _STATE_FIELDS)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values}


def differing(before: SubscriptionState | None, after: SubscriptionState) -> frozenset[str] | None:
    """Names of the members that changed; None for a subscription that is new."""
    if before is None:
        return None
    return frozenset(name for name in _STATE_FIELDS if getattr(before, name) != getattr(after, name))


def describe(
    before: SubscriptionState | None, after: SubscriptionState, *, successor_awaited: bool = False
) -> Change | None:
    """Names the change between two states, or None when there is none. Steps from one status to another are named by
    the machine's table; `successor_awaited` says that the membership which speaks has ended and will be replaced."""
    if before == after:
        return None
    if before is None or before.status != after.status:
        awaited = successor_awaited and after.status is Status.ACTIVE
        trigger = Trigger.SUCCESSOR_AWAITED if awaited and before is not None else _PLAINLY[after.status]
        step = transition(before.status if before else None, trigger)
        started, ended = Effect.STARTS_ACCESS in step.effects, Effect.ENDS_ACCESS in step.effects
        return Change(step.entry or "subscription.updated", started=started, ended=ended)
    if before.plan_id != after.plan_id:
        return Change("subscription.plan_changed")
    if after.period_end and (before.period_end is None or after.period_end > before.period_end):
        return Change("subscription.renewed")
    if before.cancel_at_period_end != after.cancel_at_period_end:
        return Change(f"subscription.cancellation_{'scheduled' if after.cancel_at_period_end else 'withdrawn'}")
    return Change("subscription.updated")


# The trigger that says no more than the status itself.
_PLAINLY = {status: Trigger.DRAFTED if status is Status.INCOMPLETE else Trigger(status.value) for status in Status}
