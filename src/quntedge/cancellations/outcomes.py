"""Keeps cancellations in step with their subscriptions, whoever brought the news and in whatever order.

What a cancellation has come to is read from the subscription, never from the message that changed it: our own call, its
webhook and the daily comparison may tell of the same thing one after the other.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.cancellations.beginning import CANCEL, KIND, process_data
from quntedge.cancellations.events import CancellationScheduled, CancellationUndone
from quntedge.cancellations.models import OPEN, Cancellation
from quntedge.cancellations.rules import Situation, Timing, options
from quntedge.kit.ids import new_id
from quntedge.processes.models import Process
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import CancellationRequested, SubscriptionChanged
from quntedge.subscriptions.models import LIVE, Subscription

PREFIX = "can"
GATEWAY_ACTOR = "whop"
PLANNED_ACTOR = "system"
"""Who is named for an end that another feature has planned: it tells the customer of that end, and of its undoing."""

_COLUMNS: tuple[Any, ...] = (
    Subscription.id,
    Subscription.user_id,
    Subscription.plan_id,
    Subscription.status,
    Subscription.whop_membership_id,
    Subscription.cancel_at_period_end,
    Subscription.period_end,
    Subscription.trial_end,
    Subscription.pause_access_until,
    Subscription.ended_at,
    Cancellation.id.label("cancellation_id"),
    Cancellation.state,
    Cancellation.timing,
    Cancellation.actor,
)
_AFFECTED = (
    select(*_COLUMNS)
    .outerjoin(Cancellation, (Cancellation.subscription_id == Subscription.id) & Cancellation.state.in_(OPEN))
    .where(among(Subscription.id), Subscription.cancel_at_period_end | Cancellation.id.is_not(None))
    .order_by(Subscription.id)
)


class CancellationOutcomes:
    """The subscriber that settles cancellations."""

    def __init__(self, processes: ProcessRunner, ends_of_others: Collection[str] = ()) -> None:
        """`ends_of_others` are the kinds of processes that let memberships run out for reasons of their own: what they
        do at the gateway is no cancellation by the buyer."""
        self._processes = processes
        self._ends_of_others = tuple(sorted(ends_of_others))

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Settles what the changes decide."""
        moved = {
            fact.subscription_id
            for fact in facts
            if fact.touches("status", "cancel_at_period_end", "membership_id", "ended_at")
        }
        if moved:
            await self.settle(unit, moved)

    async def settle(self, unit: UnitOfWork, subscription_ids: Collection[str]) -> None:
        """Brings the cancellations of these subscriptions up to date. Doing it twice changes nothing."""
        await unit.session.flush()
        connection = await unit.connection()
        rows = (await connection.execute(_AFFECTED, {"values": sorted(subscription_ids)})).all()
        for row in rows:
            await self._settle(unit, row, unit.clock.now())

    async def _settle(self, unit: UnitOfWork, row: Row[Any], now: datetime) -> None:
        live = row.status in LIVE
        if row.cancellation_id is None:
            if live:
                await self._made_at_gateway(unit, row, now)
        elif not live:
            ended = {"state": "done", "ended_at": row.ended_at or now, "ends_at": row.ended_at or now}
            await self._move(unit, row, ended | {"access_until": row.ended_at or now})
        elif row.timing == Timing.PERIOD_END and row.cancel_at_period_end != (row.state == "scheduled"):
            await (self._scheduled(unit, row, now) if row.cancel_at_period_end else self._undone(unit, row, now))

    async def _scheduled(self, unit: UnitOfWork, row: Row[Any], now: datetime) -> None:
        await self._move(unit, row, {"state": "scheduled", **_end_of(row, now)})
        unit.record(_scheduled_fact(row, row.cancellation_id, now))

    async def _undone(self, unit: UnitOfWork, row: Row[Any], now: datetime) -> None:
        if row.state == "requested":
            return  # not done yet
        await self._move(unit, row, {"state": "undone", "undone_at": now})
        if row.actor == PLANNED_ACTOR:
            return
        unit.record(
            CancellationUndone(
                cancellation_id=row.cancellation_id,
                subscription_id=row.id,
                user_id=row.user_id,
                plan_id=row.plan_id,
                membership_id=row.whop_membership_id,
                trial=row.status == "trialing",
                period_end=row.period_end,
            )
        )

    async def _made_at_gateway(self, unit: UnitOfWork, row: Row[Any], now: datetime) -> None:
        """The buyer canceled in the gateway's portal: as good as here, so it is kept and confirmed the same way."""
        if await self.is_planned(unit, row.user_id):
            return
        if row.status == "past_due":
            await self._end_at_once(unit, row, now)
            return
        made = await unit.session.scalar(
            insert(Cancellation)
            .values(
                id=new_id(PREFIX, now),
                subscription_id=row.id,
                user_id=row.user_id,
                whop_membership_id=row.whop_membership_id,
                timing=Timing.PERIOD_END,
                state="scheduled",
                actor=GATEWAY_ACTOR,
                requested_at=now,
                **_end_of(row, now),
            )
            .on_conflict_do_nothing()
            .returning(Cancellation.id)
        )
        if made is not None:
            unit.record(_scheduled_fact(row, made, now))

    async def _end_at_once(self, unit: UnitOfWork, row: Row[Any], now: datetime) -> None:
        """With no paid period to use up it ends now, as it would here: whoever leaves is not charged any more."""
        if await self._processes.running(unit, KIND, row.id) is not None:
            return  # what the customer wants is just being done; its news leads here again
        cancellation_id = new_id(PREFIX, now)
        data = process_data(CANCEL, row.whop_membership_id, cancellation_id, Timing.NOW, GATEWAY_ACTOR)
        process_id = await self._processes.start(unit, KIND, row.id, user_id=row.user_id, data=data, later=True)
        await unit.session.execute(
            insert(Cancellation).values(
                id=cancellation_id,
                subscription_id=row.id,
                user_id=row.user_id,
                whop_membership_id=row.whop_membership_id,
                process_id=process_id,
                timing=Timing.NOW,
                state="requested",
                actor=GATEWAY_ACTOR,
                requested_at=now,
                ends_at=now,
                access_until=now,
            )
        )
        unit.record(CancellationRequested(row.id, row.user_id, False, GATEWAY_ACTOR, cancellation_id))

    async def is_planned(self, unit: UnitOfWork, user_id: str) -> bool:
        """Whether another feature lets this customer's membership run out."""
        if not self._ends_of_others:
            return False
        found = await unit.session.scalar(
            select(Process.id)
            .where(Process.user_id == user_id, Process.kind.in_(self._ends_of_others), Process.state == "running")
            .limit(1)
        )
        return found is not None

    @staticmethod
    async def _move(unit: UnitOfWork, row: Row[Any], values: dict[str, Any]) -> None:
        await unit.session.execute(
            update(Cancellation)
            .where(Cancellation.id == row.cancellation_id)
            .values(values)
            .execution_options(synchronize_session="fetch")
        )


def _end_of(row: Row[Any], now: datetime) -> dict[str, datetime | None]:
    situation = Situation(row.status, "", row.period_end, row.trial_end, row.pause_access_until)
    option = next((one for one in options(situation, now) if one.timing is Timing.PERIOD_END), None)
    return {
        "ends_at": option.ends_at if option else row.period_end,
        "access_until": option.access_until if option else row.period_end,
    }


def _scheduled_fact(row: Row[Any], cancellation_id: str, now: datetime) -> CancellationScheduled:
    return CancellationScheduled(
        cancellation_id=cancellation_id,
        subscription_id=row.id,
        user_id=row.user_id,
        plan_id=row.plan_id,
        membership_id=row.whop_membership_id,
        trial=row.status == "trialing",
        access_until=_end_of(row, now)["access_until"],
    )
