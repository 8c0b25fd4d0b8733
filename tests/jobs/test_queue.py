"""Jobs live and die with the transaction that causes them."""

import pytest
from sqlalchemy import text

from quntedge.jobs.tasks import RETIRE_CHECKOUT, retire_later
from quntedge.storage.jobs import JobQueue, count_failed
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.conftest import START
from tests.jobs.conftest import jobs_in


async def test_a_job_is_committed_with_its_transaction(units: UnitOfWorkFactory, queue: JobQueue) -> None:
    async with units() as unit:
        await queue.defer(unit, "demo.task", number=7)
        assert await jobs_in(units) == []
        await unit.commit()
    assert await jobs_in(units) == [("demo.task", "todo", {"number": 7})]


async def test_a_job_is_rolled_back_with_its_transaction(units: UnitOfWorkFactory, queue: JobQueue) -> None:
    async with units() as unit:
        await queue.defer(unit, "demo.task")
        await unit.rollback()
        await queue.defer(unit, "demo.other")
    assert await jobs_in(units) == []


async def test_the_same_job_twice_in_one_transaction_does_not_poison_it(
    units: UnitOfWorkFactory, queue: JobQueue
) -> None:
    async with units() as unit, units() as other:
        for _ in range(2):
            await queue.defer(unit, "demo.task")
        await queue.defer(other, "demo.task")  # waits for nobody
        await other.commit()
        assert (await (await unit.connection()).execute(text("SELECT 1"))).scalar_one() == 1
        await unit.commit()
    assert len(await jobs_in(units)) == 3


async def test_many_jobs_are_one_statement(units: UnitOfWorkFactory, queue: JobQueue) -> None:
    async with units() as unit:
        await retire_later(queue)(unit, ["ch_1", "ch_2"])
        await retire_later(queue)(unit, [])
        await unit.commit()
    assert await jobs_in(units) == [
        (RETIRE_CHECKOUT, "todo", {"checkout_id": "ch_1"}),
        (RETIRE_CHECKOUT, "todo", {"checkout_id": "ch_2"}),
    ]


@pytest.mark.parametrize(("silent_for", "revived"), [("10 seconds", 0), ("2 minutes", 1)])
async def test_jobs_of_a_vanished_worker_wait_again(
    units: UnitOfWorkFactory, queue: JobQueue, silent_for: str, revived: int
) -> None:
    async with units() as unit:
        await queue.defer(unit, "demo.task")
        await unit.commit()
    async with queue.app.open_async():
        worker_id = await queue.app.job_manager.register_worker()
        assert await queue.app.job_manager.fetch_job(queues=None, worker_id=worker_id) is not None
        async with units() as unit:
            statement = text("UPDATE procrastinate_workers SET last_heartbeat = now() - CAST(:ago AS interval)")
            await (await unit.connection()).execute(statement, {"ago": silent_for})
            await unit.commit()
        assert await queue.revive_stalled() == revived
    assert [status for _, status, _ in await jobs_in(units)] == ["todo" if revived else "doing"]


async def test_jobs_that_ended_long_ago_are_deleted_and_others_stay(units: UnitOfWorkFactory, queue: JobQueue) -> None:
    ended = [("failed", 91), ("failed", 89), ("succeeded", 8), ("aborted", 8), ("cancelled", 6), ("todo", 400)]
    async with units() as unit:
        await queue.defer_many(unit, "demo.task", [{"days": days} for _, days in ended])
        for state, days in ended:
            named = {"state": state, "days": days}
            await unit.session.execute(text(_END), named)
            await unit.session.execute(text(_AGE), named)
        await unit.commit()
    async with units() as unit:
        assert await queue.purge(unit, START) == 3
        await unit.commit()
    assert sorted(state for _, state, _ in await jobs_in(units)) == ["cancelled", "failed", "todo"]
    async with units() as unit:
        assert await count_failed(await unit.connection()) == {"demo.task": 1}


_END = """
    UPDATE procrastinate_jobs SET status = CAST(:state AS procrastinate_job_status)
    WHERE (args ->> 'days')::int = :days AND status <> CAST(:state AS procrastinate_job_status)
"""
_AGE = """
    UPDATE procrastinate_events SET at = now() - make_interval(days => :days)
    FROM procrastinate_jobs AS job WHERE job_id = job.id AND (job.args ->> 'days')::int = :days
"""
