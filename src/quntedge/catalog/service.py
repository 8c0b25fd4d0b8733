"""Bringing the database to what the catalogue says, and the gateway to what the database says."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog import queries
from quntedge.catalog.models import Feature, Plan, PlanFeature
from quntedge.catalog.queries import PlanView
from quntedge.catalog.rules import CatalogFile, Change, FeatureSpec, GatewayPlanDiffers, PlanSpec, diff
from quntedge.gateway.port import Gateway, GatewayPlan, PlanRequest
from quntedge.kit.ids import new_id
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

PLAN_KEY = "quntedge_plan"
PRODUCT_KEY = "quntedge_product"
_PRODUCT = "main"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What `sync_gateway` did, as plan codes.

    `created` were made at the gateway, `adopted` were there with our mark and are now linked, `missing` are linked to
    a plan that the gateway does not show any more: nobody can buy them until somebody has looked.
    """

    created: tuple[str, ...]
    adopted: tuple[str, ...]
    missing: tuple[str, ...]


class CatalogService:
    """Applies a catalogue and makes its plans known to the gateway. Opens and commits its own units of work."""

    def __init__(self, units: UnitOfWorkFactory, gateway: Gateway, product_title: str = "QuntEdge") -> None:
        self._units = units
        self._gateway = gateway
        self._product_title = product_title

    async def apply(self, catalog: CatalogFile) -> list[Change]:
        """Makes the tables say what the catalogue says and returns what changed; the second time that is nothing.

        Raises `PlanTermsFixed` when a plan on sale would get other terms, `InvalidCatalog` when a feature that an
        archived plan grants would disappear. Then nothing is changed at all.
        """
        async with self._units() as unit:
            # Two applies at once would both find the same things missing.
            await unit.session.execute(text("LOCK TABLE plan IN SHARE ROW EXCLUSIVE MODE"))
            changes = diff(await _current(unit.session), catalog)
            if changes:
                await _write(unit, changes, catalog)
                await unit.commit()
            return changes

    async def preview(self, catalog: CatalogFile) -> list[Change]:
        """What `apply` would change, with the errors it would raise. Changes nothing."""
        async with self._units() as unit:
            return diff(await _current(unit.session), catalog)

    async def sync_gateway(self) -> SyncReport:
        """Makes every plan for sale that the gateway lacks, and remembers its id.

        It looks before it creates, by the mark in the metadata, and each creation has its own idempotency key: a
        crash at any point never leads to a second product or plan. Raises `GatewayPlanDiffers` when a marked plan
        has other terms than ours, and the gateway's errors.
        """
        async with self._units() as unit:
            wanted = [plan for plan in await queries.plans(unit.session) if plan.kind != "free"]
        there = await self._gateway.plans()
        ids = {plan.plan_id for plan in there}
        missing = tuple(p.code for p in wanted if p.whop_plan_id is not None and p.whop_plan_id not in ids)
        unlinked = [plan for plan in wanted if plan.whop_plan_id is None]
        if not unlinked:
            return SyncReport((), (), missing)
        marked = {plan.metadata[PLAN_KEY]: plan for plan in there if not plan.archived and PLAN_KEY in plan.metadata}
        created: list[str] = []
        adopted: list[str] = []
        product_id: str | None = None
        for plan in unlinked:
            found = marked.get(plan.code)
            if found is None:
                product_id = product_id or await self._product()
                found = await self._create_plan(plan, product_id)
                created.append(plan.code)
            else:
                _refuse_other_terms(plan, found)
                adopted.append(plan.code)
            await self._link(plan, found)
        return SyncReport(tuple(created), tuple(adopted), missing)

    async def _product(self) -> str:
        for product in await self._gateway.products():
            if product.metadata.get(PRODUCT_KEY) == _PRODUCT:
                return product.product_id
        product = await self._gateway.create_product(
            self._product_title,
            metadata={PRODUCT_KEY: _PRODUCT},
            idempotency_key=_idempotency_key("product", _PRODUCT, self._product_title),
        )
        return product.product_id

    async def _create_plan(self, plan: PlanView, product_id: str) -> GatewayPlan:
        request = PlanRequest(
            product_id=product_id,
            title=plan.name,
            price=plan.price,
            period_days=plan.period_days,
            trial_days=plan.trial_days or None,
            description=plan.tagline or None,
            metadata={PLAN_KEY: plan.code},
        )
        # The key covers the content too: after a correction the gateway must not answer with the old refusal.
        return await self._gateway.create_plan(
            request, idempotency_key=_idempotency_key("plan", plan.id, repr(request))
        )

    async def _link(self, plan: PlanView, found: GatewayPlan) -> None:
        async with self._units() as unit:
            await unit.session.execute(
                update(Plan)
                .where(Plan.id == plan.id)
                .values(whop_plan_id=found.plan_id, whop_product_id=found.product_id, updated_at=unit.clock.now())
            )
            await unit.commit()


async def _current(session: AsyncSession) -> CatalogFile:
    rows = await session.execute(select(Feature).order_by(Feature.position, Feature.code))
    features = {f.code: FeatureSpec(f.code, f.name, f.description, f.position) for f in rows.scalars()}
    held = await queries.plans(session, include_archived=True)
    return CatalogFile(features, {plan.code: _spec(plan) for plan in held})


def _spec(plan: PlanView) -> PlanSpec:
    return PlanSpec(
        code=plan.code,
        name=plan.name,
        tagline=plan.tagline,
        kind=plan.kind,
        price=plan.price,
        period_days=plan.period_days,
        trial_days=plan.trial_days,
        grace_days=plan.grace_days,
        highlighted=plan.highlighted,
        position=plan.position,
        archived=plan.archived,
        features=tuple(sorted(feature.code for feature in plan.features)),
        whop_plan_id=plan.whop_plan_id,
    )


async def _write(unit: UnitOfWork, changes: Sequence[Change], catalog: CatalogFile) -> None:
    features = {c.code: catalog.features[c.code] for c in changes if c.kind == "feature" and c.action != "remove"}
    for feature in features.values():
        values = {"name": feature.name, "description": feature.description, "position": feature.position}
        await unit.session.execute(
            insert(Feature)
            .values(code=feature.code, **values)
            .on_conflict_do_update(index_elements=[Feature.code], set_=values)
        )
    # The archived ones first: the free plan may have moved to another code, and there is room for one only.
    archived = [c.code for c in changes if c.kind == "plan" and c.action == "archive"]
    now = unit.clock.now()
    if archived:
        await unit.session.execute(update(Plan).where(Plan.code.in_(archived)).values(archived_at=now, updated_at=now))
    written = {c.code for c in changes if c.kind == "plan"} & catalog.plans.keys()
    for code in (code for code in catalog.plans if code in written):
        await _write_plan(unit, catalog.plans[code])
    removed = [c.code for c in changes if c.kind == "feature" and c.action == "remove"]
    if removed:
        await unit.session.execute(delete(PlanFeature).where(PlanFeature.feature_code.in_(removed)))
        await unit.session.execute(delete(Feature).where(Feature.code.in_(removed)))


async def _write_plan(unit: UnitOfWork, plan: PlanSpec) -> None:
    now = unit.clock.now()
    values: Mapping[str, Any] = {
        "name": plan.name,
        "tagline": plan.tagline,
        "kind": plan.kind,
        "price_minor": plan.price.amount_minor,
        "currency": plan.price.currency,
        "period_days": plan.period_days,
        "trial_days": plan.trial_days,
        "grace_days": plan.grace_days,
        "highlighted": plan.highlighted,
        "position": plan.position,
        "updated_at": now,
    }
    archived_at = now if plan.archived else None
    kept = {} if plan.archived else {"archived_at": None}
    plan_id = await unit.session.scalar(
        insert(Plan)
        .values(id=new_id("plan", now), code=plan.code, created_at=now, archived_at=archived_at, **values)
        .on_conflict_do_update(index_elements=[Plan.code], set_={**values, **kept})
        .returning(Plan.id)
    )
    await unit.session.execute(delete(PlanFeature).where(PlanFeature.plan_id == plan_id))
    if plan.features:
        rows = [{"plan_id": plan_id, "feature_code": code} for code in plan.features]
        await unit.session.execute(insert(PlanFeature), rows)


def _refuse_other_terms(plan: PlanView, found: GatewayPlan) -> None:
    """What the gateway did not tell is not compared; a trial of nothing is no trial."""
    ours = {"price": plan.price, "period_days": plan.period_days, "trial_days": plan.trial_days or None}
    theirs = {"price": found.price, "period_days": found.period_days, "trial_days": found.trial_days or None}
    for name, value in ours.items():
        told = name != "price" or found.price is not None
        if told and theirs[name] != value:
            raise GatewayPlanDiffers(
                f"Whop's plan {found.plan_id} carries our code {plan.code!r} but its {name} is {theirs[name]}, ours is "
                f"{value}. Archive that plan at Whop, or give ours a new code."
            )


def _idempotency_key(kind: str, name: str, content: str) -> str:
    return f"quntedge-{kind}-{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
