"""Child processes: each part of a benchmark runs in a process of its own, as it would in production."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

_ROOT = Path(__file__).resolve().parent.parent
_PATIENCE_SECONDS = 30
_LONGEST_SECONDS = 600
_LAST_LINES = 10
_LINE_CHARACTERS = 400


class ChildFailed(Exception):
    """A child ended early; the message holds the end of what it said."""


class Child:
    """A running child that talks in lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._usage = psutil.Process(process.pid)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def hear(self) -> dict[str, Any]:
        """Waits for the child's next message. Raises `ChildFailed`."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise ChildFailed(f"{self._process.args!r} ended with {self._process.wait(_PATIENCE_SECONDS)}")
        message: dict[str, Any] = json.loads(line)
        return message

    def cpu_seconds(self) -> float:
        """Processor time the child has used so far."""
        used = self._usage.cpu_times()
        return float(used.user + used.system)

    def finish(self) -> None:
        """Waits for a child that ends by itself. Raises `ChildFailed`."""
        self._process.communicate(timeout=_LONGEST_SECONDS)
        if self._process.returncode:
            raise ChildFailed(f"{self._process.args!r} ended with {self._process.returncode}")

    def stop(self) -> None:
        """Asks for the end and waits for it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_PATIENCE_SECONDS)


@contextmanager
def child(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, talks: bool = True
) -> Iterator[Child]:
    """Runs a module of ours with these settings and nobody else's: not the shell's, not those of a `.env` file.

    One that does not `talk` has no messages for us. Complaints are shown only when something goes wrong.
    """
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    with tempfile.TemporaryDirectory(prefix="quntedge-bench-") as empty_folder:
        complaints = Path(empty_folder) / "complaints"
        with complaints.open("w", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=empty_folder,
                env={**kept, "PYTHONPATH": str(_ROOT), **(environment or {})},
                stdout=subprocess.PIPE if talks else subprocess.DEVNULL,
                stderr=stderr,
                text=True,
            )
        try:
            yield Child(process)
        except Exception:
            for line in complaints.read_text("utf-8").splitlines()[-_LAST_LINES:]:
                print(f"{module}: {line[:_LINE_CHARACTERS]}", file=sys.stderr)
            raise
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdout is not None:
                process.stdout.close()


def tell(**message: object) -> None:
    """In a child: sends a message to the parent."""
    print(json.dumps(message), flush=True)
