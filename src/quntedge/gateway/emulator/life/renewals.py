"""What the billing engine does by itself: renewals, conversions of trials, retries, ends of periods."""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships
from quntedge.gateway.emulator.rules.billing import retry_delay
from quntedge.gateway.emulator.rules.cards import (
    CHALLENGE_FAILED,
    NOT_CONFIRMED,
    Decline,
    decline_off_session,
    declined_with,
)
from quntedge.gateway.emulator.rules.discounts import promo_of
from quntedge.gateway.emulator.rules.pricing import price
from quntedge.gateway.emulator.state.records import Membership, Payment, Plan, Promo
from quntedge.kit.money import Money

_NO_METHOD = Decline("contact_issuer", "There is no payment method to charge.")


def due(world: World, membership: Membership, at: datetime) -> None:
    """Does what the membership was due for."""
    if membership.status == "completed":
        memberships.end(world, membership, at, "expired")
    elif membership.cancel_at_period_end:
        memberships.end(world, membership, at, "canceled")
    elif membership.paused_at is not None:
        memberships.resume(world, membership, at)
    else:
        _renew(world, membership, at)


def announce_trial_end(world: World, membership: Membership, at: datetime) -> None:
    """Sends membership.trial_ending_soon, once per trial end."""
    membership.trial_notice_at = None
    world.announcer.emit("membership.trial_ending_soon", membership, at)


def _renew(world: World, membership: Membership, at: datetime) -> None:
    """Bills the next period. Renewals carry no metadata and no checkout: integrations report both missing."""
    tables = world.store.tables
    listed = membership.renewal_price or Money.zero(membership.initial_price.currency)
    promo = promo_of(tables, membership)
    payment = bill(world, membership, tables.plans[membership.plan_id], listed, promo, "subscription_cycle", at)
    world.announcer.emit("payment.created", payment, at)
    attempt(world, membership, payment, at)


def bill(
    world: World, membership: Membership, plan: Plan, listed: Money, promo: Promo | None, reason: str, at: datetime
) -> Payment:
    """Makes the open payment for a period of a running membership; nothing is announced or charged yet."""
    tables = world.store.tables
    cost = price(tables, plan, listed, promo, tables.people[membership.user_id].country)
    payment = Payment(
        id=world.store.new_id("pay"),
        created_at=at,
        updated_at=at,
        member_id=membership.member_id,
        user_id=membership.user_id,
        plan_id=plan.id,
        product_id=plan.product_id,
        billing_reason=reason,
        total=cost.total,
        refunded=Money.zero(listed.currency),
        membership_id=membership.id,
        payment_method_id=membership.payment_method_id,
        subtotal=cost.subtotal,
        tax=None if cost.tax is None else cost.tax.amount,
        tax_behavior=None if cost.tax is None else cost.tax.behavior,
        promo_code_id=cost.promo_id,
    )
    return world.store.add_payment(payment)


def attempt(world: World, membership: Membership, payment: Payment, at: datetime) -> bool:
    """Charges an open renewal once; returns whether it was paid."""
    payment.payment_method_id = membership.payment_method_id
    payment.last_payment_attempt_at = at
    world.schedule_retry(payment, None)
    decline = decline_now(world, membership)
    if decline is not None:
        _declined(world, membership, payment, decline, at)
        return False
    _paid(world, membership, payment, at)
    return True


def _paid(world: World, membership: Membership, payment: Payment, at: datetime) -> None:
    payment.status, payment.substatus, payment.paid_at = "paid", "succeeded", at
    payment.decline_code = payment.failure_message = None
    world.store.touch(payment, at)
    world.announcer.emit("payment.succeeded", payment, at)
    start = membership.current_period_end or at
    left = membership.promo_charges_left
    if left and payment.promo_code_id is not None and payment.subtotal:
        left -= 1
    memberships.change(
        world,
        membership,
        at,
        status="active",
        current_period_start=start,
        current_period_end=start + timedelta(days=membership.billing_period_days or 0),
        promo_charges_left=left,
    )


def decline_now(world: World, membership: Membership) -> Decline | None:
    """Why a charge of the membership's card would be refused now; None when it pays. Uses up a scripted decline."""
    if membership.declines_ahead:
        membership.declines_ahead -= 1
        world.store.mark(membership)
        return declined_with(membership.decline_code_ahead)
    method = world.store.tables.methods.get(membership.payment_method_id or "")
    if method is None:
        return _NO_METHOD
    if method.behaviour == "always_challenges":
        return NOT_CONFIRMED
    return decline_off_session(method.behaviour)


def _declined(world: World, membership: Membership, payment: Payment, decline: Decline, at: datetime) -> None:
    challenged = decline.code == NOT_CONFIRMED.code
    payment.substatus = "incomplete" if challenged else "past_due"
    payment.payments_failed += 1
    payment.decline_code, payment.failure_message = decline.code, decline.message
    delay = retry_delay(payment.payments_failed)
    keeps_trying = world.failure_behavior == "none"
    if delay is None and keeps_trying:
        delay = timedelta(days=membership.billing_period_days or 1)
    world.schedule_retry(payment, None if delay is None else at + delay)
    world.store.touch(payment, at)
    world.announcer.emit("payment.requires_action" if challenged else "payment.failed", payment, at)
    if membership.status != "past_due":
        memberships.change(world, membership, at, status="past_due")
    if delay is None:
        memberships.give_up(world, payment, at, "uncollectible", "uncollectible")
        memberships.end(world, membership, at, "canceled")


def retry(world: World, payment: Payment, at: datetime) -> bool:
    """Tries an open payment of a membership again; returns whether it was paid."""
    return attempt(world, world.store.tables.memberships[payment.membership_id or ""], payment, at)


def answer_challenge(world: World, payment: Payment, at: datetime, *, passed: bool) -> None:
    """Ends a bank's challenge of a renewal: it is paid, or the retries go on as they were planned."""
    membership = world.store.tables.memberships[payment.membership_id or ""]
    if passed:
        payment.three_ds_verified = True
        payment.last_payment_attempt_at = at
        world.schedule_retry(payment, None)
        _paid(world, membership, payment, at)
        return
    payment.substatus = "past_due"
    payment.decline_code, payment.failure_message = CHALLENGE_FAILED.code, CHALLENGE_FAILED.message
    world.store.touch(payment, at)
    world.announcer.emit("payment.failed", payment, at)


def replace_method(world: World, membership: Membership, method_id: str, at: datetime) -> None:
    """Uses another stored card from now on; an open past-due payment is tried with it at once."""
    memberships.change(world, membership, at, payment_method_id=method_id)
    payment = world.store.open_payment(membership.id)
    if payment is not None and membership.status == "past_due":
        attempt(world, membership, payment, at)
