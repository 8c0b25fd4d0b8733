"""The short way for the busiest addresses: one callable instead of six middlewares, and no wrapped `send`.

An endpoint on the short way returns the body of a 200, or raises; a body of None means that this request needs the
long way. Whatever is raised takes the long way too, so that errors are answered, counted and logged in one place only.
"""

import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from quntedge.edge.bare import BareRoute
from quntedge.edge.info import RequestInfo, raise_later
from quntedge.edge.middleware import SLOW_SECONDS, data_headers, log_line, request_id_of


class ClientGone(Exception):
    """The sender hung up before its request was complete; there is nobody to answer."""


class ShortWay:
    """Serves routes that have a `lean` answer, and hands everything else to `app`, the whole stack of middlewares."""

    def __init__(self, app: ASGIApp, routes: Iterable[BareRoute], *, https: bool) -> None:
        self._app = app
        lean = [route for route in routes if route.lean is not None]
        self._exact = {route.path: route for route in lean if route.prefix is None}
        self._by_prefix = {route.prefix: route for route in lean if route.prefix is not None}
        self._headers = ((b"content-type", b"application/json"), *data_headers(https=https))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        route = self._match(scope) if scope["type"] == "http" else None
        if route is None or route.lean is None or scope["method"] not in route.methods:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        try:
            body = await route.lean(scope, receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 (raised again inside the middlewares, which answer it)
            raise_later(scope, error, route.path)
            body = None
        if body is None:
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        headers = [
            *self._headers,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode("ascii")),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        seconds = time.perf_counter() - began
        if seconds >= SLOW_SECONDS:
            log_line(scope, RequestInfo(request_id, route.path, quiet=True), 200, seconds)

    def _match(self, scope: Scope) -> BareRoute | None:
        path: str = scope["path"]
        route = self._exact.get(path)
        if route is not None:
            scope["path_params"] = {}
            return route
        head, slash, tail = path.rpartition("/")
        route = self._by_prefix.get(head + slash) if tail else None
        if route is not None:
            scope["path_params"] = {route.parameter: tail}
        return route
