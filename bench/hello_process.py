"""The barest thing that answers, in a process of its own, served as `quntedge web` serves the product."""

import socket

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bench.children import tell


async def _hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello, world!")


async def _serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        Starlette(routes=[Route("/", _hello)]),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
    )
    # A connection that arrives before the server accepts waits in the queue of the socket.
    tell(port=listening.getsockname()[1])
    await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(_serve())
