"""Facts about subscriptions that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """A subscription changed; one fact for each row of its history.

    `started` and `ended` say that access to the plan began or ceased; `trial` that it is a trial now. `cause` is the
    webhook or request that led to it.
    """

    subscription_id: str
    user_id: str
    plan_id: str
    kind: str
    status: str
    started: bool
    ended: bool
    trial: bool
    checkout_id: str | None
    membership_id: str
    period_end: datetime | None
    grace_until: datetime | None
    cause: str
    actor: str = "whop"
    """`whop`, `system`, or `customer:`, `staff:`, `service:` and an id."""
    changed: frozenset[str] | None = None
    """Names of what is another now (members of `SubscriptionState`); None when everything may be."""

    def touches(self, *names: str) -> bool:
        """Whether one of these members may be another now. Most changes are renewals, and concern few."""
        return self.changed is None or not self.changed.isdisjoint(names)


@dataclass(frozen=True, slots=True)
class CancellationRequested:
    """Somebody wants a subscription to end, now or with its period. Recorded when the wish is, before the gateway has
    done it: whatever was planned for later falls away."""

    subscription_id: str
    user_id: str
    at_period_end: bool
    actor: str
    cause: str


@dataclass(frozen=True, slots=True)
class CancellationWithdrawn:
    """Somebody wants a subscription that was to end with its period to go on."""

    subscription_id: str
    user_id: str
    actor: str
    cause: str
