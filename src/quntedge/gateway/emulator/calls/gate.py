"""What stands before every API call: the key, the API version, the rate limit, and idempotency of writes."""

import hashlib
import itertools
from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.gateway.emulator.callers.credentials import authenticate, remember
from quntedge.gateway.emulator.callers.limits import RateLimiter, operation_of
from quntedge.gateway.emulator.calls.idempotency import Once, Write, applies
from quntedge.gateway.emulator.calls.requests import fault_answer
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.wire.errors import ApiFault, forbidden
from quntedge.gateway.emulator.wire.versions import requested_version


class Gate:
    """Pure ASGI. Wraps the API application. Every answer that passes carries an `X-Request-Id`."""

    def __init__(self, app: ASGIApp, world: World, limiter: RateLimiter) -> None:
        self._app = app
        self._world = world
        self._limiter = limiter
        self._once = Once(app, world)
        self._request_ids = _request_ids(world.config.seed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = (b"x-request-id", next(self._request_ids))

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), request_id]
            await send(message)

        try:
            await self._let_through(scope, receive, send_named)
        except ApiFault as fault:
            await fault_answer(fault)(scope, receive, send_named)

    async def _let_through(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        caller = authenticate(self._world, headers.get("authorization", ""))
        remember(scope, caller)
        if self._limiter.per_minute:
            operation = operation_of(scope["method"], scope["path"])
            self._limiter.take(caller.name, operation, self._world.now())
        version = requested_version(headers.get("api-version-date"))
        key = headers.get("idempotency-key")
        if key is None or not applies(scope):
            await self._app(scope, receive, send)
        else:
            await self._once.handle(Write(key, caller, version), scope, receive, send)


def _request_ids(seed: int) -> Iterator[bytes]:
    """Distinct within one run, and the same in every run."""
    for number in itertools.count(1):
        digest = hashlib.blake2b(f"{seed}:{number}".encode(), digest_size=10).hexdigest()
        yield f"req_{digest}".encode()


class SameOrigin:
    """Keeps other websites from moving the clock through the visitor's browser: `/_control` needs no key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2] != headers.get("host"):
                refused = fault_answer(forbidden("This may only be asked from the emulator's own pages."))
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)
