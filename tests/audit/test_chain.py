"""The chain: nothing is changed by ordinary means, and whatever is changed by force shows."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from quntedge.audit import rules
from quntedge.audit.verify import PORTION, Anchor
from quntedge.audit.writing import audit_done
from quntedge.kit.clock import FrozenClock
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.audit.world import Book

FORBIDDEN = (
    "UPDATE audit_event SET act = 'refund.reject'",
    "DELETE FROM audit_event",
    "TRUNCATE audit_event CASCADE",
    "UPDATE audit_seal SET hash = decode(repeat('00', 32), 'hex')",
    "DELETE FROM audit_seal",
    "TRUNCATE audit_seal",
    "DELETE FROM audit_head",
    "TRUNCATE audit_head",
    "UPDATE audit_head SET number = number - 1",
    "UPDATE audit_head SET hash = decode(repeat('00', 32), 'hex')",
)


async def test_what_is_written_stays(book: Book) -> None:
    await book.filled(2)
    for statement in FORBIDDEN:
        async with await psycopg.AsyncConnection.connect(book.url) as connection:
            with pytest.raises(psycopg.errors.RestrictViolation):
                await connection.execute(statement.encode())
    assert await book.verify() is None
    assert await book.rows("SELECT count(*) FROM audit_event") == [(2,)]


async def test_a_whole_chain_holds_and_says_where_it_ends(book: Book, clock: FrozenClock) -> None:
    assert (await book.filled(0)).number == 0
    assert await book.verify() is None
    first = await book.filled(3)
    clock.advance(timedelta(hours=1))
    second = await book.filled(2)
    assert (first.number, second.number, second.sealed_at) == (3, 5, clock.now())
    assert await book.verify(first) is None
    assert await book.verify(second) is None
    assert (await book.unsealed()).count == 0


NOT_SEALED = "not what was sealed"
NO_KEYS = (
    "ALTER TABLE audit_seal DROP CONSTRAINT pk_audit_seal",
    "ALTER TABLE audit_seal DROP CONSTRAINT uq_audit_seal_event_id",
)
"""The keys forbid what the swaps below do, even for a moment."""

TAMPERING = {
    "details changed": (
        ("UPDATE audit_event SET details = details || '{\"amount_minor\": 1}' WHERE subject_id = 'ref_2'",),
        3,
        NOT_SEALED,
    ),
    "somebody else did it": (("UPDATE audit_event SET actor_id = 'x' WHERE subject_id = 'ref_0'",), 1, NOT_SEALED),
    "at another time": (
        ("UPDATE audit_event SET at = at + interval '1 microsecond' WHERE subject_id = 'ref_4'",),
        5,
        NOT_SEALED,
    ),
    "sealed at another time": (
        ("UPDATE audit_seal SET sealed_at = sealed_at + interval '1 second' WHERE number = 4",),
        4,
        NOT_SEALED,
    ),
    "event deleted": (("DELETE FROM audit_event WHERE subject_id = 'ref_1'",), 2, "the event is gone"),
    "event and seal deleted": (
        ("DELETE FROM audit_event WHERE subject_id = 'ref_1'", "DELETE FROM audit_seal WHERE number = 2"),
        2,
        "its seal is gone",
    ),
    "the gap closed": (
        (
            *NO_KEYS,
            "DELETE FROM audit_event WHERE subject_id = 'ref_1'",
            "DELETE FROM audit_seal WHERE number = 2",
            "UPDATE audit_seal SET number = number - 1 WHERE number > 2",
            "UPDATE audit_head SET number = 4",
        ),
        2,
        NOT_SEALED,
    ),
    "the last seal deleted": (("DELETE FROM audit_seal WHERE number = 5",), 5, "its seal is gone"),
    "all seals deleted": (("DELETE FROM audit_seal",), 1, "its seal is gone"),
    "two events swapped": (
        (
            *NO_KEYS,
            "UPDATE audit_seal AS one SET event_id = other.event_id FROM audit_seal AS other"
            " WHERE (one.number, other.number) IN ((2, 3), (3, 2))",
        ),
        2,
        NOT_SEALED,
    ),
    "two numbers swapped": (
        (*NO_KEYS, "UPDATE audit_seal SET number = 7 - number WHERE number IN (3, 4)"),
        3,
        NOT_SEALED,
    ),
    "one slipped in": (
        (
            *NO_KEYS,
            "UPDATE audit_seal SET number = number + 1 WHERE number >= 3",
            "INSERT INTO audit_event SELECT 'aud_x', at, actor_kind, actor_id, holder, act, subject_kind, 'ref_x',"
            " outcome, code, details, request_id FROM audit_event WHERE subject_id = 'ref_1'",
            "INSERT INTO audit_seal SELECT 3, 'aud_x', sha256('x'), sealed_at FROM audit_seal WHERE number = 2",
            "UPDATE audit_head SET number = 6",
        ),
        3,
        NOT_SEALED,
    ),
    "the end moved back": (
        ("UPDATE audit_head SET number = 4, hash = (SELECT hash FROM audit_seal WHERE number = 4)",),
        5,
        "after the end",
    ),
    "the end removed": (("DELETE FROM audit_head",), 1, "after the end"),
    "the end changed": (("UPDATE audit_head SET hash = sha256('x')",), 5, "another one"),
}


async def test_whatever_is_changed_by_force_shows(book: Book, engine: AsyncEngine, clock: FrozenClock) -> None:
    await book.filled(5)
    for name, (statements, number, what) in TAMPERING.items():
        # Each in a transaction that is never committed: the next begins with the whole chain.
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for statement in statements:
                await connection.exec_driver_sql(statement)
            sessions = async_sessionmaker(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
            broken = await Book(UnitOfWorkFactory(sessions, clock, EventBus()), book.url).verify()
            await connection.rollback()
        assert broken is not None, name
        assert (broken.number, what in broken.what) == (number, True), (name, broken)
    assert await book.verify() is None


async def test_what_was_cut_off_the_end_stays_missing(book: Book) -> None:
    await book.filled(3)
    await book.force("DELETE FROM audit_seal WHERE number = 3", "DELETE FROM audit_event WHERE subject_id = 'ref_2'")
    assert (await book.filled(2)).number == 5
    broken = await book.verify()
    assert broken is not None
    assert (broken.number, broken.what) == (3, "its seal is gone")


async def test_a_chain_made_anew_shows_against_an_anchor(book: Book) -> None:
    kept = await book.filled(4)
    # Everything from number 3 on, with the hashes that belong to the new content: the chain itself holds.
    rows = await book.rows(
        "SELECT s.number, s.hash, s.sealed_at, e.* FROM audit_seal s JOIN audit_event e ON e.id = event_id ORDER BY 1"
    )
    names = ("id", "at", "actor_kind", "actor_id", "holder", "act", "subject_kind", "subject_id", "outcome", "code",
             "details", "request_id")  # fmt: skip
    digest, statements = rules.GENESIS, ["UPDATE audit_event SET actor_id = 'key_lou' WHERE subject_id = 'ref_2'"]
    for number, _, sealed_at, *values in rows:
        event = dict(zip(names, values, strict=True))
        if event["subject_id"] == "ref_2":
            event["actor_id"] = "key_lou"
        digest = rules.seal(digest, int(str(number)), sealed_at, event)  # type: ignore[arg-type]
        statements.append(f"UPDATE audit_seal SET hash = '\\x{digest.hex()}' WHERE number = {number}")
    await book.force(*statements, f"UPDATE audit_head SET hash = '\\x{digest.hex()}'")
    assert await book.verify() is None
    broken = await book.verify(kept)
    assert broken is not None
    assert (broken.number, "anchor has another hash" in broken.what) == (4, True)
    ahead = await book.verify(Anchor(9, kept.hash))
    assert ahead is not None
    assert "the log ends with 4" in ahead.what


async def test_what_never_gets_its_seal_is_noticed(book: Book) -> None:
    await book.filled(1)
    await book.write(2)
    waiting = await book.unsealed()
    assert (waiting.count, waiting.vanished) == (2, 0)
    await book.force("DELETE FROM audit_event WHERE subject_id = 'ref_1'")
    assert (await book.unsealed()).vanished == 1
    await book.force("DELETE FROM audit_unsealed")
    await book.log.keep()
    assert await book.verify() is None
    left = await book.unsealed()
    assert (left.count, left.vanished, left.oldest_at is not None) == (1, 0, True)


async def test_twenty_write_and_seal_at_the_same_time(database_url: str, clock: FrozenClock) -> None:
    engines: list[AsyncEngine] = [create_engine(database_url, pool_size=1) for _ in range(20)]
    books = [Book(UnitOfWorkFactory(session_factory(engine), clock, EventBus()), database_url) for engine in engines]

    async def work(one: Book) -> None:
        for _ in range(2):
            await one.write(1)
            await one.log.keep()

    await asyncio.gather(*(work(one) for one in books))
    assert await books[0].verify() is None
    assert await books[0].rows("SELECT count(*), max(number), count(DISTINCT event_id) FROM audit_seal") == [
        (40, 40, 40)
    ]
    assert (await books[0].unsealed()).count == 0
    for engine in engines:
        await engine.dispose()


async def test_a_long_chain_is_walked_in_portions(book: Book) -> None:
    await book.force(
        "INSERT INTO audit_unsealed SELECT 'aud_' || lpad(n::text, 8, '0') FROM generate_series(1, 2500) AS n",
        "INSERT INTO audit_event (id, at, actor_kind, act, outcome, details)"
        " SELECT event_id, now(), 'system', 'refund.execute', 'done', '{}' FROM audit_unsealed",
    )
    assert await book.log.keep() == 2500 > PORTION
    assert await book.verify() is None
    await book.force("UPDATE audit_event SET act = 'refund.reject' WHERE id = 'aud_00002300'")
    broken = await book.verify()
    assert broken is not None
    assert (broken.number, broken.event_id) == (2300, "aud_00002300")


async def test_an_act_that_is_rolled_back_leaves_nothing(book: Book) -> None:
    async with book.units() as unit:
        audit_done(unit, "refund.approve", "refund", "ref_1")
        await unit.session.flush()
    assert await book.rows("SELECT id FROM audit_event UNION ALL SELECT event_id FROM audit_unsealed") == []
