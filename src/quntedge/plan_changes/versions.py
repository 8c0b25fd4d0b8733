"""Moves to new terms of the same plan: begun by the seller, done at the end of the period like any planned change.

A membership at the gateway has the price it was bought at for ever. So the new terms are another membership, which
takes the old one's place when its period is over.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.queries import PlanView, PriceView
from quntedge.kit.ids import new_id
from quntedge.plan_changes import rules
from quntedge.plan_changes.changes import KIND, Tools
from quntedge.plan_changes.claims import PREFIX, member_of
from quntedge.plan_changes.models import OPEN, PlanChange
from quntedge.plan_changes.rules import Direction, Terms
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription


class VersionMoves:
    """Begins such moves and takes them back, in the caller's unit, which holds the subscription locked."""

    def __init__(self, tools: Tools, processes: ProcessRunner) -> None:
        self._tools = tools
        self._processes = processes

    async def begin(
        self, unit: UnitOfWork, row: Subscription, plan: PlanView, bought: PriceView, offer: PriceView, *, actor: str
    ) -> str:
        """Plans the move of an active subscription for the end of its running period; the id of the change.

        `bought` are its present terms, `offer` the new ones, known to the gateway. A worker goes on with it. Raises
        ValueError for a subscription whose period has no known end.
        """
        if row.period_end is None:
            raise ValueError("a subscription without an end of its period cannot be moved at it")
        now = unit.clock.now()
        change_id = new_id(PREFIX, now)
        process_id = await self._processes.start(
            unit, KIND, change_id, user_id=row.user_id, data={"trial": offer.trial_days > 0}, later=True
        )
        lines = rules.later(_terms(plan, bought), _terms(plan, offer), row.period_end, None)
        change = PlanChange(
            id=change_id,
            user_id=row.user_id,
            subscription_id=row.id,
            process_id=process_id,
            direction=Direction.NEW_VERSION.value,
            moment="period_end",
            pay_by="method",
            state="scheduling",
            from_plan_id=plan.id,
            to_plan_id=plan.id,
            to_version=offer.version,
            to_whop_plan_id=offer.whop_plan_id,
            old_membership_id=row.whop_membership_id,
            whop_member_id=await member_of(unit.session, row.whop_membership_id),
            currency=offer.price.currency,
            price_minor=offer.price.amount_minor,
            charge_minor=0,
            credit_minor=0,
            refund_minor=0,
            extension_days=0,
            lines=[line.to_json() for line in lines],
            attempt=1,
            actor=actor,
            created_at=now,
            effective_at=row.period_end,
        )
        unit.session.add(change)
        await unit.session.flush()
        # Before the gateway is told: the end of the old membership is expected, so that nothing ends with it.
        await self._tools.supersede(unit, change, expected=True)
        return change_id

    async def take_back(self, unit: UnitOfWork, change_id: str) -> bool:
        """Has a planned move taken back; False when it has begun or ended, so that it cannot be any more."""
        change = await self._tools.locked(unit, change_id)
        over = change.effective_at is not None and change.effective_at <= unit.clock.now()
        if change.state not in ("scheduling", "scheduled", "withdrawing") or over:
            return False
        change.state = "withdrawing"
        await self._tools.wake(unit, [change.id])
        return True


async def is_changing(session: AsyncSession, subscription_id: str) -> bool:
    """Whether a change of this subscription, of whatever kind, is planned or being done."""
    found = await session.scalar(
        select(PlanChange.id).where(PlanChange.subscription_id == subscription_id, PlanChange.state.in_(OPEN)).limit(1)
    )
    return found is not None


def _terms(plan: PlanView, price: PriceView) -> Terms:
    """What the lines of a change need: nothing is computed here, so no features are compared and no money is split."""
    return Terms(plan.code, plan.name, plan.kind, price.price, price.period_days, {})
