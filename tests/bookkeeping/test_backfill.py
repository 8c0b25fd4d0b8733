"""What was paid before there was a ledger is in it afterwards."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from quntedge.bookkeeping import backfill as backfilling
from quntedge.bookkeeping.backfill import Backfill, is_finished
from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.kit.clock import FrozenClock
from quntedge.ledger.rules import Account
from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.bookkeeping.world import Books
from tests.storage.conftest import empty_database, upgrade_to

__all__ = ["empty_database"]

AT = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
PAYMENTS = 60
COUNTS = "SELECT kind, count(*) FROM ledger_entry GROUP BY kind ORDER BY kind"


def _fill(connection: psycopg.Connection) -> None:
    """Every sixth is not paid, every fifth free, every fourth refunded in two parts, every third of unknown net; one
    has a refund in another currency, one a refund that failed."""
    connection.execute("INSERT INTO app_user (id, created_at) VALUES ('usr_1', %s)", (AT,))
    connection.execute(
        """
        INSERT INTO payment_transaction (id, user_id, whop_payment_id, status, raw_status, substatus, currency,
            total_minor, tax_minor, net_minor, refunded_minor, attempts_failed, paid_at, occurred_at, created_at,
            updated_at)
        SELECT 'txn_' || lpad(n::text, 3, '0'), 'usr_1', 'pay_' || n, CASE WHEN n %% 6 = 0 THEN 'open' ELSE 'paid' END,
            'paid', 'succeeded', (ARRAY['usd', 'jpy', 'kwd'])[1 + n %% 3],
            CASE WHEN n %% 5 = 0 THEN 0 ELSE 2000 + n END,
            CASE WHEN n %% 2 = 0 THEN n END, CASE WHEN n %% 5 = 0 THEN 0 WHEN n %% 3 <> 0 THEN 1900 - n END, 0, 0,
            %(at)s, %(at)s, %(at)s, %(at)s
        FROM generate_series(1, %(count)s) AS n
        """,
        {"at": AT, "count": PAYMENTS},
    )
    connection.execute(
        """
        INSERT INTO refund (id, user_id, transaction_id, whop_refund_id, status, amount_minor, currency, occurred_at,
                            created_at, updated_at)
        SELECT 'ref_' || id || part, user_id, id, 'rf_' || id || part, 'succeeded',
               CASE part WHEN 1 THEN 7 ELSE total_minor - 7 END, currency, %(at)s, %(at)s, %(at)s
        FROM payment_transaction, generate_series(1, 2) AS part
        WHERE right(id, 2)::int %% 4 = 0 AND status = 'paid' AND total_minor > 0
        UNION ALL VALUES
        ('ref_failed', 'usr_1', 'txn_001', 'rf_failed', 'failed', 5::bigint, 'jpy', %(at)s, %(at)s, %(at)s),
        ('ref_other', 'usr_1', 'txn_002', 'rf_other', 'succeeded', 5::bigint, 'eur', %(at)s, %(at)s, %(at)s)
        """,
        {"at": AT},
    )


async def test_an_older_database_gets_its_ledger(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade_to(empty_database, "0012")
    with psycopg.connect(libpq_url(empty_database)) as connection:
        _fill(connection)
    migrate.upgrade(empty_database, all_tables())
    monkeypatch.setattr(backfilling, "_NEXT", backfilling._NEXT.limit(7))
    engine = create_engine(empty_database, pool_size=4)
    try:
        units = UnitOfWorkFactory(session_factory(engine), FrozenClock(AT), EventBus())
        books = Books(units, FrozenClock(AT), engine)
        books.bookkeeping = Bookkeeping(units, gateway_remits=True)
        assert len({finding.subject for finding in await books.findings()}) == 40 + 16
        work = books.bookkeeping.backfill
        assert await work.portion() == 7
        async with units() as unit:
            assert not await is_finished(unit)
        # Interrupted, and gone on with by several: each payment is looked at once.
        others = [Backfill(units, books.bookkeeping.records) for _ in range(3)]
        while not await _finished(units):
            await asyncio.gather(*(other.portion() for other in others))
        assert await books.rows(COUNTS) == [("payment", 40), ("refund", 16)]
        assert await books.findings() == []
        stands = await books.stands("usd")
        paid = await books.rows(
            "SELECT sum(total_minor - coalesce(tax_minor, 0))::bigint FROM payment_transaction"
            " WHERE currency = 'usd' AND status = 'paid'"
        )
        assert -stands[Account.REVENUE] == paid[0][0]
        before = await books.rows("SELECT * FROM ledger_entry ORDER BY id")
        await work.restart()
        assert await work.run() == PAYMENTS
        assert await work.portion() is None
        assert await books.rows("SELECT * FROM ledger_entry ORDER BY id") == before
    finally:
        await engine.dispose()


async def _finished(units: UnitOfWorkFactory) -> bool:
    async with units() as unit:
        return await is_finished(unit)


async def test_news_beside_the_backfill_count_once(books: Books) -> None:
    await books.pay("pay_1", total=2900, net=2800)
    await asyncio.gather(
        *(books.pay(f"pay_{n}", total=2900, net=2800) for n in range(1, 9)),
        books.bookkeeping.backfill.run(),
        *(books.refund("rf_1", 100) for _ in range(2)),
    )
    await books.bookkeeping.backfill.restart()
    await books.bookkeeping.backfill.run()
    assert await books.findings() == []
    assert await books.rows(COUNTS) == [("payment", 8), ("refund", 1)]


async def test_what_somebody_took_away_or_added_is_found(books: Books) -> None:
    await books.pay("pay_1", total=3161, tax=261, net=2785)
    await books.refund("rf_1", 3161)
    await books.pay("pay_2", total=500)
    # As after an accident: the triggers are off for a moment.
    await books.execute("ALTER TABLE ledger_entry DISABLE TRIGGER ALL")
    await books.execute("ALTER TABLE ledger_line DISABLE TRIGGER ALL")
    await books.execute("UPDATE ledger_line SET amount_minor = amount_minor - 1 WHERE account = 'refunds'")
    await books.execute(
        "DELETE FROM ledger_line WHERE entry_id IN (SELECT id FROM ledger_entry WHERE kind = 'payment')"
    )
    await books.execute("UPDATE ledger_entry SET source = 'txn_gone' WHERE kind = 'payment' AND line_count = 2")
    found = [(finding.what, finding.expected_minor, finding.found_minor) for finding in await books.findings()]
    assert ("revenue", -2900, 0) in found
    assert ("revenue", -500, 0) in found
    assert ("is about payment txn_gone, which does not exist", None, None) in found
    assert sum(what == "is not balanced or not whole" for what, _, _ in found) == 3
