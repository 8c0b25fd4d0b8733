"""Keeps the state in a file: what changed is written a short while later, in one transaction, and at the end.

Encoding runs on the event loop, between two events, so that a transaction never holds half of a change; only the
writing itself happens in a thread.
"""

import asyncio
import sqlite3
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.keeping.branches import Saved, Shelf
from quntedge.gateway.emulator.keeping.codec import row_adapter, table_types, value_adapter, value_names
from quntedge.gateway.emulator.keeping.images import Image
from quntedge.gateway.emulator.keeping.sqlite_state import Held, StateFile, Writing

SMALL = 5_000
"""Up to so many records all of them are compared at each write; above it only those that were marked as changed."""

_UNWRITTEN = 0
_NEVER = (-1, -1)
_NOTHING = Saved("", Image(datetime.min.replace(tzinfo=UTC), b"", {}))
_FULL_COST = 20
"""Above that, comparing everything waits at least so many times as long as it took last."""


class Keeper:
    """Compares the state with what the file holds, and writes the difference."""

    def __init__(self, world: World, shelf: Shelf, file: StateFile, held: Held) -> None:
        self._world = world
        self._shelf = shelf
        self._file = file
        self._kinds: dict[type, list[str]] = {}
        for kind, record_type in table_types().items():
            self._kinds.setdefault(record_type, []).append(kind)
        self._known = {kind: {row_id: hash(body) for row_id, body in rows.items()} for kind, rows in held.rows.items()}
        self._values = dict(held.values)
        self._saved: dict[tuple[str, str], Saved] = _all_saved(shelf)
        self._position = held.last_position
        self._seen = _NEVER
        self._full_after = 0.0
        self._unmarked = world.store.changes - world.store.marked
        self._writing = asyncio.Lock()
        world.store.dirty = {}

    @property
    def up_to_date(self) -> bool:
        """Whether the file holds everything that was marked or counted as a change."""
        now = (self._world.store.changes, self._world.clock.version)
        return self._seen == now and not self._writing.locked()

    async def run(self) -> None:
        """Writes a short while after each change. Runs until cancelled."""
        while True:
            await asyncio.sleep(self._world.config.state_interval_seconds)
            await self.write()

    async def write(self, *, everything: bool = False) -> None:
        """Writes what changed since last time. `everything` also finds changes that nobody marked."""
        async with self._writing:
            writing = self._collect(everything=everything)
            if not writing:
                return
            task = asyncio.create_task(asyncio.to_thread(self._file.write, writing))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                await task  # the file must not be closed under the thread
                raise
            except sqlite3.Error:  # a full disk, most likely: what was to be written is still to be written
                self._take_back(writing)
                raise

    def _take_back(self, writing: Writing) -> None:
        for kind, row_id, *_ in writing.rows:
            self._known[kind][row_id] = _UNWRITTEN
        for kind, row_id in writing.gone:
            self._known[kind][row_id] = _UNWRITTEN
        for name, _ in writing.values:
            self._values.pop(name, None)
        for role, name, *_ in writing.saved:
            self._saved.pop((role, name), None)
        for key in writing.forgotten:
            self._saved[key] = _NOTHING
        self._seen, self._unmarked, self._full_after = _NEVER, -1, 0.0

    def _collect(self, *, everything: bool) -> Writing:
        store, writing = self._world.store, Writing()
        now = (store.changes, self._world.clock.version)
        if not everything and now == self._seen:
            return writing
        dirty, store.dirty = store.dirty or {}, {}
        unmarked = store.changes - store.marked
        began = time.monotonic()
        self._seen = now
        if everything or self._small() or (unmarked != self._unmarked and began >= self._full_after):
            for kind in table_types():
                self._compare(kind, getattr(store.tables, kind).items(), writing)
            self._unmarked = unmarked
            self._full_after = time.monotonic() + _FULL_COST * (time.monotonic() - began)
        else:
            self._compare_marked(dirty, writing)
            if unmarked != self._unmarked:
                self._seen = _NEVER  # something else changed as well: it is looked for when that is due again
        self._find_gone(writing)
        self._compare_values(writing)
        self._compare_saved(writing)
        return writing

    def _compare_marked(self, dirty: Iterable[tuple[type, str]], writing: Writing) -> None:
        for record_type, row_id in dirty:
            for kind in self._kinds[record_type]:
                row = getattr(self._world.store.tables, kind).get(row_id)
                if row is not None:
                    self._compare(kind, ((row_id, row),), writing)

    def _small(self) -> bool:
        tables = self._world.store.tables
        return sum(len(getattr(tables, kind)) for kind in self._known) <= SMALL

    def _compare(self, kind: str, rows: Iterable[tuple[str, Any]], writing: Writing) -> None:
        known, encode = self._known[kind], row_adapter(kind).dump_json
        for row_id, row in rows:
            body = encode(row, exclude_defaults=True).decode()
            seal = hash(body)
            before = known.get(row_id)
            if before == seal:
                continue
            if before is None:
                self._position += 1
            known[row_id] = seal
            # The position of a row that exists already is not looked at.
            writing.rows.append((kind, row_id, self._position, body))

    def _find_gone(self, writing: Writing) -> None:
        """Whatever is new was compared before: a table that knows more ids than there are rows has lost some."""
        for kind, known in self._known.items():
            table = getattr(self._world.store.tables, kind)
            if len(known) == len(table):
                continue
            for row_id in known.keys() - table.keys():
                del known[row_id]
                writing.gone.append((kind, row_id))

    def _compare_values(self, writing: Writing) -> None:
        clock, tables = self._world.clock, self._world.store.tables
        values = {name: value_adapter(name).dump_json(getattr(tables, name)).decode() for name in value_names()}
        values["clock_offset_seconds"] = repr(clock.offset.total_seconds())
        values["clock_version"] = str(clock.version)
        values["branch"] = self._shelf.current
        for name, body in values.items():
            if self._values.get(name) != body:
                self._values[name] = body
                writing.values.append((name, body))

    def _compare_saved(self, writing: Writing) -> None:
        now = _all_saved(self._shelf)
        for key, saved in now.items():
            if self._saved.get(key) is not saved:
                self._position += 1
                writing.saved.append((*key, self._position, saved))
        writing.forgotten.extend(self._saved.keys() - now.keys())
        self._saved = now

    async def close(self) -> None:
        """Writes everything that is left, and closes the file."""
        try:
            await self.write(everything=True)
        finally:
            self._file.close()


def _all_saved(shelf: Shelf) -> dict[tuple[str, str], Saved]:
    return {(role, name): saved for role in ("snapshot", "branch") for name, saved in shelf.of(role).items()}
