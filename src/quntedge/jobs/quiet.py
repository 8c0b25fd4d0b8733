"""Whether a worker has done all that is due now, and when it will have something to do by itself.

Asked by the emulator's clock while it is moved through time (demo and tests): it stays at an instant until everything
that belongs there is done, and stops where something of ours falls due.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Row, text

from quntedge.jobs.ticker import Awaited, Ticker
from quntedge.storage.unit_of_work import UnitOfWorkFactory

AFTER_NEWS = timedelta(hours=25)
"""Comparing with the gateway looks for what was lost on the way, so it stops the clock only this long after news.

Not after a whole day: much comes back after whole days, and comparing is best done while nothing else happens.
"""

_SOONEST_LOOK_SECONDS = 0.004
_LATEST_LOOK_SECONDS = 0.1

# One statement, because it is asked several times at each of a year's instants, and because only one view of
# everything shows that an event did not just turn into a mail. All of it is served by indexes or small tables.
# Jobs go by the machine's time (see `JobQueue.bring_forward`), everything else by the clock. What a worker was at when
# it was killed is not waited for: its job comes again, a minute of the machine's time later, and so does its process.
LOOK = text(
    """
    SELECT EXISTS (SELECT FROM webhook_event
                   WHERE state IN ('received', 'processing', 'retrying') AND due_at <= :now) AS events,
           EXISTS (SELECT FROM procrastinate_jobs AS j
                   WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
                      OR j.status = 'doing'
                     AND EXISTS (SELECT FROM procrastinate_workers AS w WHERE w.id = j.worker_id
                                                  AND w.last_heartbeat > now() - interval '30 seconds')) AS jobs,
           EXISTS (SELECT FROM process WHERE state = 'running' AND due_at <= :now) AS processes,
           EXISTS (SELECT FROM notification
                   WHERE :mails AND state IN ('queued', 'sending') AND due_at <= :now) AS mails,
           (SELECT min(due_at) FROM webhook_event
            WHERE state IN ('received', 'processing', 'retrying') AND due_at > :now) AS event_at,
           (SELECT min(scheduled_at) - now() FROM procrastinate_jobs
            WHERE status = 'todo' AND scheduled_at > now()) AS job_in,
           (SELECT min(due_at) FROM notification WHERE :mails AND state IN ('queued', 'sending')) AS mail_at,
           (SELECT min(due_at) FROM process WHERE state = 'running') AS process_at,
           (SELECT min(remind_at) FROM trial) AS trial_at,
           (SELECT min(remind_at) FROM pause) AS pause_reminder_at,
           (SELECT min(check_at) FROM pause) AS pause_check_at,
           (SELECT min(expires_at) FROM checkout_intent WHERE state IN ('created', 'open', 'unknown')) AS checkout_at,
           (SELECT min(next_due_at) FROM dunning_case WHERE state = 'open') AS dunning_at,
           LEAST((SELECT min(work_at) FROM plan_migration),
                 (SELECT min(due_at) FROM plan_migration_item)) AS plan_migration_at,
           (SELECT min(renewal_check_at) FROM subscription WHERE renewal_check_at IS NOT NULL) AS renewal_at,
           (SELECT min(warn_at) FROM payment_method WHERE warn_at IS NOT NULL) AS method_warning_at,
           (SELECT min(remind_at) FROM dispute WHERE remind_at IS NOT NULL) AS deadline_at,
           (SELECT min(look_at) FROM dispute WHERE look_at IS NOT NULL) AS dispute_at,
           (SELECT received_at FROM webhook_event ORDER BY id DESC LIMIT 1) AS news_at
    """
)


class Part(Protocol):
    """A part of the worker whose work shows in the database only when it is done."""

    @property
    def begun(self) -> int:
        """How many pieces of work it has begun."""
        ...

    @property
    def busy(self) -> bool:
        """Whether one is under way or due."""
        ...


class Quiet:
    """Watches one worker."""

    def __init__(self, units: UnitOfWorkFactory, ticker: Ticker, inbox: Part, *, mails: bool) -> None:
        """Without `mails` no mail server is there: mails wait, and nobody waits for them."""
        self._units = units
        self._ticker = ticker
        self._parts: tuple[Part, ...] = (inbox, ticker)
        self._mails = mails

    async def settle(self) -> datetime | None:
        """Returns when nothing is due or under way, with the next instant at which something will be due; None if
        nothing is planned. Raises what the database raises."""
        pause = _SOONEST_LOOK_SECONDS
        while True:
            begun = [part.begun for part in self._parts]
            if not self._is_busy():
                look = await self._look()
                # What began since may have moved on between the statement's view and now.
                unchanged = begun == [part.begun for part in self._parts]
                if unchanged and not (look.events or look.jobs or look.mails or look.processes or self._is_busy()):
                    return self._next_due(look)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LATEST_LOOK_SECONDS)

    def _is_busy(self) -> bool:
        return any(part.busy for part in self._parts)

    async def _look(self) -> Row[Any]:
        async with self._units() as unit:
            found = await (await unit.connection()).execute(LOOK, {"now": unit.clock.now(), "mails": self._mails})
            return found.one()

    def _next_due(self, look: Row[Any]) -> datetime | None:
        chores = self._ticker.next_wanted(
            {
                Awaited.MAILS: look.mail_at,
                Awaited.CHECKOUTS: look.checkout_at,
                Awaited.PROCESSES: look.process_at,
                Awaited.DUNNING: look.dunning_at,
                Awaited.TRIALS: look.trial_at,
                Awaited.PAUSE_REMINDERS: look.pause_reminder_at,
                Awaited.PAUSE_CHECKS: look.pause_check_at,
                Awaited.RENEWALS: look.renewal_at,
                Awaited.DEADLINES: look.deadline_at,
                Awaited.DISPUTES: look.dispute_at,
                Awaited.EXPIRING_METHODS: look.method_warning_at,
                Awaited.PLAN_MIGRATIONS: look.plan_migration_at,
                Awaited.NEWS: look.news_at and look.news_at + AFTER_NEWS,
            }
        )
        job_at = look.job_in and self._units.clock.now() + look.job_in
        return min((at for at in (look.event_at, job_at, chores) if at is not None), default=None)
