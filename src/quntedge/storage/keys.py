"""Which master key each wrapped key depends on: looked at before a process starts, counted, and moved to another.

A wrapped key begins with the name of the master key that wrapped it (`KeyRing.wrap`), so all of this reads names only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quntedge.kit.crypto import InvalidSeal, KeyRing
from quntedge.settings import ConfigurationError

WRAPPED_BY = "substring(wrapped, 3, get_byte(wrapped, 1))"
"""SQL for the name of the master key, as bytes; an index on it must be written the same way."""

BATCH = 500


@dataclass(frozen=True, slots=True)
class KeyStore:
    """A table of wrapped keys: a column `wrapped`, and `row`, which says whose or what for. Names are code, no input.

    `title` is what people call them, in the plural.
    """

    title: str
    table: str
    row: str

    def aad(self, row_id: str) -> bytes:
        """The place a wrapped key belongs to."""
        return f"{self.table}|wrapped|{row_id}".encode()

    def sql(self, statement: str) -> TextClause:
        """The statement for this table."""
        return text(statement.format(table=self.table, row=self.row, wrapped_by=WRAPPED_BY))


# Jumps from name to name along the index instead of reading all rows.
_NAMES = """
    WITH RECURSIVE found (name) AS (
        (SELECT {wrapped_by} FROM {table} WHERE wrapped IS NOT NULL ORDER BY 1 LIMIT 1)
        UNION ALL
        SELECT (SELECT {wrapped_by} FROM {table} WHERE wrapped IS NOT NULL AND {wrapped_by} > found.name
                ORDER BY 1 LIMIT 1)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT found.name, array_agg(sample.row_id) AS row_ids, array_agg(sample.wrapped) AS wrapped
    FROM found CROSS JOIN LATERAL (
        SELECT {row}::text AS row_id, wrapped FROM {table}
        WHERE wrapped IS NOT NULL AND {wrapped_by} = found.name LIMIT 5
    ) AS sample
    GROUP BY found.name
"""
_COUNT = "SELECT {wrapped_by} AS name, count(*) AS keys FROM {table} WHERE wrapped IS NOT NULL GROUP BY 1"
_PORTION = """
    SELECT {row}::text AS row_id, wrapped FROM {table}
    WHERE wrapped IS NOT NULL AND {wrapped_by} = :name AND {row}::text > :after ORDER BY {row}::text LIMIT :size
"""
# Whoever has been erased meanwhile, or wrapped anew by somebody else, is left as they are.
_MOVE = """
    UPDATE {table} SET wrapped = given.after
    FROM unnest(CAST(:ids AS text[]), CAST(:before AS bytea[]), CAST(:after AS bytea[])) AS given (id, before, after)
    WHERE {row}::text = given.id AND wrapped = given.before
"""


async def check(connection: AsyncConnection, ring: KeyRing, stores: Iterable[KeyStore]) -> None:
    """Raises `ConfigurationError` when a key that something is wrapped by is not configured, or is another one."""
    for store in stores:
        for row in (await connection.execute(store.sql(_NAMES))).all():
            name = _name(row.name)
            if name not in ring.names:
                raise ConfigurationError(
                    f"QUNTEDGE_ENCRYPTION_KEYS lacks the key {name!r}, by which {store.title} are wrapped. Put it back,"
                    " behind the others; `quntedge keys rewrap` then moves them to the first one."
                )
            sample = dict(zip(row.row_ids, row.wrapped, strict=True))
            if not _anew(ring, store, sample):  # a damaged row or two are no reason to stand still
                raise ConfigurationError(
                    f"The key {name!r} in QUNTEDGE_ENCRYPTION_KEYS is not the one of this name by which {store.title}"
                    " were wrapped. Put that one back; a new key needs a new name."
                )


async def idle(connection: AsyncConnection, ring: KeyRing, stores: Iterable[KeyStore]) -> list[str]:
    """The names of configured keys, but for the first, by which nothing is wrapped any more."""
    used: set[str] = set()
    for store in stores:
        used |= {_name(row.name) for row in await connection.execute(store.sql(_NAMES))}
    return [name for name in ring.names if name not in used and name != ring.current]


async def count(connection: AsyncConnection, store: KeyStore) -> dict[str, int]:
    """How many keys of a table are wrapped by each master key. Reads all of it."""
    return {_name(row.name): row.keys for row in await connection.execute(store.sql(_COUNT))}


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How many keys were moved, and how many could not be opened and stay as they are."""

    moved: int
    damaged: int


async def rewrap(engine: AsyncEngine, ring: KeyRing, store: KeyStore, advance: Callable[[int], None]) -> Rewrapped:
    """Moves all keys of a table to the current master key; `advance` hears of each portion.

    Each portion is a transaction of its own, so it can be stopped at any time and begun again, next to a running
    product. Rows of a master key that is not configured are left alone: `check` and `count` tell of them.
    """
    moved = damaged = 0
    async with engine.connect() as connection:
        names = [_name(row.name) for row in await connection.execute(store.sql(_NAMES))]
    for name in names:
        if name == ring.current or name not in ring.names:
            continue
        after = ""
        while True:
            async with engine.begin() as connection:
                place = {"name": name.encode(), "after": after, "size": BATCH}
                rows = (await connection.execute(store.sql(_PORTION), place)).all()
                anew = _anew(ring, store, {row.row_id: row.wrapped for row in rows})
                done = await _move(connection, store, anew)
            moved, damaged = moved + done, damaged + len(rows) - len(anew)
            advance(len(rows))
            if len(rows) < BATCH:
                break
            after = rows[-1].row_id
    return Rewrapped(moved, damaged)


def _anew(ring: KeyRing, store: KeyStore, rows: Mapping[str, bytes]) -> list[tuple[str, bytes, bytes]]:
    """Id, old and new form of each key that can be opened."""
    made = []
    for row_id, wrapped in rows.items():
        try:
            key = ring.unwrap(wrapped, store.aad(row_id))
        except InvalidSeal:
            continue  # counted by the caller as damaged
        made.append((row_id, wrapped, ring.wrap(key, store.aad(row_id))))
    return made


async def _move(connection: AsyncConnection, store: KeyStore, anew: Sequence[tuple[str, bytes, bytes]]) -> int:
    if not anew:
        return 0
    ids, before, after = (list(column) for column in zip(*anew, strict=True))
    result = await connection.execute(store.sql(_MOVE), {"ids": ids, "before": before, "after": after})
    return result.rowcount


def _name(stored: bytes) -> str:
    return bytes(stored).decode("ascii", "replace")
