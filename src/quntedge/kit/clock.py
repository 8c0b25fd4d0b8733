"""Where "now" comes from. Business code is given a Clock and never asks the system itself.

The clock that follows the gateway emulator's lives in :mod:`quntedge.kit.following_clock`.
"""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)


class FrozenClock:
    """A clock that moves only when told to, for tests and for replaying the past."""

    def __init__(self, start: datetime) -> None:
        """Stand still at ``start``, which must be aware (ValueError)."""
        self._now = _utc(start)

    def now(self) -> datetime:
        """Return the moment at which the clock stands."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forward by ``by`` and return the new moment. Raises ValueError when ``by`` is negative."""
        if by < timedelta(0):
            raise ValueError("a clock advances; use set() to go back")
        self._now += by
        return self._now

    def set(self, to: datetime) -> None:
        """Stand at ``to`` (aware, else ValueError), earlier or later than now."""
        self._now = _utc(to)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock needs an aware datetime, with its time zone")
    return moment.astimezone(UTC)
