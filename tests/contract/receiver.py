"""A webhook endpoint on a real loopback port that remembers what it was sent, byte for byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Delivery:
    """One request: raw headers in ASGI form (lower-case names) and the untouched body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True)
class Receiver:
    url: str
    deliveries: list[Delivery] = field(default_factory=list)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Answers 204 to everything while the block runs."""
    receiver = Receiver("")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = []
        for line in head.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            headers.append((name.strip().lower(), value.strip()))
        body = await reader.readexactly(int(dict(headers).get(b"content-length", b"0")))
        receiver.deliveries.append(Delivery(headers, body))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()
