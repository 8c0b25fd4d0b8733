"""What a change starts from: the subscription, its plan as it was bought, the period and what was paid for it."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView, PriceView
from quntedge.gateway.disputed import DisputeStatus
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction
from quntedge.plan_changes import errors
from quntedge.plan_changes.changes import HeldOf
from quntedge.plan_changes.claims import member_of
from quntedge.plan_changes.lines import Line, credit_taken
from quntedge.plan_changes.models import PLANNED, RUNNING, PlanChange
from quntedge.plan_changes.rules import PaidPeriod, Terms
from quntedge.pricing.credits import Given
from quntedge.promotions.queries import running
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import LIVE, Subscription

_PAID = ("paid", "partially_refunded", "refunded")
_AROUND = timedelta(days=1)
"""How much earlier than its period a payment may have been made and still be the period's."""
_LOST = frozenset({DisputeStatus.LOST.value, DisputeStatus.PREVENTED.value})
_SETTLES = timedelta(minutes=30)
"""How long a new period may be known before its payment is: deliveries come in any order, and some come late."""


@dataclass(frozen=True, slots=True)
class EndingDiscount:
    """A discount on the next renewal, which belongs to the present membership and does not go along. `code` is that of
    the promotion; None for one that is agreed upon otherwise."""

    renewal: Money
    code: str | None


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a customer's subscription stands now, and the plan it is wanted to change to."""

    subscription: Subscription
    plan: PlanView
    current: Terms
    period: PaidPeriod | None
    payment_id: str | None
    member_id: str | None
    target: PlanView
    offer: PriceView
    wanted: Terms
    planned: PlanChange | None
    ending_discount: "EndingDiscount | None"

    @property
    def trial(self) -> bool:
        """Whether the present period is a trial."""
        return self.subscription.status == "trialing"

    def basis(self, method_id: str | None) -> str:
        """A digest of everything a preview depends on but the time: when it is another, the preview is outdated."""
        row, period = self.subscription, self.period
        facts = [
            row.id,
            row.whop_membership_id,
            row.status,
            row.cancel_at_period_end,
            _iso(row.period_end),
            row.plan_id,
            self.target.id,
            self.offer.version,
            self.wanted.price.to_json(),
            self.payment_id,
            None if period is None else [period.given.paid.amount_minor, period.given.refunded.amount_minor],
            None if self.planned is None else self.planned.id,
            method_id,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


async def find_situation(
    unit: UnitOfWork, user_id: str, plan_code: str, held_of: HeldOf, *, lock: bool = False
) -> Situation:
    """The situation, if the change is possible at all; with `lock` the subscription is held until the unit ends.

    `held_of` tells how much of a payment is given back by other means. Raises `UnknownTarget`, `NothingToChange`,
    `ChangeRunning`, `TargetNotSold`, `PaymentDisputed`, `RenewalUnderWay`, and what `check_state` and `check_target`
    raise.
    """
    target = await catalog.plan_by_code(unit.session, plan_code)
    if target is None or target.archived:
        raise errors.UnknownTarget("There is no such plan on offer. GET /api/subscription/plans lists those that are.")
    subscription = await _live(unit.session, user_id, lock=lock)
    plan = (await catalog.plans_by_id(unit.session, [subscription.plan_id]))[subscription.plan_id]
    planned = await _open_changes(unit.session, subscription.id)
    check_state(subscription.status, ending=subscription.cancel_at_period_end and planned is None)
    check_target(plan, target)
    currency = subscription.currency or plan.price.currency
    offer = offer_in(target, currency)
    if offer is None:
        raise errors.TargetNotSold(f"{target.name} cannot be had in {currency.upper()}, the currency you pay in.")
    bought = await catalog.terms_of(unit.session, plan.id, subscription.plan_version, currency)
    payment = await _payment_of_period(unit.session, subscription, currency)
    check_period(subscription, payment, unit.clock.now())
    period = await _paid_period(unit.session, subscription, payment, currency, held_of)
    current = _terms(plan, bought or plan.prices[0])
    return Situation(
        subscription=subscription,
        plan=plan,
        current=current,
        period=period,
        payment_id=None if payment is None else payment.whop_payment_id,
        member_id=await member_of(unit.session, subscription.whop_membership_id),
        target=target,
        offer=offer,
        wanted=_terms(target, offer),
        planned=planned,
        ending_discount=await _ending_discount(unit.session, subscription, current.price),
    )


async def _ending_discount(session: AsyncSession, subscription: Subscription, regular: Money) -> EndingDiscount | None:
    """What the next renewal would cost, where that is less than the plan's price."""
    renewal = subscription.renewal_price_minor
    if renewal is None or renewal >= regular.amount_minor:
        return None
    promotion = await running(session, subscription.whop_membership_id)
    return EndingDiscount(Money(renewal, regular.currency), None if promotion is None else promotion.code)


def offer_in(plan: PlanView, currency: str) -> PriceView | None:
    """The terms on which a plan can be had by somebody who pays in this currency; nothing is nothing in all of them."""
    offer = plan.price_in(currency)
    if plan.kind == "free":
        return offer or replace(plan.prices[0], price=Money.zero(currency))
    return offer if offer is not None and offer.whop_plan_id is not None else None


async def _live(session: AsyncSession, user_id: str, *, lock: bool) -> Subscription:
    query = select(Subscription).where(Subscription.user_id == user_id, Subscription.status.in_(LIVE))
    found: Subscription | None = await session.scalar(
        (query.with_for_update() if lock else query).execution_options(populate_existing=True)
    )
    if found is None:
        raise errors.NothingToChange(
            "You have no running subscription. Choose a plan and buy it: POST /api/payment/checkout."
        )
    return found


def check_state(status: str, *, ending: bool) -> None:
    """Raises `PaymentOverdue`, `SubscriptionPaused`, `LifetimeHeld` or `CancellationPending`.

    `ending`: the customer has cancelled, and it is not a planned change to Free that ends it.
    """
    match status:
        case "past_due":
            raise errors.PaymentOverdue("A payment of your subscription is overdue. Pay it first, then try again.")
        case "paused":
            raise errors.SubscriptionPaused("Your subscription is paused. Resume it first, then change the plan.")
        case "completed":
            raise errors.LifetimeHeld("Your plan is yours for ever: there is nothing to change it to.")
    if ending:
        raise errors.CancellationPending(
            "Your subscription is going to end with its period. Withdraw the cancellation first, then change the plan."
        )


def check_target(plan: PlanView, target: PlanView) -> None:
    """Raises `SamePlan` or `TargetNotAllowed`."""
    if target.id == plan.id:
        raise errors.SamePlan(f"{plan.name} is your plan already.")
    if not plan.rules.change.allows(target.code):
        raise errors.TargetNotAllowed(f"A change from {plan.name} to {target.name} is not offered. Write to us.")


async def _open_changes(session: AsyncSession, subscription_id: str) -> PlanChange | None:
    """The planned change, which a new one replaces. Raises `ChangeRunning` for one that is being done."""
    rows = await session.scalars(
        select(PlanChange)
        .where(PlanChange.subscription_id == subscription_id, PlanChange.state.in_(RUNNING + PLANNED))
        .execution_options(populate_existing=True)
    )
    found = rows.all()
    if any(row.state != "scheduled" for row in found):
        raise errors.ChangeRunning("A change of your plan is being done. Wait until it is finished, then look again.")
    return found[0] if found else None


def check_period(subscription: Subscription, payment: PaymentTransaction | None, now: datetime) -> None:
    """Raises `RenewalUnderWay` where the next period is just being charged, as far as we know, and `PaymentDisputed`
    while a bank decides about the payment of this one. Neither amount could be relied upon."""
    start, end = subscription.period_start, subscription.period_end
    over = end is not None and end <= now
    unpaid = subscription.status == "active" and payment is None and start is not None and now - start < _SETTLES
    if over or unpaid:
        raise errors.RenewalUnderWay(
            "Your plan is being renewed at this moment. Look again in a few minutes: the price depends on it."
        )
    if payment is not None and payment.disputed_minor and payment.dispute_status not in _LOST:
        raise errors.PaymentDisputed(
            "Your bank is looking into the payment of this period. Your plan can be changed once it has decided."
        )


async def _payment_of_period(
    session: AsyncSession, subscription: Subscription, currency: str
) -> PaymentTransaction | None:
    """The payment that the running period was begun with. None for a trial, and where no period or payment is known."""
    if subscription.status == "trialing" or subscription.period_start is None or subscription.period_end is None:
        return None
    found: PaymentTransaction | None = await session.scalar(
        select(PaymentTransaction)
        .where(
            PaymentTransaction.whop_membership_id == subscription.whop_membership_id,
            PaymentTransaction.status.in_(_PAID),
            PaymentTransaction.currency == currency,
            PaymentTransaction.paid_at >= subscription.period_start - _AROUND,
        )
        .order_by(PaymentTransaction.paid_at.desc(), PaymentTransaction.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return found


async def _paid_period(
    session: AsyncSession,
    subscription: Subscription,
    payment: PaymentTransaction | None,
    currency: str,
    held_of: HeldOf,
) -> PaidPeriod | None:
    """The running period and what was given for it. None for a trial, and where no period is known."""
    start, end = subscription.period_start, subscription.period_end
    if subscription.status == "trialing" or start is None or end is None:
        return None
    if payment is None:
        nothing = Money.zero(currency)
        return PaidPeriod(start, end, Given(nothing, nothing, nothing, nothing))
    on_top = payment.tax_minor or 0 if payment.tax_behavior == "exclusive" else 0
    begun_by = await session.scalar(
        select(PlanChange).where(
            PlanChange.new_membership_id == subscription.whop_membership_id,
            PlanChange.whop_payment_id == payment.whop_payment_id,
        )
    )
    total = payment.total_minor or 0
    # What is promised has gone, and so has what a bank has taken: nobody gets the same money back in two ways.
    gone = max(payment.refunded_minor, await held_of(session, payment.id)) + payment.disputed_minor
    given = Given(
        paid=Money(total, currency),
        tax=Money(on_top, currency),
        refunded=Money(min(total, gone), currency),
        carried=Money.zero(currency)
        if begun_by is None
        else credit_taken(map(Line.from_json, begun_by.lines), currency),
    )
    return PaidPeriod(start, end, given)


def _terms(plan: PlanView, price: PriceView) -> Terms:
    return Terms(
        code=plan.code,
        name=plan.name,
        kind=plan.kind,
        price=price.price,
        period_days=price.period_days,
        features={one.code: one.value if isinstance(one.value, int) else None for one in plan.features},
    )


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
