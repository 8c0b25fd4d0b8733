"""GET /api/subscription/access[/{feature}]: the busiest addresses, answered without the framework.

A host application may ask with every page it serves. Reading the request by hand and sharing one trip to the database
with everybody who asks at the same moment is what makes that cheap; nothing is remembered, so a revoked key or an
ended subscription counts at once.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import Receive, Scope

from quntedge.access.rules import AccessSnapshot, Decision, decide, decide_all
from quntedge.access.service import AccessService, Question
from quntedge.accounts.api_keys import looks_like_key
from quntedge.accounts.errors import InvalidApiKey, MissingScope
from quntedge.edge.bare import BareRoute, json_endpoint
from quntedge.edge.callers import Csrf, Stamp, bearer_token, guest_of, required_user
from quntedge.edge.errors import InvalidId, NotSignedIn
from quntedge.edge.limits import Limit
from quntedge.edge.middleware import header
from quntedge.edge.openapi import problem_answers
from quntedge.edge.services import Services
from quntedge.kit.crypto import token_digest
from quntedge.kit.ids import is_id

SCOPE = "access:read"
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_PLAIN_QUESTION = re.compile(rb"user=(usr_[0-9a-hjkmnp-tv-z]{26})")
_STAMP = Stamp("customer or service", Csrf.NO_COOKIE, SCOPE)


class AccessEndpoint:
    """Answers one question about access. Whoever asks is a service with a key, or a customer with a session."""

    caller = _STAMP

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access: AccessService = services.access

    async def for_anybody(self, scope: Scope, receive: Receive) -> bytes:
        """Answers whoever asks. Raises what the callers and `decide` raise; the middlewares make problems of it."""
        body = await self.for_services(scope, receive)
        if body is not None:
            return body
        guest = await guest_of(Request(scope, receive))
        if guest.user is None:
            raise NotSignedIn("Sign in, or send an API key as: Authorization: Bearer qk_…")
        (snapshot,) = await self._access.snapshots((guest.user.user_id,))
        return self._body(scope, snapshot)

    async def for_services(self, scope: Scope, _receive: Receive) -> bytes | None:
        """Answers a service; None when the request carries no key."""
        authorization = header(scope, b"authorization")
        if authorization is None:
            return None
        return self._body(scope, await self._for_service(scope, authorization.decode("latin-1")))

    def _body(self, scope: Scope, snapshot: AccessSnapshot) -> bytes:
        now = self._access.clock.now()
        feature: str | None = scope["path_params"].get("feature")
        if feature is None:
            return all_body(snapshot, decide_all(snapshot, now))
        return one_body(snapshot, feature, decide(snapshot, feature, now))

    async def _for_service(self, scope: Scope, authorization: str) -> AccessSnapshot:
        token = bearer_token(authorization) or ""
        asked, complaint = _asked_user(scope["query_string"])
        scopes = None
        snapshots: Sequence[AccessSnapshot] = ()
        if looks_like_key(token):
            answer = await self._access.ask(Question((asked,) if asked else (), token_digest(token)))
            scopes, snapshots = answer.scopes, answer.snapshots
        if scopes is None:
            self._services.limits.hit(Limit.BAD_KEY, self._services.clients.bucket(scope))
            raise InvalidApiKey("The API key is unknown or was revoked. Send a live one as: Authorization: Bearer qk_…")
        if SCOPE not in scopes:
            raise MissingScope(f"The API key lacks the scope {SCOPE}. Make a key that has it.")
        # Only a caller who is known is told what is wrong with the question.
        if complaint is not None:
            raise complaint
        return snapshots[0]


def _asked_user(query: bytes) -> tuple[str | None, Exception | None]:
    """The user asked about, or what is wrong with the question."""
    plain = _PLAIN_QUESTION.fullmatch(query)
    if plain is not None:
        # What nearly everybody sends needs no parser. Whether the id can be one of ours is checked all the same.
        user_id = plain[1].decode("ascii")
        return (user_id, None) if is_id(user_id, "usr") else (None, InvalidId("There can be no user with this id."))
    try:
        users = parse_qs(query.decode("latin-1"), max_num_fields=20).get("user", [])
    except ValueError:
        return None, InvalidId("The query cannot be read. Ask with ?user=usr_… alone.")
    if len(users) > 1:
        return None, InvalidId("Name one user; POST /api/subscription/access/check takes many.")
    try:
        return required_user(users[0] if users else None), None
    except Exception as error:  # noqa: BLE001 (raised by the caller once it is known who is asking)
        return None, error


def one_body(snapshot: AccessSnapshot, feature: str, decision: Decision) -> bytes:
    """The answer about one feature."""
    return _encode({"user": snapshot.user_id, "feature": feature, **_members(decision)})


def all_body(snapshot: AccessSnapshot, decisions: dict[str, Decision]) -> bytes:
    """The answer about all features."""
    return _encode(
        {"user": snapshot.user_id, "features": {code: _members(decision) for code, decision in decisions.items()}}
    )


def _members(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "until": None if decision.until is None else _time(decision.until),
        "grace": decision.grace,
        "value": decision.value,
    }


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _encode(content: dict[str, Any]) -> bytes:
    return _ENCODER.encode(content).encode()


def bare_routes(services: Services) -> list[BareRoute]:
    """The two addresses, with their descriptions."""
    endpoint = AccessEndpoint(services)
    return [
        BareRoute(
            path="/api/subscription/access",
            methods=frozenset({"GET"}),
            endpoint=json_endpoint(endpoint.for_anybody),
            lean=endpoint.for_services,
            stamp=_STAMP,
            openapi={"get": _operation("access_all", "What may a user use?", _ALL_SCHEMA, _ALL_EXAMPLE, [_USER])},
        ),
        BareRoute(
            path="/api/subscription/access/{feature}",
            methods=frozenset({"GET"}),
            endpoint=json_endpoint(endpoint.for_anybody),
            lean=endpoint.for_services,
            stamp=_STAMP,
            openapi={
                "get": _operation(
                    "access_one", "May a user use this feature?", _ONE_SCHEMA, _ONE_EXAMPLE, [_FEATURE, _USER]
                )
            },
        ),
    ]


_USER = {
    "name": "user",
    "in": "query",
    "required": False,
    "description": "Whose access; required from services, not for customers.",
    "schema": {"type": "string", "pattern": "^usr_[0-9a-hjkmnp-tv-z]{26}$"},
}
_FEATURE = {
    "name": "feature",
    "in": "path",
    "required": True,
    "description": "Code of a feature.",
    "schema": {"type": "string", "examples": ["advanced_analytics"]},
}
_DECISION_SCHEMA: dict[str, Any] = {"$ref": "#/components/schemas/DecisionOut"}
_ALL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["user", "features"],
    "properties": {
        "user": {"type": "string"},
        "features": {"type": "object", "additionalProperties": _DECISION_SCHEMA},
    },
}
_ONE_SCHEMA: dict[str, Any] = {
    "allOf": [
        {
            "type": "object",
            "required": ["user", "feature"],
            "properties": {"user": {"type": "string"}, "feature": {"type": "string"}},
        },
        _DECISION_SCHEMA,
    ]
}
_DECISION_EXAMPLE = {
    "allowed": True,
    "reason": "subscription_active",
    "until": "2026-10-01T12:00:00Z",
    "grace": False,
    "value": None,
}
_ALL_EXAMPLE = {"user": "usr_01k4a2f0e8f9xa3s6m1q2r7v5z", "features": {"advanced_analytics": _DECISION_EXAMPLE}}
_ONE_EXAMPLE = {"user": "usr_01k4a2f0e8f9xa3s6m1q2r7v5z", "feature": "advanced_analytics", **_DECISION_EXAMPLE}


def _operation(
    name: str, summary: str, schema: dict[str, Any], example: dict[str, Any], parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "tags": ["subscription"],
        "operationId": name,
        "summary": summary,
        "description": "Decided from what is known at this moment. `until` says how long the answer may be kept.",
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "The decision",
                "content": {"application/json": {"schema": schema, "example": example}},
            },
            **problem_answers(400, 401, 403, 404, 503),
        },
    }
