"""Where a customer stands: the subscription, what it opens now, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from quntedge.access.rules import Decision, decide_all
from quntedge.catalog.queries import PlanView
from quntedge.edge import reads
from quntedge.edge.services import Services
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription

PAYMENT_FAILED = "payment_failed"
UNDER_REVIEW = "under_review"


@dataclass(frozen=True, slots=True)
class Standing:
    """`problem` is a stable word (`payment_failed`, `under_review`), or None when all is well."""

    subscription: Subscription | None
    plan: PlanView | None
    decisions: Mapping[str, Decision]
    problem: str | None


async def standing_of(services: Services, unit: UnitOfWork, user_id: str) -> Standing:
    """The standing of a user now; of nobody's id: no subscription, and every decision says so."""
    now = unit.clock.now()
    # First, while the unit of work holds no connection yet: the batch takes one of its own.
    (snapshot,) = await services.access.snapshots((user_id,))
    current = await reads.current_subscription(unit.session, user_id, now)
    subscription, plan = current if current is not None else (None, None)
    return Standing(subscription, plan, decide_all(snapshot, now), _problem(subscription))


def _problem(subscription: Subscription | None) -> str | None:
    if subscription is None:
        return None
    if subscription.status == "past_due":
        return PAYMENT_FAILED
    return UNDER_REVIEW if subscription.needs_review else None
