"""Idempotency-Key: a write happens once, and whoever repeats it under its key gets the first answer again."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.gateway.emulator.callers.credentials import ACCOUNT, Credential
from quntedge.gateway.emulator.calls.requests import MAX_BODY_BYTES
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.records import KeptAnswer
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY_BYTES = 255
OUTCOME_UNKNOWN = "quntedge.outcome_unknown"
"""Member of the scope, set by a fault: the answer gets lost before it could be kept."""

_NEVER_REPLAYED = "/generate_pdf"


@dataclass(frozen=True, slots=True)
class Write:
    """A request that carries a key."""

    key: str
    caller: Credential
    version: str

    @property
    def name(self) -> str:
        """What the answer is kept under: keys belong to their caller."""
        return self.key if self.caller == ACCOUNT else f"{self.caller.name}\n{self.key}"


def applies(scope: Scope) -> bool:
    """Whether a key has a meaning here: on every POST but the one whose answer is never given twice."""
    return scope["method"] == "POST" and not scope["path"].endswith(_NEVER_REPLAYED)


@dataclass(slots=True)
class Once:
    """Lets each write through once."""

    app: ASGIApp
    world: World

    async def handle(self, write: Write, scope: Scope, receive: Receive, send: Send) -> None:
        """Executes a write, or repeats what was answered to it.

        Raises:
            ApiFault: 400 for a key that is too long or was used for another request, 409 while the first request
                runs or when its outcome is unknown, 413.
        """
        if not 1 <= len(write.key.encode("utf-8", "surrogateescape")) <= LONGEST_KEY_BYTES:
            raise bad_request(f"The Idempotency-Key must have 1 to {LONGEST_KEY_BYTES} bytes.")
        body = await read_body(receive)
        if body is None:
            return
        parts = [scope["path"], scope.get("query_string", b"").decode("latin-1"), write.version]
        fingerprint = hashlib.sha256(json.dumps(parts).encode() + body).hexdigest()
        known = self._look_up(write.name)
        if known is None:
            await self._first_time(write.name, fingerprint, scope, replaying(body, receive), send)
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

    def _look_up(self, name: str) -> KeptAnswer | None:
        answers, horizon = self.world.store.tables.answers, self.world.now() - KEPT_FOR
        while answers and answers[oldest := next(iter(answers))].at < horizon:
            del answers[oldest]
        return answers.get(name)

    async def _first_time(self, name: str, fingerprint: str, scope: Scope, receive: Receive, send: Send) -> None:
        kept = self.world.store.tables.answers[name] = KeptAnswer(fingerprint, self.world.now())
        self.world.store.mark_as(KeptAnswer, name)
        recorder = _Recorder(send)
        await self.app(scope, receive, recorder)
        # Server errors are not kept as answers: as at Whop, their outcome stays unknown and the key stays taken.
        if recorder.status < 500 and OUTCOME_UNKNOWN not in scope:
            kept.status, kept.body = recorder.status, recorder.body.decode()
            self.world.store.mark_as(KeptAnswer, name)


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


async def read_body(receive: Receive, longest: int = MAX_BODY_BYTES) -> bytes | None:
    """The whole body of at most `longest` bytes; None when the client hung up before its end. Raises ApiFault 413."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > longest:
            raise ApiFault(413, "payload_too_large", "The request body is too large.")
        if not message.get("more_body", False):
            return bytes(body)


def replaying(body: bytes, receive: Receive) -> Receive:
    """A channel that begins with a body that was read already."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
