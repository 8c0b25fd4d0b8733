"""Compares every subscription with its history, and makes it anew from there, in memory that does not grow."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from quntedge.storage.rows import among, update_rows
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions import history
from quntedge.subscriptions.history import Entry, FieldDifference
from quntedge.subscriptions.models import Subscription, SubscriptionEvent
from quntedge.subscriptions.service import ACCESS_CHANNEL

BATCH = 1000

_BY_ID = select(Subscription.__table__).order_by(Subscription.id)
_NEXT = _BY_ID.limit(BATCH)
_LOCKED = _BY_ID.where(among(Subscription.id)).with_for_update()
_EVENTS = (
    select(
        SubscriptionEvent.subscription_id,
        SubscriptionEvent.version,
        SubscriptionEvent.user_id,
        SubscriptionEvent.after,
        SubscriptionEvent.at,
    )
    .where(among(SubscriptionEvent.subscription_id))
    .order_by(SubscriptionEvent.subscription_id, SubscriptionEvent.version)
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A subscription that is not what its history says. `repairable`: the history has everything."""

    subscription_id: str
    differences: tuple[FieldDifference, ...]
    repairable: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """A portion that was compared."""

    count: int
    findings: tuple[Finding, ...]


class Rebuild:
    """Reads in portions, each a consistent view of rows and histories; writes in portions, each a transaction."""

    def __init__(self, engine: AsyncEngine, units: UnitOfWorkFactory) -> None:
        self._engine = engine
        self._units = units

    async def count(self) -> int:
        """How many subscriptions there are."""
        async with self._engine.connect() as connection:
            return await connection.scalar(select(func.count()).select_from(Subscription)) or 0

    async def verify(self, subscription_id: str | None = None) -> AsyncGenerator[Checked, None]:
        """Compares all subscriptions, or one, portion by portion."""
        async with self._engine.connect() as connection:
            # Rows and histories are read by two statements, and must be of the same moment.
            await connection.execution_options(isolation_level="REPEATABLE READ")
            last: str | None = ""
            while last is not None:
                async with connection.begin():
                    portion = _NEXT.where(Subscription.id > last)
                    if subscription_id is not None:
                        portion = _NEXT.where(Subscription.id == subscription_id)
                    rows = (await connection.execute(portion)).all()
                    found = await _findings(connection, rows)
                if rows:
                    yield Checked(len(rows), tuple(found))
                last = rows[-1].id if rows and subscription_id is None else None

    async def repair(self, subscription_ids: Sequence[str]) -> list[str]:
        """Makes these subscriptions what their histories say, in one transaction; the ids of those that changed.

        What cannot be made from its history stays as it is.
        """
        async with self._units() as unit:
            connection = await unit.connection()
            rows = (await connection.execute(_LOCKED, {"values": list(subscription_ids)})).all()
            entries = await _entries(connection, rows)
            wanted = [
                history.fold(entries[row.id])
                for row in rows
                if history.is_complete(entries[row.id]) and history.compare(row._asdict(), entries[row.id])
            ]
            await update_rows(await unit.driver_connection(), Subscription.__table__, wanted)
            if wanted:
                unit.notify(ACCESS_CHANNEL, " ".join(sorted({row["user_id"] for row in wanted})))
            await unit.commit()
        return [row["id"] for row in wanted]


async def _findings(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Finding]:
    entries = await _entries(connection, rows)
    found = []
    for row in rows:
        differences = history.compare(row._asdict(), entries[row.id])
        if differences:
            found.append(Finding(row.id, tuple(differences), history.is_complete(entries[row.id])))
    return found


async def _entries(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {row.id: [] for row in rows}
    events = await connection.execute(_EVENTS, {"values": list(found)})
    for subscription_id, told in groupby(events, key=lambda event: event.subscription_id):
        found[subscription_id] = [Entry(*event) for event in told]
    return found
