"""One use case, one transaction: all of it or nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from quntedge.storage.engine import libpq_url
from quntedge.storage.events import EventBus
from quntedge.storage.notify import Listener
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import DataKey


@dataclass(frozen=True)
class Ordered:
    """A fact."""

    number: int


@dataclass(frozen=True)
class Shipped:
    """A fact that follows from the other."""

    number: int


async def _write(unit: UnitOfWork, name: str) -> None:
    unit.session.add(DataKey(person_id=name, created_at=unit.clock.now()))
    await unit.session.flush()


async def _written(units: UnitOfWorkFactory) -> list[str]:
    async with units() as unit:
        found = await unit.session.execute(text("SELECT person_id FROM data_key ORDER BY person_id"))
        return list(found.scalars())


async def _interrupted(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        await _write(unit, "interrupted")
        raise RuntimeError("in the middle")


async def test_leaving_without_a_commit_undoes_everything(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        await _write(unit, "forgotten")
    with pytest.raises(RuntimeError, match="in the middle"):
        await _interrupted(units)
    async with units() as unit:
        await _write(unit, "regretted")
        await unit.rollback()
        await _write(unit, "kept")
        await unit.commit()
    assert await _written(units) == ["kept"]


async def test_a_subscriber_that_fails_undoes_everything(units: UnitOfWorkFactory, bus: EventBus) -> None:
    async def ship(unit: UnitOfWork, facts: Sequence[Ordered]) -> None:
        await _write(unit, "shipped")

    async def refuse(unit: UnitOfWork, facts: Sequence[Ordered]) -> None:
        raise RuntimeError("no room")

    bus.subscribe(Ordered, ship)
    bus.subscribe(Ordered, refuse)
    async with units() as unit:
        await _write(unit, "ordered")
        unit.record(Ordered(1))
        with pytest.raises(RuntimeError, match="no room"):
            await unit.commit()
    assert await _written(units) == []


async def test_subscribers_get_all_facts_of_a_type_at_once_and_may_record_more(
    units: UnitOfWorkFactory, bus: EventBus
) -> None:
    calls: list[list[object]] = []

    async def ship(unit: UnitOfWork, facts: Sequence[Ordered]) -> None:
        calls.append(list(facts))
        seen = await unit.session.execute(text("SELECT count(*) FROM data_key"))
        assert seen.scalar_one() == 1, "what the use case wrote must be visible"
        unit.record(*(Shipped(fact.number) for fact in facts))

    async def book(unit: UnitOfWork, facts: Sequence[Shipped]) -> None:
        calls.append(list(facts))
        for fact in facts:
            await _write(unit, f"shipped {fact.number}")

    bus.subscribe(Ordered, ship)
    bus.subscribe(Shipped, book)
    async with units() as unit:
        unit.session.add(DataKey(person_id="order", created_at=unit.clock.now()))
        unit.record(Ordered(1), "a fact nobody wants", Ordered(2))
        await unit.commit()
    assert calls == [[Ordered(1), Ordered(2)], [Shipped(1), Shipped(2)]]
    assert await _written(units) == ["order", "shipped 1", "shipped 2"]


async def test_a_rolled_back_unit_forgets_its_facts(units: UnitOfWorkFactory, bus: EventBus) -> None:
    heard: list[object] = []

    async def hear(unit: UnitOfWork, facts: Sequence[Ordered]) -> None:
        heard.extend(facts)

    bus.subscribe(Ordered, hear)
    async with units() as unit:
        unit.record(Ordered(1))
        await unit.rollback()
        unit.record(Ordered(2))
        await unit.commit()
    assert heard == [Ordered(2)]


@pytest.fixture
async def notices(database_url: str) -> AsyncIterator[asyncio.Queue[str]]:
    """What is heard on the channel `news`."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    listener = Listener(libpq_url(database_url))
    listener.subscribe("news", queue.put_nowait)
    await listener.start()
    assert await queue.get() == ""
    yield queue
    await listener.stop()


async def test_notifications_leave_with_the_commit_and_only_then(
    units: UnitOfWorkFactory, bus: EventBus, notices: "asyncio.Queue[str]"
) -> None:
    async def tell(unit: UnitOfWork, facts: Sequence[Ordered]) -> None:
        unit.notify("news", "from a subscriber")

    bus.subscribe(Ordered, tell)
    async with units() as unit:
        unit.notify("news", "left behind")
    async with units() as unit:
        unit.notify("news", "rolled back")
        await unit.rollback()
        await unit.commit()
    async with units() as unit:
        for payload in ("once", "once", "twice"):
            unit.notify("news", payload)
        unit.record(Ordered(1))
        await unit.commit()
        await unit.commit()
    async with asyncio.timeout(60):
        assert [await notices.get() for _ in range(3)] == ["once", "twice", "from a subscriber"]
    assert notices.empty()


async def test_the_driver_connection_is_in_the_same_transaction(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        driver = await unit.driver_connection()
        await driver.execute("INSERT INTO data_key (person_id, created_at) VALUES ('raw', now())")
        await unit.rollback()
    assert await _written(units) == []
