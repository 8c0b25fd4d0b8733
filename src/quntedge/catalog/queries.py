"""Reading the catalogue: always with its features, always in one round trip."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.features import FeatureValue, value_from_text
from quntedge.catalog.models import Feature, Plan, PlanFeature, PlanPrice
from quntedge.catalog.plan_rules import PlanRules
from quntedge.catalog.rules import is_code
from quntedge.kit.money import Money


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A feature as it is shown; as part of a plan with what it is worth there (see `features.FeatureValue`)."""

    code: str
    name: str
    description: str
    kind: str = "boolean"
    unit: str = ""
    value: FeatureValue = None


@dataclass(frozen=True, slots=True)
class PriceView:
    """The terms of a plan in one version and one currency. `whop_plan_id` is None until the gateway knows them."""

    version: int
    price: Money
    period_days: int | None
    trial_days: int
    whop_plan_id: str | None


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as everything above the catalogue sees it, with the terms of its current version.

    `prices` has one entry for each currency, the plan's own currency first; `price`, `period_days`, `trial_days` and
    `whop_plan_id` are those of the first. `period_days` is None for free and lifetime plans.
    """

    id: str
    code: str
    name: str
    tagline: str
    kind: str
    prices: tuple[PriceView, ...]
    grace_days: int
    rules: PlanRules
    highlighted: bool
    position: int
    archived: bool
    whop_product_id: str | None
    features: tuple[FeatureView, ...]

    @property
    def version(self) -> int:
        """The number of the current version."""
        return self.prices[0].version

    @property
    def price(self) -> Money:
        """The price in the plan's own currency."""
        return self.prices[0].price

    @property
    def period_days(self) -> int | None:
        """The length of a period; None where nothing renews."""
        return self.prices[0].period_days

    @property
    def trial_days(self) -> int:
        """The length of the trial; 0 where there is none."""
        return self.prices[0].trial_days

    @property
    def whop_plan_id(self) -> str | None:
        """The gateway's plan for the plan's own currency."""
        return self.prices[0].whop_plan_id

    @property
    def sellable(self) -> bool:
        """Whether a checkout can be opened for it: priced, not archived, and known to the gateway."""
        return self.kind != "free" and not self.archived and self.whop_plan_id is not None

    def price_in(self, currency: str) -> PriceView | None:
        """The current terms in this currency (lower-case code); None where the plan is not sold in it."""
        return next((held for held in self.prices if held.price.currency == currency), None)


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


async def terms_of(session: AsyncSession, plan_id: str, version: int, currency: str) -> PriceView | None:
    """What was or is sold as this version in this currency, retired or not."""
    row = await session.get(PlanPrice, (plan_id, version, currency))
    if row is None:
        return None
    return PriceView(
        row.version, Money(row.price_minor, row.currency), row.period_days, row.trial_days, row.whop_plan_id
    )


async def features(session: AsyncSession) -> list[FeatureView]:
    """All features in the catalogue's order."""
    rows = await session.execute(
        select(Feature.code, Feature.name, Feature.description, Feature.kind, Feature.unit).order_by(
            Feature.position, Feature.code
        )
    )
    return [FeatureView(*row) for row in rows]


# Lists inside a row, so that neither currencies nor features multiply the rows of the other.
_PRICES = (
    select(
        func.jsonb_agg(
            func.jsonb_build_array(
                PlanPrice.version,
                PlanPrice.price_minor,
                PlanPrice.currency,
                PlanPrice.period_days,
                PlanPrice.trial_days,
                PlanPrice.whop_plan_id,
            )
        )
    )
    .where(PlanPrice.plan_id == Plan.id, PlanPrice.retired_at.is_(None))
    .scalar_subquery()
)
_FEATURES = (
    select(
        func.jsonb_agg(
            aggregate_order_by(
                func.jsonb_build_array(
                    Feature.code, Feature.name, Feature.description, Feature.kind, Feature.unit, PlanFeature.value
                ),
                Feature.position,
                Feature.code,
            )
        )
    )
    .join_from(PlanFeature, Feature, Feature.code == PlanFeature.feature_code)
    .where(PlanFeature.plan_id == Plan.id)
    .scalar_subquery()
)
_PLANS = select(
    Plan.id,
    Plan.code,
    Plan.name,
    Plan.tagline,
    Plan.kind,
    Plan.currency,
    Plan.grace_days,
    Plan.pause_access,
    Plan.rules,
    Plan.highlighted,
    Plan.position,
    Plan.archived_at,
    Plan.whop_product_id,
    _PRICES.label("prices"),
    _FEATURES.label("features"),
).order_by(Plan.position, Plan.code)


async def _load(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[PlanView]:
    return [_view(row) for row in await session.execute(_PLANS.where(*conditions))]


def _view(row: Row[Any]) -> PlanView:
    return PlanView(
        id=row.id,
        code=row.code,
        name=row.name,
        tagline=row.tagline,
        kind=row.kind,
        prices=_prices(row.prices, row.currency),
        grace_days=row.grace_days,
        rules=PlanRules.from_json(row.rules, row.pause_access),
        highlighted=row.highlighted,
        position=row.position,
        archived=row.archived_at is not None,
        whop_product_id=row.whop_product_id,
        features=tuple(
            FeatureView(code, name, description, kind, unit, value_from_text(kind, value))
            for code, name, description, kind, unit, value in row.features or ()
        ),
    )


def _prices(rows: Sequence[Sequence[Any]], own_currency: str) -> tuple[PriceView, ...]:
    found = [
        PriceView(version, Money(amount_minor, currency), period_days, trial_days, whop_plan_id)
        for version, amount_minor, currency, period_days, trial_days, whop_plan_id in rows
    ]
    return tuple(sorted(found, key=lambda held: (held.price.currency != own_currency, held.price.currency)))
