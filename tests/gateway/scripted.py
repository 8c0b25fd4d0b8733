"""Scripted answers for the adapter, in place of a server."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from tests.gateway.payloads import ACCOUNT_ID

SETTINGS = WhopSettings("custom", "whop_test_key_do_not_log", ACCOUNT_ID, "http://127.0.0.1:9000")
Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
Use = Callable[[WhopGateway], Awaitable[Any]]


class Script:
    """Answers requests by a handler and remembers them."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[httpx.Request] = []
        self._handler = handler

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._handler(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


def answering(*answers: httpx.Response) -> Script:
    remaining = list(answers)
    return Script(lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0])


def failing(error: Callable[[httpx.Request], Exception]) -> Script:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error(request)

    return Script(fail)


async def using(script: Script, use: Use, *, settings: WhopSettings = SETTINGS, read_retries: int = 0) -> Any:
    gateway = connect(settings, read_retries=read_retries, transport=httpx.MockTransport(script))
    try:
        return await use(gateway)
    finally:
        await gateway.close()


def error_body(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message}}


async def read(gateway: WhopGateway) -> Any:
    return await gateway.membership("mem_3Fd")


async def write(gateway: WhopGateway) -> Any:
    return await gateway.create_product("QuntEdge", metadata={}, idempotency_key="key-1")
