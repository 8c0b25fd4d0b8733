"""Decisions about stored deliveries. Pure."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

MAX_ATTEMPTS = 8
LEASE = timedelta(minutes=2)
"""How long an event may be away to be read again from the gateway before somebody else takes it up."""

_FIRST_DELAY = timedelta(seconds=2)
_LONGEST_DELAY = timedelta(hours=1)


def retry_delay(attempts: int, jitter: random.Random) -> timedelta:
    """The wait after this many failed attempts: 2 s, 8 s, 32 s … at most an hour, ± 20 %.

    Eight attempts span an hour and three quarters, so that an hour of trouble at the gateway leaves no dead letters.
    """
    delay = min(_FIRST_DELAY * 4.0 ** (attempts - 1), _LONGEST_DELAY)
    return delay * jitter.uniform(0.8, 1.2)


class InLane(Protocol):
    """Something that has its turn within a lane."""

    @property
    def ordering_key(self) -> str:
        """The lane."""
        ...


Item = TypeVar("Item", bound=InLane)


def grouped(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Cuts items into groups of about `size`, never one lane into two: groups are worked on side by side."""
    lanes: dict[str, list[Item]] = {}
    for item in items:
        lanes.setdefault(item.ordering_key, []).append(item)
    groups: list[list[Item]] = []
    for lane in lanes.values():
        if not groups or len(groups[-1]) >= size:
            groups.append([])
        groups[-1].extend(lane)
    return groups
