"""Keeps the state in one JSON file, so that a restarted emulator continues where it stopped."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from quntedge.gateway.emulator.store import Tables
from quntedge.gateway.emulator.world import World

FORMAT = 1


@dataclass(slots=True)
class Snapshot:
    """What the file holds."""

    format: int
    account_id: str
    clock_offset_seconds: float
    clock_version: int
    tables: Tables


_ADAPTER = TypeAdapter(Snapshot)


class SnapshotUnreadable(Exception):
    """The snapshot file is damaged, of another format or of another account."""


def load(path: Path, account_id: str) -> Snapshot | None:
    """Reads a snapshot; None when there is no file.

    Raises:
        SnapshotUnreadable: with a sentence that says what to do about it.
    """
    if not path.exists():
        return None
    try:
        snapshot = _ADAPTER.validate_json(path.read_bytes())
    except ValidationError as error:
        raise SnapshotUnreadable(f"{path} is no emulator snapshot; move it away to start afresh.") from error
    if snapshot.format != FORMAT or snapshot.account_id != account_id:
        raise SnapshotUnreadable(f"{path} belongs to another account or version; move it away to start afresh.")
    return snapshot


class Snapshotter:
    """Writes the state after changes, at most once per interval, and always when stopped."""

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._path = path
        self._written = -1

    async def run(self) -> None:
        """Writes whenever something changed. Runs until cancelled."""
        while True:
            await asyncio.sleep(self._world.config.snapshot_interval_seconds)
            self.write()

    def write(self) -> None:
        """Writes now, unless nothing changed. The file is replaced atomically: a crash leaves the old one."""
        if self._written == self._world.store.changes:
            return
        self._written = self._world.store.changes
        clock = self._world.clock
        snapshot = Snapshot(
            FORMAT, self._world.config.account_id, clock.offset.total_seconds(), clock.version, self._world.store.tables
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(_ADAPTER.dump_json(snapshot))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
