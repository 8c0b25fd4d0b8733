"""LedgerService: posts entries, undoes them, and keeps the sums by day. Knows nothing of what entries mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text

from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.ledger.models import LedgerEntry, LedgerLine
from quntedge.ledger.rules import Account, Entry, EntryKind, Line, mirrored
from quntedge.storage.rows import among, insert_new_rows, insert_rows
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

EFFECT = "source, kind, sequence"
"""What makes an effect one: posting it again does nothing."""

PORTION = 20_000
"""Entries that are added up in one transaction."""

# Locked: whoever undoes one of them at the same time waits, and then sees that it is done.
_ENTRIES = select(LedgerEntry.__table__).where(among(LedgerEntry.id)).order_by(LedgerEntry.id).with_for_update()
_LINES = (
    select(LedgerLine.__table__).where(among(LedgerLine.entry_id)).order_by(LedgerLine.entry_id, LedgerLine.position)
)
_LAST = text(
    "SELECT source, kind, max(sequence) AS last FROM ledger_entry WHERE source = ANY(:values) GROUP BY source, kind"
)
# The order is that of the primary key: two processes that add to the same days never wait for each other crosswise.
_ROLL_UP = text(
    """
    WITH taken AS (
        DELETE FROM ledger_pending WHERE entry_id IN
            (SELECT entry_id FROM ledger_pending ORDER BY entry_id LIMIT :portion FOR UPDATE SKIP LOCKED)
        RETURNING entry_id
    ), summed AS (
        SELECT account, currency, (occurred_at AT TIME ZONE 'UTC')::date AS day,
               sum(greatest(amount_minor, 0)) AS debit, sum(greatest(-amount_minor, 0)) AS credit, count(*) AS lines
        FROM taken JOIN ledger_line USING (entry_id)
        GROUP BY 1, 2, 3
    ), added AS (
        INSERT INTO ledger_daily AS held (account, currency, day, debit_minor, credit_minor, line_count)
        SELECT account, currency, day, debit, credit, lines FROM summed ORDER BY 1, 2, 3
        ON CONFLICT (account, currency, day) DO UPDATE
        SET debit_minor = held.debit_minor + excluded.debit_minor,
            credit_minor = held.credit_minor + excluded.credit_minor,
            line_count = held.line_count + excluded.line_count
    )
    SELECT count(*) FROM taken
    """
)


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of an entry. `is_new` is False for an effect that had been posted before: nothing was written."""

    entry_id: str
    entry: Entry
    is_new: bool


class LedgerService:
    """Writes in the caller's unit of work and never commits, but for `roll_up`."""

    async def post(self, unit: UnitOfWork, entries: Sequence[Entry]) -> list[Posted]:
        """Posts entries, two statements for all of them. An effect that is there already stays as it is."""
        now = unit.clock.now()
        made = [(new_id("led", now), entry) for entry in entries]
        # In one order everywhere: two who post the same effects wait for each other, but not crosswise.
        made.sort(key=lambda item: (item[1].source, item[1].kind, item[1].sequence))
        connection = await unit.driver_connection()
        # What hardly any entry has is sent only where one of them has it.
        rare = [name for name in _RARE if any(getattr(entry, name) is not None for entry in entries)]
        rows = [_row(entry_id, entry, now, rare) for entry_id, entry in made]
        new = await insert_new_rows(connection, LedgerEntry.__table__, rows, conflict_key=EFFECT)
        lines = [line for entry_id, entry in made if entry_id in new for line in _line_rows(entry_id, entry)]
        await insert_rows(connection, LedgerLine.__table__, lines)
        return [Posted(entry_id, entry, entry_id in new) for entry_id, entry in made]

    async def reverse(
        self,
        unit: UnitOfWork,
        entry_ids: Sequence[str],
        *,
        occurred_at: datetime,
        cause: str,
        reason: str | None = None,
    ) -> list[Posted]:
        """Undoes entries by posting their mirror images. Whoever was undone already is left alone.

        An adjustment is not undone this way: it takes another one, with an approval of its own. Raises ValueError.
        """
        connection = await unit.connection()
        rows = (await connection.execute(_ENTRIES, {"values": list(entry_ids)})).all()
        if any(row.kind == EntryKind.ADJUSTMENT for row in rows):
            raise ValueError("an adjustment is undone by another adjustment")
        lines: dict[str, list[Line]] = {row.id: [] for row in rows}
        for row in await connection.execute(_LINES, {"values": list(lines)}):
            lines[row.entry_id].append(Line(Account(row.account), Money(row.amount_minor, row.currency)))
        done = await connection.scalars(
            select(LedgerEntry.reverses).where(among(LedgerEntry.reverses)), {"values": list(lines)}
        )
        undone = set(done)
        last = await self._last(unit, {row.source for row in rows})
        entries = []
        for row in (row for row in rows if row.id not in undone):
            last[row.source, row.kind] += 1
            entries.append(_undoing(row, lines[row.id], last[row.source, row.kind], occurred_at, cause, reason))
        return await self.post(unit, entries)

    @staticmethod
    async def _last(unit: UnitOfWork, sources: set[str]) -> dict[tuple[str, str], int]:
        connection = await unit.connection()
        found = await connection.execute(_LAST, {"values": sorted(sources)})
        return {(row.source, row.kind): row.last for row in found}

    async def roll_up(self, units: UnitOfWorkFactory) -> int:
        """Adds to the sums by day what is not in them yet, portion by portion. The number of entries."""
        total = 0
        while True:
            async with units() as unit:
                count: int = (await (await unit.connection()).execute(_ROLL_UP, {"portion": PORTION})).scalar_one()
                await unit.commit()
            total += count
            if count < PORTION:
                return total


def _undoing(
    row: Row[Any], lines: Sequence[Line], sequence: int, occurred_at: datetime, cause: str, reason: str | None
) -> Entry:
    return Entry(
        kind=EntryKind(row.kind),
        source=row.source,
        sequence=sequence,
        occurred_at=occurred_at,
        cause=cause,
        lines=mirrored(lines),
        user_id=row.user_id,
        transaction_id=row.transaction_id,
        reverses=row.id,
        reason=reason,
    )


_RARE = ("transaction_id", "reverses", "reason", "requested_by", "approved_by")


def _row(entry_id: str, entry: Entry, now: datetime, rare: Sequence[str]) -> dict[str, Any]:
    return {
        "id": entry_id,
        "kind": entry.kind.value,
        "source": entry.source,
        "sequence": entry.sequence,
        "line_count": len(entry.lines),
        "user_id": entry.user_id,
        "occurred_at": entry.occurred_at,
        "posted_at": now,
        "cause": entry.cause,
    } | {name: getattr(entry, name) for name in rare}


def _line_rows(entry_id: str, entry: Entry) -> list[dict[str, Any]]:
    return [
        {
            "entry_id": entry_id,
            "position": position,
            "user_id": entry.user_id,
            "account": line.account.value,
            "currency": line.amount.currency,
            "amount_minor": line.amount.amount_minor,
            "occurred_at": entry.occurred_at,
        }
        for position, line in enumerate(entry.lines, start=1)
    ]
