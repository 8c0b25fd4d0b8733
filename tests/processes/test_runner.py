"""Processes go on after a crash, a cut connection or a refusal, and nothing is done twice."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.gateway.errors import GatewayRejected
from quntedge.kit.clock import FrozenClock
from quntedge.processes.runner import HANDOVER, RUN, ProcessRunner, ProcessRunning
from quntedge.processes.steps import STUCK_AFTER, State, retry_at
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.conftest import START
from tests.processes.world import Book, Killed, Shop, once, three_steps


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def runner(units: UnitOfWorkFactory, engine: AsyncEngine, database_url: str, shop: Shop, book: Book) -> ProcessRunner:
    runner = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
    runner.add(three_steps(shop, book))
    return runner


async def started(runner: ProcessRunner, units: UnitOfWorkFactory, subject: str = "s1") -> str:
    async with units() as unit:
        process_id = await runner.start(unit, "order", subject, data={"why": "test"})
        await unit.commit()
    return process_id


async def test_goes_from_step_to_step(runner: ProcessRunner, units: UnitOfWorkFactory, shop: Shop, book: Book) -> None:
    process_id = await started(runner, units)
    view = await runner.run(process_id)
    assert view is not None
    assert (view.state, view.reason) == (State.DONE, None)
    assert view.data == {"why": "test", "charged": True, "flagged": True}
    assert shop.calls == ["charge", "flag"]
    assert shop.flags == {"ch-s1"}
    assert [name for name, _ in book.settled] == ["charge", "flag"]
    assert await runner.run(process_id) == view
    assert shop.calls == ["charge", "flag"]
    assert await runner.run("prc_unknown") is None


@pytest.mark.parametrize("point", ["before charge", "after charge", "before flag", "after flag"])
@pytest.mark.parametrize("kind", ["killed", "unknown"])
async def test_cut_off_anywhere_it_is_completed_with_one_charge(
    runner: ProcessRunner, units: UnitOfWorkFactory, clock: FrozenClock, shop: Shop, book: Book, point: str, kind: str
) -> None:
    process_id = await started(runner, units)
    shop.trouble = once(point, Killed() if kind == "killed" else None)
    if kind == "killed":
        with pytest.raises(Killed):
            await runner.run(process_id)
    else:
        view = await runner.run(process_id)
        assert view is not None
        assert (view.state, view.reason) == (State.RUNNING, "cut off")
    assert await runner.resume_due() == 0
    clock.advance(HANDOVER)
    assert await runner.resume_due() == 1
    view = await runner.view(process_id)
    assert view is not None
    assert (view.state, view.reason, view.stuck) == (State.DONE, None, False)
    assert len(shop.charges) == 1
    assert shop.flags == {"ch-s1"}
    assert [name for name, _ in book.settled] == ["charge", "flag"]
    assert shop.calls.count("charge") == (2 if point == "before charge" else 1)


async def test_killed_between_two_steps(
    runner: ProcessRunner, units: UnitOfWorkFactory, clock: FrozenClock, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the commit of one step, before the intention of the next is written."""
    process_id = await started(runner, units)
    begin = runner._begin
    begun = 0

    async def dies_at_the_second(process_id: str) -> object:
        nonlocal begun
        begun += 1
        if begun == 2:
            raise Killed
        return await begin(process_id)

    monkeypatch.setattr(runner, "_begin", dies_at_the_second)
    with pytest.raises(Killed):
        await runner.run(process_id)
    assert shop.calls == ["charge"]
    clock.advance(HANDOVER)
    await runner.resume_due()
    assert shop.calls == ["charge", "flag"]


async def test_a_refusal_ends_it_by_its_own_rule(
    runner: ProcessRunner, units: UnitOfWorkFactory, shop: Shop, book: Book
) -> None:
    shop.trouble = once("before flag", GatewayRejected("not that one"))
    view = await runner.run(await started(runner, units))
    assert view is not None
    assert (view.state, view.reason, view.data["detail"]) == (State.FAILED, "flag_refused", "not that one")
    assert [why.reason for why in book.given_up] == ["flag_refused"]


async def test_a_refusal_without_a_rule_gives_up(
    runner: ProcessRunner, units: UnitOfWorkFactory, shop: Shop, book: Book
) -> None:
    shop.trouble = once("before charge", GatewayRejected("no"))
    view = await runner.run(await started(runner, units))
    assert view is not None
    assert (view.state, view.reason) == (State.FAILED, "gateway_rejected")
    assert book.settled == []


async def test_an_unexpected_error_is_raised_and_the_process_put_off(
    runner: ProcessRunner, units: UnitOfWorkFactory, clock: FrozenClock, shop: Shop
) -> None:
    process_id = await started(runner, units)
    shop.trouble = once("after charge", LookupError("a bug"))
    with pytest.raises(LookupError):
        await runner.run(process_id)
    view = await runner.view(process_id)
    assert view is not None
    assert view.reason == "LookupError: a bug"
    clock.advance(timedelta(seconds=5))
    assert await runner.resume_due() == 1
    assert len(shop.charges) == 1


async def test_what_fails_again_and_again_is_stuck_but_not_forgotten(
    runner: ProcessRunner, units: UnitOfWorkFactory, clock: FrozenClock, shop: Shop
) -> None:
    process_id = await started(runner, units)

    def always(point: str) -> None:
        raise LookupError(point)

    shop.trouble = always
    with pytest.raises(LookupError):
        await runner.run(process_id)
    for failures in range(1, STUCK_AFTER):
        view = await runner.view(process_id)
        assert view is not None
        assert not view.stuck
        clock.advance(retry_at(failures, clock.now()) - clock.now())
        assert await runner.resume_due() == 1
    view = await runner.view(process_id)
    assert view is not None
    assert view.stuck
    shop.trouble = lambda point: None
    clock.advance(timedelta(days=1))
    await runner.resume_due()
    view = await runner.view(process_id)
    assert view is not None
    assert (view.state, view.stuck) == (State.DONE, False)


async def until_waiting(units: UnitOfWorkFactory) -> None:
    """Returns once a connection waits for another one's transaction."""
    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(60):
        while True:
            async with units() as unit:
                if await unit.session.scalar(blocked):
                    return
            await asyncio.sleep(0.01)


async def test_one_of_a_kind_runs_for_a_subject(runner: ProcessRunner, units: UnitOfWorkFactory) -> None:
    process_id = await started(runner, units)
    async with units() as unit:
        assert await runner.running(unit, "order", "s1") == process_id
        with pytest.raises(ProcessRunning):
            await runner.start(unit, "order", "s1")
    async with units() as first, units() as second:  # both have looked before either has written
        await runner.start(first, "order", "s2")
        waiting = asyncio.create_task(runner.start(second, "order", "s2"))
        await until_waiting(units)
        await first.commit()
        with pytest.raises(ProcessRunning):
            await waiting
    await runner.run(process_id)
    await started(runner, units)


async def test_a_process_in_somebodys_hands_is_left_alone(
    runner: ProcessRunner,
    units: UnitOfWorkFactory,
    engine: AsyncEngine,
    database_url: str,
    clock: FrozenClock,
    shop: Shop,
    book: Book,
) -> None:
    other = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
    other.add(three_steps(shop, book))
    process_id = await started(runner, units)
    inside, go_on = asyncio.Event(), asyncio.Event()
    charge = shop.charge

    async def slow(run: object) -> object:
        inside.set()
        await go_on.wait()
        return await charge(run)  # type: ignore[arg-type]

    held = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
    shop.charge = slow  # type: ignore[method-assign,assignment]
    held.add(three_steps(shop, book))
    running = asyncio.create_task(held.run(process_id))
    await inside.wait()
    clock.advance(timedelta(days=1))
    assert await other.resume_due() == 1
    assert shop.calls == []
    go_on.set()
    view = await running
    assert view is not None
    assert view.state is State.DONE
    assert shop.calls == ["charge", "flag"]


async def test_waits_until_its_time_or_a_nudge(
    units: UnitOfWorkFactory, engine: AsyncEngine, database_url: str, clock: FrozenClock, shop: Shop, book: Book
) -> None:
    runner = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
    runner.add(three_steps(shop, book, wait=True))
    first, second = await started(runner, units, "s1"), await started(runner, units, "s2")
    for process_id in (first, second):
        await runner.run(process_id)
        view = await runner.run(process_id)  # too early: nothing happens
        assert view is not None
        assert (view.state, view.step) == (State.RUNNING, "flag")
    assert shop.calls == ["charge", "charge"]
    async with units() as unit:
        await runner.nudge(unit, [first, "prc_unknown"])
        await unit.commit()
        jobs = await unit.session.execute(text("SELECT task_name, args FROM procrastinate_jobs"))
        assert [tuple(row) for row in jobs] == [(RUN, {"process_id": first})]
    await runner.run(first)
    assert shop.flags == {"ch-s1"}
    clock.set(START.replace(year=START.year + 1))
    assert await runner.resume_due() == 1
    assert shop.flags == {"ch-s1", "ch-s2"}


async def test_many_are_resumed_in_one_go(
    runner: ProcessRunner, units: UnitOfWorkFactory, clock: FrozenClock, shop: Shop
) -> None:
    for number in range(120):
        await started(runner, units, f"s{number}")
    clock.advance(HANDOVER)
    assert await runner.resume_due() == 120
    assert len(shop.charges) == len(shop.flags) == 120
    assert await runner.resume_due() == 0
