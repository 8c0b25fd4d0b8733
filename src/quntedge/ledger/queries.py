"""What the ledger says: what stands where, balances as of any moment, statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import Row, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from quntedge.kit.paging import Page, decode_cursor
from quntedge.ledger.models import LedgerEntry, LedgerLine
from quntedge.ledger.rules import CHART, Account, EntryKind, Side
from quntedge.storage.base import UtcDateTime
from quntedge.storage.rows import among


@dataclass(slots=True)
class Held:
    """What stands because of one source (or of one payment), and the number of the last entry about it; -1 for none."""

    position: dict[tuple[Account, str], int] = field(default_factory=dict)
    last: int = -1

    def on(self, account: Account, currency: str) -> int:
        """What stands on an account, in minor units: debits less credits."""
        return self.position.get((account, currency), 0)


_HELD = """
    SELECT entry.{key} AS key, entry.kind, line.account, line.currency, sum(line.amount_minor) AS amount,
           max(entry.sequence) AS last
    FROM ledger_entry AS entry JOIN ledger_line AS line ON line.entry_id = entry.id
    WHERE entry.{key} = ANY(:values)
    GROUP BY 1, 2, 3, 4
"""
_BY_SOURCE = text(_HELD.format(key="source"))
_BY_TRANSACTION = text(_HELD.format(key="transaction_id"))


async def by_source(connection: AsyncConnection, sources: Iterable[str]) -> dict[tuple[EntryKind, str], Held]:
    """What stands because of these payments, refunds, disputes or payouts, by kind of entry and source."""
    return await _held(connection, _BY_SOURCE, sources)


async def by_transaction(
    connection: AsyncConnection, transaction_ids: Iterable[str]
) -> dict[tuple[EntryKind, str], Held]:
    """What stands because of the refunds and disputes of these payments, by kind of entry and payment."""
    return await _held(connection, _BY_TRANSACTION, transaction_ids)


async def _held(
    connection: AsyncConnection, statement: Any, values: Iterable[str]
) -> dict[tuple[EntryKind, str], Held]:
    wanted = sorted(set(values))
    found: dict[tuple[EntryKind, str], Held] = {}
    for row in await connection.execute(statement, {"values": wanted}) if wanted else ():
        held = found.setdefault((EntryKind(row.kind), row.key), Held())
        held.position[Account(row.account), row.currency] = int(row.amount)
        held.last = max(held.last, row.last)
    return found


@dataclass(frozen=True, slots=True)
class Balance:
    """What was posted on an account in a currency. Minor units; debits less credits are `balance_minor`."""

    account: Account
    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def balance_minor(self) -> int:
        """Debits less credits."""
        return self.debit_minor - self.credit_minor

    @property
    def grown_minor(self) -> int:
        """The balance on the side on which the account grows: positive revenue is a credit."""
        return self.balance_minor if CHART[self.account].side is Side.DEBIT else -self.balance_minor


# Whole days come from their sums, what is not in those yet from its lines, and the day of the moment asked for, up to
# it, from the lines of each account: all of it as of one view of the database, so nothing counts twice or not at all.
_BALANCES = """
    SELECT account, currency, sum(debit)::bigint AS debit, sum(credit)::bigint AS credit FROM (
        SELECT account, currency, sum(debit_minor) AS debit, sum(credit_minor) AS credit
        FROM ledger_daily WHERE {days} GROUP BY 1, 2
        UNION ALL
        SELECT line.account, line.currency, sum(greatest(line.amount_minor, 0)), sum(greatest(-line.amount_minor, 0))
        FROM ledger_pending AS waiting JOIN ledger_line AS line ON line.entry_id = waiting.entry_id
        WHERE {waiting} GROUP BY 1, 2
        {rest}
    ) AS part
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_REST = """
        UNION ALL
        SELECT held.account, held.currency, begun.debit, begun.credit
        FROM (SELECT account, currency FROM ledger_daily WHERE day = :day
              UNION SELECT line.account, line.currency
              FROM ledger_pending AS waiting JOIN ledger_line AS line ON line.entry_id = waiting.entry_id) AS held,
             LATERAL (SELECT sum(greatest(amount_minor, 0)) AS debit, sum(greatest(-amount_minor, 0)) AS credit
                      FROM ledger_line AS line
                      WHERE line.account = held.account AND line.currency = held.currency
                        AND line.occurred_at >= :midnight AND line.occurred_at < :until) AS begun
        WHERE begun.debit IS NOT NULL
"""
_ALL = text(_BALANCES.format(days="true", waiting="true", rest=""))
_UNTIL = text(_BALANCES.format(days="day < :day", waiting="line.occurred_at < :midnight", rest=_REST)).bindparams(
    bindparam("until", type_=UtcDateTime()), bindparam("midnight", type_=UtcDateTime())
)
_BETWEEN = text(
    _BALANCES.format(
        days="day >= :since AND day < :until",
        waiting="(line.occurred_at AT TIME ZONE 'UTC')::date >= :since"
        " AND (line.occurred_at AT TIME ZONE 'UTC')::date < :until",
        rest="",
    )
)


async def balances(connection: AsyncConnection, until: datetime | None = None) -> list[Balance]:
    """What stands on each account in each currency that was ever posted there: the trial balance.

    Of everything posted, or of what happened before `until`. In each currency the balances come to nothing.
    """
    if until is None:
        return _balances((await connection.execute(_ALL)).all())
    moment = until.astimezone(UTC)
    midnight = datetime.combine(moment.date(), time(), UTC)
    found = await connection.execute(_UNTIL, {"day": moment.date(), "midnight": midnight, "until": moment})
    return _balances(found.all())


async def activity(connection: AsyncConnection, since: date, until: date) -> list[Balance]:
    """What was posted on each account for the days (UTC) from `since` up to but without `until`: of the accounts of
    income and expense this is the income statement of that time."""
    return _balances((await connection.execute(_BETWEEN, {"since": since, "until": until})).all())


def _balances(rows: Sequence[Row[Any]]) -> list[Balance]:
    return [Balance(Account(row.account), row.currency, row.debit, row.credit) for row in rows]


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries to list; all that is given must hold."""

    user_id: str | None = None
    source: str | None = None
    transaction_id: str | None = None
    """A payment: its own entries and those of its refunds and disputes."""


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry with its lines."""

    entry: LedgerEntry
    lines: tuple[LedgerLine, ...]


async def entries(session: AsyncSession, which: EntryFilter, cursor: str | None, limit: int) -> Page[EntryView]:
    """Entries with their lines, the last posted first. Raises `InvalidCursor`."""
    query = select(LedgerEntry).order_by(LedgerEntry.id.desc()).limit(limit + 1)
    if which.user_id is not None:
        query = query.where(LedgerEntry.user_id == which.user_id)
    if which.source is not None:
        query = query.where(LedgerEntry.source == which.source)
    if which.transaction_id is not None:
        about = LedgerEntry.transaction_id == which.transaction_id
        query = query.where((LedgerEntry.source == which.transaction_id) | about)
    if cursor is not None:
        query = query.where(LedgerEntry.id < decode_cursor(cursor)[1])
    page = Page.cut((await session.scalars(query)).all(), limit, lambda row: (row.posted_at, row.id))
    return Page(await _with_lines(session, page.data), page.next_cursor)


async def entry(session: AsyncSession, entry_id: str) -> EntryView | None:
    """One entry; None when there is none."""
    found = await session.get(LedgerEntry, entry_id)
    return (await _with_lines(session, [found]))[0] if found is not None else None


async def _with_lines(session: AsyncSession, found: Sequence[LedgerEntry]) -> list[EntryView]:
    lines: dict[str, list[LedgerLine]] = {each.id: [] for each in found}
    query = select(LedgerLine).where(among(LedgerLine.entry_id)).order_by(LedgerLine.entry_id, LedgerLine.position)
    for line in await session.scalars(query, {"values": list(lines)}):
        lines[line.entry_id].append(line)
    return [EntryView(each, tuple(lines[each.id])) for each in found]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A line of an account's statement, with the entry it belongs to."""

    line: LedgerLine
    entry: LedgerEntry


async def statement(
    session: AsyncSession,
    account: Account,
    currency: str,
    cursor: str | None,
    limit: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[StatementLine]:
    """The lines of an account in a currency, the latest first, of what happened from `since` up to but without `until`.

    Raises `InvalidCursor`.
    """
    at, entry_id = LedgerLine.occurred_at, LedgerLine.entry_id
    query = (
        select(LedgerLine, LedgerEntry)
        .join(LedgerEntry, LedgerEntry.id == entry_id)
        .where(LedgerLine.account == account.value, LedgerLine.currency == currency)
        .order_by(at.desc(), entry_id.desc())
        .limit(limit + 1)
    )
    if since is not None:
        query = query.where(at >= since)
    if until is not None:
        query = query.where(at < until)
    if cursor is not None:
        last_at, last_id = decode_cursor(cursor)
        # Written out for the index: the first condition is the one it is searched by.
        query = query.where(at <= last_at, (at < last_at) | (entry_id < last_id))
    rows = [StatementLine(*row) for row in await session.execute(query)]
    return Page.cut(rows, limit, lambda row: (row.line.occurred_at, row.line.entry_id))
