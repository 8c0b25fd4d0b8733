"""Chores are done when our clock says so, each for itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from quntedge.jobs.sweeps import housekeeping, in_unit
from quntedge.jobs.ticker import NEVER, Awaited, Sweep, Ticker
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


async def test_a_leap_alone_is_no_reason_for_a_chore_that_says_so(clock: FrozenClock) -> None:
    weekly, never, always = Chore(), Chore(), Chore()
    traveling = [True]
    ticker = Ticker(
        clock,
        [
            Sweep("weekly", HOUR, weekly, in_leaps=timedelta(days=7)),
            Sweep("never", HOUR, never, in_leaps=NEVER),
            Sweep("always", HOUR, always),
        ],
        beat_seconds=60,
        traveling=lambda: traveling[0],
    )
    async with ticking(ticker):
        await until(lambda: weekly.runs == never.runs == always.runs == 1)
        for day in range(1, 16):
            clock.advance(timedelta(days=1))
            assert ticker.busy
            ticker.wake()
            await until(lambda: not ticker.busy)
            assert (weekly.runs, never.runs, always.runs) == (1 + day // 7, 1, 1 + day)
        traveling[0] = False  # arrived: everything whose time has come
        assert ticker.busy
        ticker.wake()
        await until(lambda: not ticker.busy)
        assert (weekly.runs, never.runs, always.runs) == (4, 2, 16)
        assert ticker.begun == weekly.runs + never.runs + always.runs


async def test_the_clock_is_asked_to_stop_for_what_a_chore_waits_for(clock: FrozenClock) -> None:
    mails, news = Chore(), Chore()
    ticker = Ticker(
        clock,
        [
            Sweep("mails", HOUR, mails, waits_for=Awaited.MAILS, in_leaps=NEVER),
            Sweep("news", HOUR, news, waits_for=Awaited.NEWS, in_leaps=NEVER),
        ],
        beat_seconds=60,
        traveling=lambda: True,
    )
    assert ticker.next_wanted({Awaited.MAILS: clock.now()}) is None  # nothing has run: everything is due anyway
    async with ticking(ticker):
        await until(lambda: mails.runs == news.runs == 1)
        began, day = clock.now(), timedelta(days=1)
        assert ticker.next_wanted({}) is None
        # What was due when it last ran has had its chance; and it does not come sooner than its pace allows.
        assert ticker.next_wanted({Awaited.MAILS: began}) is None
        assert ticker.next_wanted({Awaited.MAILS: began + HOUR / 2}) == began + HOUR
        assert ticker.next_wanted({Awaited.MAILS: began + 3 * HOUR}) == began + 3 * HOUR, "the earlier one is settled"
        assert ticker.next_wanted({Awaited.MAILS: None}) is None
        # Later news do not put off what earlier news asked for.
        assert ticker.next_wanted({Awaited.NEWS: began + day}) == began + day
        assert ticker.next_wanted({Awaited.NEWS: began + 2 * day}) == began + day
        clock.advance(day)
        ticker.wake()
        await until(lambda: news.runs == 2)
        assert mails.runs == 1
        assert ticker.next_wanted({Awaited.NEWS: began + 2 * day}) == began + 2 * day


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
