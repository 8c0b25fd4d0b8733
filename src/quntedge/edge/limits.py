"""Rate limits of one process, in constant time and bounded memory.

A sliding window from two counters: the present window's hits plus the part of the previous window that still overlaps.
The `limits` package's in-memory store was tried first: it costs 30 to 60 µs a hit, because hits keep a background walk
through all known clients going, one thread switch for each. This costs about one, however many clients there are.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from quntedge.kit.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `amount` hits in any `seconds`, counted for each identifier separately."""

    name: str
    amount: int
    seconds: int


class Limit(Enum):
    """The limits of the product."""

    GENERAL = Rule("general", 300, 60)
    SIGN_IN = Rule("sign_in", 10, 60)
    SIGN_IN_EMAIL = Rule("sign_in_email", 5, 60)
    CHECKOUT = Rule("checkout", 20, 60)
    PROMOTION = Rule("promotion", 20, 60)
    DOCUMENTS = Rule("documents", 60, 60)
    BAD_KEY = Rule("bad_key", 60, 60)


class _Window:
    __slots__ = ("current", "number", "previous")

    def __init__(self, number: int) -> None:
        self.number = number
        self.current = 0
        self.previous = 0

    def move_to(self, number: int) -> None:
        if number != self.number:
            self.previous = self.current if number == self.number + 1 else 0
            self.current = 0
            self.number = number


class RateLimits:
    """Counts hits and refuses those over a rule. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, max_identifiers: int = 50_000) -> None:
        self._clock = clock
        self._max = max_identifiers
        self._windows: dict[tuple[str, str], _Window] = {}

    def hit(self, limit: Limit, identifier: str) -> None:
        """Counts one request. Raises `RateLimited`, which says when to come back, and does not count the refused."""
        rule = limit.value
        position = self._clock() / rule.seconds
        window = self._window(rule, identifier, math.floor(position))
        gone = position - math.floor(position)
        if window.current + window.previous * (1 - gone) + 1 > rule.amount:
            raise RateLimited(
                "Too many requests in a short time. Wait a moment, then try again.",
                retry_after_seconds=math.ceil(_wait(rule, window, gone)),
            )
        window.current += 1

    def _window(self, rule: Rule, identifier: str, number: int) -> _Window:
        key = (rule.name, identifier)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= self._max:
                self._make_room()
            window = self._windows[key] = _Window(number)
        window.move_to(number)
        return window

    def _make_room(self) -> None:
        """Forgets the tenth that has been known longest; they begin anew, which is the lesser evil in a flood."""
        for key in list(self._windows)[: max(1, self._max // 10)]:
            del self._windows[key]


def _wait(rule: Rule, window: _Window, gone: float) -> float:
    """Seconds until one more hit fits: when enough of the earlier hits have slid out of the window."""
    if window.current + 1 > rule.amount:
        return rule.seconds * ((1 - gone) + 1 - (rule.amount - 1) / window.current)
    overlap = (rule.amount - 1 - window.current) / window.previous
    return rule.seconds * (1 - overlap - gone)
