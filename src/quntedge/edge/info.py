"""What the edge knows of a request: set by the outermost middleware, read by everything inside."""

import secrets
from dataclasses import dataclass

from starlette.types import Scope

_KEY = "quntedge"
_ERROR = "quntedge.error"


@dataclass(slots=True)
class RequestInfo:
    """`route` is the path template that answered, never the path itself; `nonce` exists once a page asked for it."""

    request_id: str
    route: str | None = None
    quiet: bool = False
    nonce: str | None = None

    def csp_nonce(self) -> str:
        """The nonce of this answer's scripts."""
        if self.nonce is None:
            self.nonce = secrets.token_urlsafe(16)
        return self.nonce


def attach(scope: Scope, info: RequestInfo) -> None:
    """Makes the info reachable from this scope and its copies."""
    scope[_KEY] = info


def info_of(scope: Scope) -> RequestInfo:
    """The info of a request; a fresh one outside of our middlewares."""
    info: RequestInfo | None = scope.get(_KEY)
    if info is None:
        info = RequestInfo(secrets.token_hex(12))
        attach(scope, info)
    return info


def raise_later(scope: Scope, error: Exception, route: str) -> None:
    """Hands an error of the short way to the middlewares, to be answered there like any other."""
    scope[_ERROR] = (error, route)


def raise_earlier(scope: Scope) -> None:
    """Raises what `raise_later` was given, if anything."""
    found: tuple[Exception, str] | None = scope.get(_ERROR)
    if found is not None:
        error, info_of(scope).route = found
        info_of(scope).quiet = True
        raise error
