"""Looking into the inbox and applying events again, one or many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, text, update

from quntedge.audit.writing import audit_done
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.webhooks.errors import EventNotFound, NotReplayable
from quntedge.webhooks.inbox import CHANNEL
from quntedge.webhooks.models import WebhookEvent

REPLAYABLE = ("dead", "quarantined", "processed", "ignored", "stale", "retrying")


@dataclass(frozen=True, slots=True)
class Cause:
    """Events in trouble for the same reason."""

    state: str
    outcome: str | None
    event_type: str
    count: int
    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are meant. Everything given must hold."""

    states: Sequence[str] = ("dead",)
    outcome: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    ids: Sequence[str] | None = None


async def causes(unit: UnitOfWork) -> list[Cause]:
    """Dead and quarantined events grouped by cause, the most frequent first."""
    rows = await unit.session.execute(
        select(
            WebhookEvent.state,
            WebhookEvent.outcome,
            WebhookEvent.event_type,
            func.count(),
            func.min(WebhookEvent.received_at),
            func.max(WebhookEvent.received_at),
        )
        .where(WebhookEvent.state.in_(("dead", "quarantined")))
        .group_by(WebhookEvent.state, WebhookEvent.outcome, WebhookEvent.event_type)
        .order_by(func.count().desc(), WebhookEvent.outcome)
    )
    return [Cause(*row) for row in rows]


async def find(unit: UnitOfWork, which: Filter, *, limit: int = 100) -> list[WebhookEvent]:
    """Events, the newest first."""
    statement = select(WebhookEvent).where(*_conditions(which)).order_by(WebhookEvent.id.desc()).limit(limit)
    return list((await unit.session.execute(statement)).scalars())


async def replay_one(unit: UnitOfWork, event_id: str) -> None:
    """Puts one event back into the queue. Raises `EventNotFound`, or `NotReplayable` while it is being worked on."""
    state = (
        await unit.session.execute(select(WebhookEvent.state).where(WebhookEvent.id == event_id))
    ).scalar_one_or_none()
    if state is None:
        raise EventNotFound(f"There is no webhook event {event_id}.")
    if state not in REPLAYABLE:
        raise NotReplayable(f"The event is {state}: it is in the queue already.")
    await replay(unit, Filter(states=REPLAYABLE, ids=[event_id]))


async def replay(unit: UnitOfWork, which: Filter) -> int:
    """Puts all matching events back into the queue, with all their attempts before them. Returns how many.

    Applying an event again is harmless: an older snapshot never overwrites a newer one, and every effect has its own
    unique key.
    """
    now = unit.clock.now()
    result = await unit.session.execute(
        update(WebhookEvent)
        .where(*_conditions(which), WebhookEvent.state.in_(REPLAYABLE))
        .values(state="received", attempts=0, due_at=now, processed_at=None, outcome="replayed", error=None)
        .returning(WebhookEvent.id)
    )
    count = len(result.all())
    if count:
        one = which.ids[0] if which.ids is not None and len(which.ids) == 1 else None
        audit_done(unit, "webhook.replay", "webhook_event", one, count=count, states=list(which.states))
        await unit.session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})
    return count


def _conditions(which: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [WebhookEvent.state.in_(tuple(which.states))]
    if which.outcome is not None:
        conditions.append(WebhookEvent.outcome == which.outcome)
    if which.event_type is not None:
        conditions.append(WebhookEvent.event_type == which.event_type)
    if which.since is not None:
        conditions.append(WebhookEvent.received_at >= which.since)
    if which.ids is not None:
        conditions.append(WebhookEvent.id.in_(list(which.ids)))
    return conditions
