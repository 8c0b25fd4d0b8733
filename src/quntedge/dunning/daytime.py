"""Times of day at a customer's place. Pure; all instants are aware UTC.

A payment that is tried again at four in the morning is a telephone that rings at four in the morning, because banks ask
for confirmations. So attempts are made in the hours in which their customer is awake, spread over those hours.
"""

import hashlib
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SECONDS_OF_HOUR = 3600
_MOST_DAYS = 3
"""Days that are looked at: the first may be over, and a zone that changes sides of the date line leaves one out."""


def next_slot(after: datetime, zone: ZoneInfo, window: tuple[int, int], seed: str) -> datetime:
    """The first instant not before `after` that is in the window's hours, at a time of day that follows from `seed`.

    `window` holds the first hour and the hour at which it closes, as 9 and 18. An hour that the clocks leave out is
    passed over to the one after it; of an hour that comes twice the first is taken.
    """
    opens, closes = window
    offset = _share(seed) % ((closes - opens) * _SECONDS_OF_HOUR)
    # Counted on the clock's face, not in elapsed time: nine o'clock is nine o'clock on the day the clocks change, too.
    at = time(opens + offset // _SECONDS_OF_HOUR, offset // 60 % 60, offset % 60)
    day = after.astimezone(zone).date()
    for distance in range(_MOST_DAYS):
        found = _instant(datetime.combine(day + timedelta(days=distance), at), zone)
        if found >= after:
            return found
    raise ValueError(f"{zone.key} has no such hour in {_MOST_DAYS} days")


def is_within(now: datetime, zone: ZoneInfo, window: tuple[int, int]) -> bool:
    """Whether the clock on the customer's wall shows one of the window's hours."""
    opens, closes = window
    shown = now.astimezone(zone).time()
    return time(opens) <= shown and (closes >= 24 or shown < time(closes))


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """A time on the wall as an instant. One that does not exist there lies as far after the gap as it says."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _share(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
