"""What the steps of a change share: its row, its memberships, the gateway, and the news it makes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.gateway.acts import MembershipActs, MethodActs, PaymentActs, PromoActs, StoredMethod
from quntedge.gateway.port import CheckoutRequest, GatewayCheckout, MembershipSnapshot, RefundSnapshot
from quntedge.plan_changes.events import PlanChangeNews, Stage
from quntedge.plan_changes.models import OPEN, PLANNED, PlanChange
from quntedge.plan_changes.rules import Direction
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import Subscription
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.service import Amendment, SubscriptionService

KIND = "plan_change"
"""Kind of the process that carries a change out; its subject is the change."""
WAKE = "plan_changes.wake"
"""Name of the job that has a change look at once at what is new."""


class ChangeGateway(MembershipActs, PaymentActs, MethodActs, PromoActs, Protocol):
    """What a change needs of the gateway."""

    async def create_checkout(self, request: CheckoutRequest, *, idempotency_key: str) -> GatewayCheckout: ...

    async def retire_checkout(self, checkout_id: str) -> None: ...

    async def refunds_of(self, payment_id: str) -> list[RefundSnapshot]: ...


PayingMethod = Callable[[AsyncSession, str], Awaitable[str | None]]
"""The gateway's id of the means of payment that a customer's subscription is charged with, as their pages say."""

HeldOf = Callable[[AsyncSession, str], Awaitable[int]]
"""How many minor units of a payment (by our id) have gone back to the customer, are on their way or are promised."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the steps work with."""

    units: UnitOfWorkFactory
    gateway: ChangeGateway
    subscriptions: SubscriptionService
    jobs: JobQueue
    base_url: str
    paying_method: PayingMethod
    held_of: HeldOf

    async def read(self, change_id: str) -> PlanChange:
        """A change as it stands, for a call to the gateway: no transaction is open afterwards."""
        async with self.units() as unit:
            change = await unit.session.get_one(PlanChange, change_id)
            unit.session.expunge(change)
        return change

    async def locked(self, unit: UnitOfWork, change_id: str) -> PlanChange:
        """A change to be written. Its subscription is locked first, as everybody does who changes both."""
        await unit.session.flush()  # reading it again must not undo what this unit has changed already
        subscription_id = await unit.session.scalar(
            select(PlanChange.subscription_id).where(PlanChange.id == change_id)
        )
        await unit.session.execute(select(Subscription.id).where(Subscription.id == subscription_id).with_for_update())
        return await unit.session.get_one(PlanChange, change_id, with_for_update=True, populate_existing=True)

    async def observe(self, unit: UnitOfWork, change: PlanChange, snapshot: MembershipSnapshot) -> None:
        """Applies what was read of a membership of this change, whoever hears of it first."""
        await self.subscriptions.observe(unit, snapshot, cause=change.id, actor=change.actor, user_id=change.user_id)

    async def supersede(self, unit: UnitOfWork, change: PlanChange, *, expected: bool) -> None:
        """Notes that the old membership's end is expected, or that it is not any more."""
        amendment = Amendment(change.old_membership_id, change.id, change.actor, superseded=expected)
        await self.subscriptions.amend(unit, [amendment], await plan_terms(unit))

    async def wake(self, unit: UnitOfWork, change_ids: Sequence[str]) -> None:
        """Has changes go on when the unit has committed.

        By a job: whoever calls holds subscriptions, and a process is locked before its subscription.
        """
        arguments: list[dict[str, Any]] = [{"change_id": change_id} for change_id in sorted(set(change_ids))]
        await self.jobs.defer_many(unit, WAKE, arguments)


def is_open(change: PlanChange) -> bool:
    """Whether something is still to come of it."""
    return change.state in OPEN


def to_free(change: PlanChange) -> bool:
    """Whether it leads to the free plan: then nothing follows the old membership."""
    return change.direction == Direction.TO_FREE


def is_new_version(change: PlanChange) -> bool:
    """Whether it moves a subscriber to new terms of the plan they have: the seller's wish, not theirs."""
    return change.direction == Direction.NEW_VERSION


def end(change: PlanChange, state: str, now: datetime) -> None:
    """Ends a change."""
    change.state, change.ended_at = state, now


def news(
    change: PlanChange,
    stage: Stage,
    *,
    charged_minor: int | None = None,
    next_attempt_at: datetime | None = None,
    ended: bool = False,
) -> PlanChangeNews:
    """What to tell of a change now. `charged_minor` is what was in fact collected, where that is known."""
    return PlanChangeNews(
        change_id=change.id,
        stage=stage,
        user_id=change.user_id,
        subscription_id=change.subscription_id,
        from_plan_id=change.from_plan_id,
        to_plan_id=change.to_plan_id,
        to_free=to_free(change),
        currency=change.currency,
        price_minor=change.price_minor,
        charged_minor=change.charge_minor if charged_minor is None else charged_minor,
        refund_minor=change.refund_minor,
        extension_days=change.extension_days,
        effective_at=change.effective_at,
        attempt=change.attempt,
        next_attempt_at=next_attempt_at,
        reason=change.failure,
        ended=ended,
        new_version=is_new_version(change),
    )


async def planned(unit: UnitOfWork, subscription_id: str) -> PlanChange | None:
    """The change that is to happen when the period ends."""
    await unit.session.flush()
    found: PlanChange | None = await unit.session.scalar(
        select(PlanChange)
        .where(PlanChange.subscription_id == subscription_id, PlanChange.state.in_(PLANNED))
        .execution_options(populate_existing=True)
    )
    return found


def usable(methods: Sequence[StoredMethod], preferred: str | None) -> StoredMethod | None:
    """The means of payment to charge: the agreed one if it is still good, else the newest that is."""
    good = [method for method in methods if not method.expired]
    return next((method for method in good if method.method_id == preferred), good[0] if good else None)
