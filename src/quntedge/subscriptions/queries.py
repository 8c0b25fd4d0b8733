"""What subscriptions need to know of the catalogue."""

from sqlalchemy import select

from quntedge.catalog.models import Plan
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.rules import PlanTerms

_PLANS = select(Plan.id, Plan.whop_plan_id, Plan.grace_days, Plan.pause_access).where(Plan.whop_plan_id.is_not(None))


async def plan_terms(unit: UnitOfWork) -> dict[str, PlanTerms]:
    """The terms of every plan the gateway knows, by the gateway's plan id."""
    rows = await (await unit.connection()).execute(_PLANS)
    return {row.whop_plan_id: PlanTerms(row.id, row.grace_days, pause_access=row.pause_access) for row in rows}
