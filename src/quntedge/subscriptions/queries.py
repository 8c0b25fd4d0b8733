"""What subscriptions need to know of the catalogue, and the catalogue of subscriptions."""

from sqlalchemy import func, select

from quntedge.catalog.models import Plan, PlanPrice
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import LIVE, Subscription
from quntedge.subscriptions.rules import PlanTerms, grace_kept
from quntedge.subscriptions.unpaid import CANCELS

_PLANS = (
    select(
        Plan.id,
        PlanPrice.whop_plan_id,
        PlanPrice.version,
        Plan.grace_days,
        Plan.pause_access,
        CANCELS.label("gateway_cancels"),
    )
    .join(PlanPrice, PlanPrice.plan_id == Plan.id)
    .where(PlanPrice.whop_plan_id.is_not(None))
)


async def plan_terms(unit: UnitOfWork) -> dict[str, PlanTerms]:
    """The terms of every plan the gateway knows, by the gateway's plan id: those of retired versions too, because
    their subscribers keep them."""
    rows = await unit.fetch(_PLANS)
    return {
        row.whop_plan_id: PlanTerms(
            row.id,
            grace_kept(row.grace_days, gateway_cancels=row.gateway_cancels),
            version=row.version,
            pause_access=row.pause_access,
        )
        for row in rows
    }


async def live_subscribers(unit: UnitOfWork) -> dict[tuple[str, int], int]:
    """How many live subscriptions there are of each plan (by id) in each version."""
    rows = await unit.session.execute(
        select(Subscription.plan_id, Subscription.plan_version, func.count())
        .where(Subscription.status.in_(LIVE))
        .group_by(Subscription.plan_id, Subscription.plan_version)
    )
    return {(plan_id, version): count for plan_id, version, count in rows}
