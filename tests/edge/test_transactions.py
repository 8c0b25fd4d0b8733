"""Nothing is answered before it is committed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
from fastapi import APIRouter, Depends
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from quntedge.catalog.models import Feature
from quntedge.edge.callers import anyone
from quntedge.edge.transactions import Unit
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Shop, open_shop

router = APIRouter(prefix="/api/test", dependencies=[Depends(anyone)])


@dataclass(frozen=True)
class Touched:
    """A fact whose subscriber refuses."""


class Refused(Exception):
    """Raised by a subscriber."""


def add(unit: UnitOfWork, code: str) -> None:
    unit.session.add(Feature(code=code, name=code, position=99))


@router.get("/good")
async def good(unit: Unit) -> dict[str, str]:
    add(unit, "good")
    return {"answer": "done"}


@router.get("/deferred")
async def deferred(unit: Unit) -> dict[str, str]:
    add(unit, "deferred")
    await unit.session.flush()
    return {"answer": "done"}


@router.get("/subscriber")
async def subscriber(unit: Unit) -> dict[str, str]:
    add(unit, "subscriber")
    unit.record(Touched())
    return {"answer": "done"}


@router.get("/crash")
async def crash(unit: Unit) -> dict[str, str]:
    add(unit, "crash")
    await unit.session.flush()
    raise Refused("with a secret in it: hunter2")


@pytest.fixture
async def trying(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> AsyncIterator[Shop]:
    async with open_shop(settings, engine, units, clock, vault, extra=[router]) as shop:
        yield shop


async def features(shop: Shop) -> Sequence[str]:
    async with shop.units() as unit:
        return (await unit.session.scalars(select(Feature.code).where(Feature.position == 99))).all()


async def test_a_handled_request_is_committed(trying: Shop) -> None:
    answer = await trying.client().get("/api/test/good")
    assert (answer.status_code, answer.json()) == (200, {"answer": "done"})
    assert await features(trying) == ["good"]


async def test_a_commit_that_fails_is_not_answered_with_success(trying: Shop) -> None:
    async with trying.units() as unit:
        await unit.session.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$"
            )
        )
        await unit.session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON feature DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW WHEN (NEW.code = 'deferred') EXECUTE FUNCTION refuse()"
            )
        )
        await unit.commit()
    with capture_logs():
        answer = await trying.client().get("/api/test/deferred")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "internal_error"
    assert await features(trying) == []


async def test_a_subscriber_that_fails_fails_the_request(trying: Shop) -> None:
    async def refuse(unit: UnitOfWork, facts: Sequence[Touched]) -> None:
        raise Refused("no")

    trying.units.bus.subscribe(Touched, refuse)
    with capture_logs():
        answer = await trying.client().get("/api/test/subscriber")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert await features(trying) == []


async def test_a_crash_rolls_back_and_tells_nothing_but_its_request_id(trying: Shop) -> None:
    with capture_logs() as logs:
        answer = await trying.client().get("/api/test/crash", headers={"X-Request-ID": "my-request-1"})
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "my-request-1"
    assert await features(trying) == []
    crashes = [line for line in logs if line["event"] == "request.crashed"]
    assert len(crashes) == 1
    assert isinstance(crashes[0]["exc_info"], Refused)


async def test_a_connection_that_was_cut_is_a_503_that_says_to_come_back(trying: Shop) -> None:
    client = trying.client()
    async with trying.units() as first, trying.units() as second:
        for unit in (first, second):
            await unit.session.execute(text("SELECT 1"))
    async with trying.units() as unit:
        # Of the two connections in the pool this holds one and cuts the other, which is handed out next.
        await unit.session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        answer = await client.get("/api/test/good")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert await features(trying) == []
