"""A clock that follows the gateway emulator's, so that moving the emulator by a month moves the whole system.

``GET {control_url}/clock?follower=<id>&version=<n>&wait=<s>`` is a long poll answered with
``{"now": "<ISO>", "offset_seconds": <number>, "version": <int>}``: at once when ``version`` is not the present one,
else when it changes or after ``wait`` seconds. The emulator holds a jump's webhooks back until its followers have
polled again with the new version, so the offset is applied and the subscribers are told before the next poll leaves.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from quntedge.kit.logging import get_logger

_WAIT_SECONDS = 25
_RETRY_SECONDS = 0.5
_START_TIMEOUT_SECONDS = 10.0

_log = get_logger(__name__)


class ClockUnreachable(Exception):
    """The emulator's clock did not answer in time, or what answered is not an emulator's clock."""


class _NotAClock(ClockUnreachable):
    """Something else answered with success."""


class FollowingClock:
    """Real time plus the emulator's offset. Follows from :meth:`start` until :meth:`stop`."""

    def __init__(
        self,
        control_url: str,
        *,
        start_timeout_seconds: float = _START_TIMEOUT_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        """``control_url`` is the emulator's control address, without the trailing ``/clock``."""
        self._url = f"{control_url.rstrip('/')}/clock"
        self._follower = secrets.token_hex(8)
        self._start_timeout_seconds = start_timeout_seconds
        self._retry_seconds = retry_seconds
        self._offset = timedelta(0)
        self._version = 0
        self._subscribers: list[Callable[[], None]] = []
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """Return the machine's time plus the last offset heard of, in UTC."""
        return datetime.now(UTC) + self._offset

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called in the event loop after each jump; returns a function that ends that.

        A callback must be quick (set an event). What it raises goes to the loop's exception handler; the clock goes on.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    async def start(self) -> None:
        """Ask for the offset, then follow it in the background.

        Raises ClockUnreachable when nothing usable has answered for ``start_timeout_seconds`` or something else than
        an emulator's clock has, RuntimeError when the clock is already running.
        """
        if self._task is not None:
            raise RuntimeError("the clock is already following")
        # Loopback by nature: a proxy from the environment has no business here.
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(5, read=_WAIT_SECONDS + 10), trust_env=False, follow_redirects=False
        )
        try:
            await self._first_poll(self._client)
        except BaseException:
            await self.stop()
            raise
        self._task = asyncio.create_task(self._follow(self._client), name="following-clock")

    async def stop(self) -> None:
        """Stop following; the last offset stays. Calling it again does nothing."""
        task, self._task = self._task, None
        client, self._client = self._client, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if client is not None:
            await client.aclose()

    async def _first_poll(self, client: httpx.AsyncClient) -> None:
        deadline = time.monotonic() + self._start_timeout_seconds
        while True:
            try:
                async with asyncio.timeout(max(0.05, deadline - time.monotonic())):
                    await self._poll(client, wait_seconds=0)
                return
            except _NotAClock as error:  # waiting will not make it one
                raise ClockUnreachable(f"what answered at {self._url} is not an emulator's clock") from error
            except (httpx.HTTPError, ClockUnreachable, TimeoutError) as error:
                if time.monotonic() + self._retry_seconds >= deadline:
                    raise ClockUnreachable(
                        f"the emulator's clock at {self._url} did not answer within {self._start_timeout_seconds:g} s "
                        f"({_reason(error)}); is the emulator running there?"
                    ) from error
            await asyncio.sleep(self._retry_seconds)

    async def _follow(self, client: httpx.AsyncClient) -> None:
        out_of_reach = False
        while True:
            try:
                # After an outage another emulator may be there, by chance with our version: ask at once.
                await self._poll(client, wait_seconds=0 if out_of_reach else _WAIT_SECONDS)
            except (httpx.HTTPError, ClockUnreachable) as error:
                if not out_of_reach:
                    _log.warning("clock.out_of_reach", url=self._url, reason=_reason(error))
                out_of_reach = True
                await asyncio.sleep(self._retry_seconds)
            else:
                if out_of_reach:
                    _log.info("clock.back", url=self._url)
                out_of_reach = False

    async def _poll(self, client: httpx.AsyncClient, wait_seconds: int) -> None:
        answer = await client.get(
            self._url, params={"follower": self._follower, "version": self._version, "wait": wait_seconds}
        )
        if answer.status_code != httpx.codes.OK:
            raise ClockUnreachable(f"HTTP status {answer.status_code}")
        offset, version = _read(answer)
        jumped = offset != self._offset
        self._offset, self._version = offset, version
        if jumped:
            await self._tell()

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        for callback in self._subscribers:
            # One that raises is reported by the loop and harms neither the others nor the clock.
            loop.call_soon(callback)
        await asyncio.sleep(0)  # they run now, before the next poll says that we have followed


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _read(answer: httpx.Response) -> tuple[timedelta, int]:
    """Return (offset, version) of a poll's answer. Raises _NotAClock when it has another shape."""
    try:
        body: Any = answer.json()
        offset_seconds, version = body["offset_seconds"], body["version"]
        if not isinstance(version, int):
            raise TypeError("version is not an integer")
        return timedelta(seconds=offset_seconds), version
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _NotAClock("what answered is not an emulator's clock") from error
