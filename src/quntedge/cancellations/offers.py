"""What somebody who is about to cancel is offered to stay: once in a customer's life, and never in the way.

A discount is a promo code of the gateway, made for one membership and applied to it. A pause is done by whoever knows
pauses. What is offered is written down with its terms when it is shown, and given exactly so when it is accepted.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.cancellations.errors import OfferUnavailable
from quntedge.cancellations.models import SaveOfferOutcome
from quntedge.cancellations.queries import live_subscription
from quntedge.catalog import queries as catalog
from quntedge.catalog.plan_rules import SaveOffer
from quntedge.catalog.queries import PlanView
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.pricing.rules import Discount
from quntedge.processes.runner import ProcessRunner
from quntedge.processes.steps import State
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import Subscription, SubscriptionMembership

KIND = "save_offer"
PREFIX = "ofr"

Pause = Callable[[str, int], Awaitable[object]]
"""Pauses the subscription of a user for so many days; raises an error of the tree when that cannot be done."""


@dataclass(frozen=True, slots=True)
class OfferView:
    """An offer as it is shown. A discount tells what the next `periods` charges cost; a pause has `days`."""

    id: str
    kind: str
    state: str
    percent_bp: int | None
    amount: Money | None
    periods: int | None
    days: int | None
    price_before: Money | None
    price_after: Money | None


class SaveOfferService:
    """Shows, gives and declines offers. `accept` opens its own units of work; the others work in the caller's."""

    def __init__(self, units: UnitOfWorkFactory, processes: ProcessRunner, pause: Pause | None = None) -> None:
        """Without `pause` no pauses are offered."""
        self._units = units
        self._processes = processes
        self._pause = pause

    async def show(self, unit: UnitOfWork, subscription: Subscription, plan: PlanView) -> OfferView | None:
        """The offer for this subscription, written down as shown; None when there is none, or it was decided before."""
        held, lowered = await _held(unit, subscription.user_id), await _is_lowered(unit, subscription)
        if held is None:
            terms = plan.rules.save_offer
            if terms is None or not self._fits(terms, subscription) or (terms.kind == "discount" and lowered):
                return None
            held = await self._write(unit, subscription, terms)
        if held is None or held.state != "shown" or held.subscription_id != subscription.id:
            return None
        return None if held.kind == "discount" and lowered else _view(held, subscription)

    async def decline(self, unit: UnitOfWork, user_id: str) -> None:
        """Notes that somebody has canceled although an offer was shown to them."""
        await unit.session.execute(
            update(SaveOfferOutcome)
            .where(SaveOfferOutcome.user_id == user_id, SaveOfferOutcome.state == "shown")
            .values(state="declined", decided_at=unit.clock.now())
        )

    async def accept(self, user_id: str) -> OfferView:
        """Gives what was offered; the subscription goes on. Accepting again is answered as it stands.

        A view in the state `accepting` says that the gateway has not answered clearly yet; a worker goes on. Raises
        `OfferUnavailable`, and what the pause raises.
        """
        async with self._units() as unit:
            subscription = await live_subscription(unit.session, user_id, lock=True)
            row = await _held(unit, user_id)
            if row is None or subscription is None or row.state in ("declined", "failed"):
                raise _unavailable()
            if row.state == "shown" and row.kind == "discount":
                await self._begin(unit, row, subscription)
            elif row.state == "shown":
                row.state = "accepting"
            offer_id, process_id, days, state = row.id, row.process_id, row.days, row.state
            await unit.commit()
        if process_id is not None:
            done = await self._processes.run(process_id)
            if done is not None and done.state is State.FAILED:
                raise OfferUnavailable(
                    "The payment provider did not accept this discount, perhaps because another one is running. "
                    "Your subscription goes on unchanged."
                )
        elif state == "accepting" and days is not None and self._pause is not None:
            try:
                await self._pause(user_id, days)
            except QuntedgeError:
                await self._paused(user_id, offer_id, "shown")
                raise
        return await self._paused(user_id, offer_id, "accepted")

    async def _paused(self, user_id: str, offer_id: str, state: str) -> OfferView:
        """How the offer stands; that of a pause, which has no process here, is brought to `state` first."""
        async with self._units() as unit:
            row = await unit.session.get_one(SaveOfferOutcome, offer_id, with_for_update=True)
            if row.kind == "pause" and row.state == "accepting":
                row.state, row.decided_at = state, unit.clock.now() if state == "accepted" else None
            view = _view(row, await live_subscription(unit.session, user_id))
            await unit.commit()
        return view

    def _fits(self, terms: SaveOffer, subscription: Subscription) -> bool:
        if terms.kind == "pause":
            return subscription.status == "active" and terms.days is not None and self._pause is not None
        price = _price(subscription)
        if subscription.status not in ("active", "trialing") or terms.periods is None or not price:
            return False
        return terms.percent_bp is not None or (
            terms.amount is not None and terms.amount.currency == price.currency and bool(terms.amount)
        )

    async def _write(self, unit: UnitOfWork, subscription: Subscription, terms: SaveOffer) -> SaveOfferOutcome | None:
        now = unit.clock.now()
        await unit.session.execute(
            insert(SaveOfferOutcome)
            .values(
                id=new_id(PREFIX, now),
                user_id=subscription.user_id,
                subscription_id=subscription.id,
                plan_id=subscription.plan_id,
                whop_membership_id=subscription.whop_membership_id,
                kind=terms.kind,
                percent_bp=terms.percent_bp,
                amount_minor=terms.amount.amount_minor if terms.amount else None,
                currency=subscription.currency or "usd",
                periods=terms.periods,
                days=terms.days,
                state="shown",
                shown_at=now,
            )
            .on_conflict_do_nothing(index_elements=[SaveOfferOutcome.user_id])
        )
        return await _held(unit, subscription.user_id)

    async def _begin(self, unit: UnitOfWork, row: SaveOfferOutcome, subscription: Subscription) -> None:
        membership = await unit.session.get(SubscriptionMembership, subscription.whop_membership_id)
        if membership is None:
            raise _unavailable()
        row.state = "accepting"
        row.process_id = await self._processes.start(
            unit,
            KIND,
            subscription.id,
            user_id=row.user_id,
            data={
                "offer_id": row.id,
                "membership_id": membership.whop_membership_id,
                "whop_plan_id": membership.whop_plan_id,
                "actor": f"customer:{row.user_id}",
                "percent_bp": row.percent_bp,
                "amount_minor": row.amount_minor,
                "currency": row.currency,
                "periods": row.periods,
            },
        )


def _unavailable() -> OfferUnavailable:
    return OfferUnavailable("There is no offer for you to accept. Your subscription goes on as it is.")


async def _held(unit: UnitOfWork, user_id: str) -> SaveOfferOutcome | None:
    found: SaveOfferOutcome | None = await unit.session.scalar(
        select(SaveOfferOutcome).where(SaveOfferOutcome.user_id == user_id)
    )
    return found


async def _is_lowered(unit: UnitOfWork, subscription: Subscription) -> bool:
    """Whether a discount runs already: the gateway takes no second one, so none is offered."""
    price = _price(subscription)
    if price is None:
        return False
    bought = await catalog.terms_of(unit.session, subscription.plan_id, subscription.plan_version, price.currency)
    return bought is not None and price < bought.price


def _price(subscription: Subscription) -> Money | None:
    if subscription.renewal_price_minor is None or subscription.currency is None:
        return None
    return Money(subscription.renewal_price_minor, subscription.currency)


def _view(row: SaveOfferOutcome, subscription: Subscription | None) -> OfferView:
    amount = None if row.amount_minor is None else Money(row.amount_minor, row.currency)
    # Once it is given, the subscription's own price has the discount in it.
    price = _price(subscription) if subscription is not None and row.state == "shown" else None
    after = None
    if price is not None and row.kind == "discount":
        after = Discount(row.kind, row.percent_bp, amount, row.periods).after(price)
    return OfferView(
        id=row.id,
        kind=row.kind,
        state=row.state,
        percent_bp=row.percent_bp,
        amount=amount,
        periods=row.periods,
        days=row.days,
        price_before=price if after is not None else None,
        price_after=after,
    )
