"""The description of the API: what the framework knows, plus bare routes, callers and problem documents."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict

from quntedge.edge.bare import BareRoute
from quntedge.edge.callers import Csrf, Stamp
from quntedge.edge.cookies import session_cookie
from quntedge.edge.services import Services
from quntedge.edge.walk import walk
from quntedge.kit.errors import PROBLEM_CONTENT_TYPE

_DESCRIPTION = """\
JSON over HTTPS, snake_case. Money is `{"amount_minor": 2900, "currency": "usd"}`: an integer of the currency's minor
unit. Times are ISO 8601 in UTC. Lists are `{"data": [...], "next_cursor": ...}`; pass the cursor back as `?cursor=`.

Errors are RFC 9457 problem documents (`application/problem+json`) with a stable `code`.

Customers call with the session cookie; whatever changes something also needs the `X-CSRF-Token` header, whose value
comes with signing in and with `GET /api/account/me`. Services call with `Authorization: Bearer qk_…`.
"""

_TITLES = {
    400: "The request cannot be understood",
    401: "Nobody is signed in, or the key is not valid",
    403: "Not permitted",
    404: "There is no such thing, or none that this caller may know of",
    409: "This does not fit the present state",
    410: "This is no longer available",
    413: "The body is too large",
    415: "The content type is not supported",
    422: "Some of the input is malformed",
    429: "Too many requests; `Retry-After` says when to come back",
    502: "The payment provider did not accept this",
    503: "Temporarily unavailable; trying again is right",
}


class Problem(BaseModel):
    """An RFC 9457 problem document. Further members depend on the code."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "/docs/errors#plan_not_found",
                "title": "There is no such plan",
                "status": 404,
                "detail": "There is no plan 'gold' on sale.",
                "code": "plan_not_found",
                "instance": "/api/payment/checkout",
            }
        },
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its `responses=`. Any address can be nonsense, and any be called too often."""
    return {status: _problem_answer(status) for status in sorted({*statuses, 400, 429})}


def _problem_answer(status: int) -> dict[str, Any]:
    return {
        "description": _TITLES[status],
        "content": {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def problem_answers(*statuses: int) -> dict[str, dict[str, Any]]:
    """The same for hand-written operations of bare routes."""
    return {str(status): _problem_answer(status) for status in sorted({*statuses, 400, 429})}


def describe(app: FastAPI, bare: Sequence[BareRoute]) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    services: Services = app.state.services
    document = get_openapi(
        title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
    )
    paths: dict[str, Any] = document.setdefault("paths", {})
    for route in bare:
        if route.openapi:
            paths.setdefault(route.path, {}).update(route.openapi)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = _schemes(services)
    for facts in walk(list(app.routes), tuple(bare)):
        operation = paths.get(facts.path, {}).get(facts.method.lower())
        if operation is not None and facts.stamps:
            _name_caller(operation, facts.stamps[0], safe=facts.method == "GET")
    paths.update(sorted(paths.items()))
    return document


def _schemes(services: Services) -> dict[str, Any]:
    return {
        "session": {"type": "apiKey", "in": "cookie", "name": session_cookie(services.settings)},
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
        "service_key": {"type": "http", "scheme": "bearer", "description": "An API key, qk_…, with the named scope."},
    }


def _name_caller(operation: dict[str, Any], stamp: Stamp, *, safe: bool) -> None:
    # The framework announces its own form of a 422; ours is a problem document.
    validation = operation.get("responses", {}).get("422")
    if validation is not None and "application/json" in validation.get("content", {}):
        operation["responses"]["422"] = _problem_answer(422)
    customer: dict[str, list[str]] = {"session": []}
    if not safe and stamp.csrf is Csrf.TOKEN:
        customer["csrf"] = []
    by_service = {"service_key": [stamp.scope]} if stamp.scope else {"service_key": []}
    security = {
        "customer": [customer],
        "service": [by_service],
        "customer or service": [customer, by_service],
    }.get(stamp.kind)
    if security is not None:
        operation["security"] = security
    scope = f" with the scope `{stamp.scope}`" if stamp.scope else ""
    note = f"Caller: {stamp.kind}{scope}."
    operation["description"] = f"{operation.get('description', '')}\n\n{note}".strip()
