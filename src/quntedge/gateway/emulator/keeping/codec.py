"""How records are written to bytes and read back: JSON, one text per record, made from the types of `Tables`.

Whoever adds a table or a field to the records need not touch this: a field that an older state lacks takes its
default, one that a newer state has too many is passed over. What equals its default is left out, which makes a state
three times smaller: a default that changes its meaning needs a new `sqlite_state.SCHEMA_VERSION`.
"""

import functools
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from quntedge.gateway.emulator.state.store import Tables


@functools.cache
def table_types() -> dict[str, Any]:
    """Name of each table to the type of its rows: the members of `Tables` that map ids to records."""
    hints = get_type_hints(Tables)
    return {
        field.name: get_args(hints[field.name])[1]
        for field in fields(Tables)
        if get_origin(hints[field.name]) is dict and is_dataclass(get_args(hints[field.name])[1])
    }


@functools.cache
def value_names() -> tuple[str, ...]:
    """Names of what `Tables` holds besides tables: counters and settings."""
    return tuple(field.name for field in fields(Tables) if field.name not in table_types())


@functools.cache
def row_adapter(table: str) -> TypeAdapter[Any]:
    """Reads and writes one row of a table."""
    return TypeAdapter(table_types()[table])


@functools.cache
def value_adapter(name: str) -> TypeAdapter[Any]:
    """Reads and writes one of the values."""
    return TypeAdapter(get_type_hints(Tables)[name])


@functools.cache
def tables_adapter() -> TypeAdapter[Tables]:
    """Reads and writes everything at once."""
    return TypeAdapter(Tables)
