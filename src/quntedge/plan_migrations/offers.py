"""The terms of a plan that a migration is about: those it ends in, and those its subscribers have bought."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog import queries as catalog
from quntedge.catalog.models import PlanPrice
from quntedge.catalog.queries import PlanView
from quntedge.kit.money import Money
from quntedge.plan_migrations.errors import NothingRenews, UnknownPlan, VersionNotSold
from quntedge.plan_migrations.rules import Offer


@dataclass(frozen=True, slots=True)
class Terms:
    """A plan with all its terms. `offers` are those to move to, by currency; `bought` all, by version and currency."""

    plan: PlanView
    to_version: int
    offers: Mapping[str, Offer]
    bought: Mapping[tuple[int, str], Offer]


async def terms_of(session: AsyncSession, plan_code: str, to_version: int | None) -> Terms:
    """The terms of a plan; `to_version` None is its current version.

    Raises `UnknownPlan`, `NothingRenews` and `VersionNotSold`.
    """
    plan = await catalog.plan_by_code(session, plan_code)
    if plan is None:
        raise UnknownPlan("There is no plan with this code. `quntedge catalog show` lists them.")
    return await _terms(session, plan, to_version)


async def terms_of_plan(session: AsyncSession, plan_id: str, to_version: int) -> Terms | None:
    """The same, by the plan's id; None when this version is not on sale any more."""
    plan = (await catalog.plans_by_id(session, [plan_id]))[plan_id]
    return None if plan.archived or plan.version != to_version else await _terms(session, plan, to_version)


async def _terms(session: AsyncSession, plan: PlanView, to_version: int | None) -> Terms:
    if plan.kind != "recurring":
        raise NothingRenews(f"{plan.name} does not renew, so nobody who has it pays another price.")
    if plan.archived:
        raise VersionNotSold(f"{plan.name} is archived: it has no version that is on sale. Offer it again first.")
    version = plan.version if to_version is None else to_version
    if version != plan.version:
        raise VersionNotSold(
            f"Only version {plan.version} of {plan.name} is on sale. Leave out the version, or apply a catalogue first."
        )
    offers = {
        price.price.currency: Offer(price.version, price.price, price.period_days)
        for price in plan.prices
        if price.whop_plan_id is not None
    }
    if not offers:
        raise VersionNotSold(f"Version {version} of {plan.name} is not at Whop yet; apply the catalogue once more.")
    rows = await session.execute(
        select(PlanPrice.version, PlanPrice.price_minor, PlanPrice.currency, PlanPrice.period_days).where(
            PlanPrice.plan_id == plan.id
        )
    )
    bought = {
        (row.version, row.currency): Offer(row.version, Money(row.price_minor, row.currency), row.period_days)
        for row in rows
    }
    return Terms(plan, version, offers, bought)
