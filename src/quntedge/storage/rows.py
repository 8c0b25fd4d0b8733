"""Statements for many rows at once, for the tables that a batch of events touches."""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from psycopg import AsyncConnection
from psycopg.abc import AdaptContext
from psycopg.rows import namedtuple_row
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import (
    ARRAY,
    ClauseElement,
    ColumnElement,
    Dialect,
    Executable,
    FromClause,
    Table,
    Text,
    TypeDecorator,
    any_,
    bindparam,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.asyncio import AsyncConnection as SqlConnection
from sqlalchemy.sql.compiler import SQLCompiler


async def driver_of(connection: SqlConnection) -> AsyncConnection[Any]:
    """The psycopg connection below: only it takes and gives values in binary."""
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, AsyncConnection):
        raise TypeError("the engine does not run on psycopg")
    return driver


class Texts(list[str]):
    """Texts on their way to PostgreSQL as one array, in binary: written as text it costs several times as much."""


class _Column(list[Any]):
    """Values of one column of many rows, no arrays among them."""


_NULL = struct.pack("!i", -1)
_length = struct.Struct("!i").pack


class _ColumnDumper(ListBinaryDumper):
    """psycopg's own, without what arrays of arrays need: arrays are most of what a batch sends."""

    def _dump_list(self, L: list[Any], dim: int, dims: list[int], data: list[Any]) -> int:  # noqa: N803 (its name)
        if dim or self.sub_dumper is None:
            return super()._dump_list(L, dim, dims, data)
        write = self.sub_dumper.dump
        written = [None if value is None else write(value) for value in L]
        data.extend([_NULL if value is None else _length(len(value)) + value for value in written])
        return int(None in written)


def adapt(context: AdaptContext) -> None:
    """Teaches a psycopg connection what `Texts` and columns are. Done for every connection of `create_engine`."""
    if context.connection is not None:
        for kind in (Texts, _Column):
            context.connection.adapters.register_dumper(kind, _ColumnDumper)


class _TextArray(TypeDecorator[Sequence[str]]):
    impl = ARRAY(Text)
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Texts | None:
        return None if value is None else Texts(value)


def among(column: Any, parameter: str = "values") -> ColumnElement[bool]:
    """Whether a text column holds one of the texts in a list that is given as a parameter.

    Unlike IN, the statement is the same for one text and for five hundred: it is built, compiled and planned once.
    """
    return cast(ColumnElement[bool], column == any_(bindparam(parameter, type_=_TextArray())))


async def insert_rows(
    connection: AsyncConnection[Any],
    table: FromClause,
    rows: Sequence[Mapping[str, Any]],
    *,
    conflict_key: str | None = None,
    overwrite: Sequence[str] = (),
) -> None:
    """Inserts rows that all have the same columns, with one statement and an array for each column.

    Where `conflict_key` exists already, the `overwrite` columns are brought up to date; without any, nothing is done.
    """
    if rows:
        bulk = _bulk(cast(Table, table), tuple(rows[0]))
        await connection.execute(bulk.insert(conflict_key, tuple(overwrite)), bulk.arrays(rows))


async def insert_new_rows(
    connection: AsyncConnection[Any],
    table: FromClause,
    rows: Sequence[Mapping[str, Any]],
    *,
    conflict_key: str,
) -> set[str]:
    """Inserts those rows whose `conflict_key` does not exist yet; the `id`s of these."""
    if not rows:
        return set()
    bulk = _bulk(cast(Table, table), tuple(rows[0]))
    inserted = await connection.execute(f"{bulk.insert(conflict_key, ())} RETURNING id", bulk.arrays(rows))
    return {id_ for (id_,) in await inserted.fetchall()}


async def update_rows(
    connection: AsyncConnection[Any],
    table: FromClause,
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Updates the rows with these `id`s to these values, with one statement."""
    if rows:
        bulk = _bulk(cast(Table, table), tuple(rows[0]))
        await connection.execute(bulk.update(), bulk.arrays(rows))


async def fetch(
    connection: AsyncConnection[Any], statement: Executable, parameters: Mapping[str, object]
) -> Sequence[Any]:
    """The rows of a statement that never changes, as named tuples; see `UnitOfWork.fetch`."""
    query, constants = _written(statement)
    cursor = connection.cursor(row_factory=namedtuple_row, binary=True)
    return await (await cursor.execute(query, {**constants, **parameters})).fetchall()


async def run(connection: AsyncConnection[Any], statement: Executable, parameters: Mapping[str, object]) -> None:
    """Executes a statement that never changes and returns no rows."""
    query, constants = _written(statement)
    await connection.execute(query, {**constants, **parameters})


_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@lru_cache(maxsize=256)
def _written(statement: Executable) -> tuple[str, Mapping[str, object]]:
    """A statement as the driver takes it, and the values that are part of it."""
    compiled = cast(SQLCompiler, cast(ClauseElement, statement).compile(dialect=_DIALECT))
    open_ = {name: None for name, bind in compiled.binds.items() if bind.required}
    expanded = compiled.construct_expanded_state(open_)
    return expanded.statement, {name: value for name, value in expanded.parameters.items() if name not in open_}


class _Bulk:
    """The statements about some columns of a table, as psycopg understands them: `%b` parameters travel in binary,
    which costs a fraction of writing arrays as text."""

    def __init__(self, table: Table, columns: tuple[str, ...]) -> None:
        self._table = table.name
        self._columns = columns
        types = [table.columns[name].type for name in columns]
        self._processors = [kind.dialect_impl(_DIALECT).bind_processor(_DIALECT) for kind in types]
        casts = (f"%({name})b::{kind.compile(_DIALECT)}[]" for name, kind in zip(columns, types, strict=True))
        self._source = f"unnest({', '.join(casts)})"

    def insert(self, conflict_key: str | None, overwrite: tuple[str, ...]) -> str:
        statement = f"INSERT INTO {self._table} ({', '.join(self._columns)}) SELECT * FROM {self._source}"  # noqa: S608
        if conflict_key is None:
            return statement
        action = (
            f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in overwrite)}" if overwrite else "NOTHING"
        )
        return f"{statement} ON CONFLICT ({conflict_key}) DO {action}"

    def update(self) -> str:
        sets = [f"{name} = new.{name}" for name in self._columns if name != "id"]
        return (
            f"UPDATE {self._table} AS old SET {', '.join(sets)}"  # noqa: S608 (names from our own models)
            f" FROM {self._source} AS new ({', '.join(self._columns)}) WHERE old.id = new.id"
        )

    def arrays(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, _Column]:
        return {
            name: _Column([row[name] for row in rows] if process is None else [process(row[name]) for row in rows])
            for name, process in zip(self._columns, self._processors, strict=True)
        }


@lru_cache(maxsize=128)
def _bulk(table: Table, columns: tuple[str, ...]) -> _Bulk:
    return _Bulk(table, columns)
