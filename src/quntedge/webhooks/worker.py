"""The loop that keeps the inbox empty: woken by NOTIFY, polling as a fallback."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import InterfaceError, OperationalError

from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import WEBHOOKS_DEAD, WEBHOOKS_QUARANTINED, WEBHOOKS_WAITING
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.webhooks import queries
from quntedge.webhooks.service import WebhookService

log = get_logger(__name__)

POLL = timedelta(seconds=1)
AFTER_TROUBLE = timedelta(seconds=2)


class InboxWorker:
    """Applies due events until told to stop. Any number of these may run, in any number of processes."""

    def __init__(self, service: WebhookService, *, poll: timedelta = POLL) -> None:
        self._service = service
        self._poll_seconds = poll.total_seconds()
        self._wake = asyncio.Event()

    def wake(self, _payload: str = "") -> None:
        """Something may be due: look now. Fit to be a `Listener` callback and a clock subscriber."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Returns after `stop`, when the batch under way is committed and nothing is away to be read again."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._wake.clear()
                if await self._process():
                    continue
                await self._rest(stopping)
            await self._service.settle_readings()
        finally:
            stopping.cancel()

    async def _process(self) -> int:
        try:
            return await self._service.process_due()
        except (OperationalError, InterfaceError, OSError) as error:
            # The database is away. Nothing was lost: what was claimed is free again.
            log.error("inbox.database_unavailable", error=type(error).__name__)  # noqa: TRY400 (once a round, no trace)
            await asyncio.sleep(AFTER_TROUBLE.total_seconds())
            return 0

    async def _rest(self, stopping: "asyncio.Task[bool]") -> None:
        waking = asyncio.create_task(self._wake.wait())
        await asyncio.wait({waking, stopping}, timeout=self._poll_seconds, return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()


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
    """Brings the gauges up to date; called when metrics are read."""
    async with units() as unit:
        found = await _counts(unit)
    WEBHOOKS_WAITING.set(found["waiting"])
    WEBHOOKS_DEAD.set(found["dead"])
    WEBHOOKS_QUARANTINED.set(found["quarantined"])


async def _counts(unit: UnitOfWork) -> dict[str, int]:
    return await queries.counts(await unit.connection())
