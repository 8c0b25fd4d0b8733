"""Notifications, and what happens when their connection is lost."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from quntedge.storage.engine import libpq_url
from quntedge.storage.notify import Listener
from quntedge.storage.unit_of_work import UnitOfWorkFactory

Heard = asyncio.Queue[tuple[str, str]]


@pytest.fixture
async def heard(database_url: str) -> AsyncIterator[Heard]:
    """What a running listener hears on the channels `first` and `second`."""
    queue: Heard = asyncio.Queue()
    listener = Listener(libpq_url(database_url), reconnect_seconds=0.01)
    for channel in ("first", "second"):
        listener.subscribe(channel, partial(_hear, queue, channel))
    await listener.start()
    yield queue
    await listener.stop()


def _hear(queue: Heard, channel: str, payload: str) -> None:
    queue.put_nowait((channel, payload))


async def _next(heard: Heard, count: int = 1) -> list[tuple[str, str]]:
    async with asyncio.timeout(60):
        return [await heard.get() for _ in range(count)]


async def _notify(units: UnitOfWorkFactory, *notices: tuple[str, str]) -> None:
    async with units() as unit:
        for channel, payload in notices:
            unit.notify(channel, payload)
        await unit.commit()


async def test_each_channel_hears_its_own(heard: Heard, units: UnitOfWorkFactory) -> None:
    assert await _next(heard, 2) == [("first", ""), ("second", "")]
    await _notify(units, ("first", "usr_1"), ("other", "nobody"), ("second", "usr_2"))
    assert await _next(heard, 2) == [("first", "usr_1"), ("second", "usr_2")]
    assert heard.empty()


async def test_after_a_lost_connection_everybody_is_called_once_and_hears_again(
    heard: Heard, units: UnitOfWorkFactory
) -> None:
    await _next(heard, 2)
    for _ in range(2):
        async with units() as unit:
            terminated = await unit.session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
                )
            )
            assert [row[0] for row in terminated] == [True]
        assert await _next(heard, 2) == [("first", ""), ("second", "")]
        await _notify(units, ("second", "after"))
        assert await _next(heard) == [("second", "after")]
    assert heard.empty()


async def test_a_stopped_listener_hears_nothing(database_url: str, units: UnitOfWorkFactory) -> None:
    said: list[str] = []
    listener = Listener(libpq_url(database_url))
    listener.subscribe("first", said.append)
    await listener.start()
    await listener.stop()
    await _notify(units, ("first", "late"))
    assert said == [""]
    left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    async with asyncio.timeout(60), units() as unit:
        while (await unit.session.execute(text(left))).scalar_one():
            await asyncio.sleep(0.01)


async def test_a_callback_that_fails_harms_nobody(database_url: str, units: UnitOfWorkFactory) -> None:
    queue: Heard = asyncio.Queue()

    def broken(_payload: str) -> None:
        raise LookupError("a broken subscriber")

    listener = Listener(libpq_url(database_url))
    listener.subscribe("first", broken)
    listener.subscribe("first", partial(_hear, queue, "first"))
    with capture_logs() as logs:
        await listener.start()
        await _notify(units, ("first", "one"), ("first", "two"))
        assert await _next(queue, 3) == [("first", ""), ("first", "one"), ("first", "two")]
        await listener.stop()
    assert [entry["event"] for entry in logs] == ["listener.callback_failed"] * 3
