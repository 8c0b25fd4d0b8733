"""What will happen by itself, in order of time."""

import asyncio
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What an entry of the agenda is about; its id names the object."""

    MEMBERSHIP = "membership"
    TRIAL_NOTICE = "trial_notice"
    PAYMENT_RETRY = "payment_retry"
    REFUND = "refund"
    COLLECTION = "collection"
    CAPTURE = "capture"
    INVOICE = "invoice"
    DISPUTE = "dispute"
    DELIVERY = "delivery"


class Happening(NamedTuple):
    """Entries of equal time keep the order in which they were entered: no two have the same number."""

    at: datetime
    number: int
    kind: Kind
    object_id: str


@dataclass(slots=True)
class Agenda:
    """A heap whose entries are never removed early: an object that changed its mind simply carries another time, and
    the old entry is dropped when its turn comes (`Happening.at` no longer agrees with the object)."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something was entered; whoever waits for the next happening clears it."""
    _heap: list[Happening] = field(default_factory=list)
    _number: int = 0

    def enter(self, at: datetime, kind: Kind, object_id: str) -> None:
        """Adds a happening; what was entered for the object before stays and turns stale."""
        self._number += 1
        heapq.heappush(self._heap, Happening(at, self._number, kind, object_id))
        self.changed.set()

    def next_at(self) -> datetime | None:
        """Time of the earliest entry, stale ones included; None when there is none."""
        return self._heap[0].at if self._heap else None

    def upcoming(self) -> Iterator[Happening]:
        """All entries in order of time, stale ones included, as far as the caller wants; none is taken."""
        heads = [(self._heap[0], 0)] if self._heap else []
        while heads:
            entry, place = heapq.heappop(heads)
            yield entry
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(self._heap):
                    heapq.heappush(heads, (self._heap[child], child))

    def take_until(self, limit: datetime) -> list[Happening]:
        """Removes and returns everything due at or before `limit`, earliest first."""
        due: list[Happening] = []
        while self._heap and self._heap[0].at <= limit:
            due.append(heapq.heappop(self._heap))
        return due

    def clear(self) -> None:
        """Drops everything."""
        self._heap.clear()
