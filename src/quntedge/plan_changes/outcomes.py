"""What the news of other features means for changes of plan. Subscribers; they never commit and never call out."""

from collections.abc import Mapping, Sequence

from sqlalchemy import or_, select

from quntedge.payments.events import PaymentRecorded
from quntedge.plan_changes.changes import Tools, end, news, planned, to_free
from quntedge.plan_changes.events import PlanChangeNews, Stage
from quntedge.plan_changes.models import OPEN, PLANNED, RUNNING, PlanChange
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn, SubscriptionChanged

_SWITCHED = "subscription.plan_changed"
_RENEWAL = "subscription_cycle"


class PlanChangeOutcomes:
    """Wakes changes that wait for a payment, and gives up those that have lost their point."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """A payment or membership that a change waits for has moved. Renewals are not what a change waits for."""
        facts = [fact for fact in facts if fact.billing_reason != _RENEWAL]
        payments = sorted({fact.whop_payment_id for fact in facts if fact.newly_paid or fact.newly_failed})
        if not payments:
            return
        memberships = sorted({fact.whop_membership_id for fact in facts if fact.whop_membership_id is not None})
        waiting = await unit.session.scalars(
            select(PlanChange.id).where(
                or_(PlanChange.whop_payment_id.in_(payments), PlanChange.new_membership_id.in_(memberships)),
                PlanChange.state.in_(OPEN),
            )
        )
        await self._tools.wake(unit, waiting.all())

    async def on_cancellation_requested(self, unit: UnitOfWork, facts: Sequence[CancellationRequested]) -> None:
        """Whoever cancels wants nothing to follow."""
        for fact in sorted(facts, key=lambda fact: fact.subscription_id):
            await self._drop(unit, fact.subscription_id, "dropped")
            await self._drop_unpaid(unit, fact.subscription_id)

    async def on_cancellation_withdrawn(self, unit: UnitOfWork, facts: Sequence[CancellationWithdrawn]) -> None:
        """The old plan goes on, so nothing follows it. The gateway is told by whoever withdrew the cancellation."""
        for fact in sorted(facts, key=lambda fact: fact.subscription_id):
            await self._drop(unit, fact.subscription_id, "withdrawn")

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """The buyer has changed the plan at the gateway: a planned change is taken back, and they are told."""
        moved = {fact.subscription_id: fact for fact in facts if fact.touches("plan_id", "membership_id")}
        if moved:
            await self._give_up_moot(unit, moved)
        for fact in facts:
            if fact.kind == _SWITCHED and not await _ours(unit, fact):
                unit.record(_news_of_switch(fact))

    async def _give_up_moot(self, unit: UnitOfWork, facts: Mapping[str, SubscriptionChanged]) -> None:
        rows = await unit.session.execute(
            select(PlanChange.id, PlanChange.subscription_id, PlanChange.from_plan_id, PlanChange.old_membership_id)
            .where(PlanChange.subscription_id.in_(sorted(facts)), PlanChange.state.in_(PLANNED))
            .order_by(PlanChange.subscription_id)
        )
        for row in rows.all():
            fact = facts[row.subscription_id]
            if fact.membership_id != row.old_membership_id or fact.plan_id == row.from_plan_id:
                continue
            change = await self._tools.locked(unit, row.id)
            if change.state in ("scheduling", "scheduled"):
                change.state, change.failure = "withdrawing", "switched"
                await self._tools.wake(unit, [change.id])

    async def _drop(self, unit: UnitOfWork, subscription_id: str, state: str) -> None:
        found = await planned(unit, subscription_id)
        if found is None:
            return
        change = await self._tools.locked(unit, found.id)
        if not to_free(change):
            await self._tools.supersede(unit, change, expected=False)
        end(change, state, unit.clock.now())
        if state == "withdrawn":
            unit.record(news(change, Stage.WITHDRAWN))
        await self._tools.wake(unit, [change.id])

    async def _drop_unpaid(self, unit: UnitOfWork, subscription_id: str) -> None:
        """A checkout that nobody has paid; what is being charged goes on, it was agreed upon before."""
        change_id = await unit.session.scalar(
            select(PlanChange.id).where(
                PlanChange.subscription_id == subscription_id, PlanChange.state == "awaiting_checkout"
            )
        )
        if change_id is not None:
            change = await self._tools.locked(unit, change_id)
            if change.new_membership_id is None:
                end(change, "dropped", unit.clock.now())
                await self._tools.wake(unit, [change.id])


async def _ours(unit: UnitOfWork, fact: SubscriptionChanged) -> bool:
    """Whether a change of ours explains that the subscription is on another plan now."""
    found = await unit.session.scalar(
        select(PlanChange.id).where(
            PlanChange.subscription_id == fact.subscription_id,
            or_(PlanChange.new_membership_id == fact.membership_id, PlanChange.state.in_(RUNNING)),
        )
    )
    return found is not None


def _news_of_switch(fact: SubscriptionChanged) -> PlanChangeNews:
    """There is no change of ours to tell of; what it costs is the gateway's to say."""
    return PlanChangeNews(
        change_id=f"{fact.membership_id}:{fact.cause}",
        stage=Stage.SWITCHED,
        user_id=fact.user_id,
        subscription_id=fact.subscription_id,
        from_plan_id=fact.plan_id,
        to_plan_id=fact.plan_id,
        to_free=False,
        currency="",
        price_minor=0,
        charged_minor=0,
        refund_minor=0,
        extension_days=0,
        effective_at=None,
    )
