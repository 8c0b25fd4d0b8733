"""The SQLite file that keeps the state over restarts. Standard library only; the file can be read with any SQLite tool.

The journal is a write-ahead log: whatever happens to the program, the file holds what the last finished transaction
left. The connection locks the file, so that two emulators never share one.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from quntedge.gateway.emulator.keeping.branches import Saved, Shelf
from quntedge.gateway.emulator.keeping.codec import row_adapter, table_types, value_adapter, value_names
from quntedge.gateway.emulator.keeping.images import Image
from quntedge.gateway.emulator.state.store import Tables

APPLICATION_ID = 0x51574D55
"""Tells our files from other SQLite files."""
SCHEMA_VERSION = 1

_SCHEMA = f"""
CREATE TABLE value (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    kind TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE saved (
    role TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, branch TEXT NOT NULL, at TEXT NOT NULL,
    counts TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (role, name)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class StateUnreadable(Exception):
    """The state file is damaged, foreign, newer than this program, another account's or in use. The text says which."""


@dataclass(slots=True)
class Writing:
    """What one transaction writes. Rows are (kind, id, position, JSON text)."""

    values: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[str, str, int, str]] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    saved: list[tuple[str, str, int, Saved]] = field(default_factory=list)
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.values or self.rows or self.gone or self.saved or self.forgotten)


@dataclass(frozen=True, slots=True)
class Held:
    """What a file held when it was opened. `rows` and `values` are the texts as they stand there."""

    tables: Tables
    shelf: Shelf
    clock_offset_seconds: float
    clock_version: int
    """0 in a file that is new."""
    rows: dict[str, dict[str, str]]
    values: dict[str, str]
    last_position: int


class StateFile:
    """An opened state file."""

    def __init__(self, path: Path, account_id: str) -> None:
        """Opens or makes the file. Raises `StateUnreadable` with a sentence that says what to do about it."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateUnreadable(f"{path} cannot be opened: {error}.") from error
        try:
            self._prepare(account_id)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, account_id: str) -> None:
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            fresh = not self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if not fresh:
                self._check_kind()
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if fresh:
                self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
                self._write_values([("account_id", account_id)])
            elif self._db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise self._damaged()
            self._check_account(account_id)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StateUnreadable(f"{self._path} is in use by another emulator; stop that one first.") from error
            raise StateUnreadable(f"{self._path} cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise self._damaged() from error

    def _check_kind(self) -> None:
        """Before anything is written: what is not ours stays as it is."""
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise StateUnreadable(f"{self._path} is not an emulator's state; choose another file.")
        if version != SCHEMA_VERSION:
            raise StateUnreadable(
                f"{self._path} was written by another version (format {version}, this program reads "
                f"{SCHEMA_VERSION}); use that version, or move the file away to start afresh."
            )

    def _check_account(self, account_id: str) -> None:
        row = self._db.execute("SELECT body FROM value WHERE name = 'account_id'").fetchone()
        if row is None or row[0] != account_id:
            held = "no account" if row is None else row[0]
            raise StateUnreadable(
                f"{self._path} belongs to another account ({held}); start with --account-id {held}, "
                "or move the file away to start afresh."
            )

    def _damaged(self) -> StateUnreadable:
        return StateUnreadable(f"{self._path} is damaged or no emulator state; move it away to start afresh.")

    def load(self) -> Held:
        """Reads everything. Raises `StateUnreadable` for contents that no emulator wrote, and closes the file."""
        try:
            return self._load()
        except (ValueError, sqlite3.DatabaseError) as error:  # pydantic's ValidationError is a ValueError
            self.close()
            raise self._damaged() from error
        except StateUnreadable:
            self.close()
            raise

    def _load(self) -> Held:
        values = dict(self._db.execute("SELECT name, body FROM value"))
        rows: dict[str, dict[str, str]] = {kind: {} for kind in table_types()}
        last_position = 0
        query = "SELECT kind, id, position, body FROM record ORDER BY position"
        for kind, row_id, last_position, body in self._db.execute(query):  # noqa: B007 - the last one is wanted
            if kind not in rows:
                raise StateUnreadable(f"{self._path} holds `{kind[:40]}`, which only a newer program knows.")
            rows[kind][row_id] = body
        known = [name for name in value_names() if name in values]
        tables = Tables(**{name: value_adapter(name).validate_json(values[name]) for name in known})
        for kind, bodies in rows.items():
            read = row_adapter(kind).validate_json
            getattr(tables, kind).update((row_id, read(body)) for row_id, body in bodies.items())
        return Held(
            tables,
            self._load_shelf(values),
            float(values.get("clock_offset_seconds", "0")),
            int(values.get("clock_version", "0")),
            rows,
            values,
            last_position,
        )

    def _load_shelf(self, values: dict[str, str]) -> Shelf:
        shelf = Shelf(current=values.get("branch", Shelf.MAIN))
        query = "SELECT role, name, branch, at, counts, content FROM saved ORDER BY position"
        for role, name, branch, at, counts, content in self._db.execute(query):
            image = Image.from_parts(at, content, json.loads(counts))
            shelf.of(role)[name] = Saved(branch, image)
        return shelf

    def write(self, writing: Writing) -> None:
        """Writes all of it or nothing. Blocks until it is done; may be called from any one thread at a time."""
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._write_values(writing.values)
            self._db.executemany(
                "INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                writing.rows,
            )
            self._db.executemany("DELETE FROM record WHERE kind = ? AND id = ?", writing.gone)
            self._db.executemany("DELETE FROM saved WHERE role = ? AND name = ?", writing.forgotten)
            self._db.executemany(
                "INSERT OR REPLACE INTO saved VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((role, name, position, one.branch, *one.image.parts()) for role, name, position, one in writing.saved),
            )
            execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                execute("ROLLBACK")
            raise

    def _write_values(self, values: Iterable[tuple[str, str]]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO value VALUES (?, ?)", values)

    def close(self) -> None:
        """Folds the log into the file and lets it go."""
        self._db.close()
