"""Buying: from a card, typed or stored, to a paid payment and a running membership."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships, promotions, renewals
from quntedge.gateway.emulator.rules.billing import CAPTURE_WITHIN, PENDING_FOR, first_charge
from quntedge.gateway.emulator.rules.cards import CHALLENGE_FAILED, Card, Decline, decline_at_checkout, pends
from quntedge.gateway.emulator.rules.discounts import charges_of
from quntedge.gateway.emulator.rules.pricing import Price, price
from quntedge.gateway.emulator.state.records import (
    Checkout,
    Member,
    Membership,
    Metadata,
    Method,
    Payment,
    Person,
    Plan,
    Promo,
)
from quntedge.kit.money import Money


@dataclass(frozen=True, slots=True)
class Order:
    """What a buyer asks for on the checkout page."""

    plan: Plan
    checkout: Checkout | None
    email: str
    card: Card
    name: str | None = None
    promo: Promo | None = None
    country: str | None = None
    """Lower-case ISO 3166 code; None leaves what is known of the buyer."""


@dataclass(frozen=True, slots=True)
class Deal:
    """A first payment about to be opened: who buys what with which stored card, and how it is collected."""

    plan: Plan
    member: Member
    method: Method | None
    promo: Promo | None = None
    checkout: Checkout | None = None
    metadata: Metadata = field(default_factory=dict)
    capture: bool = True
    auto_capture_minutes: int | None = None
    by_api: bool = False
    off_session: bool = False
    return_url: str | None = None
    invoice_id: str | None = None
    trial: bool = True
    """Whether the plan's trial applies, if the buyer is entitled to it. Invoices have none."""
    quoted: Price | None = None
    """The price agreed upon; None counts it now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try to pay went. `challenge` waits for the bank's page, `pending` for the money."""

    kind: Literal["paid", "declined", "challenge", "pending"]
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
    """Tries to pay. Each try on the checkout page is a payment of its own, whose metadata is the checkout's.

    Raises:
        ApiFault: 400 `promo_invalid` when this buyer cannot use the promo code; nothing has happened then.
    """
    known = world.store.person_by_email(order.email.strip().casefold())
    if order.promo is not None:
        promotions.check(world, order.promo, order.plan, known, at)
    person = person_for(world, order.email, order.name, at)
    if order.country is not None and order.country != person.country:
        person.country = order.country
        world.store.touch(person, at)
    member = member_for(world, person, at)
    method = store_card(world, member, order.card, at)
    metadata = {} if order.checkout is None else dict(order.checkout.metadata)
    payment = open_payment(world, Deal(order.plan, member, method, order.promo, order.checkout, metadata), at)
    ask = order.checkout is not None and order.checkout.three_ds_level == "mandate_challenge"
    return try_card(world, payment, method, at, ask=ask)


def try_card(world: World, payment: Payment, method: Method, at: datetime, *, ask: bool = False) -> Outcome:
    """Charges a card whose owner is present: paid, declined, sent to the bank's page, or on its way for days. `ask`
    sends every card to the bank's page."""
    payment.last_payment_attempt_at = at
    decline = decline_at_checkout(method.behaviour)
    if decline is not None:
        decline_payment(world, payment, decline, at)
        return Outcome("declined", payment)
    if ask or method.behaviour in ("challenges", "always_challenges"):
        payment.substatus = "incomplete"
        world.store.touch(payment, at)
        return Outcome("challenge", payment)
    return _outcome(world, payment, at)


def _outcome(world: World, payment: Payment, at: datetime) -> Outcome:
    membership = complete(world, payment, at)
    return Outcome("pending" if payment.status == "pending" else "paid", payment, membership)


def answer_challenge(world: World, payment: Payment, at: datetime, *, passed: bool) -> Outcome:
    """Ends a 3-D Secure challenge that is still open, of a first payment or of a renewal."""
    if payment.membership_id is not None:
        renewals.answer_challenge(world, payment, at, passed=passed)
        return Outcome("paid" if passed else "declined", payment)
    if not passed:
        decline_payment(world, payment, CHALLENGE_FAILED, at)
        return Outcome("declined", payment)
    payment.three_ds_verified = True
    return _outcome(world, payment, at)


def entitled_to_trial(world: World, plan: Plan, person: Person) -> bool:
    """One trial for each plan and mailbox: kim+2@x is the same buyer as kim@x, and pays the full price at once."""
    if not plan.trial_period_days or not plan.recurring or plan.id in person.trialed_plan_ids:
        return False
    owner = world.store.person_by_email(_mailbox(person.email))
    return owner is None or plan.id not in owner.trialed_plan_ids


def _mailbox(email: str) -> str:
    local, at_sign, domain = email.partition("@")
    return local.partition("+")[0] + at_sign + domain


def _use_up_trial(world: World, plan_id: str, person: Person, at: datetime) -> None:
    mailbox = _mailbox(person.email)
    owner = person if mailbox == person.email else person_for(world, mailbox, None, at)
    for one in (person, owner):
        if plan_id not in one.trialed_plan_ids:
            one.trialed_plan_ids.append(plan_id)
            world.store.touch(one, at)


def open_payment(world: World, deal: Deal, at: datetime) -> Payment:
    """A payment about to be collected. It has no membership until it is paid; a promo code's use counts from here."""
    plan, person = deal.plan, world.store.tables.people[deal.member.user_id]
    trial = deal.trial and deal.quoted is None and entitled_to_trial(world, plan, person)
    cost = deal.quoted or price(world.store.tables, plan, first_charge(plan, trial=trial), deal.promo, person.country)
    payment = Payment(
        id=world.store.new_id("pay"),
        created_at=at,
        updated_at=at,
        member_id=deal.member.id,
        user_id=person.id,
        plan_id=plan.id,
        product_id=plan.product_id,
        billing_reason="subscription_create" if plan.recurring else "one_time",
        total=cost.total,
        refunded=Money.zero(plan.currency),
        checkout_id=None if deal.checkout is None else deal.checkout.id,
        payment_method_id=None if deal.method is None else deal.method.id,
        trial=trial,
        metadata=dict(deal.metadata),
        subtotal=cost.subtotal,
        tax=None if cost.tax is None else cost.tax.amount,
        tax_behavior=None if cost.tax is None else cost.tax.behavior,
        promo_code_id=cost.promo_id,
        quote_id=cost.quote_id,
        invoice_id=deal.invoice_id,
        capture=deal.capture,
        auto_capture_minutes=deal.auto_capture_minutes,
        by_api=deal.by_api,
        off_session=deal.off_session,
        return_url=deal.return_url,
    )
    if deal.promo is not None:
        promotions.take(world, deal.promo, at)
    world.store.add_payment(payment)
    world.announcer.emit("payment.created", payment, at)
    return payment


def decline_payment(world: World, payment: Payment, decline: Decline, at: datetime) -> None:
    """Notes a failed attempt of a first payment. On the checkout page that is the end of it."""
    payment.substatus = "failed"
    payment.payments_failed += 1
    payment.decline_code, payment.failure_message = decline.code, decline.message
    if not payment.by_api:
        promotions.give_back(world, payment, at)
    world.store.touch(payment, at)
    world.announcer.emit("payment.failed", payment, at)


def complete(world: World, payment: Payment, at: datetime) -> Membership | None:
    """The bank said yes: the amount is collected and the membership begins, or it is only reserved for a capture, or
    on its way for days."""
    if not payment.capture:
        payment.status, payment.substatus = "authorized", "requires_capture"
        minutes = payment.auto_capture_minutes
        world.schedule_release(payment, at + (CAPTURE_WITHIN if minutes is None else timedelta(minutes=minutes)))
        world.store.touch(payment, at)
        world.announcer.emit("payment.authorized", payment, at)
        return None
    method = world.store.tables.methods.get(payment.payment_method_id or "")
    if method is not None and pends(method.behaviour) and payment.total:
        payment.status, payment.substatus = "pending", "pending"
        world.schedule_collection(payment, at + PENDING_FOR)
        world.store.touch(payment, at)
        world.announcer.emit("payment.pending", payment, at)
        return None
    return settle(world, payment, at)


def settle(world: World, payment: Payment, at: datetime) -> Membership:
    """Collects a first payment and starts what was bought."""
    membership = _drafted_membership(world, payment, at)
    payment.membership_id = membership.id
    world.store.index_payment(payment)
    payment.status, payment.substatus, payment.paid_at = "paid", "succeeded", at
    payment.decline_code = payment.failure_message = None
    world.store.touch(payment, at)
    world.announcer.emit("payment.succeeded", payment, at)
    announce_member(world, world.store.tables.members[payment.member_id], at)
    _start(world, membership, at, trial=payment.trial)
    _settle_invoice(world, payment, membership, at)
    return membership


def _settle_invoice(world: World, payment: Payment, membership: Membership, at: datetime) -> None:
    invoice = world.store.tables.invoices.get(payment.invoice_id or "")
    if invoice is not None and invoice.status in ("open", "past_due"):
        for other in world.store.payments_by(payment.member_id):  # another try of the same buyer is not needed any more
            if other.invoice_id == invoice.id and other.status == "open":
                memberships.give_up(world, other, at, "void", "canceled")
        invoice.status, invoice.payment_id, invoice.membership_id = "paid", payment.id, membership.id
        invoice.due_at = None
        world.store.touch(invoice, at)
        world.announcer.emit("invoice.paid", invoice, at)


def start_unpaid(world: World, plan: Plan, member: Member, at: datetime) -> Membership:
    """Starts what an invoice was for that somebody marked as paid by hand: there is no payment."""
    membership = _draft(world, plan, member, at)
    membership.collection_method = "send_invoice"
    announce_member(world, member, at)
    _start(world, membership, at, trial=False)
    return membership


def _drafted_membership(world: World, payment: Payment, at: datetime) -> Membership:
    tables = world.store.tables
    membership = _draft(world, tables.plans[payment.plan_id], tables.members[payment.member_id], at)
    membership.checkout_id, membership.payment_method_id = payment.checkout_id, payment.payment_method_id
    if not payment.by_api:  # what a server charges by itself keeps its metadata on the payment only
        membership.metadata = dict(payment.metadata)
    promo = tables.promos.get(payment.promo_code_id or "")
    if promo is not None:
        charges, used = charges_of(promo), 1 if payment.subtotal else 0
        membership.promo_code_id = promo.id
        membership.promo_charges_left = None if charges is None else charges - used
    return membership


def _draft(world: World, plan: Plan, member: Member, at: datetime) -> Membership:
    key = world.store.random_bytes(9).hex().upper()
    membership = Membership(
        id=world.store.new_id("mem"),
        created_at=at,
        updated_at=at,
        plan_id=plan.id,
        product_id=plan.product_id,
        user_id=member.user_id,
        member_id=member.id,
        status="drafted",
        initial_price=plan.initial_price,
        license_key=f"E-{key[:6]}-{key[6:12]}-{key[12:]}",
        renewal_price=plan.renewal_price if plan.recurring else None,
        billing_period_days=plan.billing_period if plan.recurring else None,
    )
    return world.store.add_membership(membership)


def announce_member(world: World, member: Member, at: datetime) -> None:
    """Sends member.created with the first thing a customer has."""
    if not member.announced:
        member.announced = True
        world.store.touch(member, at)
        world.announcer.emit("member.created", member, at)


def _start(world: World, membership: Membership, at: datetime, *, trial: bool) -> None:
    plan = world.store.tables.plans[membership.plan_id]
    if trial:
        _use_up_trial(world, plan.id, world.store.tables.people[membership.user_id], at)
    if not plan.recurring:
        expires = None if plan.expiration_days is None else at + timedelta(days=plan.expiration_days)
        memberships.change(world, membership, at, status="completed", expires_at=expires)
        return
    days = (plan.trial_period_days if trial else plan.billing_period) or 0
    memberships.change(
        world,
        membership,
        at,
        status="trialing" if trial else "active",
        current_period_start=at,
        current_period_end=at + timedelta(days=days),
    )
