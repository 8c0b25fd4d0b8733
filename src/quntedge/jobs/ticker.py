"""Runs chores when they are due by our clock, which in demo and tests may jump a month ahead.

The job queue has schedules of its own, but those go by the machine's time and would sleep through such a jump.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from quntedge.kit.clock import Clock
from quntedge.kit.logging import get_logger

log = get_logger(__name__)


class Awaited(Enum):
    """What a chore has to be on time for, even when the clock is moved in leaps."""

    MAILS = "mails"
    CHECKOUTS = "checkouts"
    NEWS = "news"
    PROCESSES = "processes"
    DUNNING = "dunning"
    TRIALS = "trials"
    PAUSE_REMINDERS = "pause_reminders"
    PAUSE_CHECKS = "pause_checks"
    RENEWALS = "renewals"
    DEADLINES = "deadlines"
    DISPUTES = "disputes"
    EXPIRING_METHODS = "expiring_methods"
    PLAN_MIGRATIONS = "plan_migrations"


NEVER = timedelta.max
"""For `in_leaps`: that the clock has leapt is no reason for the chore."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A chore: at the start, then again `every` so long. `run` returns how many things it dealt with.

    A year that passes in a minute stops at hundreds of instants. A chore that need not be done at each of them says how
    far apart is enough `in_leaps`, until the clock has arrived. One that must not be late says what it `waits_for`: the
    clock stops for it.
    """

    name: str
    every: timedelta
    run: Callable[[], Awaitable[int]]
    waits_for: Awaited | None = None
    in_leaps: timedelta = timedelta(0)


class Ticker:
    """Keeps the sweeps going, each at its own pace: a slow one delays, and a failing one harms, only itself.

    No sweep overlaps itself in this process. Other processes run the same sweeps, so each must bear company.
    """

    def __init__(
        self,
        clock: Clock,
        sweeps: Sequence[Sweep],
        *,
        beat_seconds: float = 1.0,
        traveling: Callable[[], bool] = lambda: False,
    ) -> None:
        """`beat_seconds` is how often the clock is looked at, in real time.

        `traveling` says whether the clock is on its way through months, from leap to leap.
        """
        names = [sweep.name for sweep in sweeps]
        if len(set(names)) != len(names):
            raise ValueError("two sweeps have the same name")
        self._clock = clock
        self._beat_seconds = beat_seconds
        self._traveling = traveling
        self._alarms = {sweep.name: asyncio.Event() for sweep in sweeps}
        self._sweeps = tuple(sweeps)
        self._started: dict[str, datetime] = {}
        self._wanted: dict[str, datetime] = {}
        self._running: set[str] = set()
        self._begun = 0

    @property
    def begun(self) -> int:
        """How many sweeps were begun so far."""
        return self._begun

    @property
    def busy(self) -> bool:
        """Whether a sweep is running or due."""
        now = self._clock.now()
        return bool(self._running) or any(self._is_due(sweep, now) for sweep in self._sweeps)

    def next_wanted(self, awaited: Mapping[Awaited, datetime | None]) -> datetime | None:
        """When the next sweep has to run to be on time for what is `awaited`; None when none has to.

        What was due before a sweep last began has had its chance. A time once wanted is not put off by later news;
        anything else may have been settled in another way.
        """
        for sweep in self._sweeps:
            at = awaited.get(sweep.waits_for) if sweep.waits_for is not None else None
            last = self._started.get(sweep.name)
            if at is None:
                self._wanted.pop(sweep.name, None)
            elif last is not None and last < at:
                at = max(at, last + sweep.every)
                held = self._wanted.get(sweep.name, at) if sweep.waits_for is Awaited.NEWS else at
                self._wanted[sweep.name] = min(at, held)
        return min(self._wanted.values(), default=None)

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
        while not stop.is_set():
            now = self._clock.now()
            if self._is_due(sweep, now):
                self._started[sweep.name] = now
                self._wanted.pop(sweep.name, None)
                self._running.add(sweep.name)
                self._begun += 1
                try:
                    await _run(sweep)
                finally:
                    self._running.discard(sweep.name)
            await self._beat(self._alarms[sweep.name])

    def _is_due(self, sweep: Sweep, now: datetime) -> bool:
        last = self._started.get(sweep.name)
        # A clock that was set back must not leave a sweep waiting for a time that is far ahead.
        if last is None or now < last:
            return True
        if now < last + sweep.every:
            return False
        wanted = self._wanted.get(sweep.name)
        return not self._traveling() or now - last >= sweep.in_leaps or (wanted is not None and wanted <= now)

    async def _beat(self, alarm: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._beat_seconds):
                await alarm.wait()
        except TimeoutError:
            return
        alarm.clear()


async def _run(sweep: Sweep) -> None:
    try:
        count = await sweep.run()
    except Exception:
        # The sweep comes again when it is next due; the others do not wait for somebody to mend it.
        log.exception("sweep.failed", sweep=sweep.name)
        return
    if count:
        log.info("sweep.done", sweep=sweep.name, count=count)
