"""The rows: what is applied is what is read again, and what was sold stays."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from quntedge.catalog import queries
from quntedge.catalog.queries import PlanView, PriceView
from quntedge.catalog.rules import CatalogFile, PlanKindFixed
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.queries import plan_terms
from tests.catalog.test_rules import with_plan, without_feature, without_plan

SEED = packaged()
PAID = ("monthly", "quarterly", "yearly", "lifetime")
EVERYTHING = len(SEED.features) + len(SEED.plans)
USD, EUR = Money(2900, "usd"), Money(2700, "eur")


async def plans(units: UnitOfWorkFactory, *, archived: bool = False) -> dict[str, PlanView]:
    async with units() as unit:
        return {plan.code: plan for plan in await queries.plans(unit.session, include_archived=archived)}


def dearer(amount_minor: int = 3500) -> CatalogFile:
    plan = SEED.plans["monthly"]
    return with_plan(SEED, replace(plan, prices={**plan.prices, "usd": Money(amount_minor, "usd")}))


async def test_the_seed_is_applied_once(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    assert len(await offline.apply(SEED)) == EVERYTHING
    assert await offline.apply(SEED) == []
    found = await plans(units)
    assert list(found) == ["free", *PAID]
    monthly = found["monthly"]
    assert monthly.prices == (PriceView(1, USD, 30, 7, None), PriceView(1, EUR, 30, 7, None))
    assert (monthly.version, monthly.price, monthly.period_days, monthly.trial_days) == (1, USD, 30, 7)
    assert monthly.price_in("eur") == monthly.prices[1]
    assert monthly.price_in("gbp") is None
    assert [feature.code for feature in monthly.features] == [
        "basic_dashboard",
        "limited_accounts",
        "community_access",
        "unlimited_accounts",
        "advanced_analytics",
        "price_alerts",
    ]
    alerts = monthly.features[-1]
    assert (alerts.kind, alerts.unit, alerts.value) == ("limit", "price alerts", 100)
    assert found["yearly"].features[-1].value is None
    assert {code: plan.rules for code, plan in found.items()} == {c: p.rules for c, p in SEED.plans.items()}
    assert not any(plan.sellable for plan in found.values())


async def test_two_applies_at_once(offline: CatalogService) -> None:
    changes = await asyncio.gather(*(offline.apply(SEED) for _ in range(4)))
    assert sorted(map(len, changes)) == [0, 0, 0, EVERYTHING]


async def test_changes_reach_the_rows(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    await offline.apply(SEED)
    before = await plans(units)
    changed = replace(SEED.plans["monthly"], tagline="new", grace_days=3, features={"price_alerts": 7})
    wanted = without_plan(without_feature(with_plan(SEED, changed), "custom_integrations"), "yearly")
    await offline.apply(wanted)
    found = await plans(units)
    assert "yearly" not in found
    assert (found["monthly"].tagline, found["monthly"].grace_days, found["monthly"].version) == ("new", 3, 1)
    assert [(f.code, f.value) for f in found["monthly"].features] == [("price_alerts", 7)]
    assert "custom_integrations" not in [f.code for f in found["lifetime"].features]
    await offline.apply(SEED)
    assert await plans(units) == before
    assert await offline.apply(SEED) == []


async def test_a_new_price_is_a_version_beside_the_old_one(
    offline: CatalogService, units: UnitOfWorkFactory, clock: FrozenClock
) -> None:
    await offline.apply(SEED)
    began = clock.now()
    clock.advance(timedelta(days=1))
    (change,) = await offline.apply(dearer())
    assert change.new_version == 2
    monthly = (await plans(units))["monthly"]
    assert [(terms.version, terms.price) for terms in monthly.prices] == [(2, Money(3500, "usd")), (2, EUR)]
    async with units() as unit:
        first = await queries.terms_of(unit.session, monthly.id, 1, "usd")
        assert first == PriceView(1, USD, 30, 7, None)
        assert await queries.terms_of(unit.session, monthly.id, 3, "usd") is None
        connection = await unit.connection()
        rows = await connection.exec_driver_sql(
            "SELECT version, currency, valid_from, retired_at FROM plan_price WHERE plan_id = %s ORDER BY 1, 2",
            (monthly.id,),
        )
        now = clock.now()
        assert [tuple(row) for row in rows] == [
            (1, "eur", began, now),
            (1, "usd", began, now),
            (2, "eur", now, None),
            (2, "usd", now, None),
        ]


async def test_a_currency_comes_and_goes_without_a_version(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    await offline.apply(SEED)
    plan = SEED.plans["monthly"]
    three = with_plan(SEED, replace(plan, prices={**plan.prices, "gbp": Money(2500, "gbp")}))
    (change,) = await offline.apply(three)
    assert change.describe() == "update plan monthly: price.gbp none → 25.00 GBP"
    assert [t.price.currency for t in (await plans(units))["monthly"].prices] == ["usd", "eur", "gbp"]
    await offline.apply(SEED)
    monthly = (await plans(units))["monthly"]
    assert ([t.price.currency for t in monthly.prices], monthly.version) == (["usd", "eur"], 1)
    (change,) = await offline.apply(three)
    assert change.new_version == 2, "what was taken off sale is sold anew, not again"


async def test_the_free_plan_may_move_to_another_code(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    await offline.apply(SEED)
    starter = replace(SEED.plans["free"], code="a_starter", name="Starter")
    await offline.apply(without_plan(CatalogFile(SEED.features, {"a_starter": starter, **SEED.plans}), "free"))
    async with units() as unit:
        free = await queries.free_plan(unit.session)
    assert free is not None
    assert free.code == "a_starter"


async def test_a_refused_change_changes_nothing(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    await offline.apply(SEED)
    before = await plans(units)
    other = with_plan(SEED, replace(SEED.plans["free"], tagline="changed"))
    lifetime = replace(SEED.plans["yearly"], kind="lifetime", period_days=None)
    with pytest.raises(PlanKindFixed):
        await offline.apply(with_plan(other, lifetime))
    assert await plans(units) == before


async def test_a_comparison_only_looks(offline: CatalogService) -> None:
    await offline.apply(SEED)
    found = await offline.diff(dearer())
    assert [change.code for change in found.changes] == ["monthly"]
    assert len(found.gateway) == 8, "nothing has reached the gateway yet: all that will be sold is to be made"
    assert (await offline.current()).plans == SEED.plans
    assert await offline.subscribers() == {}


async def test_retired_versions_still_have_terms(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    await offline.apply(SEED)
    await offline.apply(dearer())
    monthly = (await plans(units))["monthly"]
    async with units() as unit:
        connection = await unit.connection()
        await connection.exec_driver_sql("UPDATE plan_price SET whop_plan_id = 'w' || version || currency || plan_id")
        terms = await plan_terms(unit)
    assert len(terms) == 2 * 2 + 3 * 2 + 1, "two versions of one plan, three more plans, and the free one"
    for version in (1, 2):
        found = terms[f"w{version}eur{monthly.id}"]
        assert (found.plan_id, found.version, found.grace_days, found.pause_access) == (
            monthly.id,
            version,
            7,
            "period",
        )


async def test_reading(offline: CatalogService, units: UnitOfWorkFactory) -> None:
    await offline.apply(SEED)
    await offline.apply(without_plan(SEED, "yearly"))
    found = await plans(units, archived=True)
    async with units() as unit:
        assert (await queries.plan_by_code(unit.session, "yearly")) == found["yearly"]
        assert found["yearly"].archived
        for nothing in ("unknown", "", "\x00", "\ud800", "x" * 10_000):
            assert await queries.plan_by_code(unit.session, nothing) is None
        ids = [found["free"].id, found["yearly"].id, "plan_unknown"]
        assert await queries.plans_by_id(unit.session, ids) == {p.id: p for p in (found["free"], found["yearly"])}
        assert await queries.plans_by_id(unit.session, []) == {}
        listed = await queries.features(unit.session)
        assert [(f.code, f.kind, f.unit) for f in listed] == [(f.code, f.kind, f.unit) for f in SEED.features.values()]
