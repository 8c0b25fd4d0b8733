"""A small HTTP/1.1 client for one job: POST a body, get a status and the beginning of the answer, as often as it goes.

A general client spends about a millisecond of Python on each request, which is most of what a flood of webhooks costs.
This one writes a request with one call, lets llhttp parse the answer and keeps its connections. It follows no
redirects, keeps no cookies, reads no proxies from the environment and decodes nothing.
"""

import asyncio
import functools
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httptools
import httpx

KEPT_BODY_BYTES = 64 * 1024
"""An answer's body is read to its end, or to the end of patience; this much of it is kept."""

IDLE_SECONDS = 2.0
"""A connection unused for longer is not used again: most servers hang up after five seconds, some just then."""


class SendFailed(Exception):
    """There is no complete answer. `unknown` says that the request may have arrived nevertheless."""

    def __init__(self, kind: str, message: str, *, unknown: bool = True) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind = kind
        self.unknown = unknown


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `body` holds at most `KEPT_BODY_BYTES`."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """An address, taken apart once."""

    host: str
    port: int
    tls: bool
    head: bytes
    """Request line and Host header."""

    @property
    def origin(self) -> tuple[str, int, bool]:
        """What connections are shared by."""
        return self.host, self.port, self.tls


@functools.lru_cache(maxsize=256)
def target_of(url: str) -> Target:
    """Reads an http or https address. Raises SendFailed for any other."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SendFailed("InvalidURL", str(error), unknown=False) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SendFailed("InvalidURL", "neither http nor https", unknown=False)
    tls = parsed.scheme == "https"
    head = b"POST %b HTTP/1.1\r\nhost: %b\r\n" % (parsed.raw_path, parsed.netloc)
    host = parsed.raw_host.decode("ascii")
    return Target(host, parsed.port or (443 if tls else 80), tls, head)


@functools.cache
def trust_store() -> ssl.SSLContext:
    """Reading the certificates takes longer than everything else at the start: once per process, when first needed."""
    return httpx.create_ssl_context()


def render(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """The whole request. Raises ValueError for a header that would break out of its line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header contains a line break")
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (target.head, lines.encode("latin-1"), len(body), body)


class _Connection(asyncio.Protocol):
    """One connection with at most one request on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._kept = bytearray()
        self._framed = False
        self._in_body = False
        self.heard = False
        """Whether anything came back since the last request."""
        self.reusable = True
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's do not inherit from asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop. An answer without a length ends with its connection."""
        self.reusable = False
        if self._waiting is None:
            return
        if exc is None and self._in_body and not self._framed:
            self._finish()
        else:
            self._fail(SendFailed("ConnectionLost", str(exc or "closed before the answer was complete")))

    def request(self, data: bytes) -> asyncio.Future[Answer]:
        """Sends a request; the future holds the answer or `SendFailed`."""
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self.heard = False
        self._kept.clear()
        if self._transport is None or self._transport.is_closing():
            self._fail(SendFailed("ConnectionLost", "closed before the request was sent"))
        else:
            self._transport.write(data)
        return waiting

    def abort(self) -> None:
        """Closes without ceremony."""
        self.reusable = False
        self._waiting = None
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """The time for this request is over."""
        waiting = self._waiting
        self.abort()
        if waiting is not None and not waiting.done():
            waiting.set_exception(SendFailed("Timeout", "no complete answer in time"))

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.heard = True
        if self._waiting is None:  # an answer nobody asked for
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.reusable = False
            self._finish()
        except httptools.HttpParserError as error:
            self.reusable = False
            self._fail(SendFailed("ProtocolError", str(error)))
        self._hang_up_if_over()

    def _hang_up_if_over(self) -> None:
        if not self.reusable and self._waiting is None and self._transport is not None:
            self._transport.close()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._framed = self._in_body = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        """Called by the parser."""
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_body = True

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        if len(self._kept) < KEPT_BODY_BYTES:
            self._kept += data

    def on_message_complete(self) -> None:
        """Called by the parser; interim answers (1xx) are passed over."""
        if 100 <= self._parser.get_status_code() < 200:
            return
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self._finish()

    def _finish(self) -> None:
        waiting, self._waiting = self._waiting, None
        self.idle_since = time.monotonic()
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(self._parser.get_status_code(), bytes(self._kept[:KEPT_BODY_BYTES])))

    def _fail(self, failure: SendFailed) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(failure)


class LeanClient:
    """Connections by origin. Whoever calls limits how many requests run at once; that is how many connections open."""

    def __init__(self, timeout_seconds: float, *, tls: Callable[[], ssl.SSLContext] = trust_store) -> None:
        """`timeout_seconds` covers one request from the opening of its connection to the end of the answer."""
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._idle: dict[tuple[str, int, bool], list[_Connection]] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Sends a request and returns the answer, whatever its status.

        A kept connection that turns out to be closed, before anything came back, is replaced once: servers hang up on
        idle connections at any time.

        Raises:
            SendFailed: there is no complete answer.
        """
        target = target_of(url)
        data = render(target, headers, body)
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        kept = self._take(target)
        if kept is not None:
            try:
                return await self._exchange(kept, target, data, deadline)
            except SendFailed as failure:
                if kept.heard or failure.kind != "ConnectionLost":
                    raise
        return await self._exchange(await self._open(target, deadline), target, data, deadline)

    def close(self) -> None:
        """Closes idle connections. Those in use close when their request ends or is cancelled."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _take(self, target: Target) -> _Connection | None:
        connections, fresh = self._idle.get(target.origin, []), time.monotonic() - IDLE_SECONDS
        while connections:
            connection = connections.pop()
            if connection.reusable and connection.idle_since > fresh:
                return connection
            connection.abort()
        return None

    async def _open(self, target: Target, deadline: float) -> _Connection:
        loop = asyncio.get_running_loop()
        tls = self._tls() if target.tls else None
        try:
            async with asyncio.timeout_at(deadline):
                _, connection = await loop.create_connection(_Connection, target.host, target.port, ssl=tls)
        except TimeoutError as error:
            raise SendFailed("Timeout", "no connection in time", unknown=False) from error
        except (OSError, UnicodeError) as error:  # ssl.SSLError is an OSError; a bad host name a UnicodeError
            raise SendFailed("ConnectFailed", str(error), unknown=False) from error
        return connection

    async def _exchange(self, connection: _Connection, target: Target, data: bytes, deadline: float) -> Answer:
        waiting = connection.request(data)
        timer = asyncio.get_running_loop().call_at(deadline, connection.expire)
        try:
            answer = await waiting
        except BaseException:
            connection.abort()
            raise
        finally:
            timer.cancel()
        if connection.reusable:
            self._idle.setdefault(target.origin, []).append(connection)
        return answer
