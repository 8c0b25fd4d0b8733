"""Reading the catalogue: always with its features, always in one round trip."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.models import Feature, Plan, PlanFeature
from quntedge.catalog.rules import is_code
from quntedge.kit.money import Money


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A feature as it is shown."""

    code: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as everything above the catalogue sees it. `period_days` is None for free and lifetime plans."""

    id: str
    code: str
    name: str
    tagline: str
    kind: str
    price: Money
    period_days: int | None
    trial_days: int
    grace_days: int
    highlighted: bool
    position: int
    archived: bool
    whop_plan_id: str | None
    whop_product_id: str | None
    features: tuple[FeatureView, ...]

    @property
    def sellable(self) -> bool:
        """Whether a checkout can be opened for it: priced, not archived, and known to the gateway."""
        return self.kind != "free" and not self.archived and self.whop_plan_id is not None


async def plans(session: AsyncSession, *, include_archived: bool = False) -> list[PlanView]:
    """The plans in the catalogue's order; the archived ones only when asked for."""
    return await _load(session) if include_archived else await _load(session, Plan.archived_at.is_(None))


async def plan_by_code(session: AsyncSession, code: str) -> PlanView | None:
    """The plan with this code, archived or not."""
    found = await _load(session, Plan.code == code) if is_code(code) else []
    return found[0] if found else None


async def plans_by_id(session: AsyncSession, plan_ids: Collection[str]) -> dict[str, PlanView]:
    """The plans with these ids, archived or not; unknown ids are missing."""
    if not plan_ids:
        return {}
    return {plan.id: plan for plan in await _load(session, Plan.id.in_(sorted(set(plan_ids))))}


async def free_plan(session: AsyncSession) -> PlanView | None:
    """The plan that everybody has without buying; None when the catalogue has none."""
    found = await _load(session, Plan.kind == "free", Plan.archived_at.is_(None))
    return found[0] if found else None


async def features(session: AsyncSession) -> list[FeatureView]:
    """All features in the catalogue's order."""
    rows = await session.execute(
        select(Feature.code, Feature.name, Feature.description).order_by(Feature.position, Feature.code)
    )
    return [FeatureView(row.code, row.name, row.description) for row in rows]


async def _load(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[PlanView]:
    # A plan comes once for each of its features: a few dozen short rows, cheaper than a second round trip.
    rows = await session.execute(
        select(
            Plan.id,
            Plan.code,
            Plan.name,
            Plan.tagline,
            Plan.kind,
            Plan.price_minor,
            Plan.currency,
            Plan.period_days,
            Plan.trial_days,
            Plan.grace_days,
            Plan.highlighted,
            Plan.position,
            Plan.archived_at,
            Plan.whop_plan_id,
            Plan.whop_product_id,
            Feature.code.label("feature_code"),
            Feature.name.label("feature_name"),
            Feature.description.label("feature_description"),
        )
        .outerjoin(PlanFeature, PlanFeature.plan_id == Plan.id)
        .outerjoin(Feature, Feature.code == PlanFeature.feature_code)
        .where(*conditions)
        .order_by(Plan.position, Plan.code, Feature.position, Feature.code)
    )
    found: dict[str, PlanView] = {}
    granted: dict[str, list[FeatureView]] = {}
    for row in rows:
        if row.id not in found:
            granted[row.id] = []
            found[row.id] = PlanView(
                id=row.id,
                code=row.code,
                name=row.name,
                tagline=row.tagline,
                kind=row.kind,
                price=Money(row.price_minor, row.currency),
                period_days=row.period_days,
                trial_days=row.trial_days,
                grace_days=row.grace_days,
                highlighted=row.highlighted,
                position=row.position,
                archived=row.archived_at is not None,
                whop_plan_id=row.whop_plan_id,
                whop_product_id=row.whop_product_id,
                features=(),
            )
        if row.feature_code is not None:
            granted[row.id].append(FeatureView(row.feature_code, row.feature_name, row.feature_description))
    return [replace(plan, features=tuple(granted[plan.id])) for plan in found.values()]
