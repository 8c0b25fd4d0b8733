"""What a dispute does to the subscription that the payment was for, as its plan says."""

from collections.abc import Sequence

from sqlalchemy import select

from quntedge.access import holds
from quntedge.catalog import queries as catalog
from quntedge.disputes.alarms import Alarm, raise_alarms
from quntedge.disputes.ending import DisputedEnding
from quntedge.disputes.events import DisputedEndFailed, DisputeMoved
from quntedge.disputes.rules import Action, action_for
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions import notes
from quntedge.subscriptions.models import Subscription


class DisputeEffects:
    """Subscribed in `wiring`, inside the transaction of the facts."""

    def __init__(self, ending: DisputedEnding) -> None:
        self._ending = ending

    def listen(self, bus: EventBus) -> None:
        """Subscribes to what it acts upon."""
        bus.subscribe(DisputeMoved, self.on_dispute_moved)
        bus.subscribe(DisputedEndFailed, self.on_end_failed)

    async def on_dispute_moved(self, unit: UnitOfWork, facts: Sequence[DisputeMoved]) -> None:
        """Writes what happened into the history and carries out the plan's policy; a later move of the same dispute may
        take a hold back, never an end."""
        moved = [fact for fact in facts if fact.opened or fact.before_status != fact.status]
        plans = await _plans(unit, sorted({fact.subscription_id for fact in moved if fact.subscription_id}))
        for fact in moved:
            if fact.subscription_id not in plans:
                continue
            await _note(unit, fact, fact.subscription_id)
            policy = plans[fact.subscription_id]
            wanted = action_for(fact.status, inquiry=fact.inquiry, on_open=policy[0], on_lost=policy[1])
            await self._carry_out(unit, fact, fact.subscription_id, wanted)

    async def on_end_failed(self, unit: UnitOfWork, facts: Sequence[DisputedEndFailed]) -> None:
        """What cannot be ended at Whop is held here, so that the policy still means something, and somebody looks."""
        for fact in facts:
            await holds.hold(unit, fact.subscription_id, fact.user_id, fact.dispute_id)
        await raise_alarms(unit, [_policy_failed(fact) for fact in facts])

    async def _carry_out(
        self, unit: UnitOfWork, fact: DisputeMoved, subscription_id: str, wanted: Action | None
    ) -> None:
        match wanted:
            case Action.PAUSE_ACCESS:
                await holds.hold(unit, subscription_id, fact.user_id, fact.dispute_id)
            case Action.KEEP:
                await holds.release(unit, subscription_id, fact.user_id, fact.dispute_id)
            case Action.CANCEL:
                await self._ending.start(unit, subscription_id, fact.dispute_id, fact.transaction_id)


async def _plans(unit: UnitOfWork, subscription_ids: Sequence[str]) -> dict[str, tuple[Action, Action]]:
    """The policy for each of these subscriptions: while a dispute is open, and once it is lost."""
    if not subscription_ids:
        return {}
    found = await unit.session.execute(
        select(Subscription.id, Subscription.plan_id).where(Subscription.id.in_(subscription_ids))
    )
    rows = found.all()
    plans = await catalog.plans_by_id(unit.session, {row.plan_id for row in rows})
    policies = {row.id: plans[row.plan_id].rules.dispute for row in rows if row.plan_id in plans}
    return {key: (Action(policy.open), Action(policy.lost)) for key, policy in policies.items()}


async def _note(unit: UnitOfWork, fact: DisputeMoved, subscription_id: str) -> None:
    """Only what means something to its customer: that a payment is disputed, and how that ended."""
    kind = _told_as(fact)
    if kind is None:
        return
    told = {
        "dispute_id": fact.dispute_id,
        "transaction_id": fact.transaction_id,
        "amount_minor": fact.amount_minor,
        "currency": fact.currency,
    }
    await notes.append(unit, subscription_id, kind, actor="whop", cause=fact.cause, facts={"dispute": told})


def _told_as(fact: DisputeMoved) -> str | None:
    if fact.won:
        return "payment.dispute_won"
    if fact.lost:
        return "payment.dispute_lost"
    # An inquiry that became a chargeback is news as well: from then on money is held back.
    begun = fact.withdrawn_minor > 0 and fact.before_withdrawn_minor == 0
    return "payment.disputed" if begun else None


def _policy_failed(fact: DisputedEndFailed) -> Alarm:
    detail = f"The subscription was to end because of a dispute and did not ({fact.reason}). Its access is held."
    return Alarm("policy_failed", fact.dispute_id, fact.dispute_id, detail, fact.user_id, fact.transaction_id)
