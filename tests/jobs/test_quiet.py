"""When a worker is done with an instant, and when it wants to be woken again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from quntedge.jobs.quiet import AFTER_NEWS, Quiet
from quntedge.jobs.sweeps import comparing, in_unit, mails_due
from quntedge.jobs.ticker import NEVER, Awaited, Ticker
from quntedge.kit.clock import FrozenClock
from quntedge.kit.ids import new_id
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.jobs.conftest import until
from tests.jobs.test_ticker import ticking
from tests.notifications.world import add_user

HOUR = timedelta(hours=1)


class Inbox:
    """The part of the worker that applies deliveries."""

    def __init__(self) -> None:
        self.begun = 0
        self.busy = False


async def nothing() -> int:
    return 0


async def no_chore(_unit: UnitOfWork, _now: object) -> int:
    return 0


@pytest.fixture
def ticker(clock: FrozenClock, units: UnitOfWorkFactory) -> Ticker:
    expire = in_unit("expire", HOUR, units, no_chore, waits_for=Awaited.CHECKOUTS, in_leaps=NEVER)
    return Ticker(clock, [mails_due(nothing), expire, comparing("compare", HOUR, nothing)], beat_seconds=60)


async def execute(units: UnitOfWorkFactory, statement: str, **values: object) -> None:
    async with units() as unit:
        await unit.session.execute(text(statement), values)
        await unit.commit()


async def add_event(units: UnitOfWorkFactory, *, due_in: timedelta = timedelta(0), state: str = "received") -> None:
    now = units.clock.now()
    await execute(
        units,
        "INSERT INTO webhook_event (id, webhook_id, event_type, ordering_key, state, received_at, due_at)"
        " VALUES (:id, :id, 'payment.succeeded', 'mem_1', :state, :now, :due_at)",
        id=new_id("whe", now),
        state=state,
        now=now,
        due_at=now + due_in,
    )


async def add_mail(units: UnitOfWorkFactory, vault: Vault, *, due_in: timedelta = timedelta(0)) -> None:
    now = units.clock.now()
    await execute(
        units,
        "INSERT INTO notification (id, cause_key, user_id, kind, params, state, due_at, created_at)"
        " VALUES (:id, :id, :user_id, 'renewal_paid', '{}', 'queued', :due_at, :now)",
        id=new_id("ntf", now),
        user_id=await add_user(units, vault),
        now=now,
        due_at=now + due_in,
    )


async def add_job(units: UnitOfWorkFactory, *, due_in: timedelta | None = None) -> None:
    await execute(
        units,
        "INSERT INTO procrastinate_jobs (queue_name, task_name, scheduled_at)"
        " VALUES ('default', 'any', now() + CAST(:due_in AS interval))",
        due_in=due_in,
    )


Cause = Callable[[UnitOfWorkFactory, Vault], Awaitable[None]]
BUSY: dict[str, tuple[Cause, str]] = {
    "event": (lambda units, _: add_event(units), "UPDATE webhook_event SET state = 'processed'"),
    "retry": (lambda units, _: add_event(units, state="retrying"), "UPDATE webhook_event SET state = 'dead'"),
    "mail": (lambda units, vault: add_mail(units, vault), "UPDATE notification SET state = 'sent'"),
    "job": (lambda units, _: add_job(units), "DELETE FROM procrastinate_jobs"),
}


@pytest.mark.parametrize("cause", BUSY)
async def test_it_waits_for_everything_that_is_due(
    units: UnitOfWorkFactory, vault: Vault, ticker: Ticker, cause: str
) -> None:
    begin, end = BUSY[cause]
    await begin(units, vault)
    async with ticking(ticker):
        await until(lambda: not ticker.busy)
        settling = asyncio.create_task(Quiet(units, ticker, Inbox(), mails=True).settle())
        done, _ = await asyncio.wait([settling], timeout=0.1)
        assert not done
        await execute(units, end)
        await settling


async def test_it_waits_for_a_job_under_way_but_not_for_one_whose_worker_was_killed(
    units: UnitOfWorkFactory, ticker: Ticker, queue: JobQueue
) -> None:
    await add_job(units)
    async with queue.app.open_async(), ticking(ticker):
        worker_id = await queue.app.job_manager.register_worker()
        assert await queue.app.job_manager.fetch_job(queues=None, worker_id=worker_id) is not None
        await until(lambda: not ticker.busy)
        settling = asyncio.create_task(Quiet(units, ticker, Inbox(), mails=True).settle())
        done, _ = await asyncio.wait([settling], timeout=0.1)
        assert not done
        await execute(units, "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '40 seconds'")
        await settling


async def test_it_waits_for_what_is_under_way_in_this_process(units: UnitOfWorkFactory, ticker: Ticker) -> None:
    inbox = Inbox()
    inbox.busy = True
    settling = asyncio.create_task(Quiet(units, ticker, inbox, mails=True).settle())
    done, _ = await asyncio.wait([settling], timeout=0.1)
    assert not done  # the inbox works, and the chores have not run yet
    async with ticking(ticker):
        await until(lambda: not ticker.busy)
        done, _ = await asyncio.wait([settling], timeout=0.1)
        assert not done
        inbox.busy = False
        assert await settling is None


async def test_without_a_mail_server_nobody_waits_for_mails(
    units: UnitOfWorkFactory, vault: Vault, ticker: Ticker
) -> None:
    await add_mail(units, vault)
    async with ticking(ticker):
        assert await Quiet(units, ticker, Inbox(), mails=False).settle() is None


async def test_it_says_when_something_falls_due_next(
    units: UnitOfWorkFactory, vault: Vault, ticker: Ticker, clock: FrozenClock
) -> None:
    quiet = Quiet(units, ticker, Inbox(), mails=True)
    async with ticking(ticker):
        await until(lambda: not ticker.busy)
        assert await quiet.settle() is None
        await add_event(units, state="processed")
        assert await quiet.settle() == clock.now() + AFTER_NEWS
        await add_mail(units, vault, due_in=5 * HOUR)
        assert await quiet.settle() == clock.now() + 5 * HOUR
        await add_event(units, due_in=4 * HOUR, state="retrying")
        assert await quiet.settle() == clock.now() + 4 * HOUR
        await add_job(units, due_in=3 * HOUR)
        at = await quiet.settle()
        assert at is not None
        assert clock.now() + 2 * HOUR < at <= clock.now() + 3 * HOUR


async def test_jobs_leap_along_with_the_clock(units: UnitOfWorkFactory, queue: JobQueue) -> None:
    """They are scheduled by the machine's time; one that is due already stays as it is."""
    for due_in in (timedelta(days=2), timedelta(days=-2), None):
        await add_job(units, due_in=due_in)
    async with queue.app.open_async():
        await queue.bring_forward(timedelta(days=1))
    async with units() as unit:
        found = await unit.session.execute(
            text("SELECT extract(epoch FROM scheduled_at - now()) / 86400 FROM procrastinate_jobs ORDER BY id")
        )
        days = [None if row[0] is None else round(float(row[0])) for row in found]
    assert days == [1, -2, None]
