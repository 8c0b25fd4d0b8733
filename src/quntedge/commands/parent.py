"""Life under a parent process."""

import os
import signal
import threading
from typing import Annotated

import typer

WithParent = Annotated[
    bool, typer.Option("--with-parent", hidden=True, help="End when standard input closes: the parent is gone.")
]


def follow_parent(wanted: bool) -> None:
    """Ends this process the way SIGTERM does once standard input closes.

    A parent that holds the other end of the pipe cannot die, not even by SIGKILL, without its children following.
    """
    if not wanted:
        return

    def wait() -> None:
        # Not sys.stdin: a thread that sleeps in its lock would make the interpreter abort at the end.
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
