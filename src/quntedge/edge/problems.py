"""Every error becomes an answer here: a problem document for programs, a page for people."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg
from fastapi.exceptions import RequestValidationError
from sqlalchemy import exc as sql_errors
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from quntedge.edge.errors import DatabaseUnavailable, InternalError, InvalidBody
from quntedge.edge.info import info_of
from quntedge.edge.malformed import explained
from quntedge.gateway.errors import GatewayError
from quntedge.kit import errors
from quntedge.kit.errors import PROBLEM_CONTENT_TYPE, QuntedgeError, problem
from quntedge.kit.logging import get_logger

log = get_logger(__name__)

ErrorPage = Callable[[Request, QuntedgeError], Awaitable[Response]]
_PROGRAM_PATHS = ("/api/", "/health/", "/metrics", "/openapi.json", "/.well-known/")
_API_RETURN = "/api/whop/return"

# A lone surrogate can come in through JSON and has no UTF-8 form, so it cannot be echoed.
_UNSPEAKABLE = re.compile("[\ud800-\udfff]")


class ProblemAnswers:
    """Turns errors into answers. `error_page` renders those for people; without one everybody gets problems."""

    def __init__(self, error_page: ErrorPage | None = None) -> None:
        self._error_page = error_page

    async def answer(self, request: Request, error: QuntedgeError) -> Response:
        """The answer to a request that ended in this error."""
        if self._error_page is not None and wants_page(request.scope):
            response = await self._error_page(request, error)
        else:
            response = problem_response(request.scope, error)
        for name, value in error.headers().items():
            response.headers[name] = value
        return response

    def handlers(self) -> Mapping[Any, Callable[[Request, Any], Any]]:
        """Exception handlers for the framework. All are coroutines: plain functions would run in threads."""

        async def handle(request: Request, error: Exception) -> Response:
            return await self.answer(request, translate(error))

        kinds = (
            QuntedgeError,
            RequestValidationError,
            HTTPException,
            sql_errors.SQLAlchemyError,
            psycopg.OperationalError,
            Exception,
        )
        return dict.fromkeys(kinds, handle)


def problem_response(scope: Scope, error: QuntedgeError) -> Response:
    """The RFC 9457 answer."""
    document = problem(error, instance=scope["path"])
    if error.status >= 500:
        document["request_id"] = info_of(scope).request_id
    return JSONResponse(
        _speakable(document),
        status_code=error.status,
        media_type=PROBLEM_CONTENT_TYPE,
        headers={"Cache-Control": "no-store"},
    )


def wants_page(scope: Scope) -> bool:
    """Whether a person is looking: by address first, then by what the client says it accepts."""
    path: str = scope["path"]
    if path.startswith(_PROGRAM_PATHS) and path != _API_RETURN:
        return False
    accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
    return not ("json" in accept and "text/html" not in accept)


def translate(error: Exception) -> QuntedgeError:
    """The error to show for one that was raised. What nobody expected is logged with its traceback here."""
    match error:
        case GatewayError():
            return _gateway(error)
        case QuntedgeError() if error.status >= 500:
            log.warning("request.failed", code=error.code, detail=error.detail)
            return error
        case QuntedgeError():
            return error
        case RequestValidationError():
            return explained(error)
        case HTTPException():
            return _http(error)
        case _ if _is_database_trouble(error):
            log.warning("database.unavailable", error=type(error).__name__)
            return DatabaseUnavailable()
        case _:
            # The request id travels in the log context of this request.
            log.error("request.crashed", error=type(error).__name__, exc_info=error)
            return InternalError("This was recorded. If you write to us, mention the request id.")


def _is_database_trouble(error: Exception) -> bool:
    """No connection, no free connection in time, deadlock, lock or statement timeout: worth trying again."""
    if isinstance(error, sql_errors.TimeoutError | psycopg.OperationalError):
        return True
    if isinstance(error, sql_errors.DBAPIError):
        passing = isinstance(error, sql_errors.OperationalError | sql_errors.InterfaceError)
        return passing or error.connection_invalidated
    return False


def _gateway(error: GatewayError) -> QuntedgeError:
    """What the gateway said stays in the log: it may name internals that are no customer's business."""
    log.warning("gateway.failed", code=error.code, detail=error.detail)
    shown = GatewayError if error.status == 502 else errors.Unavailable
    detail = (
        "The payment provider did not accept this. Nothing was charged; try again or write to us."
        if error.status == 502
        else "The payment provider does not answer for the moment. Try again shortly."
    )
    return shown(detail)


def _http(error: HTTPException) -> QuntedgeError:
    match error.status_code:
        case 400:
            return InvalidBody("The body could not be read. Check that it is what its Content-Type says.")
        case 404:
            return errors.NotFound("There is nothing at this address.")
        case 405:
            allowed = (error.headers or {}).get("Allow", "")
            return errors.MethodNotAllowed(
                f"This address answers to {allowed or 'other methods'}.",
                allowed=[method.strip() for method in allowed.split(",") if method.strip()],
            )
        case 413:
            return errors.PayloadTooLarge("The body is larger than this address takes. Send at most 1 MiB.")
        case 415:
            return errors.UnsupportedMedia("This content type is not read here. Send application/json.")
        case status if 400 <= status < 500:
            return errors.InvalidRequest("The request is not valid.")
        case _:
            return InternalError()


def _speakable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSPEAKABLE.sub("�", value)
    if isinstance(value, Mapping):
        return {_speakable(key): _speakable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_speakable(item) for item in value]
    return value
