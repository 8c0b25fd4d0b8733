"""Routes below the framework: ASGI endpoints for the few addresses that are called thousands of times a second."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from quntedge.edge.callers import Stamp
from quntedge.edge.info import info_of

LeanAnswer = Callable[[Scope, Receive], Awaitable[bytes | None]]
"""Returns the JSON body of a 200; None when the request cannot be answered on the short way."""


@dataclass(frozen=True, slots=True)
class BareRoute:
    """One address served by a bare endpoint.

    `path` may end in one `{parameter}`, or in one `{parameter:path}` that may hold slashes; the endpoint finds it in
    `scope["path_params"]`. `openapi` holds the operations by lower-case method; a `quiet` route is logged only when it
    fails. `lean` answers before any middleware (see `quntedge.edge.lean`): such a route is quiet, limits its body
    itself, and what it answers on the short way is not counted by the general rate limit.
    """

    path: str
    methods: frozenset[str]
    endpoint: ASGIApp
    stamp: Stamp
    openapi: Mapping[str, Any] = field(default_factory=dict)
    quiet: bool = True
    lean: LeanAnswer | None = None

    @property
    def prefix(self) -> str | None:
        """What precedes the parameter; None for a path without one."""
        return self.path.partition("{")[0] if self.path.endswith("}") else None

    @property
    def parameter(self) -> str:
        """Name of the parameter; empty without one."""
        return self.path.partition("{")[2].rstrip("}").removesuffix(":path")

    @property
    def is_tree(self) -> bool:
        """Whether the parameter may hold slashes."""
        return self.path.endswith(":path}")


class BareDispatcher:
    """Hands requests to bare routes, and everything else to the framework.

    `not_ours` are the framework's own fixed paths, which come before a parameter that would match them.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BareRoute], not_ours: Iterable[str] = ()) -> None:
        self._app = app
        self._exact = {route.path: route for route in routes if route.prefix is None}
        self._by_prefix = {route.prefix: route for route in routes if route.prefix is not None and not route.is_tree}
        self._trees = [(route.prefix, route) for route in routes if route.prefix is not None and route.is_tree]
        self._not_ours = frozenset(not_ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection. Raises a 405 `HTTPException` for a method the route does not have."""
        route = self._match(scope) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        info = info_of(scope)
        info.route, info.quiet = route.path, route.quiet
        if scope["method"] not in route.methods:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(route.methods))})
        await route.endpoint(scope, receive, send)

    def _match(self, scope: Scope) -> BareRoute | None:
        path: str = scope["path"]
        route = self._exact.get(path)
        if route is not None:
            scope["path_params"] = {}
            return route
        for prefix, tree in self._trees:
            if path.startswith(prefix):
                scope["path_params"] = {tree.parameter: path[len(prefix) :]}
                return tree
        head, slash, tail = path.rpartition("/")
        route = self._by_prefix.get(head + slash)
        if route is None or not tail or path in self._not_ours:
            return None
        scope["path_params"] = {route.parameter: tail}
        return route


def json_endpoint(answer: Callable[[Scope, Receive], Awaitable[bytes]]) -> ASGIApp:
    """The ASGI form of something that returns the JSON body of a 200."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        body = await answer(scope, receive)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return endpoint
