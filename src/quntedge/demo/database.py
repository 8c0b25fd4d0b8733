"""The demo's database process: it starts the embedded server, says where it is, and stops it at the end.

A process of its own, because starting PostgreSQL runs programs that Ctrl-C in the terminal would hit half-way.
"""

import signal
import threading
from pathlib import Path

from quntedge.demo.places import Places
from quntedge.storage.embedded import EmbeddedServer


def keep_database(folder: Path) -> None:
    """Prints the address, then waits for SIGTERM. A signal that comes during the start is obeyed after it."""
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    server = EmbeddedServer(folder)
    try:
        print(server.url(), flush=True)  # noqa: T201 (read by the parent)
        while not leave.wait(0.2):
            pass
    finally:
        server.stop()


def stop_left_over(places: Places) -> None:
    """Stops the server of a demo that was killed, if it still runs."""
    if (places.postgres / "postmaster.pid").exists():
        EmbeddedServer(places.root).stop()
