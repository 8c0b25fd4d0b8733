import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from quntedge.catalog import queries
from quntedge.catalog.queries import PlanView
from quntedge.catalog.rules import CatalogFile, GatewayPlanDiffers, PlanTermsFixed
from quntedge.catalog.service import PLAN_KEY, CatalogService
from quntedge.catalog.toml import packaged
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.gateway.port import PlanRequest
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.catalog.test_rules import with_plan, without_feature, without_plan

SEED = packaged()
PAID = ("monthly", "quarterly", "yearly", "lifetime")


class CutAfter(httpx.AsyncHTTPTransport):
    """Loses the answer to the n-th POST after it was executed, as a connection that breaks at the wrong moment."""

    def __init__(self) -> None:
        super().__init__()
        self.lose_in = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method == "POST" and self.lose_in:
            self.lose_in -= 1
            if not self.lose_in:
                await response.aread()
                raise httpx.ReadError("the connection was cut")
        return response


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    async with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def wire() -> CutAfter:
    return CutAfter()


@pytest.fixture
async def gateway(emulator: RunningEmulator, wire: CutAfter) -> AsyncIterator[WhopGateway]:
    config = emulator.config
    gateway = connect(WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url), transport=wire)
    yield gateway
    await gateway.close()


@pytest.fixture
def service(units: UnitOfWorkFactory, gateway: WhopGateway) -> CatalogService:
    return CatalogService(units, gateway)


async def plans(units: UnitOfWorkFactory, *, archived: bool = False) -> dict[str, PlanView]:
    async with units() as unit:
        return {plan.code: plan for plan in await queries.plans(unit.session, include_archived=archived)}


async def test_the_seed_is_applied_once(service: CatalogService, units: UnitOfWorkFactory) -> None:
    assert len(await service.apply(SEED)) == 13
    assert await service.apply(SEED) == []
    found = await plans(units)
    assert list(found) == ["free", *PAID]
    monthly = found["monthly"]
    assert (monthly.price, monthly.period_days, monthly.trial_days, monthly.grace_days) == (
        Money(2900, "usd"),
        30,
        7,
        7,
    )
    assert [feature.code for feature in monthly.features] == [
        "basic_dashboard",
        "limited_accounts",
        "community_access",
        "unlimited_accounts",
        "advanced_analytics",
    ]
    assert not any(plan.sellable for plan in found.values())


async def test_two_applies_at_once(service: CatalogService, units: UnitOfWorkFactory) -> None:
    changes = await asyncio.gather(*(service.apply(SEED) for _ in range(4)))
    assert sorted(map(len, changes)) == [0, 0, 0, 13]


async def test_changes_reach_the_rows(service: CatalogService, units: UnitOfWorkFactory) -> None:
    await service.apply(SEED)
    ids = {code: plan.id for code, plan in (await plans(units)).items()}
    dearer = replace(SEED.plans["monthly"], price=Money(3100, "usd"), tagline="new", features=("basic_dashboard",))
    wanted = without_plan(without_feature(with_plan(SEED, dearer), "custom_integrations"), "yearly")
    await service.apply(wanted)
    found = await plans(units)
    assert "yearly" not in found
    assert (found["monthly"].price, found["monthly"].tagline) == (Money(3100, "usd"), "new")
    assert [f.code for f in found["monthly"].features] == ["basic_dashboard"]
    assert "custom_integrations" not in [f.code for f in found["lifetime"].features]
    await service.apply(SEED)
    assert {code: plan.id for code, plan in (await plans(units)).items()} == ids
    assert await service.apply(SEED) == []


async def test_the_free_plan_may_move_to_another_code(service: CatalogService, units: UnitOfWorkFactory) -> None:
    await service.apply(SEED)
    starter = replace(SEED.plans["free"], code="a_starter", name="Starter")
    await service.apply(without_plan(CatalogFile(SEED.features, {"a_starter": starter, **SEED.plans}), "free"))
    async with units() as unit:
        free = await queries.free_plan(unit.session)
    assert free is not None
    assert free.code == "a_starter"


async def test_a_refused_change_changes_nothing(service: CatalogService, units: UnitOfWorkFactory) -> None:
    await service.apply(SEED)
    await service.sync_gateway()
    before = await plans(units)
    other = with_plan(SEED, replace(SEED.plans["free"], tagline="changed"))
    with pytest.raises(PlanTermsFixed):
        await service.apply(with_plan(other, replace(SEED.plans["yearly"], price=Money(1, "usd"))))
    assert await plans(units) == before


async def test_the_gateway_gets_every_paid_plan_once(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SEED)
    assert (await service.sync_gateway()).created == PAID
    report = await service.sync_gateway()
    assert (report.created, report.adopted, report.missing) == ((), (), ())
    there = {plan.metadata[PLAN_KEY]: plan for plan in await gateway.plans()}
    assert len(await gateway.plans()) == 4
    assert len(await gateway.products()) == 1
    for code, plan in (await plans(units)).items():
        assert plan.sellable is (code != "free")
        if code != "free":
            assert plan.whop_plan_id == there[code].plan_id
            assert plan.whop_product_id == (await gateway.products())[0].product_id
            assert (there[code].price, there[code].period_days) == (plan.price, plan.period_days)
            assert (there[code].trial_days or 0) == plan.trial_days


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_a_crash_at_any_creation_makes_no_second_one(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway, wire: CutAfter, lost: int
) -> None:
    await service.apply(SEED)
    wire.lose_in = lost
    with pytest.raises(GatewayOutcomeUnknown):
        await service.sync_gateway()
    report = await service.sync_gateway()
    assert len(report.adopted) == (1 if lost > 1 else 0)
    assert (len(await gateway.products()), len(await gateway.plans())) == (1, 4)
    assert all(plan.sellable for code, plan in (await plans(units)).items() if code != "free")


async def test_two_syncs_at_once_make_no_second_plan(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SEED)
    await asyncio.gather(*(service.sync_gateway() for _ in range(3)), return_exceptions=True)
    await service.sync_gateway()
    assert (len(await gateway.products()), len(await gateway.plans())) == (1, 4)
    assert all(plan.sellable for code, plan in (await plans(units)).items() if code != "free")


async def test_a_marked_plan_with_other_terms_is_not_adopted(
    service: CatalogService, units: UnitOfWorkFactory, gateway: WhopGateway
) -> None:
    await service.apply(SEED)
    product = await gateway.create_product("Other", metadata={}, idempotency_key="other-product")
    await gateway.create_plan(
        PlanRequest(product.product_id, "Monthly", Money(3900, "usd"), 30, metadata={PLAN_KEY: "monthly"}),
        idempotency_key="other-plan",
    )
    with pytest.raises(GatewayPlanDiffers, match="'monthly' but its price"):
        await service.sync_gateway()
    assert not (await plans(units))["monthly"].sellable


async def test_a_plan_that_vanished_at_the_gateway_is_reported(
    service: CatalogService, emulator: RunningEmulator
) -> None:
    await service.apply(SEED)
    await service.sync_gateway()
    await emulator.reset()
    assert (await service.sync_gateway()).missing == PAID


async def test_reading(service: CatalogService, units: UnitOfWorkFactory) -> None:
    await service.apply(SEED)
    await service.sync_gateway()
    await service.apply(without_plan(SEED, "yearly"))
    found = await plans(units, archived=True)
    async with units() as unit:
        assert (await queries.plan_by_code(unit.session, "yearly")) == found["yearly"]
        assert found["yearly"].archived
        for nothing in ("unknown", "", "\x00", "\ud800", "x" * 10_000):
            assert await queries.plan_by_code(unit.session, nothing) is None
        ids = [found["free"].id, found["yearly"].id, "plan_unknown"]
        assert await queries.plans_by_id(unit.session, ids) == {p.id: p for p in (found["free"], found["yearly"])}
        assert await queries.plans_by_id(unit.session, []) == {}
        assert [f.code for f in await queries.features(unit.session)] == list(SEED.features)
