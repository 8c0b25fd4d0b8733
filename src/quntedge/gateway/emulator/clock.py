"""The emulator's time: real time plus an offset that can only grow, and those who follow it."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quntedge.kit.clock import Clock

FOLLOWER_FORGOTTEN_AFTER_SECONDS = 40.0


class MovableClock:
    """A clock that runs with the real one and can be moved forward."""

    def __init__(self, real: Clock, start: datetime | None = None) -> None:
        self._real = real
        self.offset = timedelta(0) if start is None else start - real.now()
        self.version = 1

    def now(self) -> datetime:
        """Emulator time, aware UTC."""
        return (self._real.now() + self.offset).astimezone(UTC)

    def jump_to(self, instant: datetime) -> None:
        """Moves to `instant`. A time that is already past is left alone, so that the clock never runs backwards."""
        ahead = instant - self.now()
        if ahead > timedelta(0):
            self.offset += ahead
            self.version += 1


@dataclass(slots=True)
class _Follower:
    version: int
    seen: float


@dataclass(slots=True)
class Followers:
    """Programs whose clock follows ours by long poll. Each poll says which version its program already knows."""

    clock: MovableClock
    _released: bool = False
    _known: dict[str, _Follower] = field(default_factory=dict)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _polled: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def poll(self, name: str | None, version: int | None, wait_seconds: float) -> None:
        """Returns when the clock's version differs from `version`, or after `wait_seconds` of real time."""
        if name is not None:
            self._known[name] = _Follower(version or 0, time.monotonic())
            async with self._polled:
                self._polled.notify_all()
        if version != self.clock.version or wait_seconds <= 0 or self._released:
            return
        try:
            async with asyncio.timeout(wait_seconds), self._moved:
                await self._moved.wait_for(lambda: self.clock.version != version or self._released)
        except TimeoutError:
            return  # nothing moved: the poll answers with what the follower already knows

    async def release(self) -> None:
        """Answers all open polls and lets none wait any more, so that the server can stop."""
        self._released = True
        async with self._moved:
            self._moved.notify_all()

    async def moved(self, wait_seconds: float) -> None:
        """Tells everybody about a jump and waits until all have come back with the new version.

        One who does not come back within `wait_seconds` is forgotten until its next poll: a program that was killed
        must not slow down every following jump.
        """
        async with self._moved:
            self._moved.notify_all()
        try:
            async with asyncio.timeout(wait_seconds), self._polled:
                await self._polled.wait_for(lambda: not self._behind())
        except TimeoutError:
            for name in self._behind():
                del self._known[name]

    def _behind(self) -> list[str]:
        horizon = time.monotonic() - FOLLOWER_FORGOTTEN_AFTER_SECONDS
        return [
            name
            for name, follower in self._known.items()
            if follower.seen >= horizon and follower.version != self.clock.version
        ]
