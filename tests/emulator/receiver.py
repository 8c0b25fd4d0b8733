"""A webhook receiver on a real port that knows nothing of the product: it keeps what it gets."""

import asyncio
import base64
import json
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from standardwebhooks import Webhook
from whop_sdk.lib.verify_webhook import unwrap

SECRET = "ws_0123456789abcdef"


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.event["data"]
        return data

    @property
    def sent_at(self) -> datetime:
        return datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)

    def unwrapped(self) -> dict[str, Any]:
        """Through the official SDK's verifier, tolerance of five minutes included."""
        return unwrap(self.body, headers=self.headers, key=SECRET)

    def signature_is_right(self) -> bool:
        """As the verifier of the standard's own library signs, whatever the time."""
        signer = Webhook(base64.b64encode(SECRET.encode()).decode())
        return (
            signer.sign(self.headers["webhook-id"], self.sent_at, self.body.decode())
            == (self.headers["webhook-signature"])
        )


@dataclass
class Receiver:
    url: str
    received: list[Received] = field(default_factory=list)
    statuses: deque[int] = field(default_factory=deque)
    """Answers to give before going back to 200."""
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is cleared, nothing is answered; requests are received all the same."""

    def __post_init__(self) -> None:
        self.answering.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append(Received(headers, body))
        await self.answering.wait()
        status = self.statuses.popleft() if self.statuses else 200
        extra = [(b"location", b"/elsewhere")] if status in (301, 302, 307) else []
        await send({"type": "http.response.start", "status": status, "headers": extra})
        await send({"type": "http.response.body", "body": b"seen"})

    @property
    def types(self) -> list[str]:
        return [one.type for one in self.received]

    def of(self, event_type: str) -> list[Received]:
        return [one for one in self.received if one.type == event_type]

    def clear(self) -> None:
        self.received.clear()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        receiver = Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}/hook")
        server = _Server(uvicorn.Config(receiver, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield receiver
        finally:
            server.should_exit = True
            await serving
