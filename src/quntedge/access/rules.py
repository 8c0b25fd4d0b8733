"""May this user use this feature now? Pure: a snapshot, a moment, an answer with its reason.

`until` in an answer is when it may change without anything happening; None means that only an event can change it. A
cache must not keep an answer longer than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from quntedge.access.errors import UnknownFeature


class Reason(StrEnum):
    """Why access is given or refused. Part of the public contract."""

    SUBSCRIPTION_ACTIVE = "subscription_active"
    TRIAL = "trial"
    GRACE_PERIOD = "grace_period"
    LIFETIME = "lifetime"
    FREE_PLAN = "free_plan"
    NOT_IN_PLAN = "not_in_plan"
    SUBSCRIPTION_ENDED = "subscription_ended"
    SUBSCRIPTION_PAUSED = "subscription_paused"
    PAST_DUE_GRACE_OVER = "past_due_grace_over"
    PAYMENT_DISPUTED = "payment_disputed"
    NO_SUBSCRIPTION = "no_subscription"
    UNKNOWN_USER = "unknown_user"


Value = int | str | None
"""A limit's number or a config's text; None for a feature that is yes or no, and for a limit without limit."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a limit or config is worth: in each plan where that is better than what everybody has, and to everybody."""

    by_plan: Mapping[str, Value]
    free: Value = None


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Which plan brings which feature. `known` is in the catalogue's order; `worth` has the features with values."""

    known: tuple[str, ...]
    free: frozenset[str]
    by_plan: Mapping[str, frozenset[str]]
    worth: Mapping[str, Worth] = field(default_factory=dict)

    def of_plan(self, plan_id: str) -> frozenset[str]:
        """The features of a plan; none for one that has no row."""
        return self.by_plan.get(plan_id, frozenset())

    def require(self, feature: str) -> None:
        """Raises `UnknownFeature` unless the catalogue has this feature."""
        if feature not in self.known:
            raise UnknownFeature(feature, self.known)


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """What of a subscription matters for access. Times are aware UTC."""

    subscription_id: str
    plan_id: str
    status: str
    cancel_at_period_end: bool
    period_end: datetime | None
    trial_end: datetime | None
    grace_until: datetime | None
    ended_at: datetime | None
    pause_access_until: datetime | None = None
    held: bool = False
    """Whether something keeps the subscription from opening anything, whatever its status: see `access.holds`."""


@dataclass(frozen=True, slots=True)
class AccessSnapshot:
    """Everything needed to decide about one user. `exists` is False for an id that nobody has."""

    user_id: str
    exists: bool
    subscription: SubscriptionFacts | None
    features: FeatureTable


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `grace` is True while access is only kept because a failed payment is being tried again."""

    allowed: bool
    reason: Reason
    until: datetime | None = None
    grace: bool = False
    value: Value = None


def decide(snapshot: AccessSnapshot, feature: str, now: datetime) -> Decision:
    """Decides about one feature. Raises `UnknownFeature`."""
    snapshot.features.require(feature)
    return _decide(snapshot, feature, _grant(snapshot, now))


def decide_all(snapshot: AccessSnapshot, now: datetime) -> dict[str, Decision]:
    """Decides about every feature of the catalogue, in its order."""
    grant = _grant(snapshot, now)
    return {feature: _decide(snapshot, feature, grant) for feature in snapshot.features.known}


def _decide(snapshot: AccessSnapshot, feature: str, grant: Decision) -> Decision:
    if not snapshot.exists:
        return grant
    worth = snapshot.features.worth.get(feature)
    if worth is not None:
        return _decide_worth(snapshot, feature, worth, grant)
    # The baseline comes first: what everybody has does not end with a subscription, so it must not carry its `until`.
    if feature in snapshot.features.free:
        return _FREE
    if not grant.allowed or snapshot.subscription is None:
        return grant
    return grant if feature in snapshot.features.of_plan(snapshot.subscription.plan_id) else _NOT_IN_PLAN


def _decide_worth(snapshot: AccessSnapshot, feature: str, worth: Worth, grant: Decision) -> Decision:
    """What was bought comes first here, because it is worth more than what everybody has."""
    plan_id = snapshot.subscription.plan_id if grant.allowed and snapshot.subscription is not None else None
    if plan_id is not None and plan_id in worth.by_plan:
        return replace(grant, value=worth.by_plan[plan_id])
    if feature in snapshot.features.free:
        return replace(_FREE, value=worth.free)
    return grant if plan_id is None else _NOT_IN_PLAN


_FREE = Decision(True, Reason.FREE_PLAN)
_NOT_IN_PLAN = Decision(False, Reason.NOT_IN_PLAN)
_ENDED = Decision(False, Reason.SUBSCRIPTION_ENDED)
_HELD = Decision(False, Reason.PAYMENT_DISPUTED)
_NOTHING = Decision(False, Reason.NO_SUBSCRIPTION)


def _grant(snapshot: AccessSnapshot, now: datetime) -> Decision:
    """Whether the subscription opens its plan's features at all."""
    if not snapshot.exists:
        return Decision(False, Reason.UNKNOWN_USER)
    if snapshot.subscription is None:
        return _NOTHING
    return subscription_grant(snapshot.subscription, now)


def subscription_grant(facts: SubscriptionFacts, now: datetime) -> Decision:
    """Whether a subscription in this state opens its plan's features (the status table of the architecture)."""
    grant = _by_status(facts, now)
    return _HELD if grant.allowed and facts.held else grant


def _by_status(facts: SubscriptionFacts, now: datetime) -> Decision:
    match facts.status:
        case "active":
            return _running(facts, facts.period_end, Reason.SUBSCRIPTION_ACTIVE, now)
        case "trialing":
            return _running(facts, facts.trial_end or facts.period_end, Reason.TRIAL, now)
        case "completed":
            return Decision(True, Reason.LIFETIME)
        case "past_due":
            return _past_due(facts, now)
        case "paused":
            return _paused(facts, now)
        case "canceled" | "expired":
            return _ended(facts, now)
        case _:
            return _NOTHING


def _running(facts: SubscriptionFacts, end: datetime | None, reason: Reason, now: datetime) -> Decision:
    """A period that has run out while a renewal is expected keeps access: only news of a failure may end it."""
    if facts.cancel_at_period_end and end is not None and now >= end:
        return _ENDED
    return Decision(True, reason, until=end if end is not None and end > now else None)


def _past_due(facts: SubscriptionFacts, now: datetime) -> Decision:
    if facts.grace_until is not None and now >= facts.grace_until:
        return Decision(False, Reason.PAST_DUE_GRACE_OVER)
    return Decision(True, Reason.GRACE_PERIOD, until=facts.grace_until, grace=True)


def _paused(facts: SubscriptionFacts, now: datetime) -> Decision:
    """A plan keeps access during a pause (no end), keeps it as long as the paid period lasts, or ends it at once."""
    if facts.pause_access_until is not None and now >= facts.pause_access_until:
        return Decision(False, Reason.SUBSCRIPTION_PAUSED)
    return Decision(True, Reason.SUBSCRIPTION_ACTIVE, until=facts.pause_access_until)


def _ended(facts: SubscriptionFacts, now: datetime) -> Decision:
    if facts.status == "canceled" and facts.ended_at is not None and now < facts.ended_at:
        return Decision(True, Reason.SUBSCRIPTION_ACTIVE, until=facts.ended_at)
    return _ENDED
