"""Follows pauses from the moment somebody tells of them: ours, and those made at the gateway's own pages.

What the gateway says of a membership, and what we find out ourselves, becomes the state of its subscription; the pauses
follow from that in the same transaction, in whichever order the news arrives. A sweep reminds of ends that come, and
looks at the gateway where an end should have come and nobody has told us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update

from quntedge.gateway.acts import MembershipActs
from quntedge.gateway.errors import GatewayError
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.pauses import rules
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding
from quntedge.pauses.models import Pause
from quntedge.pauses.service import note
from quntedge.payments.events import PaymentRecorded
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import Subscription, SubscriptionMembership
from quntedge.subscriptions.service import SubscriptionService

_BATCH = 200
_CHECKS = 20
_RENEWAL = "subscription_cycle"
_UNMOVED = frozenset({"subscription.renewed", "subscription.paid"})
"""Changes that begin and end no pause: by far the most there are."""

_OPEN = ("requested", "running")

log = get_logger(__name__)

# A payment for a new period while we believe in a pause: somebody has ended it, and the news is still on its way.
_DOUBT = text(
    """
    UPDATE pause SET check_at = :now
      FROM unnest(CAST(:ids AS text[]), CAST(:paid_at AS timestamptz[])) AS p (membership_id, paid_at)
     WHERE pause.whop_membership_id = p.membership_id AND pause.state = 'running' AND pause.paused_at < p.paid_at
    """
)
_DUE_REMINDERS = (
    select(Pause, Subscription.period_end)
    .join(Subscription, Subscription.id == Pause.subscription_id)
    .order_by(Pause.remind_at)
    .limit(_BATCH)
    .with_for_update(of=Pause, skip_locked=True)
)
_DUE_CHECKS = (
    select(Pause.id, Pause.whop_membership_id, SubscriptionMembership.whop_member_id)
    .join(SubscriptionMembership, SubscriptionMembership.whop_membership_id == Pause.whop_membership_id)
    .order_by(Pause.check_at)
    .limit(_CHECKS)
    .with_for_update(of=Pause, skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class _Check:
    pause_id: str
    membership_id: str
    member_id: str


class PauseWatch:
    """Subscribers of facts, which never commit, and two sweeps."""

    def __init__(self, units: UnitOfWorkFactory, gateway: MembershipActs, subscriptions: SubscriptionService) -> None:
        self._units = units
        self._gateway = gateway
        self._subscriptions = subscriptions

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Begins and ends the pauses of subscriptions that are paused now, or are not any more."""
        moved = {f.subscription_id: f for f in facts if f.kind not in _UNMOVED}
        paused = [f for f in moved.values() if f.status == "paused"]
        others = [f for f in moved.values() if f.status != "paused"]
        if others:
            await self._end(unit, others)
        if paused:
            await self._begin(unit, paused)

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Has a pause looked at during which a renewal was paid."""
        paid = [
            (f.whop_membership_id, f.paid_at)
            for f in facts
            if f.newly_paid and f.billing_reason == _RENEWAL and f.whop_membership_id and f.paid_at
        ]
        if paid:
            await unit.run(
                _DOUBT,
                {"now": unit.clock.now(), "ids": Texts(key for key, _ in paid), "paid_at": [at for _, at in paid]},
            )

    async def remind(self, unit: UnitOfWork, now: datetime) -> int:
        """Announces the ends of pauses that come soon; a sweep's transaction. Returns how many."""
        rows = (await unit.session.execute(_DUE_REMINDERS.where(Pause.remind_at <= now))).all()
        for pause, period_end in rows:
            pause.remind_at = None
            if pause.state == "running" and pause.resume_at is not None and pause.resume_at > now:
                unit.record(
                    PauseEnding(
                        pause_id=pause.id,
                        subscription_id=pause.subscription_id,
                        user_id=pause.user_id,
                        plan_id=pause.plan_id,
                        resume_at=pause.resume_at,
                        charge_at=rules.next_charge(pause.resume_at, period_end),
                    )
                )
        return len(rows)

    async def check_due(self) -> int:
        """Looks at the gateway whether pauses have ended that should have; how many were looked at."""
        async with self._units() as unit:
            now = unit.clock.now()
            rows = (await unit.session.execute(_DUE_CHECKS.where(Pause.check_at <= now))).all()
            due = [_Check(row.id, row.whop_membership_id, row.whop_member_id or "") for row in rows]
            # Put off before the call, so that one the gateway chokes on does not come again at once.
            await unit.session.execute(
                update(Pause)
                .where(Pause.id.in_([check.pause_id for check in due]))
                .values(check_at=now + rules.CHECK_AGAIN)
                .execution_options(synchronize_session=False)
            )
            await unit.commit()
        for check in due:
            try:
                await self._look_at(check)
            except GatewayError as error:
                log.warning("pause.unchecked", pause_id=check.pause_id, reason=error.code)
        return len(due)

    async def _look_at(self, check: _Check) -> None:
        if await self._gateway.is_paused(check.membership_id, check.member_id):
            log.warning("pause.goes_on", pause_id=check.pause_id)
            return
        snapshot = await self._gateway.membership(check.membership_id)
        async with self._units() as unit:
            pause = await unit.session.get(Pause, check.pause_id)
            if pause is not None and pause.state == "running":
                await note(unit, self._subscriptions, snapshot, f"check:{check.pause_id}", "whop", paused=False)
            await unit.commit()

    async def _begin(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Their subscriptions are locked by whoever changed them, so nobody else begins the same pauses now."""
        found = await unit.session.execute(
            select(
                Subscription.id,
                Subscription.user_id,
                Subscription.plan_id,
                Subscription.whop_membership_id,
                Subscription.period_end,
                Subscription.paused_at,
                Subscription.resume_at,
                Subscription.pause_access_until,
            ).where(among(Subscription.id)),
            {"values": [fact.subscription_id for fact in facts]},
        )
        rows = {row.id: row for row in found}
        memberships = [row.whop_membership_id for row in rows.values()]
        held = await unit.session.scalars(
            select(Pause).where(among(Pause.whop_membership_id), Pause.state.in_(_OPEN)), {"values": memberships}
        )
        pauses = {pause.subscription_id: pause for pause in held}
        for fact in facts:
            _begin_one(unit, fact, rows[fact.subscription_id], pauses.get(fact.subscription_id))

    @staticmethod
    async def _end(unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        by_id = {fact.subscription_id: fact for fact in facts}
        now = unit.clock.now()
        held = await unit.session.scalars(
            select(Pause).where(among(Pause.subscription_id), Pause.state == "running"), {"values": list(by_id)}
        )
        for pause in held:
            fact = by_id[pause.subscription_id]
            pause.state, pause.ended_at, pause.ended_by = "ended", now, fact.actor
            pause.remind_at = pause.check_at = None
            if not fact.ended:
                unit.record(
                    PauseEnded(
                        pause_id=pause.id,
                        subscription_id=pause.subscription_id,
                        user_id=pause.user_id,
                        plan_id=fact.plan_id,
                        ended_at=now,
                        charge_at=rules.next_charge(now, fact.period_end),
                    )
                )


def _begin_one(unit: UnitOfWork, fact: SubscriptionChanged, row: Any, pause: Pause | None) -> None:
    """A pause that was asked for begins, one that nobody here asked for is noticed, one that runs learns its end."""
    now = unit.clock.now()
    begins = pause is None or pause.state == "requested"
    if pause is None:
        pause = Pause(
            id=new_id("pau", now),
            subscription_id=row.id,
            user_id=row.user_id,
            plan_id=row.plan_id,
            whop_membership_id=row.whop_membership_id,
            actor=fact.actor,
            requested_at=now,
        )
        unit.session.add(pause)
    pause.state = "running"
    pause.paused_at = row.paused_at or now
    # Asked for here, the end is known before the subscription says it.
    pause.resume_at = row.resume_at or pause.resume_at
    pause.access_until = rules.interrupted_at(row.pause_access_until, pause.resume_at)
    if begins:
        pause.remind_at = rules.reminder_at(pause.paused_at, pause.resume_at)
        pause.check_at = None if pause.resume_at is None else pause.resume_at + rules.CHECK_AFTER
        unit.record(
            PauseBegan(
                pause_id=pause.id,
                subscription_id=row.id,
                user_id=row.user_id,
                plan_id=row.plan_id,
                paused_at=pause.paused_at,
                resume_at=pause.resume_at,
                access_until=pause.access_until,
                period_end=row.period_end,
            )
        )
