"""Reads and claims of the inbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection as DriverConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event this transaction alone may apply: its row is locked, and so is its lane."""

    id: str
    webhook_id: str
    event_type: str
    ordering_key: str
    attempts: int
    received_at: datetime


# Rows somebody else works on are skipped, and so are those behind an older event of their lane that is away to be
# read again or waits for its next attempt: only that membership waits.
_CLAIM_DUE = text(
    """
    SELECT e.id, e.webhook_id, e.event_type, e.ordering_key, e.attempts, e.received_at
    FROM webhook_event e
    WHERE e.state IN ('received', 'processing', 'retrying') AND e.due_at <= :now
      AND NOT EXISTS (
        SELECT 1 FROM webhook_event w
        WHERE w.ordering_key = e.ordering_key AND w.state IN ('processing', 'retrying')
          AND w.id < e.id AND w.due_at > :now
      )
    ORDER BY e.due_at, e.id
    LIMIT :limit
    FOR UPDATE OF e SKIP LOCKED
    """
)

_CLAIM_THESE = text(
    """
    SELECT e.id, e.webhook_id, e.event_type, e.ordering_key, e.attempts, e.received_at
    FROM webhook_event e
    WHERE e.id = ANY(:ids) AND e.state IN ('received', 'processing', 'retrying')
    ORDER BY e.id
    FOR UPDATE OF e SKIP LOCKED
    """
)

# Held until the end of the transaction. Keys are locked in order, so that two workers cannot wait for each other.
_LOCK_LANES = text(
    """
    SELECT key FROM (SELECT key FROM unnest(CAST(:keys AS text[])) AS k(key) ORDER BY key) AS lanes
    WHERE pg_try_advisory_xact_lock(hashtextextended(key, 20260901))
    """
)

# For the driver itself: parameters in binary (`%b`) are several times cheaper than arrays written as text.
_SETTLE = """
    UPDATE webhook_event AS e
    SET state = s.state, outcome = s.outcome, error = s.error, due_at = coalesce(s.due_at, e.due_at),
        attempts = s.attempts, processed_at = s.processed_at
    FROM unnest(%(id)b::text[], %(state)b::text[], %(outcome)b::text[], %(error)b::text[],
                %(due_at)b::timestamptz[], %(attempts)b::int[], %(processed_at)b::timestamptz[])
         AS s (id, state, outcome, error, due_at, attempts, processed_at)
    WHERE e.id = s.id
"""


_AHEAD = text(
    """
    SELECT ordering_key, min(id) AS id FROM webhook_event
    WHERE ordering_key = ANY(:keys) AND state IN ('processing', 'retrying') AND due_at > :now
    GROUP BY ordering_key
    """
)

_SETTLE_FAILURE = text(
    """
    UPDATE webhook_event
    SET state = :state, outcome = :outcome, error = :error, due_at = coalesce(:due_at, due_at), attempts = :attempts,
        processed_at = :processed_at
    WHERE id = :id AND attempts = :attempts_before AND state IN ('received', 'processing', 'retrying')
    RETURNING id
    """
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where an event stands after an attempt."""

    id: str
    state: str
    outcome: str | None
    attempts: int
    error: str | None = None
    due_at: datetime | None = None
    processed_at: datetime | None = None


_SETTLED = ("id", "state", "outcome", "error", "due_at", "attempts", "processed_at")


async def claim_due(unit: UnitOfWork, now: datetime, limit: int) -> list[Claimed]:
    """The oldest due events nobody else is at, with their lanes."""
    claimed = await _with_lanes(unit, await unit.fetch(_CLAIM_DUE, {"now": now, "limit": limit}))
    if not claimed:
        return []
    # Whoever held a lane until just now may have sent its event away: look again, now that the lane is ours.
    keys = Texts({event.ordering_key for event in claimed})
    ahead = {row.ordering_key: row.id for row in await unit.fetch(_AHEAD, {"keys": keys, "now": now})}
    return [event for event in claimed if event.id <= ahead.get(event.ordering_key, event.id)]


async def claim_these(unit: UnitOfWork, ids: Sequence[str]) -> list[Claimed]:
    """These events, as far as nobody else is at them."""
    return await _with_lanes(unit, await unit.fetch(_CLAIM_THESE, {"ids": Texts(ids)}))


async def lock_lanes(unit: UnitOfWork, keys: Sequence[str]) -> set[str]:
    """Takes the lanes nobody else is in, until the end of the transaction, and says which they are."""
    return {row.key for row in await unit.fetch(_LOCK_LANES, {"keys": Texts(set(keys))})}


async def _with_lanes(unit: UnitOfWork, rows: Sequence[Any]) -> list[Claimed]:
    if not rows:
        return []
    ours = await lock_lanes(unit, [row.ordering_key for row in rows])
    claimed = [Claimed(*row) for row in rows if row.ordering_key in ours]
    # Within a batch events are applied in the order of their arrival.
    return sorted(claimed, key=lambda event: event.id)


async def settle(connection: DriverConnection[Any], settlements: Sequence[Settlement]) -> None:
    """Writes where events stand, all with one statement."""
    if not settlements:
        return
    await connection.execute(_SETTLE, {name: [getattr(s, name) for s in settlements] for name in _SETTLED})


async def make_due(connection: AsyncConnection, ids: Sequence[str], now: datetime) -> None:
    """Ends the leases of these events, as far as nobody has settled them."""
    await connection.execute(
        text("UPDATE webhook_event SET due_at = :now WHERE id = ANY(:ids) AND state = 'processing'"),
        {"ids": list(ids), "now": now},
    )


async def settle_failure(connection: AsyncConnection, settlement: Settlement, attempts_before: int) -> bool:
    """Writes a failed attempt, unless the event got further meanwhile. True if it was written."""
    values = {name: getattr(settlement, name) for name in _SETTLED} | {"attempts_before": attempts_before}
    return (await connection.execute(_SETTLE_FAILURE, values)).first() is not None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What stands in the inbox now. `oldest_due` is since when the oldest due event could have been applied."""

    waiting: int
    dead: int
    quarantined: int
    oldest_due: datetime | None


async def backlog(connection: AsyncConnection, now: datetime) -> Backlog:
    """What stands in the inbox now; served by the partial indexes."""
    row = await connection.execute(
        text(
            "SELECT (SELECT count(*) FROM webhook_event WHERE state IN ('received', 'processing', 'retrying')),"
            " (SELECT count(*) FROM webhook_event WHERE state = 'dead'),"
            " (SELECT count(*) FROM webhook_event WHERE state = 'quarantined'),"
            " (SELECT min(due_at) FROM webhook_event"
            "  WHERE state IN ('received', 'processing', 'retrying') AND due_at <= :now)"
        ),
        {"now": now},
    )
    return Backlog(*row.one())
