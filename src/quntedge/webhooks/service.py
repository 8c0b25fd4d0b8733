"""WebhookService: takes stored deliveries and applies them, in batches, exactly once each.

A batch is one transaction: claim, load, decide in memory, write, settle, commit. If it fails it is done again event by
event, so that one poisoned event harms only itself. Events that cannot be believed as they are get read again from the
gateway between two transactions, while everything else goes on.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta

from quntedge.gateway.errors import GatewayError, GatewayRateLimited
from quntedge.gateway.port import GatewayEvent, UnusableEvent
from quntedge.gateway.whop.documents import load_json
from quntedge.gateway.whop.normalise import normalise
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import WEBHOOK_LAG, WEBHOOKS_APPLIED
from quntedge.kit.redaction import redact_text
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.webhooks import queries, rules
from quntedge.webhooks.apply import Applier, Evidence
from quntedge.webhooks.bodies import BodyStore
from quntedge.webhooks.errors import ObjectOutOfReach
from quntedge.webhooks.needs import must_reread
from quntedge.webhooks.queries import Claimed, Settlement
from quntedge.webhooks.reader import GatewayReader

log = get_logger(__name__)

READING_GROUP = 50
MAX_READINGS = 8
"""How many groups of events may be away to be read again at the same time. Small groups: reading one must take far less
than the lease, at the pace the gateway allows."""


@dataclass(slots=True)
class _Work:
    """A claimed event and what becomes of it."""

    claimed: Claimed
    event: GatewayEvent | None = None
    state: str = "processed"
    outcome: str | None = None
    error: str | None = None


@dataclass(slots=True)
class Progress:
    """What one round did."""

    claimed: int = 0
    away: list[Claimed] = field(default_factory=list)


class WebhookService:
    """Applies the inbox."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        bodies: BodyStore,
        applier: Applier,
        reader: GatewayReader,
        *,
        batch_size: int = 500,
        jitter: random.Random | None = None,
    ) -> None:
        self._units = units
        self._bodies = bodies
        self._applier = applier
        self._reader = reader
        self._batch_size = batch_size
        self._jitter = jitter or random.Random()  # noqa: S311 (spreads retries, guards nothing)
        self._readings: set[asyncio.Task[None]] = set()

    @property
    def batch_size(self) -> int:
        """How many events a batch holds at most."""
        return self._batch_size

    async def process_due(self) -> int:
        """Applies one batch of due events. Returns how many it claimed; 0 means there is nothing to do now."""
        failed: list[Claimed] = []
        try:
            progress = await self._round(None, failed)
        except Exception as error:
            if not failed:
                raise
            log.warning("webhook.batch_failed", events=len(failed), error=type(error).__name__)
            return await self._one_by_one(failed)
        await self._send_away(progress.away)
        return progress.claimed

    async def settle_readings(self) -> None:
        """Waits until no event is away to be read again."""
        while self._readings:
            await asyncio.gather(*self._readings)

    async def _one_by_one(self, failed: Sequence[Claimed]) -> int:
        waiting: set[str] = set()
        for claimed in failed:
            if claimed.ordering_key in waiting:
                continue
            try:
                progress = await self._round([claimed.id], [])
            except Exception as error:  # noqa: BLE001 (recorded on the event, retried, and in the end a dead letter)
                await self._record_failure(claimed, error)
                waiting.add(claimed.ordering_key)
            else:
                if progress.away:
                    await self._send_away(progress.away)
                    waiting.add(claimed.ordering_key)
        return len(failed)

    async def _round(
        self, ids: Sequence[str] | None, claimed_out: list[Claimed], evidence: dict[str, Evidence] | None = None
    ) -> Progress:
        """Claims and applies in one transaction. `claimed_out` tells the caller what was claimed if this raises."""
        async with self._units() as unit:
            if ids is None:
                claimed = await queries.claim_due(unit, unit.clock.now(), self._batch_size)
            else:
                claimed = await queries.claim_these(unit, ids)
            if not claimed:
                return Progress()
            claimed_out.extend(claimed)
            work = await self._open(unit, claimed)
            await self._apply(unit, work, evidence or {})
            await unit.dispatch()
            settlements = [self._settlement(item, unit) for item in work]
            await queries.settle(await unit.driver_connection(), settlements)
            await unit.commit()
        self._measure(work)
        return Progress(len(claimed), [item.claimed for item in work if item.state == "processing"])

    async def _open(self, unit: UnitOfWork, claimed: Sequence[Claimed]) -> list[_Work]:
        """Reads and interprets the bodies."""
        raw = await self._bodies.read(await unit.connection(), [(c.id, c.received_at) for c in claimed])
        return [self._interpret(event, raw.get(event.id)) for event in claimed]

    @staticmethod
    def _interpret(claimed: Claimed, raw: bytes | None) -> _Work:
        work = _Work(claimed)
        if raw is None:
            work.state, work.outcome = "quarantined", "body_expired"
            return work
        try:
            found = normalise(load_json(raw))
        except UnusableEvent as unusable:
            work.state, work.outcome = "quarantined", unusable.reason
            work.error = redact_text(unusable.detail)[:500]
            return work
        if isinstance(found, GatewayEvent):
            work.event = found
        else:
            work.state, work.outcome = "ignored", "not_needed" if found.known else "unknown_type"
        return work

    async def _apply(self, unit: UnitOfWork, work: Sequence[_Work], evidence: dict[str, Evidence]) -> None:
        """Applies what can be applied now; what must be read again first is marked `processing`."""
        ready: list[tuple[_Work, Evidence]] = []
        for item in work:
            if item.event is None:
                continue
            if item.claimed.id in evidence:
                ready.append((item, evidence[item.claimed.id]))
            elif must_reread(item.event):
                item.state, item.outcome = "processing", "reading"
            else:
                ready.append((item, Evidence.of_event(item.event)))
        verdicts = await self._applier.apply(unit, [(item.claimed.webhook_id, found) for item, found in ready])
        for (item, found), verdict in zip(ready, verdicts, strict=True):
            if verdict == "reread":
                if found.from_gateway:
                    raise _still_incomplete(item)
                item.state, item.outcome = "processing", "reading"
            elif verdict == "stale":
                item.state, item.outcome = "stale", "newer_known"
            else:
                item.state, item.outcome = "processed", verdict

    @staticmethod
    def _settlement(item: _Work, unit: UnitOfWork) -> Settlement:
        now = unit.clock.now()
        away = item.state == "processing"
        return Settlement(
            id=item.claimed.id,
            state=item.state,
            outcome=item.outcome,
            attempts=item.claimed.attempts,
            error=item.error,
            due_at=now + rules.LEASE if away else None,
            processed_at=None if away else now,
        )

    def _measure(self, work: Sequence[_Work]) -> None:
        now = self._units.clock.now()
        finished = [item for item in work if item.state != "processing"]
        for state, count in Counter(item.state for item in finished).items():
            WEBHOOKS_APPLIED.labels(state).inc(count)
        for item in finished:
            WEBHOOK_LAG.observe(max(0.0, (now - item.claimed.received_at).total_seconds()))

    async def _send_away(self, events: Sequence[Claimed]) -> None:
        """Has these events read again in the background; waits first when too many are away already."""
        for group in rules.grouped(events, READING_GROUP):
            while len(self._readings) >= MAX_READINGS:
                await asyncio.wait(self._readings, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._read_and_apply(group), name="webhook-reading")
            self._readings.add(task)
            task.add_done_callback(self._reading_done)

    def _reading_done(self, task: "asyncio.Task[None]") -> None:
        self._readings.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The events stay leased and are taken up again when the lease ends.
            log.error("webhook.reading_failed", error=type(error).__name__, exc_info=error)

    async def _read_and_apply(self, events: Sequence[Claimed]) -> None:
        """Reads what the events need from the gateway, with no transaction open, then applies them."""
        async with self._units() as unit:
            work = await self._open(unit, events)
            await unit.rollback()
        evidence: dict[str, Evidence] = {}
        async for item_id, found in self._reader.read({w.claimed.id: w.event for w in work if w.event is not None}):
            if isinstance(found, Evidence):
                evidence[item_id] = found
            else:
                await self._record_failure(next(w.claimed for w in work if w.claimed.id == item_id), found)
        if not evidence:
            return
        claimed_now: list[Claimed] = []
        try:
            await self._round(list(evidence), claimed_now, evidence)
        except Exception as error:  # noqa: BLE001 (each event is tried by itself below)
            log.warning("webhook.batch_failed", events=len(evidence), error=type(error).__name__)
            await self._apply_singly(claimed_now, evidence)
        await self._give_back(evidence.keys() - {claimed.id for claimed in claimed_now})

    async def _give_back(self, ids: Set[str]) -> None:
        """Makes events due again that somebody else's lane kept from being applied."""
        if not ids:
            return
        async with self._units() as unit:
            await queries.make_due(await unit.connection(), sorted(ids), unit.clock.now())
            await unit.commit()

    async def _apply_singly(self, events: Sequence[Claimed], evidence: dict[str, Evidence]) -> None:
        for claimed in events:
            try:
                await self._round([claimed.id], [], evidence)
            except Exception as error:  # noqa: BLE001 (recorded on the event, retried, and in the end a dead letter)
                await self._record_failure(claimed, error)

    async def _record_failure(self, claimed: Claimed, error: BaseException) -> None:
        """Schedules the next attempt, or gives up after the last one and leaves the event to people."""
        # Being told to wait is no failure of the event.
        told_to_wait = isinstance(error, GatewayRateLimited)
        attempts = claimed.attempts if told_to_wait else claimed.attempts + 1
        outcome = error.code if isinstance(error, QuntedgeError) else type(error).__name__
        detail = error.detail if isinstance(error, QuntedgeError) else str(error)
        expected = isinstance(error, (GatewayError, QuntedgeError))
        dead = attempts >= rules.MAX_ATTEMPTS
        async with self._units() as unit:
            now = unit.clock.now()
            settlement = Settlement(
                id=claimed.id,
                state="dead" if dead else "retrying",
                outcome=outcome,
                attempts=attempts,
                error=redact_text(detail)[:500],
                due_at=None if dead else now + self._delay(error, attempts),
                processed_at=now if dead else None,
            )
            settled = await queries.settle_failure(await unit.connection(), settlement, claimed.attempts)
            await unit.commit()
        if not settled:
            # Somebody else took it up meanwhile and got further; that stands.
            return
        WEBHOOKS_APPLIED.labels(settlement.state).inc()
        log.log(
            40 if dead else 30,
            "webhook.dead" if dead else "webhook.retrying",
            event_id=claimed.id,
            webhook_id=claimed.webhook_id,
            outcome=outcome,
            attempts=attempts,
            exc_info=None if expected else error,
        )

    def _delay(self, error: BaseException, attempts: int) -> timedelta:
        if isinstance(error, GatewayRateLimited):
            return timedelta(seconds=max(1.0, error.retry_after_seconds))
        return rules.retry_delay(attempts, self._jitter)


def _still_incomplete(item: _Work) -> QuntedgeError:
    return ObjectOutOfReach(f"{item.claimed.event_type} needs an object that the gateway does not give us.")
