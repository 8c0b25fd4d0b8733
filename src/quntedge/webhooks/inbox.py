"""The durable intake: a verified delivery is in the database before anybody is told that it arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.gateway.port import Envelope, UnusableEvent
from quntedge.gateway.whop.documents import load_json
from quntedge.gateway.whop.normalise import envelope
from quntedge.kit.clock import Clock
from quntedge.kit.errors import Unavailable
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import WEBHOOKS_STORED
from quntedge.kit.redaction import redact_text
from quntedge.storage.batching import MicroBatcher
from quntedge.storage.rows import driver_of
from quntedge.webhooks.bodies import BodyStore

log = get_logger(__name__)

CHANNEL = "webhook_inbox"
PACE_SECONDS = 0.025
"""The least time between two inserts: a commit for each handful of deliveries would cost more than the deliveries."""
ENOUGH = 32
"""So many deliveries are worth an insert at once."""

# One statement, one commit, whatever the number of deliveries: the rows that are new, their bodies, the wake-up.
# It is given to the driver itself, because only there can parameters be sent in binary (`%b`): written as text, the
# bodies alone would cost more than everything else in the intake.
_INSERT = """
    WITH incoming AS (
        SELECT * FROM unnest(
            %(id)b::text[], %(webhook_id)b::text[], %(event_type)b::text[],
            %(ordering_key)b::text[], %(account_id)b::text[], %(state)b::text[],
            %(outcome)b::text[], %(error)b::text[], %(occurred_at)b::timestamptz[],
            %(received_at)b::timestamptz[], %(body)b::bytea[]
        ) AS t (id, webhook_id, event_type, ordering_key, account_id, state, outcome, error, occurred_at,
                received_at, body)
    ), fresh AS (
        INSERT INTO webhook_event (id, webhook_id, event_type, ordering_key, account_id, state, outcome, error,
                                   occurred_at, received_at, due_at)
        SELECT id, webhook_id, event_type, ordering_key, account_id, state, outcome, error, occurred_at,
               received_at, received_at
        FROM incoming
        ON CONFLICT (webhook_id) DO NOTHING
        RETURNING id
    ), kept AS (
        INSERT INTO webhook_body (event_id, received_at, body)
        SELECT incoming.id, incoming.received_at, incoming.body FROM incoming JOIN fresh USING (id)
        RETURNING 1
    )
    SELECT (SELECT array_agg(id) FROM fresh) AS fresh, (SELECT count(*) FROM kept) AS kept,
           pg_notify('webhook_inbox', '')
"""

_COLUMNS = (
    "id",
    "webhook_id",
    "event_type",
    "ordering_key",
    "account_id",
    "state",
    "outcome",
    "error",
    "occurred_at",
    "received_at",
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified delivery on its way into the inbox."""

    id: str
    webhook_id: str
    event_type: str
    ordering_key: str
    account_id: str | None
    state: str
    outcome: str | None
    error: str | None
    occurred_at: datetime | None
    received_at: datetime
    raw: bytes


class Inbox:
    """Stores deliveries; concurrent ones share an insert and its commit."""

    def __init__(self, engine: AsyncEngine, bodies: BodyStore, clock: Clock, account_id: str) -> None:
        self._engine = engine
        # Autocommit: the statement is the transaction, so that a batch costs one round trip.
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._bodies = bodies
        self._clock = clock
        self._account_id = account_id
        self._batcher: MicroBatcher[Delivery, bool] = MicroBatcher(
            self._store, max_batch=500, pace_seconds=PACE_SECONDS, enough=ENOUGH
        )

    async def accept(self, webhook_id: str, raw: bytes) -> bool:
        """Keeps a delivery whose signature was good. True if it is new, False if its id was already known.

        Returns only after the commit. Raises `Unavailable` when the database could not keep it.
        """
        return await self._batcher.submit(self._delivery(webhook_id, raw))

    def _delivery(self, webhook_id: str, raw: bytes) -> Delivery:
        now = self._clock.now()
        try:
            found = envelope(load_json(raw))
            if found.account_id is not None and found.account_id != self._account_id:
                raise UnusableEvent("foreign_account", "the event belongs to another account than WHOP_ACCOUNT_ID")
        except UnusableEvent as unusable:
            return self._quarantined(webhook_id, raw, now, unusable)
        return self._received(webhook_id, raw, now, found)

    @staticmethod
    def _received(webhook_id: str, raw: bytes, now: datetime, found: Envelope) -> Delivery:
        return Delivery(
            id=new_id("whe", now),
            webhook_id=webhook_id,
            event_type=found.event_type[:100],
            ordering_key=found.ordering_key[:200],
            account_id=found.account_id,
            state="received",
            outcome=None,
            error=None,
            occurred_at=found.occurred_at,
            received_at=now,
            raw=raw,
        )

    @staticmethod
    def _quarantined(webhook_id: str, raw: bytes, now: datetime, unusable: UnusableEvent) -> Delivery:
        log.warning("webhook.quarantined", webhook_id=webhook_id, reason=unusable.reason)
        return Delivery(
            id=new_id("whe", now),
            webhook_id=webhook_id,
            event_type="unusable",
            ordering_key=webhook_id,
            account_id=None,
            state="quarantined",
            outcome=unusable.reason,
            error=redact_text(unusable.detail)[:500],
            occurred_at=None,
            received_at=now,
            raw=raw,
        )

    async def _store(self, deliveries: Sequence[Delivery]) -> list[bool]:
        try:
            # A batch can lie on both sides of midnight between two weeks: each delivery has its own week's key.
            keys = [await self._bodies.key(self._engine, delivery.received_at) for delivery in deliveries]
            parameters: dict[str, list[object]] = {
                name: [getattr(delivery, name) for delivery in deliveries] for name in _COLUMNS
            }
            sealed = zip(keys, deliveries, strict=True)
            parameters["body"] = [self._bodies.seal(key, delivery.id, delivery.raw) for key, delivery in sealed]
            fresh = await self._insert(parameters)
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            log.exception("webhook.not_stored", deliveries=len(deliveries))
            raise Unavailable("The delivery could not be stored; send it again later.") from error
        WEBHOOKS_STORED.labels("new").inc(len(fresh))
        WEBHOOKS_STORED.labels("duplicate").inc(len(deliveries) - len(fresh))
        return [delivery.id in fresh for delivery in deliveries]

    async def _insert(self, parameters: dict[str, list[object]]) -> set[str]:
        """The ids of the rows that are new."""
        async with self._autocommit.connect() as connection:
            driver = await driver_of(connection)
            try:
                row = await (await driver.execute(_INSERT, parameters)).fetchone()
            except psycopg.OperationalError:
                # The pool does not see what happens below it, and must not hand this connection out again.
                await connection.invalidate()
                raise
            return set(row[0] or ()) if row is not None else set()
