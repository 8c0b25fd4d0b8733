"""Promotions in checkouts: holding a use, the code for the payment page, and what payments say about it afterwards."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.people import sharing_mailbox
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView, PriceView
from quntedge.checkout import rules
from quntedge.checkout.models import CheckoutIntent
from quntedge.gateway.acts import PromoActs, PromoRequest
from quntedge.gateway.port import CheckoutRequest, Gateway, GatewayCheckout
from quntedge.kit.errors import QuntedgeError
from quntedge.payments.events import PaymentRecorded
from quntedge.pricing.preview import Preview
from quntedge.promotions.errors import PromotionHeld, PromotionUsedByCustomer, PromotionUsedUp
from quntedge.promotions.models import HELD, PromotionCode, PromotionReservation
from quntedge.promotions.redemptions import Paid, Redemptions
from quntedge.promotions.reserving import Offer, PromotionDesk, priced
from quntedge.promotions.rules import HOLD, normal_code
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription
from quntedge.trials.queries import tried_plans


class CheckoutGateway(Gateway, PromoActs, Protocol):
    """What checkouts need of the gateway."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What is asked of the gateway to open a checkout: first the promo code, if one is to be made."""

    terms: PriceView
    promo: PromoRequest | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """What the gateway made."""

    checkout: GatewayCheckout
    promo_id: str | None = None


async def open_at(gateway: CheckoutGateway, opening: Opening, request: CheckoutRequest, intent_id: str) -> Opened:
    """Makes the promo code and opens the checkout. Both have keys of their own, which follow from the intent's id."""
    promo = None
    if opening.promo is not None:
        promo = await gateway.create_promo(opening.promo, idempotency_key=f"{intent_id}-promo")
    opened = await gateway.create_checkout(request, idempotency_key=intent_id)
    return Opened(opened, None if promo is None else promo.promo_id)


class Discounts:
    """What the checkout does about promotions, in its own units of work."""

    def __init__(self, desk: PromotionDesk) -> None:
        self._desk = desk

    async def hold(
        self, unit: UnitOfWork, intent: CheckoutIntent, typed: str, plan: PlanView, terms: PriceView
    ) -> PromoRequest | None:
        """Holds a use for a new intent and writes into it what comes off. The buyer's row is locked by the caller.

        A checkout that holds one ends sooner than others. Raises the errors of promotions, and `PromotionHeld` where
        it is this customer's own open checkout that holds the last use.
        """
        intent.expires_at = min(intent.expires_at, unit.clock.now() + HOLD)
        try:
            held = await self._desk.reserve(
                unit,
                typed,
                plan,
                terms,
                user_id=intent.user_id,
                bought_before=await bought_before(unit.session, intent.user_id),
                checkout_id=intent.id,
                expires_at=intent.expires_at,
            )
        except (PromotionUsedByCustomer, PromotionUsedUp) as error:
            # An unsuccessful statement has ended the transaction: what follows looks with another one.
            await unit.rollback()
            other = await _holding(unit, intent.user_id, normal_code(typed))
            if other is None:
                raise
            raise PromotionHeld(
                "You have begun another purchase with this code. Finish that one, or give it up first.",
                extra={"checkout_id": other},
            ) from error
        intent.discount_minor, intent.reservation_id = held.discount.amount_minor, held.id
        return await self._desk.promo_request(unit, held.id)

    async def promo_of(self, unit: UnitOfWork, intent: CheckoutIntent) -> PromoRequest | None:
        """The promo code that is still to be made for an intent that was begun earlier."""
        return None if intent.reservation_id is None else await self._desk.promo_request(unit, intent.reservation_id)

    async def settle(self, unit: UnitOfWork, intent: CheckoutIntent, opened: Opened) -> None:
        """Notes the promo code that was made."""
        if intent.reservation_id is not None and opened.promo_id is not None:
            await self._desk.promo_made(unit, intent.reservation_id, opened.promo_id)

    async def release(self, unit: UnitOfWork, intent: CheckoutIntent) -> None:
        """Begins to give back what an intent holds that came to nothing."""
        if intent.reservation_id is not None:
            await self._desk.release(unit, [intent.id])

    async def offer(
        self, unit: UnitOfWork, typed: str, plan: PlanView, currency: str | None, user_id: str | None
    ) -> Offer:
        """What a code makes of a plan's price, for a customer or (None) for a guest. Nothing is held.

        Raises `PlanIsFree`, `CurrencyNotOffered` and the errors of promotions.
        """
        terms = terms_in(plan, currency)
        before, tried = await _past(unit, user_id)
        return await self._desk.offer(unit, typed, plan, terms, user_id, before, tried)

    async def offers(
        self, unit: UnitOfWork, typed: str, plans: Sequence[PlanView], user_id: str | None
    ) -> dict[str, Offer | QuntedgeError]:
        """What a code makes of the prices of these plans (for sale, not free), by the plan's code: an offer, or why
        there is none. Raises `PromotionCodeMalformed` and `PromotionCodeUnknown`."""
        before, tried = await _past(unit, user_id)
        sold = [(plan, plan.prices[0]) for plan in plans]
        found = await self._desk.offers(unit, typed, sold, user_id, before, tried)
        return {plan.code: offer for plan, offer in zip(plans, found, strict=True)}


def terms_in(plan: PlanView, currency: str | None) -> PriceView:
    """The terms a plan is sold at. Raises `PlanNotFound`, `PlanIsFree` and `CurrencyNotOffered`."""
    if plan.archived:
        raise rules.PlanNotFound("There is no such plan for sale. GET /api/subscription/plans lists those that are.")
    if plan.kind == "free":
        raise rules.PlanIsFree(f"{plan.name} costs nothing: you have it without buying it.")
    terms = plan.price_in(currency) if currency else plan.prices[0]
    if terms is None:
        known = [held.price.currency for held in plan.prices]
        raise rules.CurrencyNotOffered(
            f"{plan.name} is not sold in {currency!r}. It is sold in: {', '.join(known)}.", extra={"currencies": known}
        )
    return terms


async def preview_of(unit: UnitOfWork, intent: CheckoutIntent) -> Preview:
    """What an intent costs, line by line, as it was agreed upon: by its version of the terms and its reservation."""
    plan = (await catalog.plans_by_id(unit.session, [intent.plan_id]))[intent.plan_id]
    terms = await catalog.terms_of(unit.session, intent.plan_id, intent.plan_version, intent.currency)
    if terms is None:
        raise rules.PlanNotFound
    discount = None
    if intent.reservation_id is not None:
        held = await unit.session.get_one(PromotionReservation, intent.reservation_id)
        code = await unit.session.get_one(PromotionCode, held.code_id)
        discount = held.promised(code.code)
    tried = await tried_plans(unit.session, intent.user_id, intent.created_at)
    return priced(plan, terms, discount, intent.created_at, tried)


Credits = Callable[[AsyncSession, Collection[str], Collection[str]], Awaitable[frozenset[str]]]
"""Those of some promo codes (of these users) that give credit for time that was paid already."""


class PromotionUses:
    """Hears of payments and tells promotions about those that concern them."""

    def __init__(self, redemptions: Redemptions, credits: Credits | None = None) -> None:
        """`credits` tells promo codes that are no promotion: a change of plan takes unused time off with one."""
        self._redemptions = redemptions
        self._credits = credits

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Records payments with a promo code, and looks whether a first one came without the code it should have had.

        A renewal at the full price, which is what nearly every payment is, costs nothing here.
        """
        paid = [_paid(fact, unit.clock.now()) for fact in facts if fact.newly_paid and _concerns(fact)]
        holding = await self._holding(unit, [one.checkout_id for one in paid if one.opening and one.checkout_id])
        paid = [one for one in paid if one.promo_id is not None or one.checkout_id in holding]
        paid = await self._without_credits(unit, paid)
        if paid:
            await self._redemptions.record(unit, paid)

    async def _without_credits(self, unit: UnitOfWork, paid: list[Paid]) -> list[Paid]:
        promos = {one.promo_id for one in paid if one.promo_id is not None}
        if not promos or self._credits is None:
            return paid
        taken = await self._credits(unit.session, {one.user_id for one in paid}, promos)
        return [one for one in paid if one.promo_id not in taken]

    @staticmethod
    async def _holding(unit: UnitOfWork, checkout_ids: Sequence[str]) -> frozenset[str]:
        """Those of the checkouts that hold a use. They are locked before what they hold, as everybody does."""
        if not checkout_ids:
            return frozenset()
        rows = await unit.session.scalars(
            select(CheckoutIntent.id)
            .where(CheckoutIntent.id.in_(checkout_ids), CheckoutIntent.reservation_id.is_not(None))
            .order_by(CheckoutIntent.id)
            .with_for_update()
        )
        return frozenset(rows)


_RENEWALS = ("subscription_cycle", "subscription_update")


def _concerns(fact: PaymentRecorded) -> bool:
    return fact.whop_promo_code_id is not None or (
        fact.checkout_id is not None and fact.billing_reason not in _RENEWALS
    )


def _paid(fact: PaymentRecorded, now: datetime) -> Paid:
    return Paid(
        transaction_id=fact.transaction_id,
        user_id=fact.user_id,
        checkout_id=fact.checkout_id,
        membership_id=fact.whop_membership_id,
        promo_id=fact.whop_promo_code_id,
        currency=fact.currency,
        subtotal_minor=fact.subtotal_minor,
        discount_minor=fact.discount_minor,
        total_minor=fact.total_minor,
        opening=fact.billing_reason not in _RENEWALS,
        at=fact.paid_at or now,
    )


def same_code(code: str | None) -> ColumnElement[bool]:
    """Whether an intent has this promotion code, or none."""
    if code is None:
        return CheckoutIntent.reservation_id.is_(None)
    return CheckoutIntent.reservation_id.in_(
        select(PromotionReservation.id)
        .join(PromotionCode, PromotionCode.id == PromotionReservation.code_id)
        .where(PromotionCode.code == code, PromotionReservation.state == HELD)
    )


async def _past(unit: UnitOfWork, user_id: str | None) -> tuple[bool, frozenset[str]]:
    """Whether a buyer has bought before, and which plans they have tried; nothing is known of a guest."""
    if user_id is None:
        return False, frozenset()
    return await bought_before(unit.session, user_id), await tried_plans(unit.session, user_id, unit.clock.now())


async def bought_before(session: AsyncSession, user_id: str) -> bool:
    """Whether somebody has, or had, a subscription that began, under whatever address that reaches their mailbox."""
    found = await session.scalar(
        select(Subscription.id)
        .where(Subscription.user_id.in_(sharing_mailbox(user_id)), Subscription.status != "incomplete")
        .limit(1)
    )
    return found is not None


async def _holding(unit: UnitOfWork, user_id: str, code: str) -> str | None:
    """The open checkout of this customer that holds a use of the code's promotion."""
    promotion = select(PromotionCode.promotion_id).where(PromotionCode.code == code).scalar_subquery()
    found: str | None = await unit.session.scalar(
        select(CheckoutIntent.id)
        .join(PromotionReservation, PromotionReservation.id == CheckoutIntent.reservation_id)
        .where(
            CheckoutIntent.user_id == user_id,
            CheckoutIntent.state.in_(rules.UNDECIDED),
            CheckoutIntent.expires_at > unit.clock.now(),
            PromotionReservation.promotion_id == promotion,
            PromotionReservation.state == HELD,
        )
        .limit(1)
    )
    return found
