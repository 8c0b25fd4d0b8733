"""Many rows with one statement: every type goes there and comes back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, SmallInteger, Table, Text, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateTable

from quntedge.storage.base import BlindIndex, SealedText, UtcDateTime
from quntedge.storage.rows import Texts, among, driver_of, insert_rows, update_rows
from quntedge.storage.sealed import Sealed
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

SAMPLE = Table(
    "sample",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("note", Text),
    Column("flag", Boolean),
    Column("at", UtcDateTime),
    Column("document", JSONB(none_as_null=True)),
    Column("sealed", SealedText),
    Column("digest", BlindIndex),
    Column("big", BigInteger),
    Column("whole", Integer),
    Column("small", SmallInteger),
    Column("version", Integer, server_default="1"),
)
AT = datetime(2026, 9, 1, 12, 0, 0, 123456, tzinfo=UTC)
NOTHING: dict[str, Any] = dict.fromkeys("note flag at document sealed digest big whole small".split())
FULL: dict[str, Any] = {
    "note": "quotes ' \" \\ {a,b} NULL \n é 漢 🦉",
    "flag": True,
    "at": AT,
    "document": {"list": [1, None, True], "text": "ü'\"", "nested": {"at": "2026"}},
    "sealed": Sealed(b"\x00\x01\xff\\"),
    "digest": b"\x00" * 32,
    "big": 2**62,
    "whole": -(2**31),
    "small": 7,
}


@pytest.fixture
async def unit(units: UnitOfWorkFactory) -> Any:
    """A unit of work with the sample table."""
    async with units() as opened:
        await opened.session.execute(CreateTable(SAMPLE))
        yield opened


async def _put(unit: UnitOfWork, *rows: dict[str, Any], **options: Any) -> None:
    await insert_rows(await unit.driver_connection(), SAMPLE, rows, **options)


async def _all(unit: UnitOfWork) -> dict[str, dict[str, Any]]:
    found = await unit.session.execute(select(SAMPLE).order_by(SAMPLE.c.id))
    return {row.id: dict(row._mapping) for row in found}


async def test_every_type_makes_the_round_trip(unit: UnitOfWork) -> None:
    empty = {
        "note": "",
        "flag": False,
        "at": AT + timedelta(days=1),
        "document": {},
        "sealed": Sealed(b""),
        "digest": b"",
    } | dict.fromkeys(("big", "whole", "small"), 0)
    rows = [{"id": "full", **FULL}, {"id": "nothing", **NOTHING}, {"id": "empty", **empty}]
    await _put(unit, *rows)
    found = await _all(unit)
    assert found == {row["id"]: {**row, "version": 1} for row in rows}


async def test_columns_with_nothing_in_them_at_all(unit: UnitOfWork) -> None:
    await _put(unit, {"id": "a", **NOTHING}, {"id": "b", **NOTHING})
    assert await _all(unit) == {key: {"id": key, "version": 1, **NOTHING} for key in ("a", "b")}
    for column in NOTHING:
        found = await unit.session.execute(select(SAMPLE.c.id).where(SAMPLE.c[column].is_(None)))
        assert sorted(found.scalars()) == ["a", "b"], column


async def test_updates_change_the_rows_named_and_no_other(unit: UnitOfWork) -> None:
    await _put(unit, *({"id": key, **FULL} for key in "abc"))
    changed = {"flag": False, "document": {"new": 1}, "sealed": Sealed(b"new"), "at": None, "big": None}
    driver = await unit.driver_connection()
    await update_rows(driver, SAMPLE, [{"id": "a", **changed}, {"id": "b", **changed}])
    await update_rows(driver, SAMPLE, [{"id": "b", "note": "again"}, {"id": "no such row", "note": "x"}])
    assert await _all(unit) == {
        "a": {"id": "a", **FULL, **changed, "version": 1},
        "b": {"id": "b", **FULL, **changed, "note": "again", "version": 1},
        "c": {"id": "c", **FULL, "version": 1},
    }


async def test_rows_that_exist_are_refused_left_or_brought_up_to_date(unit: UnitOfWork) -> None:
    await _put(unit, {"id": "a", "note": "old", "whole": 1})
    await _put(unit, {"id": "a", "note": "new", "whole": 2}, conflict_key="id")
    assert (await _all(unit))["a"]["note"] == "old"
    fresh = {"id": "b", "note": "fresh", "whole": 2}
    await _put(unit, {"id": "a", "note": "new", "whole": 2}, fresh, conflict_key="id", overwrite=["note"])
    found = await _all(unit)
    assert [(row["note"], row["whole"]) for row in found.values()] == [("new", 1), ("fresh", 2)]
    with pytest.raises(UniqueViolation):
        await _put(unit, fresh)


async def test_nothing_to_write_is_nothing(unit: UnitOfWork) -> None:
    driver = await driver_of(await unit.connection())
    before = driver.info.transaction_status
    await insert_rows(driver, SAMPLE, [])
    await update_rows(driver, SAMPLE, [])
    assert driver.info.transaction_status == before
    assert await _all(unit) == {}


async def test_personal_text_and_naive_times_are_refused_here_too(unit: UnitOfWork) -> None:
    with pytest.raises(TypeError, match="must be sealed"):
        await _put(unit, {"id": "a", "sealed": "Ada"})
    with pytest.raises(TypeError, match="naive datetime"):
        await _put(unit, {"id": "a", "at": AT.replace(tzinfo=None)})


async def test_among(unit: UnitOfWork) -> None:
    strange = 'it\'s, {odd} \\ "one" NULL %s'
    await _put(unit, *({"id": key, "note": None} for key in ("a", "b", strange)))
    connection = await unit.connection()
    statement = select(SAMPLE.c.id).where(among(SAMPLE.c.id)).order_by(SAMPLE.c.id)
    for wanted, found in (([], []), (["a"], ["a"]), (["a", strange, "z"], ["a", strange]), ([""], [])):
        assert list((await connection.execute(statement, {"values": wanted})).scalars()) == found
    either = select(SAMPLE.c.id).where(among(SAMPLE.c.id, "these") | among(SAMPLE.c.note, "those"))
    rows = await connection.execute(either, {"these": ["b"], "those": ["nobody's"]})
    assert list(rows.scalars()) == ["b"]
    assert json.dumps(str(statement)).count("ANY") == 1


async def test_the_driver_reads_what_sqlalchemy_wrote(unit: UnitOfWork) -> None:
    """The same statement, the same values, without the way through SQLAlchemy."""
    await _put(unit, {"id": "a", **FULL}, {"id": "b", **NOTHING}, {"id": "c", **FULL, "small": 9})
    plain = (SAMPLE.c.id, SAMPLE.c.note, SAMPLE.c.flag, SAMPLE.c.at, SAMPLE.c.document, SAMPLE.c.big, SAMPLE.c.small)
    chosen = select(*plain).where(among(SAMPLE.c.id), SAMPLE.c.small.in_([7, 9]), SAMPLE.c.whole < 0)
    statement = chosen.order_by(SAMPLE.c.id)
    for wanted in (["a", "b", "c"], ["c"], []):
        theirs = (await (await unit.connection()).execute(statement, {"values": wanted})).all()
        ours = await unit.fetch(statement, {"values": Texts(wanted)})
        assert [row._asdict() for row in ours] == [row._asdict() for row in theirs]
    marked = text("UPDATE sample SET note = :note FROM unnest(CAST(:ids AS text[])) AS n (id) WHERE sample.id = n.id")
    await unit.run(marked, {"note": "100 %", "ids": Texts(["a", "c"])})
    assert {key: row["note"] for key, row in (await _all(unit)).items()} == {"a": "100 %", "b": None, "c": "100 %"}
