"""The emulator's time: real time plus an offset, which only grows unless another state is restored."""

from datetime import UTC, datetime, timedelta

from quntedge.kit.clock import Clock


class MovableClock:
    """A clock that runs with the real one and can be moved forward."""

    def __init__(self, real: Clock, start: datetime | None = None) -> None:
        self._real = real
        self.offset = timedelta(0) if start is None else start - real.now()
        self.version = 1

    def now(self) -> datetime:
        """Emulator time, aware UTC."""
        return (self._real.now() + self.offset).astimezone(UTC)

    def real(self) -> datetime:
        """The time outside, aware UTC."""
        return self._real.now().astimezone(UTC)

    def restore_to(self, instant: datetime) -> None:
        """Moves to `instant`, which may be past: another state is restored, and its time with it."""
        self.offset = instant - self._real.now()
        self.version += 1

    def jump_to(self, instant: datetime) -> None:
        """Moves to `instant`. A time that is already past is left alone, so that the clock never runs backwards."""
        ahead = instant - self.now()
        if ahead > timedelta(0):
            self.offset += ahead
            self.version += 1
