"""Staying below Whop's limit of 600 requests a minute per operation, instead of running into it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from quntedge.gateway.errors import GatewayRateLimited

REQUESTS_PER_MINUTE: Final = 500
BURST: Final = 50
"""At most `BURST + REQUESTS_PER_MINUTE` requests start in any minute, which leaves room for retries below 600."""

MAX_WAIT_SECONDS: Final = 30.0
"""A caller that would have to wait longer than this is better told so than kept."""


class Limiter:
    """A token bucket per operation. Callers are served in the order in which they asked.

    `monotonic` and `sleep` measure and pass *real* time: the limit is Whop's, and knows nothing of a business clock.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        per_minute: int = REQUESTS_PER_MINUTE,
        burst: int = BURST,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._interval = 60.0 / per_minute
        self._depth = (burst - 1) * self._interval
        self._due: dict[str, float] = {}

    async def wait(self, operation: str) -> None:
        """Returns when one more request of this operation may start.

        Raises `GatewayRateLimited`, without taking a place in the queue, when that would be in more than
        `MAX_WAIT_SECONDS`.
        """
        now = self._monotonic()
        # `due` is when the bucket will be full again; a request is early by how much it overdraws the bucket.
        due = max(self._due.get(operation, now), now)
        delay = due - now - self._depth
        if delay > MAX_WAIT_SECONDS:
            raise GatewayRateLimited(f"Too many requests of our own are waiting for {operation}.", delay)
        self._due[operation] = due + self._interval
        if delay > 0:
            await self._sleep(delay)
