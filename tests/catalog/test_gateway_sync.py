"""The gateway sells what we sell: each price once, whatever goes wrong on the way."""

import asyncio
from dataclasses import replace

import pytest

from quntedge.catalog.gateway_sync import PLAN_KEY, SyncReport, mark_of
from quntedge.catalog.rules import CatalogFile, GatewayPlanDiffers
from quntedge.catalog.service import CatalogService
from quntedge.catalog.versions import GatewayStep, PriceRef
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.gateway.port import GatewayPlan, PlanRequest
from quntedge.gateway.whop.adapter import WhopGateway
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.catalog.conftest import CutAfter
from tests.catalog.test_rules import with_plan, without_plan
from tests.catalog.test_service import PAID, SEED, dearer, plans

REFS = tuple(PriceRef(code, 1, currency) for code in PAID for currency in ("usd", "eur"))
SMALL = CatalogFile(SEED.features, {code: SEED.plans[code] for code in ("free", "monthly", "lifetime")})
SMALL_REFS = tuple(ref for ref in REFS if ref.plan_code in SMALL.plans)


async def there(gateway: WhopGateway) -> dict[PriceRef | None, GatewayPlan]:
    """What is on sale at the gateway, by its mark; fails when a mark is there twice."""
    found = [plan for plan in await gateway.plans() if not plan.archived]
    marked = {mark_of(plan): plan for plan in found}
    assert len(marked) == len(found)
    return marked


def second(catalog: CatalogFile) -> CatalogFile:
    return with_plan(catalog, dearer().plans["monthly"])


async def test_the_gateway_gets_every_price_once(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SEED)
    heard: list[tuple[GatewayStep, int, int]] = []
    assert await service.sync_gateway(lambda *step: heard.append(step)) == SyncReport(created=REFS)
    assert [(step.ref, number, total) for step, number, total in heard] == [
        (ref, number, 8) for number, ref in enumerate(REFS, start=1)
    ]
    assert await service.sync_gateway() == SyncReport()
    assert (await service.diff(SEED)).empty
    found = await there(gateway)
    assert set(found) == set(REFS)
    (product,) = await gateway.products()
    for code, plan in (await plans(units)).items():
        assert plan.sellable is (code != "free")
        for terms in plan.prices if code != "free" else ():
            made = found[PriceRef(code, 1, terms.price.currency)]
            assert plan.whop_product_id == product.product_id
            assert made.plan_id == terms.whop_plan_id
            assert (made.price, made.period_days, made.trial_days or 0) == (
                terms.price,
                terms.period_days,
                terms.trial_days,
            )


async def test_new_terms_are_a_new_plan_and_the_old_one_is_archived(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SMALL)
    await service.sync_gateway()
    first = (await plans(units))["monthly"]
    await service.apply(second(SMALL))
    report = await service.sync_gateway()
    old = tuple(PriceRef("monthly", 1, currency) for currency in ("usd", "eur"))
    new = tuple(PriceRef("monthly", 2, currency) for currency in ("usd", "eur"))
    assert report == SyncReport(created=new, archived=old)
    found = await there(gateway)
    assert set(found) == {*new, *(ref for ref in SMALL_REFS if ref.plan_code == "lifetime")}
    assert found[new[0]].price == Money(3500, "usd")
    assert {plan.plan_id for plan in await gateway.plans() if plan.archived} == {
        terms.whop_plan_id for terms in first.prices
    }
    assert await service.sync_gateway() == SyncReport()
    assert (await service.diff(second(SMALL))).empty


async def test_a_plan_sold_no_longer_is_archived_and_comes_back_as_a_version(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SMALL)
    await service.sync_gateway()
    await service.apply(without_plan(SMALL, "monthly"))
    assert {ref.plan_code for ref in (await service.sync_gateway()).archived} == {"monthly"}
    (change,) = await service.apply(SMALL)
    assert change.describe() == "restore plan monthly (version 2 begins)"
    assert not (await plans(units))["monthly"].sellable
    assert [ref.version for ref in (await service.sync_gateway()).created] == [2, 2]
    assert (await plans(units))["monthly"].sellable
    assert len(await there(gateway)) == 4


@pytest.mark.parametrize("lost", [1, 2, 3, 5])
async def test_a_crash_at_any_creation_makes_no_second_one(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway, wire: CutAfter, lost: int
) -> None:
    await service.apply(SMALL)
    wire.lose_in = lost
    with pytest.raises(GatewayOutcomeUnknown):
        await service.sync_gateway()
    report = await service.sync_gateway()
    assert len(report.adopted) == (1 if lost > 1 else 0)
    assert (len(await gateway.products()), len(await gateway.plans())) == (1, 4)
    assert all(plan.sellable for code, plan in (await plans(units)).items() if code != "free")


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
async def test_a_crash_at_any_step_of_a_new_version_is_made_good(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway, wire: CutAfter, lost: int
) -> None:
    await service.apply(SMALL)
    await service.sync_gateway()
    await service.apply(second(SMALL))
    wire.lose_in = lost
    with pytest.raises(GatewayOutcomeUnknown):
        await service.sync_gateway()
    await service.sync_gateway()
    assert {ref.version for ref in await there(gateway) if ref and ref.plan_code == "monthly"} == {2}
    assert len(await gateway.plans()) == 6
    assert (await plans(units))["monthly"].version == 2
    assert (await service.diff(second(SMALL))).empty


async def test_a_plan_whose_making_was_never_heard_of_is_archived_when_it_is_not_wanted_any_more(
    service: CatalogService, gateway: WhopGateway, wire: CutAfter
) -> None:
    await service.apply(SMALL)
    wire.lose_in = 2
    with pytest.raises(GatewayOutcomeUnknown):
        await service.sync_gateway()
    await service.apply(second(SMALL))
    report = await service.sync_gateway()
    assert report.archived == (PriceRef("monthly", 1, "usd"),)
    assert {ref.version for ref in await there(gateway) if ref and ref.plan_code == "monthly"} == {2}


async def test_two_syncs_at_once_make_no_second_plan(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SMALL)
    await asyncio.gather(*(service.sync_gateway() for _ in range(3)), return_exceptions=True)
    await service.sync_gateway()
    assert (len(await gateway.products()), len(await gateway.plans())) == (1, 4)
    assert all(plan.sellable for code, plan in (await plans(units)).items() if code != "free")


async def test_a_marked_plan_with_other_terms_is_not_adopted(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SMALL)
    product = await gateway.create_product("Other", metadata={}, idempotency_key="other-product")
    await gateway.create_plan(
        PlanRequest(product.product_id, "Monthly", Money(3900, "usd"), 30, metadata={PLAN_KEY: "monthly"}),
        idempotency_key="other-plan",
    )
    with pytest.raises(GatewayPlanDiffers, match="our mark for monthly version 1 in USD but its price"):
        await service.sync_gateway()
    assert not (await plans(units))["monthly"].sellable


async def test_a_plan_made_before_there_were_versions_is_the_first(
    service: CatalogService, gateway: WhopGateway
) -> None:
    await service.apply(SMALL)
    product = await gateway.create_product("Other", metadata={}, idempotency_key="other-product")
    request = PlanRequest(product.product_id, "Monthly", Money(2900, "usd"), 30, 7, metadata={PLAN_KEY: "monthly"})
    await gateway.create_plan(request, idempotency_key="an-earlier-plan")
    report = await service.sync_gateway()
    assert report.adopted == (PriceRef("monthly", 1, "usd"),)
    assert PriceRef("monthly", 1, "eur") in report.created


async def test_what_the_gateway_does_not_sell_any_more_is_reported(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway, emulator: RunningEmulator
) -> None:
    await service.apply(SMALL)
    await service.sync_gateway()
    await gateway.archive_plan(str((await plans(units))["lifetime"].whop_plan_id))
    assert (await service.sync_gateway()).missing == (PriceRef("lifetime", 1, "usd"),)
    await emulator.reset()
    assert (await service.sync_gateway()).missing == SMALL_REFS


def test_a_mark_that_is_not_ours() -> None:
    plan = GatewayPlan("plan_x", None, None, Money(2900, "usd"), 30, None, archived=False)
    assert mark_of(plan) is None
    assert mark_of(replace(plan, metadata={PLAN_KEY: "monthly"})) == PriceRef("monthly", 1, "usd")
    assert mark_of(replace(plan, metadata={PLAN_KEY: "monthly", "quntedge_version": "two"})) is None
    assert mark_of(replace(plan, price=None, metadata={PLAN_KEY: "monthly"})) is None
