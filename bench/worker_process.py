"""The inbox worker in a process of its own: `drain` empties an inbox once and tells how long that took.

`record FILE` does the same with one batch after the other and writes down every statement, for `floor_process`.
"""

import asyncio
import contextlib
import gc
import pickle
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import cast

import uvloop

from bench.children import tell
from bench.recording import recorded
from quntedge.kit.logging import configure_logging
from quntedge.settings import load_settings
from quntedge.webhooks.service import WebhookService
from quntedge.webhooks.worker import InboxWorker, drain
from quntedge.wiring import Runtime, build


class _UntilEmpty:
    """The service as the worker sees it, which tells when it found the inbox empty for the first time."""

    def __init__(self, service: WebhookService, empty: asyncio.Event) -> None:
        self._service = service
        self._empty = empty
        self.batch_size = service.batch_size
        self.settle_readings = service.settle_readings
        self.events = 0
        self._under_way = 0
        self._calls = 0

    async def process_due(self) -> int:
        """Processes a batch. Nothing to claim means that nothing is left only if no other batch was under way at any
        time of the call: for a moment two batches can keep rows from each other that neither takes."""
        alone = not self._under_way
        self._under_way += 1
        self._calls += 1
        call = self._calls
        done = await self._service.process_due()
        self._under_way -= 1
        self.events += done
        if not done and alone and call == self._calls:
            self._empty.set()
        return done


async def _drain(runtime: Runtime) -> None:
    empty = asyncio.Event()
    service = _UntilEmpty(runtime.webhooks, empty)
    worker = InboxWorker(cast(WebhookService, service))
    began, cpu_began = perf_counter(), process_time()
    await worker.run(empty)
    tell(events=service.events, seconds=perf_counter() - began, cpu_seconds=process_time() - cpu_began)


async def _record(runtime: Runtime, file: str) -> None:
    with recorded() as steps:
        await drain(runtime.webhooks)
    Path(file).write_bytes(pickle.dumps(steps))  # noqa: ASYNC240 (nothing else is going on)


async def _main(mode: str, *arguments: str) -> None:
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    runtime = build(settings, settings.database_url or "")
    # As `quntedge worker` does it.
    gc.collect()
    gc.freeze()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runtime.close)
        if mode == "record":
            await _record(runtime, arguments[0])
        else:
            await _drain(runtime)


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
