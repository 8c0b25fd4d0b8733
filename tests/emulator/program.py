"""The emulator as a program of its own, started by its command."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """A started emulator that answers."""

    url: str
    process: "subprocess.Popen[bytes]"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_program(
    *arguments: str,
    command: tuple[str, ...] = (sys.executable, "-m", "quntedge"),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[Program]:
    """Starts `whop-emulator` on a free port and waits until it answers; kills it at the end if it still runs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([*command, "whop-emulator", "--port", str(port), *arguments], env=env, cwd=cwd)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                    break
            time.sleep(0.02)
        assert process.poll() is None, "the emulator ended"
        yield Program(url, process)
    finally:
        process.kill()
        process.wait()
