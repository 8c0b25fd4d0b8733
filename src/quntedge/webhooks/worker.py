"""The loop that keeps the inbox empty: woken by NOTIFY, polling as a fallback."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError

from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import WEBHOOK_OLDEST, WEBHOOKS_DEAD, WEBHOOKS_QUARANTINED, WEBHOOKS_WAITING
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.webhooks import queries
from quntedge.webhooks.service import WebhookService

log = get_logger(__name__)

POLL = timedelta(seconds=1)
# The least time between the beginnings of two batches that are not full. A batch costs the same two dozen round trips
# for one event and for five hundred, so under load a short rest makes few large ones out of many small ones. An event
# that finds the worker idle does not wait.
PACE = timedelta(milliseconds=60)
# Batches under way at the same time under load: one is worked on while another waits for the database.
ABREAST = 2
AFTER_TROUBLE = timedelta(seconds=2)
# How long a stopping worker waits for events that are away to be read again. They are leased: whoever comes next takes
# them up when the lease ends.
PATIENCE = timedelta(seconds=10)


class InboxWorker:
    """Applies due events until told to stop. Any number of these may run, in any number of processes."""

    def __init__(
        self, service: WebhookService, *, poll: timedelta = POLL, pace: timedelta = PACE, patience: timedelta = PATIENCE
    ) -> None:
        self._service = service
        self._poll_seconds = poll.total_seconds()
        self._pace_seconds = pace.total_seconds()
        self._patience_seconds = patience.total_seconds()
        self._wake = asyncio.Event()
        self._begun = 0
        self._under_way = 0
        self._readings: asyncio.Task[None] | None = None

    @property
    def begun(self) -> int:
        """How many batches were begun so far."""
        return self._begun

    @property
    def busy(self) -> bool:
        """Whether a batch is under way, or events are away to be read again."""
        return self._under_way > 0 or (self._readings is not None and not self._readings.done())

    def wake(self, _payload: str = "") -> None:
        """Something may be due: look now. Fit to be a `Listener` callback and a clock subscriber."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Returns after `stop`, when the batches under way are committed and nothing is away to be read again.

        Readings that take longer than `patience` are broken off; their events are taken up again after their lease.
        """
        stopping = asyncio.create_task(stop.wait())
        batches: set[asyncio.Task[int]] = set()
        try:
            while not stop.is_set():
                self._wake.clear()
                paced = asyncio.create_task(asyncio.sleep(self._pace_seconds))
                batches.add(asyncio.create_task(self._process(), name="inbox-batch"))
                await self._until_next(batches, paced, stopping)
                paced.cancel()
            await asyncio.gather(*batches)
            await self._settle_readings()
        finally:
            stopping.cancel()
            for task in (*batches, *([self._readings] if self._readings is not None else [])):
                task.cancel()

    async def _until_next(
        self, batches: set[asyncio.Task[int]], paced: asyncio.Task[None], stopping: "asyncio.Task[bool]"
    ) -> None:
        """Returns when it is time for another batch; takes those that have ended out of `batches`."""
        found = 0
        while not stopping.done():
            if not batches:
                # Whoever found something looks once more: what waited for it in its lane is free now.
                await (_first({paced, stopping}) if found else self._rest(stopping))
                return
            waited_for: set[asyncio.Task[Any]] = {*batches, stopping}
            waking = None
            if len(batches) < ABREAST:
                # A batch that takes longer than the pace works while others wait, for the database or for the locks
                # of their commits: another takes what has come meanwhile.
                if paced.done() and self._wake.is_set():
                    return
                waking = asyncio.create_task(self._wake.wait())
                waited_for.add(waking if paced.done() else paced)
            ended = await _first(waited_for)
            if waking is not None:
                waking.cancel()
            for batch in batches & ended:
                batches.discard(batch)
                found = max(found, batch.result())
            if self._is_backlog(found):
                return

    async def _settle_readings(self) -> None:
        try:
            async with asyncio.timeout(self._patience_seconds) as patience:
                await self._service.settle_readings()
        except TimeoutError as patience_over:
            if not patience.expired():
                raise
            log.warning("inbox.readings_broken_off", waited_seconds=self._patience_seconds)
            # All are cancelled, but only the first was waited for: the others still give back their connections.
            left: BaseException | None = patience_over
            while left is not None:
                (left,) = await asyncio.gather(self._service.settle_readings(), return_exceptions=True)

    def _is_backlog(self, done: int) -> bool:
        # Not exactly full: events whose lane another batch holds are left to it.
        return 2 * done >= self._service.batch_size

    async def _process(self) -> int:
        self._begun += 1
        self._under_way += 1
        try:
            done = await self._service.process_due()
            if done and not (self._readings is not None and not self._readings.done()):
                self._readings = asyncio.create_task(self._all_read(), name="inbox-readings")
            return done
        except (OperationalError, InterfaceError, OSError) as error:
            # The database is away. Nothing was lost: what was claimed is free again.
            log.error("inbox.database_unavailable", error=type(error).__name__)  # noqa: TRY400 (once a round, no trace)
            await asyncio.sleep(AFTER_TROUBLE.total_seconds())
            return 0
        finally:
            self._under_way -= 1

    async def _all_read(self) -> None:
        """Returns when no event is away to be read again. What goes wrong on the way the service logs and repairs."""
        while (await asyncio.gather(self._service.settle_readings(), return_exceptions=True))[0] is not None:
            pass

    async def _rest(self, stopping: "asyncio.Task[bool]") -> None:
        waking = asyncio.create_task(self._wake.wait())
        await asyncio.wait({waking, stopping}, timeout=self._poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()


async def _first(tasks: "set[asyncio.Task[Any]]") -> "set[asyncio.Task[Any]]":
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return ended


async def drain(service: WebhookService, *, on_progress: Callable[[int], None] | None = None) -> int:
    """Applies everything that is due now and returns how many events that were. For the CLI and for tests."""
    total = 0
    while True:
        done = await service.process_due()
        await service.settle_readings()
        total += done
        if on_progress is not None:
            on_progress(total)
        if not done:
            return total


async def update_gauges(units: UnitOfWorkFactory) -> None:
    """Counts what waits, and what went wrong; called when metrics are read."""
    async with units() as unit:
        now = unit.clock.now()
        backlog = await queries.backlog(await unit.connection(), now)
    WEBHOOKS_WAITING.set(backlog.waiting)
    WEBHOOKS_DEAD.set(backlog.dead)
    WEBHOOKS_QUARANTINED.set(backlog.quarantined)
    WEBHOOK_OLDEST.set((now - backlog.oldest_due).total_seconds() if backlog.oldest_due else 0.0)
