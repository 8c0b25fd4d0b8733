"""Programs whose clock follows ours by long poll, and those among them that have work to do when it moves.

A follower says in each poll which version of the clock it knows. One that works also says when it has done all that is
due now: the walk through time asks for that once at every instant, by counting up the `step`, and goes on when all have
answered for this step.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from quntedge.gateway.emulator.core.clock import MovableClock
from quntedge.kit.logging import get_logger

FOLLOWER_FORGOTTEN_AFTER_SECONDS = 40.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What a follower says of its work. `next_due` is when it will have something to do by itself."""

    version: int
    step: int
    works: bool
    next_due: datetime | None


@dataclass(slots=True)
class _Follower:
    version: int
    seen: float
    poll: int = 0
    open_polls: int = 0
    works: bool = False
    quiet_at: int | None = None
    next_due: datetime | None = None
    late: bool = False
    """Was waited for in vain, and is not waited for again before it reports."""


def _first_step() -> int:
    # Two emulators, one after the other at the same address, must not count alike: a follower would take the new one's
    # step for one that it has answered.
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Followers:
    """Who follows the clock at present."""

    clock: MovableClock
    patience_seconds: float = 10.0
    """Real time after which one that has polled and does not poll again is gone."""
    step: int = field(default_factory=_first_step)
    traveling: bool = False
    """Whether the clock is on its way and will leap on from where it is now. Chores that can wait may do so."""
    _polls: int = 0
    _released: bool = False
    _known: dict[str, _Follower] = field(default_factory=dict)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    """The clock or the step has changed: for those who poll."""
    _heard: asyncio.Condition = field(default_factory=asyncio.Condition)
    """A follower has come, reported or gone: for the walk through time."""

    async def note(self, name: str, version: int, *, works: bool = False) -> int:
        """Takes note of a follower's poll and returns the poll's number, for `forget`.

        Whether it `works` counts for one that is new here; of others their reports say so, which polls could overtake.
        """
        self._polls += 1
        follower = self._known.setdefault(name, _Follower(version, 0, works=works))
        follower.version, follower.seen, follower.poll = version, time.monotonic(), self._polls
        follower.open_polls += 1
        await self.nudge()
        return self._polls

    async def news(self, name: str | None, version: int | None, step: int | None, wait_seconds: float) -> None:
        """Returns when the clock has another version, or after `wait_seconds` of real time.

        For a follower who works, also when there is another step.
        """

        def is_news() -> bool:
            follower = self._known.get(name or "")
            stepped = follower is not None and follower.works and step != self.step
            return stepped or self._released or version != self.clock.version

        if wait_seconds <= 0 or is_news():
            return
        try:
            async with asyncio.timeout(wait_seconds), self._moved:
                await self._moved.wait_for(is_news)
        except TimeoutError:
            return  # nothing moved: the poll answers with what the follower already knows

    def answered(self, name: str) -> None:
        """A poll of the follower is answered: it will poll again at once, if it is still there."""
        follower = self._known.get(name)
        if follower is not None:
            follower.open_polls, follower.seen = max(0, follower.open_polls - 1), time.monotonic()

    async def forget(self, name: str, poll: int) -> None:
        """The follower hung up on this poll: it has ended, unless it has polled again."""
        follower = self._known.get(name)
        if follower is not None and follower.poll == poll:
            del self._known[name]
            await self.nudge()

    async def report(self, name: str, report: Report) -> None:
        """Takes note that a follower has done all that was due at a step, or that it works no more."""
        follower = self._known.setdefault(name, _Follower(report.version, 0))
        follower.seen = time.monotonic()
        follower.works, follower.quiet_at, follower.late = report.works, report.step, False
        follower.next_due = report.next_due if report.works else None
        await self.nudge()

    async def nudge(self) -> None:
        """Has whoever waits for followers look again."""
        async with self._heard:
            self._heard.notify_all()

    def present(self) -> list[str]:
        """Names of those who follow at present."""
        now = time.monotonic()
        return [name for name, follower in self._known.items() if now - follower.seen <= self._silence(follower)]

    def polling(self) -> list[str]:
        """Names of those who wait for news at this moment."""
        return [name for name in self.present() if self._known[name].open_polls]

    def _silence(self, follower: _Follower) -> float:
        """For how many seconds a follower may say nothing."""
        between_polls = follower.poll > 0 and not follower.open_polls
        return self.patience_seconds if between_polls else FOLLOWER_FORGOTTEN_AFTER_SECONDS

    def working(self) -> list[str]:
        """Names of those present who have work to do when the clock moves."""
        return [name for name in self.present() if self._known[name].works]

    def next_due(self) -> datetime | None:
        """The earliest instant at which a working follower will have something to do; None when none has."""
        planned = [self._known[name].next_due for name in self.working()]
        return min((at for at in planned if at is not None), default=None)

    async def release(self) -> None:
        """Answers all open polls and lets none wait any more, so that the server can stop."""
        self._released = True
        async with self._moved:
            self._moved.notify_all()
        await self.nudge()

    async def moved(self, wait_seconds: float) -> None:
        """Tells everybody about a jump and waits until all have come back with the new version.

        One who does not come back within `wait_seconds` is forgotten until its next poll: a program that hangs must
        not slow down every following jump.
        """
        async with self._moved:
            self._moved.notify_all()
        if not self._behind():
            return
        try:
            async with asyncio.timeout(wait_seconds), self._heard:
                await self._heard.wait_for(lambda: self._released or not self._behind())
        except TimeoutError:
            for name in self._behind():
                _log.warning("clock.follower_left_behind", follower=name, waited_seconds=wait_seconds)
                del self._known[name]

    async def arrive(self) -> None:
        """Tells those who work that the clock leaps no further for now, and waits for nobody."""
        self.traveling = False
        self.step += 1
        async with self._moved:
            self._moved.notify_all()

    async def quieten(self, wait_seconds: float, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Asks those who work to finish what is due now; returns once they have, with True.

        False when `hurry` said that nobody wants to wait any longer (it is asked again after `nudge`), or when
        `wait_seconds` of real time went by: whoever was not done by then is not waited for until it reports.
        """
        if not self.working():
            return True
        self.step += 1
        async with self._moved:
            self._moved.notify_all()
        looking = asyncio.create_task(self._look_again())  # nobody tells us that somebody has become silent
        try:
            async with asyncio.timeout(wait_seconds), self._heard:
                await self._heard.wait_for(lambda: self._released or hurry() or not self._busy())
        except TimeoutError:
            for name in self._busy():
                _log.warning("clock.follower_not_quiet", follower=name, waited_seconds=wait_seconds)
                self._known[name].late = True
            return False
        finally:
            looking.cancel()
        return not self._busy()

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self.patience_seconds / 4)
            await self.nudge()

    def _behind(self) -> list[str]:
        return [name for name in self.present() if self._known[name].version != self.clock.version]

    def _busy(self) -> list[str]:
        found = ((name, self._known[name]) for name in self.working())
        return [name for name, follower in found if not follower.late and follower.quiet_at != self.step]
