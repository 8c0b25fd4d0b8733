"""The worker process: the webhook inbox, the jobs, and the chores, side by side until told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from quntedge.jobs import sweeps, tasks
from quntedge.jobs.quiet import Part, Quiet
from quntedge.jobs.ticker import Sweep, Ticker
from quntedge.kit.clock import Clock
from quntedge.kit.following_clock import FollowingClock
from quntedge.kit.logging import get_logger
from quntedge.notifications.sender import MailSender
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWorkFactory

# How long jobs may take to finish after the stop; then they are cancelled, and come again elsewhere.
GRACE_SECONDS = 30.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = get_logger(__name__)


class Loop(Part, Protocol):
    """A part of the worker with a loop of its own (the webhook inbox)."""

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, finishes the present batch, returns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerServices:
    """What a worker is made of. `sweeps` are those of other features, next to the worker's own."""

    clock: Clock
    units: UnitOfWorkFactory
    jobs: JobQueue
    mail: MailSender
    retire_checkout: Callable[[str], Awaitable[None]]
    inspect_buyer: Callable[[str], Awaitable[object]]
    wake_plan_change: Callable[[str], Awaitable[object]]
    sync_methods: Callable[[str, str], Awaitable[object]]
    processes: ProcessRunner
    inbox: Loop
    sweeps: Sequence[Sweep] = field(default=())
    concurrency: int = 4
    restart_seconds: float = 1.0


class Worker:
    """Runs its parts side by side. One that ends unexpectedly is started again; the others go on meanwhile."""

    def __init__(self, services: WorkerServices) -> None:
        """Registers the tasks on the services' job app, which must be this worker's alone."""
        self._services = services
        self._stop = asyncio.Event()
        tasks.register(
            services.jobs.app,
            tasks.Handlers(
                send_due=self._send_due,
                retire_checkout=services.retire_checkout,
                run_process=services.processes.run,
                inspect_buyer=services.inspect_buyer,
                sync_methods=services.sync_methods,
                wake_plan_change=services.wake_plan_change,
            ),
        )
        self._ticker = Ticker(
            services.clock,
            [
                sweeps.mails_due(self._send_due),
                sweeps.processes_due(services.processes.resume_due),
                sweeps.stalled_jobs(services.jobs),
                *services.sweeps,
            ],
            traveling=self._is_traveling,
        )
        self._quiet = Quiet(services.units, self._ticker, services.inbox, mails=services.mail.has_server)

    def stop(self) -> None:
        """Asks for the end: batches and jobs under way are finished, nothing new is begun. Safe to call twice."""
        self._stop.set()

    async def run_until_signal(self) -> None:
        """Runs until SIGTERM or SIGINT. A second signal has its usual effect and ends the process at once."""
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            self.stop()

        for number in _SIGNALS:
            loop.add_signal_handler(number, on_signal)
        try:
            await self.run()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def run(self) -> None:
        """Runs until `stop` is called. Raises what keeps the job queue's pool from being opened."""
        async with self._services.jobs.app.open_async(), self._following():
            log.info("worker.started")
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep("inbox", lambda: self._services.inbox.run(self._stop)))
                group.create_task(self._keep("jobs", self._run_jobs))
                group.create_task(self._keep("sweeps", lambda: self._ticker.run(self._stop)))
        log.info("worker.stopped")

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        """Where the clock is one that leaps: leaps along, and has it wait until what is due at an instant is done."""
        clock = self._services.clock
        if not isinstance(clock, FollowingClock):
            yield
            return
        offset = clock.offset

        async def settle() -> datetime | None:
            nonlocal offset
            ahead, offset = clock.offset - offset, clock.offset
            if ahead > timedelta(0):
                await self._services.jobs.bring_forward(ahead)
            self._ticker.wake()
            return await self._quiet.settle()

        unsubscribe = clock.subscribe(self._ticker.wake)
        resign = clock.work(settle)
        try:
            yield
        finally:
            await resign()
            unsubscribe()

    def _is_traveling(self) -> bool:
        clock = self._services.clock
        return isinstance(clock, FollowingClock) and clock.traveling

    async def _send_due(self) -> int:
        return await self._services.mail.send_due(self._stop.is_set)

    async def _keep(self, part: str, run: Callable[[], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            try:
                await run()
            except Exception:
                # A database that restarts must not end the worker; what fails for good shows in the log, each time.
                log.exception("worker.part_failed", part=part)
            else:
                if not self._stop.is_set():
                    log.error("worker.part_ended", part=part)
            if not self._stop.is_set():
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._services.restart_seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _run_jobs(self) -> None:
        """Runs jobs until the stop. Cancelling procrastinate's worker is its way to be asked for a graceful end."""
        jobs = asyncio.create_task(
            self._services.jobs.app.run_worker_async(
                concurrency=self._services.concurrency,
                listen_notify=True,
                # What is enqueued between the first look and the listening is found by the next look.
                fetch_job_polling_interval=1.0,
                install_signal_handlers=False,
                # Jobs that went well are done with; those that failed stay, to be looked at.
                delete_jobs="successful",
                shutdown_graceful_timeout=GRACE_SECONDS,
            )
        )
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({jobs, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not jobs.done():
                jobs.cancel()
            results = await asyncio.gather(jobs, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]
