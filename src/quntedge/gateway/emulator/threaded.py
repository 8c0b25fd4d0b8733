"""The emulator in a thread of its own, for tests and scripts that have no event loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EmulatorThread:
    """A running emulator as seen from another thread."""

    url: str
    api_base_url: str
    control_url: str
    config: EmulatorConfig
    _emulator: RunningEmulator
    _loop: asyncio.AbstractEventLoop

    def run(self, action: Callable[[RunningEmulator], Awaitable[T]]) -> T:
        """Does something with the emulator and returns what that returns: `run(lambda emu: emu.advance(days=30))`."""

        async def act() -> T:
            return await action(self._emulator)

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result()


@contextmanager
def emulator_in_thread(config: EmulatorConfig | None = None, port: int = 0) -> Iterator[EmulatorThread]:
    """Serves an emulator until the block is left. Raises what keeps it from starting."""
    started: Future[EmulatorThread] = Future()
    over: Future[asyncio.Event] = Future()

    async def serve() -> None:
        end = asyncio.Event()
        over.set_result(end)
        async with running_emulator(config, port) as emulator:
            loop = asyncio.get_running_loop()
            started.set_result(
                EmulatorThread(
                    emulator.url, emulator.api_base_url, emulator.control_url, emulator.config, emulator, loop
                )
            )
            await end.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=work, name="whop-emulator", daemon=True)
    thread.start()
    emulator = started.result()
    try:
        yield emulator
    finally:
        emulator._loop.call_soon_threadsafe(over.result().set)
        thread.join()
