"""Compares the ledger with the records it was made from, entry by entry and payment by payment. Changes nothing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Result, Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quntedge.bookkeeping import positions, rules
from quntedge.bookkeeping.records import collected, contested
from quntedge.ledger import queries
from quntedge.ledger.models import LedgerEntry
from quntedge.ledger.queries import Held
from quntedge.ledger.rules import Account, EntryKind, Position
from quntedge.payments.models import PaymentTransaction
from quntedge.refunds.models import Refund
from quntedge.storage.rows import among

PORTION = 1000

_PAYMENTS = select(PaymentTransaction.__table__).order_by(PaymentTransaction.id).limit(PORTION)
_REFUNDS = (
    select(Refund.id, Refund.transaction_id, Refund.amount_minor, Refund.currency, Refund.status)
    .where(among(Refund.transaction_id))
    .order_by(Refund.id)
)
_ALLOWED = [f"{kind} {account}" for kind, accounts in positions.ACCOUNTS_OF.items() for account in accounts]
# Constraints see to it that no entry is unbalanced; that they have not been taken away is what is looked at here.
_ENTRIES = text(
    """
    SELECT entry.id, entry.kind, entry.source, lines.sound,
           EXISTS (SELECT FROM ledger_line
                   WHERE entry_id = entry.id AND entry.kind || ' ' || account <> ALL(:allowed)) AS misplaced,
           CASE WHEN entry.kind IN ('payment', 'fee', 'conversion')
                THEN EXISTS (SELECT FROM payment_transaction AS known WHERE known.id = entry.source)
                WHEN entry.kind = 'refund' THEN EXISTS (SELECT FROM refund AS known WHERE known.id = entry.source)
                WHEN entry.kind = 'dispute'
                THEN EXISTS (SELECT FROM dispute AS known WHERE known.id = entry.source)
                     OR EXISTS (SELECT FROM dispute_alert AS known WHERE known.id = entry.source)
                ELSE true END AS founded
    FROM (SELECT * FROM ledger_entry WHERE id > :cursor ORDER BY id LIMIT :portion) AS entry,
         LATERAL (SELECT bool_and(each.total = 0) AND sum(each.lines) = entry.line_count AS sound
                  FROM (SELECT sum(amount_minor) AS total, count(*) AS lines
                        FROM ledger_line WHERE entry_id = entry.id GROUP BY currency) AS each) AS lines
    ORDER BY entry.id
    """
)
_SUMS = text(
    """
    WITH posted AS (
        SELECT account, currency, (occurred_at AT TIME ZONE 'UTC')::date AS day, sum(amount_minor) AS amount
        FROM ledger_line GROUP BY 1, 2, 3
    ), held AS (
        SELECT account, currency, day, sum(amount) AS amount FROM (
            SELECT account, currency, day, debit_minor - credit_minor AS amount FROM ledger_daily
            UNION ALL
            SELECT line.account, line.currency, (line.occurred_at AT TIME ZONE 'UTC')::date, line.amount_minor
            FROM ledger_pending AS waiting JOIN ledger_line AS line ON line.entry_id = waiting.entry_id
        ) AS part GROUP BY 1, 2, 3
    )
    SELECT account, currency, day,
           coalesce(posted.amount, 0)::bigint AS expected, coalesce(held.amount, 0)::bigint AS found
    FROM posted FULL JOIN held USING (account, currency, day)
    WHERE coalesce(posted.amount, 0) <> coalesce(held.amount, 0)
    ORDER BY 1, 2, 3
    """
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. Amounts in minor units, where it is a matter of amounts."""

    subject: str
    what: str
    currency: str | None = None
    expected_minor: int | None = None
    found_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A portion that was compared."""

    count: int
    findings: tuple[Finding, ...]


class Verification:
    """Reads in portions, each a consistent view of the ledger and of the records."""

    def __init__(self, engine: AsyncEngine, *, gateway_remits: bool) -> None:
        """`gateway_remits` as for `BookkeepingService`."""
        self._engine = engine
        self._gateway_remits = gateway_remits

    async def count(self) -> tuple[int, int]:
        """How many payments and how many entries there are."""
        async with self._engine.connect() as connection:
            payments = await connection.scalar(select(func.count()).select_from(PaymentTransaction))
            entries = await connection.scalar(select(func.count()).select_from(LedgerEntry))
        return payments or 0, entries or 0

    async def payments(self) -> AsyncGenerator[Checked, None]:
        """Whether every collected payment, counted refund, dispute and alert is posted once and to the minor unit, and
        nothing else is."""
        async with self._engine.connect() as connection:
            # Records and entries are read by several statements, and must be of the same moment.
            await connection.execution_options(isolation_level="REPEATABLE READ")
            last: str | None = ""
            while last is not None:
                async with connection.begin():
                    rows = (await connection.execute(_PAYMENTS.where(PaymentTransaction.id > last))).all()
                    found = await self._compare(connection, rows)
                if rows:
                    yield Checked(len(rows), tuple(found))
                last = rows[-1].id if rows else None

    async def entries(self) -> AsyncGenerator[Checked, None]:
        """Whether every entry is whole and balanced, on accounts that its kind has, and about something that exists."""
        async with self._engine.connect() as connection:
            last: str | None = ""
            while last is not None:
                async with connection.begin():
                    values = {"cursor": last, "portion": PORTION, "allowed": _ALLOWED}
                    rows = (await connection.execute(_ENTRIES, values)).all()
                if rows:
                    yield Checked(len(rows), tuple(_entry_findings(rows)))
                last = rows[-1].id if rows else None

    async def sums(self) -> list[Finding]:
        """Whether the sums by day are those of the lines."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_SUMS)).all()
        return [
            Finding(f"{row.account} {row.day}", "sum of the day", row.currency, row.expected, row.found) for row in rows
        ]

    async def _compare(self, connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Finding]:
        payments = {row.id: row for row in rows}
        refunds: dict[str, list[Row[Any]]] = {row.id: [] for row in rows}
        found: Result[Any] = await connection.execute(_REFUNDS, {"values": list(payments)})
        for refund in found:
            refunds[refund.transaction_id].append(refund)
        disputes = await contested(connection, list(payments), "")
        sources = [*payments, *(each.source for each in disputes)]
        sources += [refund.id for each in refunds.values() for refund in each]
        held = await queries.by_source(connection, sources)
        findings: list[Finding] = []
        for row in rows:
            findings += self._payment_findings(row, held)
            findings += _refund_findings(row, refunds[row.id], held)
        for each in disputes:
            findings += _differences(each.source, each.wanted, held.get((each.kind, each.source), Held()))
        return findings

    def _payment_findings(self, row: Row[Any], held: Mapping[tuple[EntryKind, str], Held]) -> list[Finding]:
        payment = collected(row).beside(held, row.id)
        stands = held.get((EntryKind.PAYMENT, row.id), Held())
        return _differences(row.id, positions.of_payment(payment, gateway_remits=self._gateway_remits), stands)


def _refund_findings(
    payment: Row[Any], refunds: Sequence[Row[Any]], held: Mapping[tuple[EntryKind, str], Held]
) -> list[Finding]:
    currency = payment.currency
    findings, refunded, tax = [], 0, 0
    for refund in refunds:
        stands = held.get((EntryKind.REFUND, refund.id), Held())
        counted = refund.amount_minor if refund.status == "succeeded" and refund.currency == currency else 0
        found = -stands.on(Account.GATEWAY_CLEARING, currency)
        if found != counted:
            findings.append(Finding(refund.id, "refunded", currency, counted, found))
        refunded += counted
        tax += stands.on(Account.TAX_PAYABLE, currency)
    owed = rules.tax_given_back(payment.total_minor or 0, payment.tax_minor, refunded)
    if not findings and owed != tax:
        findings.append(Finding(payment.id, "tax in its refunds", currency, owed, tax))
    return findings


def _differences(subject: str, wanted: Position, held: Held) -> list[Finding]:
    keys = [*wanted, *(key for key in held.position if key not in wanted)]
    return [
        Finding(subject, account.value, currency, wanted.get((account, currency), 0), held.on(account, currency))
        for account, currency in keys
        if wanted.get((account, currency), 0) != held.on(account, currency)
    ]


def _entry_findings(rows: Sequence[Row[Any]]) -> list[Finding]:
    findings = [Finding(row.id, "is not balanced or not whole") for row in rows if not row.sound]
    findings += [
        Finding(row.id, f"is on an account that no entry about a {row.kind} is on") for row in rows if row.misplaced
    ]
    return findings + [
        Finding(row.id, f"is about {row.kind} {row.source}, which does not exist") for row in rows if not row.founded
    ]
