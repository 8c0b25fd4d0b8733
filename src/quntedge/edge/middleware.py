"""Middlewares as plain ASGI callables: a few microseconds each; the framework's base class costs over a hundred."""

import itertools
import re
import secrets
import time
from collections.abc import Sequence

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.edge.clients import Clients
from quntedge.edge.info import RequestInfo, attach, info_of, raise_earlier
from quntedge.edge.limits import Limit, RateLimits
from quntedge.edge.problems import ProblemAnswers, translate
from quntedge.kit.logging import get_logger

log = get_logger("quntedge.access_log")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
SLOW_SECONDS = 1.0
"""A request that took longer is logged even on a quiet route."""
_NO_STORE = (b"cache-control", b"no-store")
_DATA_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# Asked every few seconds by machines; worth a line only when something is wrong.
_QUIET_PATHS = ("/health/", "/metrics", "/static/")


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a header, by its lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


# Unique, not secret: a random start for each process, then counting, costs a tenth of random bytes for each request.
_process_id = secrets.token_hex(6)
_numbers = itertools.count()


def request_id_of(scope: Scope) -> str:
    """The id a client gave its request, if it is a usable one; else a new id."""
    given = header(scope, b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_process_id}{next(_numbers):012x}"


def log_line(scope: Scope, info: RequestInfo, status: int, seconds: float) -> None:
    """Writes the line of an answered request; nothing for a quiet route that answered well and quickly."""
    if info.quiet and status < 500 and seconds < SLOW_SECONDS:
        return
    route = info.route or getattr(scope.get("route"), "path", None) or "unmatched"
    method = "HEAD" if scope.get("head") else scope["method"]
    log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class RequestLog:
    """Gives every request an id, binds it to the log context, echoes it, and writes one line when it is answered.

    The line has the path's template and never the path, query or address: those can name people.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        info = RequestInfo(request_id_of(scope))
        info.quiet = scope["path"].startswith(_QUIET_PATHS)
        echo = (b"x-request-id", info.request_id.encode("ascii"))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), echo]
            await send(message)

        if scope["method"] == "HEAD":
            # Answered as GET; the server leaves the body out, since it still sees the method that was sent.
            scope = {**scope, "method": "GET", "head": True}
        attach(scope, info)
        began = time.perf_counter()
        context = structlog.contextvars.bind_contextvars(request_id=info.request_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            log_line(scope, info, status, time.perf_counter() - began)
            structlog.contextvars.reset_contextvars(**context)


def _common_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    common = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin")]
    if https:
        common.append((b"strict-transport-security", b"max-age=63072000; includeSubDomains"))
    return common


def data_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    """What `SecurityHeaders` adds to an answer that is no page and has none of these."""
    return [*_common_headers(https=https), _NO_STORE, _DATA_POLICY]


class SecurityHeaders:
    """Tells the browser what this site never does. An answer's own headers win."""

    def __init__(self, app: ASGIApp, *, https: bool, form_targets: Sequence[str] = ()) -> None:
        self._app = app
        # These mean nothing without a document; the server checks every header it writes, tens of thousands a second.
        of_pages = {
            # Not "no-referrer": that would blank the Origin header of our own forms.
            "referrer-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "cross-origin-opener-policy": "same-origin",
        }
        self._common = _common_headers(https=https)
        self._of_pages = [(name.encode(), value.encode()) for name, value in of_pages.items()]
        targets = " ".join(["'self'", *form_targets])
        self._policy = (
            "default-src 'self'; script-src 'nonce-{nonce}' 'self'; style-src 'self'; img-src 'self' data:; "
            f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(scope, list(message.get("headers", ())))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _complete(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        has_policy = has_caching = is_page = False
        for name, value in headers:
            if name == b"content-security-policy":
                has_policy = True
            elif name == b"cache-control":
                has_caching = True
            elif name == b"content-type":
                is_page = value.startswith(b"text/html")
        headers.extend(self._common)
        if is_page:
            headers.extend(self._of_pages)
        if not has_caching:
            # Nearly every answer is about one person; what may be kept says so itself.
            headers.append(_NO_STORE)
        if not has_policy:
            headers.append(self._page_policy(scope) if is_page else _DATA_POLICY)
        return headers

    def _page_policy(self, scope: Scope) -> tuple[bytes, bytes]:
        policy = self._policy.replace("{nonce}", info_of(scope).csp_nonce())
        return (b"content-security-policy", policy.encode())


class Guard:
    """The last resort: whatever is raised inside becomes an answer, and nothing reaches the server as a crash."""

    def __init__(self, app: ASGIApp, answers: ProblemAnswers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection. Re-raises only when an answer was cut off halfway: then the server hangs up."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = complete = False

        async def watching_send(message: Message) -> None:
            nonlocal started, complete
            if message["type"] == "http.response.start":
                started = True
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            await send(message)

        try:
            raise_earlier(scope)
            await self._app(scope, receive, watching_send)
        except Exception as error:
            if complete:
                return  # answered and logged by the framework's own handler, which raises it once more
            if started:
                raise
            response = await self._answers.answer(Request(scope, receive), translate(error))
            await response(scope, receive, send)


class RateLimit:
    """Counts every request of a client against the general limit.

    Left alone: signed webhooks (losing one costs more than any flood), health checks, static files, and services with
    a key, which speak for many people from one address.
    """

    _EXEMPT = ("/api/whop/webhook", "/health/", "/metrics", "/static/")

    def __init__(self, app: ASGIApp, limits: RateLimits, clients: Clients) -> None:
        self._app = app
        self._limits = limits
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection. Raises `RateLimited`."""
        if scope["type"] == "http" and not self._is_exempt(scope):
            self._limits.hit(Limit.GENERAL, self._clients.bucket(scope))
        await self._app(scope, receive, send)

    def _is_exempt(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path.startswith(self._EXEMPT):
            return True
        # Only where keys are read: elsewhere anybody could add the header. A false key is counted where it is checked.
        takes_keys = path == "/api/subscription" or path.startswith("/api/subscription/access")
        return takes_keys and header(scope, b"authorization") is not None


class BodyLimit:
    """Refuses bodies over a limit: at once when they announce their length, else when they pass it."""

    def __init__(self, app: ASGIApp, max_bytes: int = 1024 * 1024) -> None:
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection. Raises a 413 `HTTPException`, which the framework passes on unchanged."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        announced = header(scope, b"content-length")
        if announced is not None and announced.isdigit() and int(announced[:20]) > self._max:
            raise HTTPException(413)
        seen = 0

        async def counting_receive() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max:
                    raise HTTPException(413)
            return message

        await self._app(scope, counting_receive, send)
