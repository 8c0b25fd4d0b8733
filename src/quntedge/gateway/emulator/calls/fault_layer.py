"""Stands before the API's gate and does to requests and answers what the armed rules say.

Everything happens outside the code that changes objects: a request is carried out completely or not at all, and what
a fault destroys is only the way to it or back from it.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.gateway.emulator.callers.limits import RateLimited
from quntedge.gateway.emulator.calls.idempotency import OUTCOME_UNKNOWN, read_body, replaying
from quntedge.gateway.emulator.calls.protocol import TRANSPORT
from quntedge.gateway.emulator.calls.requests import MAX_BODY_BYTES, fault_answer
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.faults.garbage import spoil
from quntedge.gateway.emulator.faults.rules import Faults, Rule
from quntedge.gateway.emulator.wire.errors import ApiFault

HANG_MS = 60_000
"""How long a call hangs unless the rule says it, or the client hangs up."""
SLOW_MS = 2_000
RETRY_AFTER_SECONDS = 1
_WITHOUT_EXECUTING = ("error_before", "cut_before", "rate_limit")
_SPOILING = ("error_after", "cut_after", "cut_body", "garbage")


@dataclass(slots=True)
class FaultLayer:
    """Pure ASGI. Wraps the gate. Costs one look while no rule is about the API."""

    app: ASGIApp
    world: World
    faults: Faults
    longest: int = MAX_BODY_BYTES
    """The most bytes that a request's body may have."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self.faults.touches_api:
            await self.app(scope, receive, send)
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        continued = scope["method"] == "GET" and any(name == "after" for name, _ in query)
        rule, watching = self.faults.on_call(f"{scope['method']} {path}", self.world.now(), continued=continued)
        if rule is None and not watching:
            await self.app(scope, receive, send)
        elif rule is not None and rule.plan.fault in _WITHOUT_EXECUTING:
            await self._refuse(rule, scope, receive, send)
        else:
            await self._carry_out(rule, watching, scope, receive, send)

    async def _refuse(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        match rule.plan.fault:
            case "cut_before":
                await _cut(scope, receive, send)
            case "rate_limit":
                limited = RateLimited(rule.plan.options.get("retry_after", RETRY_AFTER_SECONDS))
                await fault_answer(limited)(scope, receive, send)
            case _:
                await _server_error(rule)(scope, receive, send)

    async def _carry_out(
        self, rule: Rule | None, watching: list[Rule], scope: Scope, receive: Receive, send: Send
    ) -> None:
        # The body is read first: only then can it be seen that a waiting client hangs up.
        try:
            body = await read_body(receive, self.longest)
        except ApiFault as refusal:
            await fault_answer(refusal)(scope, receive, send)
            return
        if body is None:
            return
        held = _Held()
        if rule is not None:
            wait_ms = rule.plan.options.get("delay_ms")
            match rule.plan.fault:
                case "slow":
                    await asyncio.sleep((wait_ms or SLOW_MS) / 1000)
                case "hang_before":
                    if await _hung_up(receive, rule, wait_ms or HANG_MS):
                        return
                case "hang_after":
                    held.before_last = partial(_hung_up, receive, rule, wait_ms or HANG_MS)
                case "error_after" if rule.plan.options.get("outcome") == "unknown":
                    scope[OUTCOME_UNKNOWN] = True
        await self.app(scope, replaying(body, receive), held)
        if rule is not None and rule.plan.fault in _SPOILING:
            await _spoil_answer(held, rule, scope, receive, send)
            return
        for watcher in watching:
            if watcher is rule:
                await asyncio.sleep(rule.plan.options.get("delay_ms", 0) / 1000)
            shift(held, watcher, scope, hit=watcher is rule)
        await held.pass_on(send)


@dataclass(slots=True)
class _Held:
    """Takes an answer and keeps it. Headers stay as they were, but for the length."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    before_last: Callable[[], Any] | None = None
    """Awaited before the answer counts as given: meanwhile the request is still running for everybody else."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False) and self.before_last is not None:
                await self.before_last()

    @property
    def start(self) -> Message:
        """The head, with the length of the whole body."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        kept.append((b"content-length", b"%d" % len(self.body)))
        return {"type": "http.response.start", "status": self.status, "headers": kept}

    async def pass_on(self, send: Send) -> None:
        """Gives the answer."""
        await send(self.start)
        await send({"type": "http.response.body", "body": bytes(self.body)})


def _server_error(rule: Rule) -> Response:
    status = rule.plan.options.get("status", 500)
    return fault_answer(ApiFault(status, "internal_error", "Something went wrong on our side."))


async def _spoil_answer(held: _Held, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
    """Everything was carried out; this is what becomes of the answer."""
    match rule.plan.fault:
        case "cut_after":
            await _cut(scope, receive, send)
        case "cut_body":
            await _cut(scope, receive, send, held)
        case "garbage":
            body, media_type = spoil(bytes(held.body), rule.plan.options.get("kind", ""), rule.random)
            await Response(body, held.status, media_type=media_type)(scope, receive, send)
        case _:
            await _server_error(rule)(scope, receive, send)


async def _cut(scope: Scope, receive: Receive, send: Send, held: _Held | None = None) -> None:
    """Hangs up: at once, or in the middle of the body."""
    transport = scope.get(TRANSPORT)
    if transport is None:  # under another server than our own there is nothing to hang up
        await fault_answer(ApiFault(502, "bad_gateway", "The connection was cut."))(scope, receive, send)
        return
    if held is None:
        transport.abort()
    else:
        await send(held.start)
        await send({"type": "http.response.body", "body": bytes(held.body[: len(held.body) // 2]), "more_body": True})
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        continue  # what the client still sent is of no interest


async def _hung_up(receive: Receive, rule: Rule, wait_ms: int) -> bool:
    """Waits until the client hangs up (True), the time is over or the rule is disarmed (False)."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    rule.hanging += 1
    leaving, released = asyncio.create_task(gone()), asyncio.create_task(rule.released.wait())
    try:
        await asyncio.wait((leaving, released), timeout=wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        return leaving.done()
    finally:
        for task in (leaving, released):
            task.cancel()
        await asyncio.gather(leaving, released, return_exceptions=True)
        rule.hanging -= 1


def shift(held: _Held, rule: Rule, scope: Scope, *, hit: bool) -> None:
    """Does to a page of a list what rows that come and go between two requests do.

    A hit page either begins with the last row of the page before, as when a row was added in front of it, or lacks its
    first row, as when one in front of it went away. Which of them, the rule's seed decides.
    """
    if scope["method"] != "GET" or held.status != 200:
        return
    page = json.loads(held.body)
    rows = page.get("data") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        return
    query = parse_qsl(scope["query_string"].decode("latin-1"))
    walk = f"{scope['path']}?{urlencode([pair for pair in query if pair[0] not in ('after', 'before')])}"
    last = rows[-1] if rows else None
    if hit:
        if walk in rule.memory and rule.random.random() < 0.5:
            rows.insert(0, rule.memory[walk])
        else:
            del rows[:1]
        held.body = bytearray(json.dumps(page, separators=(",", ":"), ensure_ascii=False).encode())
    rule.memory[walk] = last if last is not None else rule.memory.get(walk)
