"""Runs chores when they are due by our clock, which in demo and tests may jump a month ahead.

The job queue has schedules of its own, but those go by the machine's time and would sleep through such a jump.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.kit.clock import Clock
from quntedge.kit.logging import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A chore: at the start, then again `every` so long. `run` returns how many things it dealt with."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[int]]


class Ticker:
    """Keeps the sweeps going, each at its own pace: a slow one delays, and a failing one harms, only itself.

    No sweep overlaps itself in this process. Other processes run the same sweeps, so each must bear company.
    """

    def __init__(self, clock: Clock, sweeps: Sequence[Sweep], *, beat_seconds: float = 1.0) -> None:
        """`beat_seconds` is how often the clock is looked at, in real time."""
        names = [sweep.name for sweep in sweeps]
        if len(set(names)) != len(names):
            raise ValueError("two sweeps have the same name")
        self._clock = clock
        self._beat_seconds = beat_seconds
        self._alarms = {sweep.name: asyncio.Event() for sweep in sweeps}
        self._sweeps = tuple(sweeps)

    def wake(self) -> None:
        """Looks at the clock now instead of at the next beat: it has jumped."""
        for alarm in self._alarms.values():
            alarm.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Runs sweeps until `stop` is set; those under way are finished first."""
        async with asyncio.TaskGroup() as group:
            for sweep in self._sweeps:
                group.create_task(self._keep(sweep, stop), name=f"sweep {sweep.name}")
            await stop.wait()
            self.wake()

    async def _keep(self, sweep: Sweep, stop: asyncio.Event) -> None:
        last_start: datetime | None = None
        while not stop.is_set():
            now = self._clock.now()
            if last_start is None or _is_due(last_start, sweep.every, now):
                last_start = now
                await _run(sweep)
            await self._beat(self._alarms[sweep.name])

    async def _beat(self, alarm: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._beat_seconds):
                await alarm.wait()
        except TimeoutError:
            return
        alarm.clear()


def _is_due(last_start: datetime, every: timedelta, now: datetime) -> bool:
    # A clock that was set back must not leave a sweep waiting for a time that is far ahead.
    return now >= last_start + every or now < last_start


async def _run(sweep: Sweep) -> None:
    try:
        count = await sweep.run()
    except Exception:
        # The sweep comes again when it is next due; the others do not wait for somebody to mend it.
        log.exception("sweep.failed", sweep=sweep.name)
        return
    if count:
        log.info("sweep.done", sweep=sweep.name, count=count)
