"""Every way a call to Whop can go wrong, mapped to the few errors of the port.

The decisive question is whether a *write* may have happened. It certainly did not when the connection was never made,
nor when Whop refused it with a 4xx; it may have in every other case.
"""

import re
from typing import Final

import httpx

from quntedge.gateway.errors import (
    GatewayError,
    GatewayInvalidAnswer,
    GatewayNotFound,
    GatewayOutcomeUnknown,
    GatewayRateLimited,
    GatewayRejected,
    GatewayUnauthorized,
    GatewayUnavailable,
)
from quntedge.gateway.port import UnusableEvent
from quntedge.gateway.whop.documents import load_json

DEFAULT_RETRY_AFTER_SECONDS: Final = 60.0
_MAX_RETRY_AFTER_SECONDS: Final = 3600.0
_MAX_SHOWN: Final = 200
_IN_PROGRESS: Final = "idempotency_request_in_progress"

# Nothing was sent in these cases: no connection, no free connection in our pool, or a request httpx itself refused.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)

_TRY_AGAIN = re.compile(r"try again in ([0-9]{1,5}) second", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,6}")
_WORD = re.compile(r"[a-z0-9_.\-]{1,64}", re.IGNORECASE)


def from_failure(error: httpx.HTTPError | TimeoutError, operation: str, *, write: bool) -> GatewayError:
    """The error for a call that got no answer at all."""
    what = type(error).__name__
    if write and not isinstance(error, _NEVER_SENT):
        return GatewayOutcomeUnknown(f"Whop did not answer to {operation} ({what}); it may have been done or not.")
    return GatewayUnavailable(f"Whop could not be reached for {operation} ({what}).")


def from_response(response: httpx.Response, operation: str, *, write: bool) -> GatewayError:
    """The error for an answer that is no success. `detail` and `extra` never carry more of it than type and message."""
    status = response.status_code
    kind, message = _explanation(response)
    shown = f"Whop answered {operation} with {status}" + (f": {message}" if message else ".")
    error: GatewayError
    if status == 429:
        return GatewayRateLimited(shown, _retry_after(response, message))
    if status >= 500 or status == 408 or (status == 409 and kind == _IN_PROGRESS):
        # With the last, an earlier request under the same key still runs, or nobody knows how it ended.
        error = GatewayOutcomeUnknown(shown) if write else GatewayUnavailable(shown)
    elif status == 401:
        error = GatewayUnauthorized(shown)
    elif status == 404:
        error = GatewayNotFound(shown)
    elif 400 <= status < 500:
        error = GatewayRejected(shown)
    else:
        error = GatewayInvalidAnswer(shown)
    error.extra["gateway_status"] = status
    if kind is not None:
        error.extra["gateway_error"] = kind
    return error


def from_unusable(error: UnusableEvent, operation: str) -> GatewayInvalidAnswer:
    """The error for a success whose content cannot be understood."""
    return GatewayInvalidAnswer(f"Whop's answer to {operation} cannot be understood ({error}).")


def _explanation(response: httpx.Response) -> tuple[str | None, str]:
    """Whop's error type and message; the type may be called `code`, and a proxy in between may send no JSON at all."""
    try:
        document = load_json(response.content)
    except UnusableEvent:
        return None, ""
    inner = document.get("error") if isinstance(document, dict) else None
    if not isinstance(inner, dict):
        return None, ""
    kind = inner.get("type") or inner.get("code")
    message = inner.get("message")
    shown = "".join(character for character in message if character.isprintable()) if isinstance(message, str) else ""
    return (
        kind if isinstance(kind, str) and _WORD.fullmatch(kind) is not None else None,
        shown[:_MAX_SHOWN],
    )


def _retry_after(response: httpx.Response, message: str) -> float:
    """Seconds to wait: from the header, else from Whop's sentence, else a minute, the length of its window."""
    header = response.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(header) is not None:
        return min(float(header), _MAX_RETRY_AFTER_SECONDS)
    told = _TRY_AGAIN.search(message)
    return min(float(told.group(1)), _MAX_RETRY_AFTER_SECONDS) if told is not None else DEFAULT_RETRY_AFTER_SECONDS
