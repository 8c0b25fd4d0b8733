from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.kit.metrics import COUNTED_IN_THE_DATABASE
from quntedge.settings import Settings
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Shop, open_shop


async def test_live_and_ready(shop: Shop) -> None:
    client = shop.client()
    assert (await client.get("/health/live")).json() == {"status": "live"}
    ready = await client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["schema"]


async def test_a_database_ahead_of_the_program_is_ready_and_one_behind_is_not(shop: Shop) -> None:
    async with shop.units() as unit:
        await unit.session.execute(text("UPDATE alembic_version SET version_num = 'newer'"))
        await unit.commit()
    assert (await shop.client().get("/health/ready")).json() == {"status": "ready", "schema": "newer"}
    async with shop.units() as unit:
        await unit.session.execute(text("DROP TABLE alembic_version"))
        await unit.commit()
    answer = await shop.client().get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert "quntedge migrate" in answer.json()["detail"]


async def test_a_database_that_is_not_there_is_not_ready_but_alive(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    nowhere = create_engine("postgresql://nobody:hidden@127.0.0.1:1/none")
    async with open_shop(settings, engine, units, clock, vault, changes={"engine": nowhere}) as shop:
        client = shop.client()
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert "hidden" not in answer.text
        assert (await client.get("/health/live")).status_code == 200
    await nowhere.dispose()


async def test_metrics_are_for_prometheus(shop: Shop) -> None:
    answer = await shop.client().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "quntedge_webhooks_received_total" in answer.text


async def test_without_a_database_metrics_still_tell_of_the_process(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    nowhere = create_engine("postgresql://nobody:hidden@127.0.0.1:1/none")
    away = UnitOfWorkFactory(session_factory(nowhere), clock, units.bus)
    async with open_shop(settings, engine, units, clock, vault, changes={"units": away}) as shop:
        answer = await shop.client().get("/metrics")
    await nowhere.dispose()
    assert answer.status_code == 200
    assert "quntedge_webhooks_received_total" in answer.text
    for gauge in COUNTED_IN_THE_DATABASE:
        (metric,) = gauge.collect()
        assert f"\n{metric.name} NaN\n" in answer.text


async def test_the_description_covers_every_route_of_the_api(shop: Shop) -> None:
    document = (await shop.client().get("/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    for path in ("/api/subscription/access", "/api/subscription/access/{feature}", "/api/payment/checkout"):
        assert path in document["paths"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert "Caller:" in operation["description"], (method, path)
            if path.startswith("/api/"):
                assert "application/problem+json" in operation["responses"]["429"]["content"], (method, path)
    checkout = document["paths"]["/api/payment/checkout"]["post"]
    assert checkout["security"] == [{"session": [], "csrf": []}]
    access = document["paths"]["/api/subscription/access"]["get"]
    assert access["security"] == [{"session": []}, {"service_key": ["access:read"]}]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["schemas"]["CheckoutIn"]["examples"] == [{"plan": "monthly"}]


async def test_nothing_interactive_is_served(shop: Shop) -> None:
    client = shop.client()
    assert (await client.get("/docs", headers={"Accept": "application/json"})).status_code == 404
    assert (await client.get("/redoc", headers={"Accept": "application/json"})).status_code == 404
