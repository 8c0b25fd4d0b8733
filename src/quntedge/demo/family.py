"""Child processes that live and die with us."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 4.0
DATABASE_STOP_SECONDS = 15.0
_SHOWN_LINES = 15


class ChildDied(Exception):
    """A child ended that should not have."""

    def __init__(self, child: "Child") -> None:
        """Takes the end of its log along."""
        self.child = child
        self.last_lines = child.last_lines()
        super().__init__(f"{child.name} stopped unexpectedly ({_how(child.process.returncode)})")


@dataclass(frozen=True, slots=True)
class Child:
    """A running part of the demo. What it says goes to its log file."""

    name: str
    process: Process
    log: Path

    async def line(self) -> str:
        """The next line it reports on standard output. Raises `ChildDied` when there will be none."""
        if self.process.stdout is None:
            raise ValueError(f"{self.name} was not started to report")
        line = await self.process.stdout.readline()
        if not line:
            await self.process.wait()
            raise ChildDied(self)
        return line.decode("utf-8", "replace").rstrip("\n")

    async def finished(self) -> None:
        """Waits for a child that ends by itself. Raises `ChildDied` when it failed."""
        if await self.process.wait() != 0:
            raise ChildDied(self)

    def last_lines(self) -> list[str]:
        """The end of its log."""
        try:
            text = self.log.read_text("utf-8", "replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-_SHOWN_LINES:]


class Family:
    """Starts `quntedge …` processes and stops them.

    Each has a process group of its own, so that Ctrl-C in the terminal reaches only us and we decide the order; and
    each holds the end of a pipe on standard input that closes when we are gone, however we went.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, logs: Path) -> None:
        """`folder` is where they run: one without a `.env` file."""
        self._environment = dict(environment)
        self._folder = folder
        self._logs = logs
        self._children: list[Child] = []

    async def start(
        self, name: str, arguments: Sequence[str], extra: Mapping[str, str] | None = None, *, reports: bool = False
    ) -> Child:
        """Starts one. With `reports`, its standard output is read by us instead of logged."""
        path = self._logs / f"{name}.log"
        with path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder we run in holds nothing to import
                "-m",
                "quntedge",
                *arguments,
                stdin=PIPE,
                stdout=PIPE if reports else log,
                stderr=log,
                cwd=self._folder,
                env={**self._environment, **(extra or {})},
                start_new_session=True,
            )
        child = Child(name, process, path)
        self._children.append(child)
        return child

    def dismiss(self, child: Child) -> None:
        """Takes one that has finished its work out of the family."""
        self._children.remove(child)

    async def watch(self) -> None:
        """Never returns. Raises `ChildDied` as soon as one ends."""
        waiting = {asyncio.create_task(child.process.wait()): child for child in self._children}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        raise ChildDied(waiting[done.pop()])

    async def stop(self) -> None:
        """Stops all, the first one started (the database) last. Those that do not listen are killed."""
        first, others = self._children[:1], self._children[1:]
        await _end(others, STOP_SECONDS)
        await _end(first, DATABASE_STOP_SECONDS)


async def _end(children: Sequence[Child], patience_seconds: float) -> None:
    for child in children:
        _signal(child.process, signal.SIGTERM)
    if not children:
        return
    waiting = [asyncio.create_task(child.process.wait()) for child in children]
    _, late = await asyncio.wait(waiting, timeout=patience_seconds)
    if late:
        for child in children:
            _signal(child.process, signal.SIGKILL)
        await asyncio.wait(late)


def _signal(process: Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _how(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"signal {signal.Signals(-returncode).name}"
    return f"exit code {returncode}"
