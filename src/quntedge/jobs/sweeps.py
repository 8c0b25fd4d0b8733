"""The chores that come again: what no single event starts, or what a lost one left behind."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from quntedge.jobs.ticker import NEVER, Awaited, Sweep
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

TIDYING_IN_LEAPS = timedelta(days=7)
"""How far apart chores are that merely tidy up, while the clock passes through months."""

RECONCILING_IN_LEAPS = timedelta(days=30)
"""How far apart all money is compared, while the clock passes through months."""

Chore = Callable[[UnitOfWork, datetime], Awaitable[int]]
"""Does its work in the given unit, as of the given time, and returns how many things it dealt with."""


def mails_due(send_due: Callable[[], Awaitable[int]]) -> Sweep:
    """Mails whose back-off or lease has ended."""
    return Sweep("notifications.due", timedelta(seconds=15), send_due, waits_for=Awaited.MAILS, in_leaps=NEVER)


def processes_due(resume_due: Callable[[], Awaitable[int]]) -> Sweep:
    """Processes whose next step is due, or whose runner vanished. Often: what the gateway has left open is to be found
    out within two minutes, four tries included."""
    return Sweep("processes.resume", timedelta(seconds=5), resume_due, waits_for=Awaited.PROCESSES, in_leaps=NEVER)


def stalled_jobs(jobs: JobQueue) -> Sweep:
    """Jobs of workers that vanished. Their heartbeats go by the machine's time."""
    return Sweep("jobs.stalled", timedelta(minutes=1), jobs.revive_stalled, in_leaps=NEVER)


def housekeeping(
    units: UnitOfWorkFactory,
    *,
    expire_checkouts: Chore,
    purge_idempotency: Chore,
    maintain_inbox: Callable[[UnitOfWork], Awaitable[int]],
) -> list[Sweep]:
    """The chores of other features, each one transaction."""

    async def inbox(unit: UnitOfWork, _now: datetime) -> int:
        return await maintain_inbox(unit)

    return [
        in_unit(
            "checkout.expire",
            timedelta(minutes=5),
            units,
            expire_checkouts,
            waits_for=Awaited.CHECKOUTS,
            in_leaps=NEVER,
        ),
        tidying("idempotency.purge", timedelta(hours=1), units, purge_idempotency),
        tidying("inbox.maintain", timedelta(hours=6), units, inbox),
    ]


def tidying(name: str, every: timedelta, units: UnitOfWorkFactory, chore: Chore) -> Sweep:
    """A chore that is one transaction, and that nobody notices when it comes days later."""
    return in_unit(name, every, units, chore, in_leaps=TIDYING_IN_LEAPS)


def adding_up(name: str, every: timedelta, run: Callable[[], Awaitable[int]]) -> Sweep:
    """A chore of several transactions that only makes later reading quicker or more complete."""
    return Sweep(name, every, run, in_leaps=TIDYING_IN_LEAPS)


def comparing(name: str, every: timedelta, run: Callable[[], Awaitable[int]]) -> Sweep:
    """A chore that looks for what was lost on the way: in leaps a day after news that it has not seen yet."""
    return Sweep(name, every, run, waits_for=Awaited.NEWS, in_leaps=NEVER)


def reconciling(name: str, work_due: Callable[[], Awaitable[int]]) -> Sweep:
    """A chore that knows by itself when it is due: once a night, or to go on where somebody left off. Of the months
    that pass in leaps one look is enough."""
    return Sweep(name, timedelta(minutes=1), work_due, in_leaps=RECONCILING_IN_LEAPS)


def reminding(name: str, units: UnitOfWorkFactory, remind: Chore, waits_for: Awaited) -> Sweep:
    """A chore that tells people of what is about to happen."""
    return in_unit(name, timedelta(minutes=1), units, remind, waits_for=waits_for, in_leaps=NEVER)


def checking(name: str, check_due: Callable[[], Awaitable[int]], waits_for: Awaited) -> Sweep:
    """A chore that looks at the gateway whether something has happened that should have."""
    return Sweep(name, timedelta(minutes=1), check_due, waits_for=waits_for, in_leaps=NEVER)


def looking_up(name: str, every: timedelta, run: Callable[[], Awaitable[int]]) -> Sweep:
    """A chore that reads from the gateway what nothing waits for: never in leaps, only once the clock has arrived."""
    return Sweep(name, every, run, in_leaps=NEVER)


def in_unit(
    name: str,
    every: timedelta,
    units: UnitOfWorkFactory,
    chore: Chore,
    *,
    waits_for: Awaited | None = None,
    in_leaps: timedelta = timedelta(0),
) -> Sweep:
    """A chore that is one transaction: committed when it returns, rolled back when it raises."""

    async def run() -> int:
        async with units() as unit:
            count = await chore(unit, unit.clock.now())
            await unit.commit()
        return count

    return Sweep(name, every, run, waits_for, in_leaps)
