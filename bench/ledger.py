"""`python -m bench.ledger`: what posting costs, and how the ledger's questions run on a million lines."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg

from bench.database import bench_server
from bench.recording import recorded
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.kit.paging import encode_cursor
from quntedge.ledger import queries
from quntedge.ledger.queries import EntryFilter
from quntedge.ledger.rules import Account, Entry, EntryKind, Line
from quntedge.ledger.service import LedgerService
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory

BATCH = 200
POSTED = 10_000
_AT = datetime(2025, 1, 1, tzinfo=UTC)
_SECONDS_APART = 60
_USERS = 50_000
_PARTS = ((Account.GATEWAY_CLEARING, 2785), (Account.GATEWAY_FEES, 115), (Account.REVENUE, -2900))


def _entry(number: int) -> Entry:
    currency = "usd" if number % 3 else "eur"
    return Entry(
        kind=EntryKind.PAYMENT,
        source=f"txn_{number:026d}",
        sequence=0,
        occurred_at=_AT + timedelta(seconds=_SECONDS_APART * number),
        cause=f"msg_{number}",
        lines=tuple(Line(account, Money(minor, currency)) for account, minor in _PARTS),
        user_id=f"usr_{number % _USERS:026d}",
    )


async def _post(units: UnitOfWorkFactory, first: int) -> None:
    """Prints what an entry of three lines costs in batches, checks at the commit included."""
    ledger = LedgerService()
    async with units() as unit:
        backend = psutil.Process((await unit.driver_connection()).info.backend_pid)
    spent, began = 0.0, sum(backend.cpu_times()[:2])
    for start in range(first, first + POSTED, BATCH):
        batch = [_entry(number) for number in range(start, start + BATCH)]
        began_batch = time.perf_counter()
        async with units() as unit:
            await ledger.post(unit, batch)
            await unit.commit()
        spent += time.perf_counter() - began_batch
    cpu = sum(backend.cpu_times()[:2]) - began
    print(f"posting        {spent / POSTED * 1e6:7.1f} µs an entry, {cpu / POSTED * 1e6:.1f} µs of it in PostgreSQL")


def _fill(url: str, entries: int) -> None:
    """Posts without the triggers, which is quick; `ledger_pending` gets its rows by hand."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            """
            INSERT INTO ledger_entry (id, kind, source, sequence, line_count, user_id, occurred_at, posted_at, cause)
            SELECT 'led_' || lpad(n::text, 26, '0'), 'payment', 'txn_' || lpad(n::text, 26, '0'), 0, 3,
                   'usr_' || lpad((n %% %(users)s)::text, 26, '0'), at, at, 'msg_' || n
            FROM generate_series(0, %(entries)s - 1) AS n,
                 LATERAL (SELECT %(at)s + n * %(apart)s * interval '1 second' AS at) AS moment
            """,
            {"users": _USERS, "entries": entries, "at": _AT, "apart": _SECONDS_APART},
        )
        for position, (account, minor) in enumerate(_PARTS, start=1):
            connection.execute(
                "INSERT INTO ledger_line (entry_id, position, user_id, account, currency, amount_minor, occurred_at)"
                " SELECT id, %s, user_id, %s, CASE WHEN right(id, 9)::int %% 3 = 0 THEN 'eur' ELSE 'usd' END, %s,"
                " occurred_at FROM ledger_entry",
                (position, account.value, minor),
            )
        connection.execute("INSERT INTO ledger_pending SELECT id FROM ledger_entry")
        connection.execute("VACUUM ANALYZE ledger_entry, ledger_line, ledger_pending")


async def _ask(units: UnitOfWorkFactory, url: str, entries: int) -> None:
    """Prints how long each question takes, and which large tables it reads from end to end."""
    middle = _AT + timedelta(seconds=_SECONDS_APART * (entries // 2), hours=7)
    cursor = encode_cursor(middle, f"led_{entries // 2:026d}")
    user, payment = f"usr_{7:026d}", f"txn_{entries // 2:026d}"

    async def in_unit(ask: Callable[[Any], Awaitable[object]]) -> None:
        async with units() as unit:
            await ask(unit)

    questions: dict[str, Callable[[Any], Awaitable[object]]] = {
        "balances, now": lambda unit: _balances(unit, None),
        "balances, then": lambda unit: _balances(unit, middle),
        "activity": lambda unit: _activity(unit, middle),
        "account, a page": lambda unit: queries.statement(unit.session, Account.REVENUE, "usd", cursor, 20),
        "user, a page": lambda unit: queries.entries(unit.session, EntryFilter(user_id=user), None, 20),
        "payment": lambda unit: queries.entries(unit.session, EntryFilter(transaction_id=payment), None, 20),
        "journal, a page": lambda unit: queries.entries(unit.session, EntryFilter(), cursor, 20),
    }
    for name, ask in questions.items():
        await in_unit(ask)
        began = time.perf_counter()
        await in_unit(ask)
        spent = time.perf_counter() - began
        with recorded(keep=False) as steps:
            await in_unit(ask)
        print(f"{name:<15}{spent * 1e3:7.1f} ms   {_scans(url, steps)}")


async def _balances(unit: Any, until: datetime | None) -> object:
    return await queries.balances(await unit.connection(), until)


async def _activity(unit: Any, middle: datetime) -> object:
    return await queries.activity(await unit.connection(), (middle - timedelta(days=30)).date(), middle.date())


def _scans(url: str, steps: Any) -> str:
    found: set[str] = set()
    with psycopg.connect(libpq_url(url)) as connection:
        for _, query, params in steps:
            said = str(query).strip()
            if not said.startswith("SELECT") or "pg_catalog" in said or "pg_type" in said:
                continue
            plan = connection.execute(f"EXPLAIN {query}", params).fetchall()
            found |= {line.split(" on ")[1].split()[0] for (line,) in plan if "Seq Scan on ledger_" in line}
    large = sorted(found & {"ledger_entry", "ledger_line"})
    return f"reads all of {', '.join(large)}" if large else "by indexes"


async def _measure(url: str, lines: int) -> None:
    entries = lines // len(_PARTS)
    _fill(url, entries)
    engine = create_engine(url, pool_size=2)
    units = UnitOfWorkFactory(session_factory(engine), FrozenClock(_AT), EventBus())
    await _post(units, entries)
    began = time.perf_counter()
    added = await LedgerService().roll_up(units)
    print(f"adding up      {(time.perf_counter() - began) / added * 1e6:7.1f} µs an entry")
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    await _ask(units, url, entries)
    await engine.dispose()


def main() -> None:
    """Measures on a throw-away server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with bench_server() as server:
        asyncio.run(_measure(server.migrated("ledger"), arguments.lines))


if __name__ == "__main__":
    main()
