"""Compares the three sides of one slice of time, writes down what differs, and adds up what they come to.

All of it is one transaction: the slice's sums, its differences and the run's position agree, whenever the process dies.
"""

from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg.rows import kwargs_row

from quntedge.kit.ids import new_id
from quntedge.kit.metrics import MONEY_DIFFERENCES
from quntedge.reconciliation import facts, rules, strays
from quntedge.reconciliation.rules import BY_HAND, OF_FEED, Measure, Repair, Sides
from quntedge.storage.unit_of_work import UnitOfWork

PORTION: Final = 1000
MOST_REPAIRS: Final = 5000
"""How many differences of one slice are mended in one go; the next run does the rest."""

_DIFFERING: Final = """
    SELECT object_kind, object_id, measure, currency, gateway, recorded, ledger, listed, held, fresh, finer,
           occurred_at, transaction_id, user_id, gateway_status, recorded_status, moved, converted
    FROM money_fact
    WHERE measure IN ('status', 'month')
       OR least(gateway, recorded, ledger, moved) <> greatest(gateway, recorded, ledger, moved)
    ORDER BY object_id, measure, currency
"""

# What somebody has explained stays explained for as long as nothing about it changes.
_SETTLED_BY_HAND: Final = """
    EXISTS (SELECT FROM money_difference AS told
            WHERE told.object_id = new.object_id AND told.measure = new.measure AND told.currency = new.currency
              AND told.resolution = ANY(%(by_hand)s::text[])
              AND told.gateway_minor IS NOT DISTINCT FROM new.gateway
              AND told.recorded_minor IS NOT DISTINCT FROM new.recorded
              AND told.ledger_minor IS NOT DISTINCT FROM new.ledger
              AND (told.moved_minor IS NOT DISTINCT FROM new.moved
                   -- What was explained while the gateway's ledger said nothing stays so when it agrees with its list.
                   OR told.moved_minor IS NULL AND new.moved = new.gateway))
"""
# Where nothing is an amount, the sentence says what somebody has seen.
_SETTLED_IN_FULL: Final = (
    _SETTLED_BY_HAND.rstrip()[:-1]
    + """
              AND (told.measure NOT IN ('status', 'month') OR told.detail = new.detail))
"""
)

_COLUMNS: Final = {
    "id": "text",
    "cause": "text",
    "measure": "text",
    "object_kind": "text",
    "object_id": "text",
    "transaction_id": "text",
    "user_id": "text",
    "currency": "text",
    "gateway": "bigint",
    "recorded": "bigint",
    "ledger": "bigint",
    "moved": "bigint",
    "amount": "bigint",
    "detail": "text",
    "period": "text",
    "occurred_at": "timestamptz",
    "owner": "text",
}
_SAME_AMOUNTS: Final = """
    (known.gateway_minor, known.ledger_minor, known.moved_minor)
    IS NOT DISTINCT FROM (excluded.gateway_minor, excluded.ledger_minor, excluded.moved_minor)
"""
_RECORD: Final = f"""
    INSERT INTO money_difference AS known
        (id, run_id, last_run_id, last_pass, cause, measure, object_kind, object_id, transaction_id, user_id, currency,
         gateway_minor, recorded_minor, ledger_minor, moved_minor, amount_minor, detail, period, occurred_at, owner,
         first_seen_at, last_seen_at)
    SELECT id, %(run)s, %(run)s, %(pass)s, cause, measure, object_kind, object_id, transaction_id, user_id, currency,
           gateway, recorded, ledger, moved, amount, detail, period, occurred_at, owner, %(now)s, %(now)s
    FROM unnest({", ".join(f"%({name})s::{kind}[]" for name, kind in _COLUMNS.items())}) AS new ({", ".join(_COLUMNS)})
    WHERE NOT {_SETTLED_IN_FULL}
    ON CONFLICT (object_id, measure, currency) WHERE resolution IS NULL DO UPDATE
    SET last_run_id = excluded.last_run_id, last_pass = excluded.last_pass, last_seen_at = excluded.last_seen_at,
        cause = excluded.cause, detail = excluded.detail, gateway_minor = excluded.gateway_minor,
        recorded_minor = excluded.recorded_minor, ledger_minor = excluded.ledger_minor,
        moved_minor = excluded.moved_minor, amount_minor = excluded.amount_minor,
        transaction_id = excluded.transaction_id, user_id = excluded.user_id,
        period = excluded.period, occurred_at = excluded.occurred_at,
        -- What somebody proposed was about the amounts they saw.
        proposed_by = CASE WHEN {_SAME_AMOUNTS} THEN known.proposed_by END,
        proposed_at = CASE WHEN {_SAME_AMOUNTS} THEN known.proposed_at END,
        note = CASE WHEN {_SAME_AMOUNTS} THEN known.note END
    RETURNING cause, xmax = 0 AS is_new
"""  # noqa: S608 (names and types from above)

_CLOSE: Final = """
    UPDATE money_difference
    SET resolution = 'repaired', resolved_at = %(now)s, resolved_by = 'reconciliation'
    WHERE resolution IS NULL AND occurred_at >= %(since)s AND occurred_at < %(until)s AND last_pass <> %(pass)s
      AND (%(feed)s OR measure <> ALL(%(of_feed)s::text[]))
"""
_CLOSE_OLDER: Final = """
    UPDATE money_difference
    SET resolution = 'repaired', resolved_at = %(now)s, resolved_by = 'reconciliation'
    WHERE resolution IS NULL AND object_id IN (SELECT id FROM money_key) AND last_pass <> %(pass)s
      AND (%(feed)s OR measure <> ALL(%(of_feed)s::text[]))
"""

# What the gateway's own ledger has moved otherwise than it lists, and no difference says so, is unexplained as well.
_ADD_UP: Final = f"""
    WITH judged AS (
        SELECT *, coalesce(moved - coalesce(gateway, ledger), 0) AS adrift,
               CASE WHEN least(gateway, ledger, moved) <> greatest(gateway, ledger, moved) THEN
                   EXISTS (SELECT FROM money_difference AS open
                           WHERE open.object_id = new.object_id AND open.measure = new.measure
                             AND open.currency = new.currency AND open.last_pass = %(pass)s)
                   OR {_SETTLED_BY_HAND}
               END AS known
        FROM money_fact AS new
        WHERE measure NOT IN ('status', 'month')
    ), summed AS (
        SELECT currency, measure, count(*) FILTER (WHERE gateway IS NOT NULL OR recorded IS NOT NULL) AS objects,
               sum(moved) FILTER (WHERE gateway IS NOT NULL)::bigint AS moved,
               coalesce(sum(gateway), 0)::bigint AS gateway,
               sum(recorded)::bigint AS recorded,
               coalesce(sum(ledger) FILTER (WHERE gateway IS NOT NULL), 0)::bigint AS ledger,
               (coalesce(sum(gateway - ledger) FILTER (WHERE gateway <> ledger AND known), 0)
                - coalesce(sum(adrift) FILTER (WHERE NOT known), 0))::bigint AS explained
        FROM judged
        GROUP BY 1, 2
    )
    INSERT INTO reconciliation_sum AS held
        (run_id, currency, measure, objects, gateway_minor, recorded_minor, ledger_minor, moved_minor,
         explained_minor, unexplained_minor)
    SELECT %(run)s, currency, measure, objects, gateway, recorded, ledger, moved, explained,
           gateway - ledger - explained
    FROM summed
    ON CONFLICT (run_id, currency, measure) DO UPDATE
    SET objects = held.objects + excluded.objects,
        gateway_minor = held.gateway_minor + excluded.gateway_minor,
        recorded_minor = CASE WHEN excluded.recorded_minor IS NULL THEN held.recorded_minor
                              ELSE coalesce(held.recorded_minor, 0) + excluded.recorded_minor END,
        ledger_minor = held.ledger_minor + excluded.ledger_minor,
        moved_minor = CASE WHEN excluded.moved_minor IS NULL THEN held.moved_minor
                           ELSE coalesce(held.moved_minor, 0) + excluded.moved_minor END,
        explained_minor = held.explained_minor + excluded.explained_minor,
        unexplained_minor = held.unexplained_minor + excluded.unexplained_minor
"""  # noqa: S608 (a condition from above)
_COUNT: Final = "SELECT count(DISTINCT object_id) FROM money_fact"


@dataclass(frozen=True, slots=True)
class Slice:
    """What is compared: one run's slice of time, or the `older` objects it has chosen. `feed`: the gateway let us read
    its movements."""

    run_id: str
    started_at: datetime
    since: datetime
    until: datetime
    feed: bool
    older: bool = False


Attempt = tuple[Repair, str, Measure, str]
"""A repair of one measure of one object in one currency."""


@dataclass(slots=True)
class Outcome:
    """What one comparison found. `found` are the differences that nobody had seen before."""

    compared: int = 0
    found: int = 0
    closed: int = 0
    repairs: list[tuple[Repair, Sides]] = field(default_factory=list)


async def compare(unit: UnitOfWork, piece: Slice, tried: Set[Attempt]) -> Outcome:
    """Compares a slice in the caller's transaction. Differences that are there no more are closed as repaired.

    Its sums are added to the run's unless something can be mended that was not `tried`: then the slice is to be
    compared once more. What is older than the range is in no sum.
    """
    now = unit.clock.now()
    connection = await unit.driver_connection()
    values: dict[str, Any] = {
        "run": piece.run_id,
        "pass": new_id("mcp", now),
        "now": now,
        "since": piece.since,
        "until": piece.until,
        "started": piece.started_at,
        "settled": now - rules.SETTLING,
        "fees_settled": now - rules.FEES_KNOWN_AFTER,
        "feed": piece.feed,
        "of_feed": list(OF_FEED),
        "by_hand": list(BY_HAND),
        "allowed": strays.ALLOWED,
    }
    for statement in (facts.CREATE, facts.CREATE_KEYS):
        await connection.execute(statement)
    keys = (facts.KEYS_OF_OLDER,) if piece.older else facts.KEYS_OF_SLICE
    for statement in (*keys, *facts.ALL, *(facts.OF_FEED if piece.feed else ())):
        await connection.execute(statement, values)
    outcome = Outcome()
    async for portion in _differing(connection):
        await _record(unit, portion, values, outcome, tried)
    outcome.closed = (await connection.execute(_CLOSE_OLDER if piece.older else _CLOSE, values)).rowcount
    (outcome.compared,) = await (await connection.execute(_COUNT)).fetchone() or (0,)
    if not outcome.repairs and not piece.older:
        await connection.execute(_ADD_UP, values)
    await connection.execute("DROP TABLE money_fact, money_key")
    return outcome


async def _differing(connection: Any) -> AsyncIterator[list[Sides]]:
    """Portions of what differs, through a cursor of the database: however much it is, memory stays bounded."""
    async with connection.cursor(name="differing", row_factory=kwargs_row(_sides)) as cursor:
        await cursor.execute(_DIFFERING)
        while portion := await cursor.fetchmany(PORTION):
            yield portion


def _sides(**values: Any) -> Sides:
    return Sides(**values | {"measure": Measure(values["measure"])})


async def _record(
    unit: UnitOfWork, portion: Sequence[Sides], values: dict[str, Any], outcome: Outcome, tried: Set[Attempt]
) -> None:
    """Writes a portion of differences down, each once however often it is found."""
    now = unit.clock.now()
    causes = [rules.cause_of(sides) for sides in portion]
    connection = await unit.driver_connection()
    arrays: dict[str, list[Any]] = {name: [getattr(sides, name, None) for sides in portion] for name in _COLUMNS}
    arrays |= {
        "id": [new_id("mdf", now) for _ in portion],
        "cause": [cause.value for cause in causes],
        "measure": [sides.measure.value for sides in portion],
        "amount": [rules.amount_of(sides) for sides in portion],
        "detail": [rules.detail_of(sides, cause) for sides, cause in zip(portion, causes, strict=True)],
        "period": [rules.period_of(sides.occurred_at) for sides in portion],
        "owner": [rules.owner_of(cause) for cause in causes],
    }
    cursor = await connection.execute(_RECORD, {**values, **arrays})
    for cause, is_new in await cursor.fetchall():
        if is_new:
            outcome.found += 1
            MONEY_DIFFERENCES.labels(cause).inc()
    for sides, cause in zip(portion, causes, strict=True):
        repair = rules.repair_of(sides, cause)
        if repair is None or len(outcome.repairs) >= MOST_REPAIRS or attempt_of(repair, sides) in tried:
            continue
        outcome.repairs.append((repair, sides))


def attempt_of(repair: Repair, sides: Sides) -> Attempt:
    """What was tried, to be told apart from everything else that may be."""
    return repair, sides.object_id, sides.measure, sides.currency
