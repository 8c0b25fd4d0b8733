"""POST /api/whop/webhook as a bare ASGI endpoint: the hottest and least trusting route of the product."""

import asyncio
from collections.abc import Sequence

from starlette.types import Receive, Scope

from quntedge.edge.bare import BareRoute, json_endpoint
from quntedge.edge.callers import Csrf, Stamp
from quntedge.edge.lean import ClientGone
from quntedge.edge.openapi import problem_answers
from quntedge.gateway.whop.signature import SignatureRejected, verify
from quntedge.kit.clock import Clock
from quntedge.kit.errors import (
    InvalidRequest,
    PayloadTooLarge,
    QuntedgeError,
    UnsupportedMedia,
)
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import WEBHOOKS_RECEIVED, WEBHOOKS_REJECTED, WEBHOOKS_VERIFIED
from quntedge.webhooks.endpoint import PATH
from quntedge.webhooks.inbox import Inbox

log = get_logger(__name__)

MAX_BODY_BYTES = 256 * 1024
BODY_TIMEOUT_SECONDS = 10

_OK_BODY = b'{"received":true}'


_DESCRIPTION = {
    "post": {
        "operationId": "whop_webhook",
        "tags": ["webhook"],
        "summary": "Takes a signed delivery from Whop",
        "description": "Answers 200 only after the delivery is durable. A delivery that verifies but cannot be used is"
        " kept and answered 200 as well; one whose id is known already changes nothing.",
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": text}
            for name, text in (
                ("webhook-id", "Id of the message; the same on every attempt."),
                ("webhook-timestamp", "Unix seconds of this attempt; at most five minutes from our clock."),
                ("webhook-signature", "One or more `v1,<base64>` signatures, separated by spaces."),
            )
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": {"id": "msg_9Xk2", "type": "payment.succeeded", "data": {"id": "pay_A1"}},
                }
            },
        },
        "responses": {
            "200": {
                "description": "Durable",
                "content": {"application/json": {"schema": {"type": "object"}, "example": {"received": True}}},
            },
            **problem_answers(400, 401, 413, 415, 503),
        },
    }
}


def webhook_route(inbox: Inbox, secrets: Sequence[bytes], clock: Clock) -> BareRoute:
    """The route of the intake."""
    endpoint = WebhookEndpoint(inbox, secrets, clock)
    return BareRoute(
        path=PATH,
        methods=frozenset({"POST"}),
        endpoint=json_endpoint(endpoint.answer),
        lean=endpoint.answer,
        stamp=Stamp("whop", Csrf.SIGNATURE),
        openapi=_DESCRIPTION,
    )


class WebhookEndpoint:
    """Verifies, stores, answers. 200 only after the delivery is durable."""

    def __init__(self, inbox: Inbox, secrets: Sequence[bytes], clock: Clock) -> None:
        self._inbox = inbox
        self._secrets = tuple(secrets)
        self._clock = clock

    async def answer(self, scope: Scope, receive: Receive) -> bytes:
        """The body of the 200. Raises for everything that is not kept."""
        WEBHOOKS_RECEIVED.inc()
        try:
            await self._accept(scope, receive)
        except ClientGone:
            WEBHOOKS_REJECTED.labels("client_gone").inc()
            raise
        except QuntedgeError as error:
            reason = error.reason if isinstance(error, SignatureRejected) else error.code
            WEBHOOKS_REJECTED.labels(reason).inc()
            log.warning("webhook.rejected", reason=reason, status=error.status)
            raise
        return _OK_BODY

    async def _accept(self, scope: Scope, receive: Receive) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        _check_headers(headers)
        body = await _read(receive)
        verified = verify(headers, body, self._secrets, self._clock.now())
        WEBHOOKS_VERIFIED.inc()
        await self._inbox.accept(verified.webhook_id, body)


def _check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    media_type = b""
    for name, value in headers:
        if name == b"content-type":
            media_type = value
        elif name == b"content-length":
            if not value.isdigit():
                raise InvalidRequest("Content-Length must be a number.")
            if len(value) > 12 or int(value) > MAX_BODY_BYTES:
                raise _too_large()
    if media_type.split(b";", 1)[0].strip().lower() != b"application/json":
        raise UnsupportedMedia("Deliveries must be sent as Content-Type: application/json.")


async def _read(receive: Receive) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        return body
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await _read_rest(receive, body)
    except TimeoutError:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_SECONDS} seconds.") from None


async def _read_rest(receive: Receive, start: bytes) -> bytes:
    parts, size, more = [start], len(start), True
    while more:
        if size > MAX_BODY_BYTES:
            raise _too_large()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    if size > MAX_BODY_BYTES:
        raise _too_large()
    return b"".join(parts)


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"A delivery may be at most {MAX_BODY_BYTES // 1024} KiB.")
