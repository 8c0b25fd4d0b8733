"""Chores are done when our clock says so, each for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from quntedge.jobs.sweeps import housekeeping, in_unit
from quntedge.jobs.ticker import Sweep, Ticker
from quntedge.kit.clock import FrozenClock
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.jobs.conftest import jobs_in, until

HOUR = timedelta(hours=1)


class Chore:
    """Counts its runs; does what it is told to on the way."""

    def __init__(self, on_run: Callable[[], object] = lambda: None) -> None:
        self.runs = 0
        self.on_run = on_run

    async def __call__(self) -> int:
        self.runs += 1
        self.on_run()
        await asyncio.sleep(0)
        return 1


@asynccontextmanager
async def ticking(ticker: Ticker) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    running = asyncio.create_task(ticker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await running


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_sweep_runs_at_the_start_and_then_when_its_time_has_come(clock: FrozenClock) -> None:
    chore = Chore()
    ticker = Ticker(clock, [Sweep("chore", HOUR, chore)], beat_seconds=60)
    async with ticking(ticker):
        await until(lambda: chore.runs == 1)
        for ahead, runs in ((timedelta(minutes=59), 1), (timedelta(minutes=1), 2), (timedelta(days=30), 3)):
            clock.advance(ahead)
            ticker.wake()
            await _settle()
            assert chore.runs == runs


async def test_the_clock_is_looked_at_without_being_woken(clock: FrozenClock) -> None:
    chore = Chore()
    async with ticking(Ticker(clock, [Sweep("chore", HOUR, chore)], beat_seconds=0.01)):
        await until(lambda: chore.runs == 1)
        clock.advance(HOUR)
        await until(lambda: chore.runs == 2)


async def test_a_clock_set_back_does_not_stall_a_sweep(clock: FrozenClock) -> None:
    chore = Chore()
    ticker = Ticker(clock, [Sweep("chore", HOUR, chore)], beat_seconds=60)
    async with ticking(ticker):
        await until(lambda: chore.runs == 1)
        clock.set(clock.now() - timedelta(days=365))
        ticker.wake()
        await until(lambda: chore.runs == 2)


async def test_a_jump_during_a_run_is_not_missed(clock: FrozenClock) -> None:
    chore = Chore()
    ticker = Ticker(clock, [Sweep("chore", HOUR, chore)], beat_seconds=60)

    def jump() -> None:
        if chore.runs == 1:
            clock.advance(timedelta(days=30))
            ticker.wake()

    chore.on_run = jump
    async with ticking(ticker):
        await until(lambda: chore.runs == 2)


async def test_a_failing_sweep_is_logged_comes_again_and_harms_no_other(clock: FrozenClock) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    failing, fine = Chore(fail), Chore()
    ticker = Ticker(clock, [Sweep("failing", HOUR, failing), Sweep("fine", HOUR, fine)], beat_seconds=60)
    with capture_logs() as logs:
        async with ticking(ticker):
            await until(lambda: failing.runs == fine.runs == 1)
            clock.advance(HOUR)
            ticker.wake()
            await until(lambda: failing.runs == fine.runs == 2)
    assert [entry["sweep"] for entry in logs if entry["event"] == "sweep.failed"] == ["failing"] * 2


async def test_a_slow_sweep_neither_delays_others_nor_overlaps_itself_and_is_finished_at_the_stop(
    clock: FrozenClock,
) -> None:
    release = asyncio.Event()
    started, finished = [], []

    async def slow() -> int:
        started.append(1)
        await release.wait()
        finished.append(1)
        return 0

    quick = Chore()
    ticker = Ticker(clock, [Sweep("slow", HOUR, slow), Sweep("quick", HOUR, quick)], beat_seconds=60)
    async with ticking(ticker) as stop:
        for runs in (1, 2, 3):
            await until(lambda runs=runs: quick.runs == runs)  # type: ignore[misc]
            clock.advance(HOUR)
            ticker.wake()
        assert (len(started), len(finished)) == (1, 0)
        stop.set()
        await _settle()
        release.set()
    assert (len(started), len(finished)) == (1, 1)


def test_two_sweeps_of_one_name_are_a_mistake(clock: FrozenClock) -> None:
    with pytest.raises(ValueError, match="same name"):
        Ticker(clock, [Sweep("chore", HOUR, Chore()), Sweep("chore", HOUR, Chore())])


async def test_a_chore_in_a_unit_is_committed_and_one_that_raises_is_not(
    units: UnitOfWorkFactory, queue: JobQueue
) -> None:
    async def good(unit: UnitOfWork, now: object) -> int:
        assert now == unit.clock.now()
        await queue.defer(unit, "good")
        return 3

    async def bad(unit: UnitOfWork, _now: object) -> int:
        await queue.defer(unit, "bad")
        await (await unit.connection()).execute(text("SELECT 1/0"))
        return 1

    assert await in_unit("good", HOUR, units, good).run() == 3
    with pytest.raises(Exception, match="division by zero"):
        await in_unit("bad", HOUR, units, bad).run()
    assert [task for task, _, _ in await jobs_in(units)] == ["good"]


async def test_the_housekeeping_calls_what_it_is_given(units: UnitOfWorkFactory) -> None:
    async def dated(_unit: UnitOfWork, now: object) -> int:
        return int(now == units.clock.now())

    async def undated(_unit: UnitOfWork) -> int:
        return 3

    sweeps = housekeeping(units, expire_checkouts=dated, purge_idempotency=dated, maintain_inbox=undated)
    assert [await sweep.run() for sweep in sweeps] == [1, 1, 3]
