"""The emulator in a process of its own, served as `quntedge whop-emulator` serves it, on a free port."""

import socket
from dataclasses import replace

import uvloop

from bench.children import tell
from quntedge.gateway.emulator.app import create_emulator
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.serving import EmulatorServer, spare_the_collector


async def _serve() -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listening.getsockname()[1]
    config = replace(EmulatorConfig(), public_base_url=f"http://127.0.0.1:{port}")
    tell(port=port, api_key=config.api_key)
    app = create_emulator(config)
    spare_the_collector()
    await EmulatorServer(app).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(_serve())
