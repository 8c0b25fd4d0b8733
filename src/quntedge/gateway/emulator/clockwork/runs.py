"""Walks through time that can be watched and stopped."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from quntedge.gateway.emulator.wire.values import JsonObject, iso
from quntedge.kit.logging import get_logger

KEPT = 50
"""Ended runs that can still be asked about."""

_log = get_logger(__name__)


class State(StrEnum):
    """How far a run has come."""

    RUNNING = "running"
    DONE = "done"
    CANCELED = "canceled"
    FAILED = "failed"


@dataclass(slots=True)
class Run:
    """One walk from one instant to another."""

    id: str
    start: datetime
    target: datetime
    at: datetime
    """The instant reached."""
    happenings: int = 0
    deliveries: int = 0
    hurried: int = 0
    """Instants that were left before all who work were done."""
    state: State = State.RUNNING
    changes: int = 0
    _canceled: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced by a new one, at each change."""

    @property
    def canceled(self) -> bool:
        """Whether somebody wants it to stop at the instant it has reached."""
        return self._canceled

    def reached(self, at: datetime) -> None:
        """Shows a step to those who watch."""
        self.at = max(self.at, at)
        self._show()

    def end(self, state: State) -> None:
        """Shows the end to those who watch."""
        self.state = state
        self._show()

    def _show(self) -> None:
        self.changes += 1
        told, self._changed = self._changed, asyncio.Event()
        told.set()

    async def watch(self, seen: int | None, wait_seconds: float) -> None:
        """Returns when `changes` differs from `seen`, when the run has ended, or after so long in real time."""
        try:
            async with asyncio.timeout(wait_seconds):
                while self.changes == seen and self.state is State.RUNNING:
                    await self._changed.wait()
        except TimeoutError:
            return  # nothing new: the watcher is told what it knows

    async def ended(self) -> None:
        """Returns once the run has ended."""
        while self.state is State.RUNNING:
            await self._changed.wait()

    def cancel(self) -> None:
        """Asks for the end at the instant reached."""
        self._canceled = True

    def body(self) -> JsonObject:
        """As the control API shows it."""
        return {
            "run": self.id,
            "state": self.state,
            "from": iso(self.start),
            "to": iso(self.target),
            "at": iso(self.at),
            "happenings": self.happenings,
            "deliveries": self.deliveries,
            "hurried": self.hurried,
            "changes": self.changes,
        }


class Runs:
    """The walks under way and the last ones that ended."""

    def __init__(self) -> None:
        self._number = 0
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self, start: datetime, target: datetime) -> Run:
        """A run that nobody performs yet."""
        self._number += 1
        run = Run(f"run_{self._number}", start, max(start, target), start)
        self._runs[run.id] = run
        for old in [found.id for found in self._runs.values() if found.state is not State.RUNNING][:-KEPT]:
            del self._runs[old]
        return run

    def find(self, run_id: str) -> Run | None:
        """By its id; None when there is none, or no more."""
        return self._runs.get(run_id)

    def perform(self, run: Run, walk: Callable[[Run], Awaitable[object]]) -> None:
        """Has `walk` perform the run in the background."""
        task = self._tasks[run.id] = asyncio.create_task(self._perform(run, walk), name=f"clock {run.id}")
        task.add_done_callback(lambda _: self._tasks.pop(run.id, None))

    @staticmethod
    async def _perform(run: Run, walk: Callable[[Run], Awaitable[object]]) -> None:
        try:
            await walk(run)
        except Exception:  # noqa: BLE001 - logged with its traceback; the run says that it failed
            _log.exception("clock.run_failed", run=run.id)

    def cancel(self) -> None:
        """Asks all that are under way to end at the instant they have reached."""
        for run in self._runs.values():
            run.cancel()

    async def stop(self) -> None:
        """Ends everything under way where it is; whoever watches is answered."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
