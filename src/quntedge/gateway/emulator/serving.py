"""Serves an emulator over HTTP."""

import socket

import uvicorn
from starlette.applications import Starlette

from quntedge.gateway.emulator.app import create_emulator
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.runtime import Runtime

_SHUTDOWN_SECONDS = 2


class EmulatorServer(uvicorn.Server):
    """A server that answers open long polls before it stops, instead of waiting for them."""

    def __init__(self, app: Starlette, host: str = "127.0.0.1", port: int = 8090) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            )
        )
        self._runtime: Runtime = app.state.runtime

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops, after open long polls were answered."""
        await self._runtime.followers.release()
        await super().shutdown(sockets)


def serve(config: EmulatorConfig, host: str = "127.0.0.1", port: int = 8090) -> None:
    """Serves until interrupted (Ctrl-C, SIGTERM).

    Raises:
        quntedge.gateway.emulator.snapshots.SnapshotUnreadable: the configured snapshot file cannot be used.
        SystemExit: the port is taken (uvicorn's way of saying so).
    """
    EmulatorServer(create_emulator(config), host, port).run()
