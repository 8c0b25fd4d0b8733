"""Buying: from a typed card to a paid payment and a running membership."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from quntedge.gateway.emulator import memberships
from quntedge.gateway.emulator.billing import first_charge
from quntedge.gateway.emulator.cards import CHALLENGE_FAILED, Card, Decline, decline_at_checkout
from quntedge.gateway.emulator.records import Checkout, Member, Membership, Method, Payment, Person, Plan
from quntedge.gateway.emulator.world import World
from quntedge.kit.money import Money


@dataclass(frozen=True, slots=True)
class Order:
    """What a buyer asks for on the checkout page."""

    plan: Plan
    checkout: Checkout | None
    email: str
    card: Card
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try to pay went. `challenge` waits for the bank's page."""

    kind: Literal["paid", "declined", "challenge"]
    payment: Payment
    membership: Membership | None = None


def person_for(world: World, email: str, name: str | None, at: datetime) -> Person:
    """The person with this e-mail address, made when unknown: the same address is always the same user."""
    normal = email.strip().casefold()
    person = world.store.person_by_email(normal)
    if person is None:
        user_id = world.store.new_id("user")
        username = f"{normal.split('@')[0][:20]}-{user_id[-4:].lower()}"
        person = Person(id=user_id, created_at=at, updated_at=at, email=normal, username=username, name=name)
        world.store.add_person(person)
    elif name and person.name is None:
        person.name = name
        world.store.touch(person, at)
    return person


def member_for(world: World, person: Person, at: datetime) -> Member:
    """The account's customer record of a person, made when unknown."""
    member = world.store.member_of(person.id)
    if member is None:
        member = Member(id=world.store.new_id("mber"), created_at=at, updated_at=at, user_id=person.id, joined_at=at)
        world.store.add_member(member)
    return member


def store_card(world: World, member: Member, card: Card, at: datetime) -> Method:
    """The member's stored card; the same number is stored once."""
    for method in world.store.methods_of(member.id):
        if method.fingerprint == card.fingerprint:
            method.exp_month, method.exp_year = card.exp_month, card.exp_year
            world.store.touch(method, at)
            return method
    method = Method(
        id=world.store.new_id("payt"),
        created_at=at,
        updated_at=at,
        member_id=member.id,
        brand=card.brand,
        last4=card.last4,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        behaviour=card.behaviour,
        fingerprint=card.fingerprint,
    )
    return world.store.add_method(method)


def buy(world: World, order: Order, at: datetime) -> Outcome:
    """Tries to pay. Each try on the checkout page is a payment of its own, whose metadata is the checkout's."""
    person = person_for(world, order.email, order.name, at)
    member = member_for(world, person, at)
    method = store_card(world, member, order.card, at)
    payment = _open_payment(world, order, person, member, method, at)
    decline = decline_at_checkout(method.behaviour)
    if decline is not None:
        _decline(world, payment, decline, at)
        return Outcome("declined", payment)
    if method.behaviour == "challenges":
        payment.substatus = "incomplete"
        world.store.touch(payment, at)
        return Outcome("challenge", payment)
    return Outcome("paid", payment, _complete(world, payment, at))


def answer_challenge(world: World, payment: Payment, at: datetime, *, passed: bool) -> Outcome:
    """Ends a 3-D Secure challenge that is still open."""
    if not passed:
        _decline(world, payment, CHALLENGE_FAILED, at)
        return Outcome("declined", payment)
    payment.three_ds_verified = True
    return Outcome("paid", payment, _complete(world, payment, at))


def _open_payment(world: World, order: Order, person: Person, member: Member, method: Method, at: datetime) -> Payment:
    plan = order.plan
    trial = bool(plan.trial_period_days) and plan.recurring and plan.id not in person.trialed_plan_ids
    total = first_charge(plan, trial=trial)
    payment = Payment(
        id=world.store.new_id("pay"),
        created_at=at,
        updated_at=at,
        member_id=member.id,
        user_id=person.id,
        plan_id=plan.id,
        product_id=plan.product_id,
        billing_reason="subscription_create" if plan.recurring else "one_time",
        total=total,
        refunded=Money.zero(total.currency),
        checkout_id=None if order.checkout is None else order.checkout.id,
        payment_method_id=method.id,
        trial=trial,
        last_payment_attempt_at=at,
        metadata={} if order.checkout is None else dict(order.checkout.metadata),
    )
    world.store.add_payment(payment)
    world.announcer.emit("payment.created", payment, at)
    return payment


def _decline(world: World, payment: Payment, decline: Decline, at: datetime) -> None:
    payment.substatus = "failed"
    payment.payments_failed += 1
    payment.decline_code, payment.failure_message = decline.code, decline.message
    world.store.touch(payment, at)
    world.announcer.emit("payment.failed", payment, at)


def _complete(world: World, payment: Payment, at: datetime) -> Membership:
    membership = _drafted_membership(world, payment, at)
    payment.membership_id = membership.id
    world.store.index_payment(payment)
    payment.status, payment.substatus, payment.paid_at = "paid", "succeeded", at
    world.store.touch(payment, at)
    world.announcer.emit("payment.succeeded", payment, at)
    _announce_member(world, payment, at)
    _start(world, membership, payment, at)
    return membership


def _drafted_membership(world: World, payment: Payment, at: datetime) -> Membership:
    plan = world.store.tables.plans[payment.plan_id]
    key = world.store.random_bytes(9).hex().upper()
    membership = Membership(
        id=world.store.new_id("mem"),
        created_at=at,
        updated_at=at,
        plan_id=plan.id,
        product_id=plan.product_id,
        user_id=payment.user_id,
        member_id=payment.member_id,
        status="drafted",
        initial_price=plan.initial_price,
        license_key=f"E-{key[:6]}-{key[6:12]}-{key[12:]}",
        renewal_price=plan.renewal_price if plan.recurring else None,
        billing_period_days=plan.billing_period if plan.recurring else None,
        checkout_id=payment.checkout_id,
        payment_method_id=payment.payment_method_id,
        metadata=dict(payment.metadata),
    )
    return world.store.add_membership(membership)


def _announce_member(world: World, payment: Payment, at: datetime) -> None:
    member = world.store.tables.members[payment.member_id]
    if not member.announced:
        member.announced = True
        world.store.touch(member, at)
        world.announcer.emit("member.created", member, at)


def _start(world: World, membership: Membership, payment: Payment, at: datetime) -> None:
    plan = world.store.tables.plans[membership.plan_id]
    if payment.trial:
        person = world.store.tables.people[membership.user_id]
        person.trialed_plan_ids.append(plan.id)
    if not plan.recurring:
        expires = None if plan.expiration_days is None else at + timedelta(days=plan.expiration_days)
        memberships.change(world, membership, at, status="completed", expires_at=expires)
        return
    days = (plan.trial_period_days if payment.trial else plan.billing_period) or 0
    memberships.change(
        world,
        membership,
        at,
        status="trialing" if payment.trial else "active",
        current_period_start=at,
        current_period_end=at + timedelta(days=days),
    )
