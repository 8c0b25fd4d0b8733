"""The catalogue's rows: read as what a file describes, and written from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.features import value_from_text, value_to_text
from quntedge.catalog.models import Feature, Plan, PlanFeature, PlanPrice
from quntedge.catalog.plan_rules import PlanRules
from quntedge.catalog.rules import CatalogFile, Change, FeatureSpec, PlanSpec, history_after
from quntedge.catalog.versions import Terms
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWork


async def current(session: AsyncSession) -> CatalogFile:
    """The catalogue as it is, archived plans and retired versions included."""
    rows = (await session.scalars(select(Feature).order_by(Feature.position, Feature.code))).all()
    features = {f.code: FeatureSpec(f.code, f.name, f.description, f.position, f.kind, f.unit) for f in rows}
    histories: dict[str, list[PlanPrice]] = {}
    for price in await session.scalars(select(PlanPrice).order_by(PlanPrice.version, PlanPrice.currency)):
        histories.setdefault(price.plan_id, []).append(price)
    granted: dict[str, dict[str, str | None]] = {}
    for grant in await session.scalars(select(PlanFeature).order_by(PlanFeature.feature_code)):
        granted.setdefault(grant.plan_id, {})[grant.feature_code] = grant.value
    plans = await session.scalars(select(Plan).order_by(Plan.position, Plan.code))
    return CatalogFile(
        features,
        {plan.code: _spec(plan, histories[plan.id], granted.get(plan.id, {}), features) for plan in plans},
    )


def _spec(
    plan: Plan, history: Sequence[PlanPrice], granted: Mapping[str, str | None], features: Mapping[str, FeatureSpec]
) -> PlanSpec:
    held = [price for price in history if price.retired_at is None]
    return PlanSpec(
        code=plan.code,
        name=plan.name,
        tagline=plan.tagline,
        kind=plan.kind,
        currency=plan.currency,
        prices={price.currency: Money(price.price_minor, price.currency) for price in held},
        period_days=held[0].period_days,
        trial_days=held[0].trial_days,
        grace_days=plan.grace_days,
        rules=PlanRules.from_json(plan.rules, plan.pause_access),
        highlighted=plan.highlighted,
        position=plan.position,
        archived=plan.archived_at is not None,
        features={code: value_from_text(features[code].kind, value) for code, value in granted.items()},
        history=tuple(_terms(price) for price in history),
    )


def _terms(price: PlanPrice) -> Terms:
    return Terms(
        version=price.version,
        price=Money(price.price_minor, price.currency),
        period_days=price.period_days,
        trial_days=price.trial_days,
        whop_plan_id=price.whop_plan_id,
        retired=price.retired_at is not None,
        gateway_archived=price.whop_archived_at is not None,
    )


async def write(unit: UnitOfWork, changes: Sequence[Change], held: CatalogFile, wanted: CatalogFile) -> None:
    """Makes the rows say what is wanted; `changes` is the difference."""
    features = {c.code: wanted.features[c.code] for c in changes if c.kind == "feature" and c.action != "remove"}
    for feature in features.values():
        values = {
            "name": feature.name,
            "description": feature.description,
            "position": feature.position,
            "kind": feature.kind,
            "unit": feature.unit,
        }
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
    written = {c.code for c in changes if c.kind == "plan"} & wanted.plans.keys()
    for code in (code for code in wanted.plans if code in written):
        await _write_plan(unit.session, held.plans.get(code), wanted.plans[code], now)
    removed = [c.code for c in changes if c.kind == "feature" and c.action == "remove"]
    if removed:
        await unit.session.execute(delete(PlanFeature).where(PlanFeature.feature_code.in_(removed)))
        await unit.session.execute(delete(Feature).where(Feature.code.in_(removed)))


async def _write_plan(session: AsyncSession, held: PlanSpec | None, plan: PlanSpec, now: datetime) -> None:
    values: Mapping[str, Any] = {
        "name": plan.name,
        "tagline": plan.tagline,
        "currency": plan.currency,
        "grace_days": plan.grace_days,
        "pause_access": plan.rules.pause.access,
        "rules": plan.rules.to_json(),
        "highlighted": plan.highlighted,
        "position": plan.position,
        "updated_at": now,
    }
    archived_at = now if plan.archived else None
    kept = {} if plan.archived else {"archived_at": None}
    plan_id = await session.scalar(
        insert(Plan)
        .values(
            id=new_id("plan", now), code=plan.code, kind=plan.kind, created_at=now, archived_at=archived_at, **values
        )
        .on_conflict_do_update(index_elements=[Plan.code], set_={**values, **kept})
        .returning(Plan.id)
    )
    await _write_history(session, str(plan_id), held, plan, now)
    await session.execute(delete(PlanFeature).where(PlanFeature.plan_id == plan_id))
    if plan.features:
        rows = [
            {"plan_id": plan_id, "feature_code": code, "value": value_to_text(value)}
            for code, value in plan.features.items()
        ]
        await session.execute(insert(PlanFeature), rows)


async def _write_history(
    session: AsyncSession, plan_id: str, held: PlanSpec | None, plan: PlanSpec, now: datetime
) -> None:
    """Adds and retires; terms that exist are never changed."""
    before = {(terms.version, terms.currency): terms for terms in held.history} if held is not None else {}
    after = history_after(held, plan)
    for terms in after:
        known = before.get((terms.version, terms.currency))
        if known is not None and terms.retired and not known.retired:
            await session.execute(
                update(PlanPrice)
                .where(
                    PlanPrice.plan_id == plan_id,
                    PlanPrice.version == terms.version,
                    PlanPrice.currency == terms.currency,
                )
                .values(retired_at=now)
            )
    added = [
        {
            "plan_id": plan_id,
            "version": terms.version,
            "currency": terms.currency,
            "kind": plan.kind,
            "price_minor": terms.price.amount_minor,
            "period_days": terms.period_days,
            "trial_days": terms.trial_days,
            "valid_from": now,
        }
        for terms in after
        if (terms.version, terms.currency) not in before
    ]
    if added:
        await session.execute(insert(PlanPrice), added)
