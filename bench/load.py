"""The load generator: keep-alive connections on bare sockets, and as little Python for each request as possible.

It shares the machine with what it measures, so every microsecond here is one less for the server.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import cast

_TICK_SECONDS = 0.002


class LoadFailed(Exception):
    """A request was not answered with 200, so that the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. `acknowledged` counts everything; the rest leaves the warm-up out."""

    acknowledged: int
    seconds: float
    latencies_seconds: list[float]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies_seconds) / self.seconds


class _Generator:
    """Connections, their answers, and the decision what to send next, which the two kinds of load make differently."""

    def __init__(self, requests: Iterator[bytes], warm_up_seconds: float, seconds: float) -> None:
        self._requests = requests
        self._begin = 0.0
        self._warm_up = warm_up_seconds
        self._seconds = seconds
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last = 0.0
        self.acknowledged = 0
        self.in_flight = 0
        self.latencies: list[float] = []

    async def run(self, port: int, connections: int) -> Load:
        """Opens the connections, sends, and returns when the last answer is there. Raises `LoadFailed`."""
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port) for _ in range(connections)
        ]
        self._begin = perf_counter()
        self.start([connection for _, connection in opened])
        await self._done
        for transport, _ in opened:
            transport.close()
        window_ends = min(self._last, self._begin + self._warm_up + self._seconds)
        return Load(self.acknowledged, window_ends - self._begin - self._warm_up, self.latencies)

    def start(self, connections: "list[_Connection]") -> None:
        """Sends the first requests."""
        raise NotImplementedError

    def ready(self, connection: "_Connection", now: float) -> None:
        """A connection has its answer and may send again."""
        raise NotImplementedError

    def answered(self, connection: "_Connection") -> None:
        """Notes an answer."""
        now = self._last = perf_counter()
        self.acknowledged += 1
        self.in_flight -= 1
        if self._warm_up <= now - self._begin <= self._warm_up + self._seconds:
            self.latencies.append(now - connection.since)
        self.ready(connection, now)

    def failed(self, why: str) -> None:
        """Ends the run."""
        if not self._done.done():
            self._done.set_exception(LoadFailed(why))

    def finish_when_idle(self) -> None:
        """Ends the run once nothing is in flight."""
        if not self.in_flight and not self._done.done():
            self._done.set_result(None)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it."""

    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._transport: asyncio.Transport | None = None
        self._partial = b""
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # Not checked with isinstance: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes, since: float) -> None:
        """Sends a request whose latency counts from `since`."""
        if self._transport is None:
            raise LoadFailed("a connection was not opened")
        self.since = since
        self._generator.in_flight += 1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Called by the loop: an answer, or a part of one."""
        if self._partial:
            data = self._partial + data
        end_of_head = data.find(b"\r\n\r\n")
        if end_of_head < 0:
            self._partial = data
            return
        at = data.find(b"content-length: ", 0, end_of_head) + 16
        if at < 16 or not data.startswith(b"HTTP/1.1 200 "):
            self._generator.failed(data[:500].decode("latin-1"))
            return
        if len(data) < end_of_head + 4 + int(data[at : data.index(b"\r", at)]):
            self._partial = data
            return
        self._partial = b""
        self._generator.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if self._generator.in_flight:
            self._generator.failed("the server hung up")


class _Closed(_Generator):
    def start(self, connections: list[_Connection]) -> None:
        for connection in connections:
            self.ready(connection, self._begin)

    def ready(self, connection: _Connection, now: float) -> None:
        if now - self._begin < self._warm_up + self._seconds:
            request = next(self._requests, None)
            if request is not None:
                connection.send(request, now)
                return
        self.finish_when_idle()


class _Steady(_Generator):
    def __init__(self, requests: Iterator[bytes], rate: float, warm_up_seconds: float, seconds: float) -> None:
        super().__init__(requests, warm_up_seconds, seconds)
        self._rate = rate
        self._scheduled = 0
        self._idle: list[_Connection] = []
        self._late: deque[float] = deque()
        self._over = False

    def start(self, connections: list[_Connection]) -> None:
        self._idle = connections
        self._tick()

    def _tick(self) -> None:
        elapsed = min(perf_counter() - self._begin, self._warm_up + self._seconds)
        while self._scheduled < steady_count(elapsed, self._rate, self._warm_up):
            self._late.append(self._begin + self._when(self._scheduled))
            self._scheduled += 1
        while self._late and self._idle:
            self._send(self._idle.pop())
        if elapsed < self._warm_up + self._seconds:
            asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)
            return
        # Only now is everything due: an answer before this does not end the run, however late it comes.
        self._over = True
        if not self._late:
            self.finish_when_idle()

    def _when(self, number: int) -> float:
        """Seconds after the begin at which a request falls due: the other way round of `steady_count`."""
        cold = self._rate * self._warm_up / 3
        return 3 * number / self._rate if number < cold else self._warm_up + (number - cold) / self._rate

    def ready(self, connection: _Connection, now: float) -> None:
        if self._late:
            self._send(connection)
            return
        self._idle.append(connection)
        if self._over:
            self.finish_when_idle()

    def _send(self, connection: _Connection) -> None:
        # A request that had to wait for a free connection is late from the moment it was due.
        connection.send(next(self._requests), self._late.popleft())


def steady_count(elapsed_seconds: float, rate: float, warm_up_seconds: float) -> int:
    """How many requests `at_rate` has sent by then: a third of the rate while the servers are still cold."""
    cold = min(elapsed_seconds, warm_up_seconds)
    return int(rate * (cold / 3 + elapsed_seconds - cold))


async def as_fast_as_possible(
    port: int, requests: Iterator[bytes], *, connections: int, warm_up_seconds: float, seconds: float
) -> Load:
    """Every connection sends its next request as soon as it has its answer."""
    return await _Closed(requests, warm_up_seconds, seconds).run(port, connections)


async def at_rate(
    port: int, requests: Iterator[bytes], *, rate: float, connections: int, warm_up_seconds: float, seconds: float
) -> Load:
    """Requests fall due at a steady rate, whether or not the server keeps up; while warming up, at a third of it."""
    return await _Steady(requests, rate, warm_up_seconds, seconds).run(port, connections)
