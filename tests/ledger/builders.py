"""Entries to post, and the ledger seen from below."""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import text

from quntedge.kit.money import Money
from quntedge.ledger.rules import Account, Entry, EntryKind, Line
from quntedge.ledger.service import LedgerService, Posted
from quntedge.storage.engine import libpq_url
from quntedge.storage.unit_of_work import UnitOfWorkFactory

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
USER = "usr_0000000000000000000000test"
SALE = ((Account.GATEWAY_CLEARING, 2800), (Account.GATEWAY_FEES, 100), (Account.REVENUE, -2900))


def line(account: Account, amount: int, currency: str = "usd") -> Line:
    return Line(account, Money(amount, currency))


def entry(
    source: str = "txn_1", *amounts: tuple[Account, int], currency: str = "usd", at: datetime = AT, **over: Any
) -> Entry:
    """A sale of $29.00 unless other amounts are given."""
    lines = tuple(line(account, amount, currency) for account, amount in amounts or SALE)
    fields: dict[str, Any] = {"kind": EntryKind.PAYMENT, "sequence": 0, "cause": "msg_1", "user_id": USER} | over
    return Entry(source=source, occurred_at=at, lines=lines, **fields)


async def post(units: UnitOfWorkFactory, *entries: Entry) -> list[Posted]:
    """Posts in a transaction of its own."""
    async with units() as unit:
        posted = await LedgerService().post(unit, entries)
        await unit.commit()
    return posted


async def rows(units: UnitOfWorkFactory, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
    """What a query finds."""
    async with units() as unit:
        return [tuple(row) for row in await unit.session.execute(text(sql), parameters)]


def run_sql(database_url: str, statements: Sequence[str]) -> None:
    """Runs statements in one transaction, as somebody with the whole database in their hands would. Raises what the
    database says."""
    with closing(psycopg.connect(libpq_url(database_url))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
