"""Serves an emulator over HTTP."""

import gc
import socket

import uvicorn
from starlette.applications import Starlette

from quntedge.gateway.emulator.app import create_emulator
from quntedge.gateway.emulator.calls.protocol import CuttableProtocol
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.runtime import Runtime

_SHUTDOWN_SECONDS = 2
_KEEP_ALIVE_SECONDS = 300


class EmulatorServer(uvicorn.Server):
    """A server that answers open long polls before it stops, instead of waiting for them."""

    def __init__(self, app: Starlette, host: str = "127.0.0.1", port: int = 8090) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=CuttableProtocol,
                log_config=None,
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
                # A client that was held up for some seconds must not find its connection closed in its face.
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self._runtime: Runtime = app.state.runtime

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops, after open long polls were answered."""
        self._runtime.runs.cancel()
        await self._runtime.followers.release()
        self._runtime.dispatcher.faults.disarm()  # calls that hang on purpose must not hold up the end
        await self._runtime.runs.stop()
        await super().shutdown(sockets)


def serve(config: EmulatorConfig, host: str = "127.0.0.1", port: int = 8090) -> None:
    """Serves until interrupted (Ctrl-C, SIGTERM).

    Raises:
        quntedge.gateway.emulator.keeping.sqlite_state.StateUnreadable: the configured state file cannot be used.
        SystemExit: the port is taken (uvicorn's way of saying so).
    """
    app = create_emulator(config)
    spare_the_collector()
    EmulatorServer(app, host, port).run()


def spare_the_collector() -> None:
    """Takes what is there for good out of the garbage collector's view, and lets it look less often at the rest.

    To be called once by a program that is about to serve. The emulator's objects refer to each other by id, so that
    there is next to nothing for the collector to find, while a full collection visits every one of them and holds up
    every answer meanwhile.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
