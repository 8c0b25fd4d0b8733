"""What stands before every API call: the key, the API version, and idempotency of writes."""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.gateway.emulator.errors import ApiFault, bad_request, forbidden, unauthorized
from quntedge.gateway.emulator.records import KeptAnswer
from quntedge.gateway.emulator.requests import MAX_BODY_BYTES, fault_answer
from quntedge.gateway.emulator.world import World

OLDEST_VERSION = "2026-09-02-1"
"""The emulator speaks native shapes only; Whop itself would answer older versions in older shapes."""

KEPT_FOR = timedelta(hours=24)
_VERSION = re.compile(r"20\d\d-\d\d-\d\d(-\d{1,2})?", re.ASCII)


@dataclass(slots=True)
class Gate:
    """Pure ASGI. Wraps the API application."""

    app: ASGIApp
    world: World

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_key(headers)
            version = _check_version(headers)
            key = headers.get("idempotency-key") if scope["method"] == "POST" else None
            if key is None:
                await self.app(scope, receive, send)
            else:
                await self._once(key, version, scope, receive, send)
        except ApiFault as fault:
            await fault_answer(fault)(scope, receive, send)

    def _check_key(self, headers: Headers) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        expected = self.world.config.api_key.encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), expected):
            raise unauthorized()

    async def _once(self, key: str, version: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a write through once; the same key gets the same answer again, refusals included."""
        if not 1 <= len(key.encode()) <= 255:
            raise bad_request("The Idempotency-Key must have 1 to 255 bytes.")
        body = await _read_body(receive)
        parts = [scope["path"], scope.get("query_string", b"").decode("latin-1"), version]
        fingerprint = hashlib.sha256(json.dumps(parts).encode() + body).hexdigest()
        known = self._look_up(key)
        if known is None:
            await self._first_time(key, fingerprint, body, scope, send)
            return
        if known.fingerprint != fingerprint:
            raise ApiFault(
                400, "idempotency_key_mismatch", "This Idempotency-Key was used for another request. Use a new one."
            )
        if known.status is None:
            raise ApiFault(
                409, "idempotency_request_in_progress", "A request with this Idempotency-Key is still running."
            )
        response = Response(known.body, known.status, {"Idempotent-Replayed": "true"}, "application/json")
        await response(scope, receive, send)

    def _look_up(self, key: str) -> KeptAnswer | None:
        answers, horizon = self.world.store.tables.answers, self.world.now() - KEPT_FOR
        while answers and answers[oldest := next(iter(answers))].at < horizon:
            del answers[oldest]
        return answers.get(key)

    async def _first_time(self, key: str, fingerprint: str, body: bytes, scope: Scope, send: Send) -> None:
        kept = self.world.store.tables.answers[key] = KeptAnswer(fingerprint, self.world.now())
        recorder = _Recorder(send)
        await self.app(scope, _replaying(body), recorder)
        # Server errors are not kept as answers: as at Whop, their outcome stays unknown and the key stays taken.
        if recorder.status < 500:
            kept.status, kept.body = recorder.status, recorder.body.decode()
            self.world.store.changes += 1


@dataclass(slots=True)
class _Recorder:
    """Passes an answer on and keeps a copy."""

    send: Send
    status: int = 500
    body: bytearray = field(default_factory=bytearray)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
        await self.send(message)


def is_version(text: str) -> bool:
    """Whether a text has the form of an API version, such as 2026-10-15-1."""
    return _VERSION.fullmatch(text) is not None


def _check_version(headers: Headers) -> str:
    version = headers.get("api-version-date")
    if version is None:
        return ""
    if not is_version(version) or version < OLDEST_VERSION:
        raise bad_request(f"Unknown Api-Version-Date. The emulator speaks {OLDEST_VERSION} and later.")
    return version


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise ApiFault(413, "payload_too_large", "The request body is too large.")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _replaying(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@dataclass(slots=True)
class SameOrigin:
    """Keeps other websites from moving the clock through the visitor's browser: `/_control` needs no key."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2] != headers.get("host"):
                await fault_answer(forbidden("This may only be asked from the emulator's own pages."))(
                    scope, receive, send
                )
                return
        await self.app(scope, receive, send)
