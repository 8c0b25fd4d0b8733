"""A clock that follows the gateway emulator's, so that moving the emulator by a month moves the whole system.

``GET {control_url}/clock?follower=<id>&version=<n>&step=<n>&wait=<s>`` is a long poll answered with
``{"now": "<ISO>", "offset_seconds": <number>, "version": <int>, "step": <int>, "traveling": <bool>}``: at once when
``version`` is not the present one, else when it changes or after ``wait`` seconds. The emulator holds a jump's webhooks
back until its followers have polled again with the new version, so the offset is applied and the subscribers are told
before the next poll leaves.

A program that works (applies events, sends mails) says so with ``POST {control_url}/clock/report``, and in each poll
with ``works=1`` for an emulator that was started anew. From then on it is told of each new step too, which it answers
with another report as soon as it has done everything that is due now. The emulator stays at the instant until then.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from quntedge.kit.logging import get_logger

_WAIT_SECONDS = 25
_RETRY_SECONDS = 0.5
_START_TIMEOUT_SECONDS = 10.0
_NO_STEP = 0
"""Reported by who works but is not done with any step yet."""

_log = get_logger(__name__)

Settle = Callable[[], Awaitable[datetime | None]]
"""Returns once everything that is due now is done, with the next instant at which something will be due by itself."""


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
        self._step = 0
        self._traveling = False
        self._stepped = asyncio.Event()
        self._working: asyncio.Task[None] | None = None

    @property
    def offset(self) -> timedelta:
        """How far the clock is ahead of the machine's, as last heard."""
        return self._offset

    @property
    def traveling(self) -> bool:
        """Whether the clock is on its way to a later time, and will leap on from where it is now."""
        return self._traveling

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

    def work(self, settle: Settle) -> Callable[[], Awaitable[None]]:
        """Have the emulator wait, at every instant, until ``settle`` has returned; returns a function that ends that.

        ``settle`` is never called twice at the same time. What it raises is logged, and it is called again. Raises
        RuntimeError when somebody works by this clock already.
        """
        if self._working is not None:
            raise RuntimeError("one part of a program answers for its work; there is one already")
        working = self._working = asyncio.create_task(self._work(settle), name="following-clock-work")

        async def end() -> None:
            if self._working is working:
                self._working = None
                working.cancel()
                await asyncio.wait([working])
                await self._resign()

        return end

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
        params: dict[str, str | int] = {
            "follower": self._follower,
            "version": self._version,
            "step": self._step,
            "works": int(self._working is not None),
            "wait": wait_seconds,
        }
        answer = await client.get(self._url, params=params)
        if answer.status_code != httpx.codes.OK:
            raise ClockUnreachable(f"HTTP status {answer.status_code}")
        offset, version, step, traveling = _read(answer)
        jumped = offset != self._offset
        self._offset, self._version, self._traveling = offset, version, traveling
        if jumped:
            await self._tell()
        if step != self._step:
            self._step = step
            self._stepped.set()

    async def _work(self, settle: Settle) -> None:
        """Answers every step, the latest one only where several came meanwhile."""
        self._stepped.set()
        announced = False
        while True:
            await self._stepped.wait()
            self._stepped.clear()
            try:
                if not announced:  # before the first settling, which takes as long as there is work
                    await self._report({"step": _NO_STEP, "next_due": None})
                    announced = True
                step = self._step
                next_due = await settle()
                if step == self._step:
                    await self._report({"step": step, "next_due": next_due and next_due.isoformat()})
            except (httpx.HTTPError, ClockUnreachable) as error:
                _log.warning("clock.report_failed", url=self._url, reason=_reason(error))
                await self._try_again()
            except Exception:  # noqa: BLE001 - logged with its traceback; the emulator goes on without us after a while
                _log.exception("clock.work_not_settled")
                await self._try_again()

    async def _try_again(self) -> None:
        await asyncio.sleep(self._retry_seconds)
        self._stepped.set()

    async def _report(self, news: dict[str, Any]) -> None:
        if self._client is None:
            raise ClockUnreachable("the clock is not following")
        body = {"follower": self._follower, "version": self._version, "works": True} | news
        answer = await self._client.post(f"{self._url}/report", json=body)
        if answer.status_code != httpx.codes.OK:
            raise ClockUnreachable(f"HTTP status {answer.status_code}")

    async def _resign(self) -> None:
        try:
            await self._report({"step": self._step, "works": False})
        except (httpx.HTTPError, ClockUnreachable) as error:
            # An emulator that is gone waits for nobody.
            _log.info("clock.report_failed", url=self._url, reason=_reason(error))

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        for callback in self._subscribers:
            # One that raises is reported by the loop and harms neither the others nor the clock.
            loop.call_soon(callback)
        await asyncio.sleep(0)  # they run now, before the next poll says that we have followed


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _read(answer: httpx.Response) -> tuple[timedelta, int, int, bool]:
    """Return (offset, version, step, traveling) of a poll's answer. Raises _NotAClock when it has another shape."""
    try:
        body: Any = answer.json()
        offset_seconds, version, step = body["offset_seconds"], body["version"], body["step"]
        if not isinstance(version, int) or not isinstance(step, int):
            raise TypeError("version or step is not an integer")
        return timedelta(seconds=offset_seconds), version, step, body["traveling"] is True
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise _NotAClock("what answered is not an emulator's clock") from error
