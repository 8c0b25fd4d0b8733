"""Group commit for anything: callers queue up while a batch is under way and share the next one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class MicroBatcher(Generic[Item, Answer]):
    """Joins concurrent calls into batches.

    A call that finds no batch under way starts one at once; calls that arrive meanwhile wait together for the next.
    An exception of the batch reaches every caller in it. `lanes` batches may be under way at the same time.
    Batches begin at least `pace_seconds` apart, so that steady traffic does not become a stream of tiny ones; a call
    after a pause never waits for that, nor do `enough` calls together.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        max_batch: int = 500,
        lanes: int = 1,
        pace_seconds: float = 0.0,
        enough: int | None = None,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._enough = max_batch if enough is None else enough
        self._free_lanes = lanes
        self._pace_seconds = pace_seconds
        self._began = 0.0
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._plenty: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, item: Item) -> "asyncio.Future[Answer]":
        """Queues one item; the future is done when its batch is."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._plenty is not None and not self._plenty.done() and len(self._waiting) >= self._enough:
            self._plenty.set_result(None)
        if self._free_lanes:
            self._free_lanes -= 1
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _drain(self) -> None:
        try:
            # One turn of the loop lets requests that are already readable join this batch.
            await asyncio.sleep(0)
            await self._rest()
            while self._waiting:
                self._began = time.monotonic()
                batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
                await self._run_one(batch)
                await self._rest()
        finally:
            self._free_lanes += 1

    async def _rest(self) -> None:
        left = self._began + self._pace_seconds - time.monotonic()
        if left > 0 and 0 < len(self._waiting) < self._enough:
            self._plenty = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._plenty}, timeout=left)

    async def _run_one(self, batch: "list[tuple[Item, asyncio.Future[Answer]]]") -> None:
        try:
            answers = await self._run([item for item, _ in batch])
            answered = list(zip(batch, answers, strict=True))
        except Exception as error:  # noqa: BLE001 (handed to every caller of the batch, not swallowed)
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in answered:
            if not future.done():
                future.set_result(answer)
