"""How many requests a minute Whop takes: 600 for each operation and credential, by its documentation."""

import math
import re
from dataclasses import dataclass
from datetime import datetime

from quntedge.gateway.emulator.wire.errors import ApiFault

DOCUMENTED_PER_MINUTE = 600
_MOST_BUCKETS = 10_000
_ID = re.compile(r"(?<=/)[a-z]{2,6}_(?=[a-z]*[0-9A-Z])[A-Za-z0-9]{8,}(?=/|$)")
"""Ids are random enough never to be all lower-case letters, which names of actions are."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: datetime


class RateLimiter:
    """A token bucket for each operation and credential, filled by the emulator's clock.

    A jump of the clock fills all of them, as the time that passed would have. The bucket holds a minute's worth.
    """

    def __init__(self, per_minute: int) -> None:
        """0 lets everything through."""
        self.per_minute = per_minute
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def set(self, per_minute: int) -> None:
        """Another limit from now on, with full buckets."""
        self.per_minute = per_minute
        self._buckets.clear()

    def take(self, credential: str, operation: str, now: datetime) -> None:
        """Lets one request through. Raises `RateLimited`."""
        if not self.per_minute:
            return
        key = credential, operation
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= _MOST_BUCKETS:
                self._forget_full(now)
            bucket = self._buckets[key] = _Bucket(float(self.per_minute), now)
        self._fill(bucket, now)
        if bucket.tokens < 1:
            raise RateLimited(max(1, math.ceil((1 - bucket.tokens) * 60 / self.per_minute)))
        bucket.tokens -= 1

    def _fill(self, bucket: _Bucket, now: datetime) -> None:
        passed = max(0.0, (now - bucket.at).total_seconds())  # a restored state may turn the clock back
        bucket.tokens = min(float(self.per_minute), bucket.tokens + passed * self.per_minute / 60)
        bucket.at = now

    def _forget_full(self, now: datetime) -> None:
        for key, bucket in list(self._buckets.items()):
            self._fill(bucket, now)
            if bucket.tokens >= self.per_minute:
                del self._buckets[key]


class RateLimited(ApiFault):
    """429 with Whop's sentence."""

    def __init__(self, retry_after: int) -> None:
        """`retry_after` is in seconds."""
        unit = "second" if retry_after == 1 else "seconds"
        super().__init__(429, "rate_limit_exceeded", f"Try again in {retry_after} {unit}.")
        self.headers["Retry-After"] = str(retry_after)


def operation_of(method: str, path: str) -> str:
    """The operation a request is for: its path without the ids, so that all objects of a kind share a bucket."""
    return f"{method} {_ID.sub('{id}', path)}"
