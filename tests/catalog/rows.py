"""Plans as rows, for tests that need one without a catalogue."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from quntedge.catalog.models import Plan, PlanPrice

_TERMS = ("version", "price_minor", "period_days", "trial_days", "whop_plan_id", "retired_at", "whop_archived_at")


async def insert_plan(session: AsyncConnection | AsyncSession, **values: Any) -> str:
    """A plan with its price, monthly for 29.00 USD unless told otherwise; `id` and `created_at` are needed."""
    plan: dict[str, Any] = {
        "code": "monthly",
        "name": "Monthly",
        "kind": "recurring",
        "currency": "usd",
        "position": 1,
        "updated_at": values["created_at"],
    } | {name: value for name, value in values.items() if name not in _TERMS}
    terms = {"version": 1, "price_minor": 2900, "period_days": 30, "trial_days": 0} | {
        name: value for name, value in values.items() if name in _TERMS
    }
    await session.execute(insert(Plan).values(plan))
    price = {name: plan[name] for name in ("kind", "currency")} | terms
    await session.execute(insert(PlanPrice).values(plan_id=plan["id"], valid_from=plan["created_at"], **price))
    return str(plan["id"])
