"""Who may use a promo code, and the counting of its uses."""

from datetime import datetime

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships
from quntedge.gateway.emulator.rules.discounts import charges_of
from quntedge.gateway.emulator.state.records import Membership, Payment, Person, Plan, Promo
from quntedge.gateway.emulator.wire.errors import ApiFault, conflict


def promo_invalid(message: str) -> ApiFault:
    """400 with Whop's error code for every code that cannot be used; the message says why."""
    return ApiFault(400, "bad_request", message, code="promo_invalid")


def look_up(world: World, code: str | None, promo_id: str | None = None) -> Promo | None:
    """The active code meant by what a buyer typed (case and surrounding spaces do not matter) or by an id.

    None when neither was given; blank text counts as not given.

    Raises:
        ApiFault: 400 `promo_invalid` when there is no such code, or it is not active.
    """
    typed = (code or "").strip().casefold()
    promos = world.store.tables.promos
    if promo_id is not None:
        promo = promos.get(promo_id)
    elif typed:
        promo = next((p for p in promos.values() if p.code.casefold() == typed and p.status == "active"), None)
    else:
        return None
    if promo is None or promo.status != "active":
        raise promo_invalid("There is no active promo code like this.")
    return promo


def check(world: World, promo: Promo, plan: Plan, person: Person | None, at: datetime) -> None:
    """Refuses a code that this purchase cannot use.

    Raises:
        ApiFault: 400 `promo_invalid`; the message says why.
    """
    _check_terms(promo, plan, at)
    if promo.existing_memberships_only:
        raise promo_invalid("This promo code is for running memberships only.")
    member = None if person is None else world.store.member_of(person.id)
    bought = [] if member is None else world.store.memberships_of(member.id)
    if promo.new_users_only and bought:
        raise promo_invalid("This promo code is for new customers only.")
    if promo.churned_users_only and (not bought or not all(membership.ended for membership in bought)):
        raise promo_invalid("This promo code is for former customers only.")
    if member is not None:
        _check_once(world, promo, member.id)


def _check_terms(promo: Promo, plan: Plan, at: datetime) -> None:
    if promo.expires_at is not None and promo.expires_at <= at:
        raise promo_invalid("This promo code has expired.")
    if not promo.unlimited_stock and promo.uses >= promo.stock:
        raise promo_invalid("This promo code has no uses left.")
    if (promo.plan_ids and plan.id not in promo.plan_ids) or promo.product_id not in (None, plan.product_id):
        raise promo_invalid("This promo code is not for this purchase.")
    if promo.promo_type == "flat_amount" and promo.currency != plan.currency:
        raise promo_invalid("This promo code is for another currency.")


def _check_once(world: World, promo: Promo, member_id: str) -> None:
    if not promo.one_per_customer:
        return
    used = any(
        payment.promo_code_id == promo.id and payment.status in ("paid", "authorized")
        for payment in world.store.payments_by(member_id)
    ) or any(membership.promo_code_id == promo.id for membership in world.store.memberships_of(member_id))
    if used:
        raise promo_invalid("This promo code was used by this customer already.")


def take(world: World, promo: Promo, at: datetime) -> None:
    """Counts a use. A purchase counts from its start, so that the last use is never promised twice."""
    promo.uses += 1
    world.store.touch(promo, at)


def give_back(world: World, payment: Payment, at: datetime) -> None:
    """Frees the use of a purchase that came to nothing."""
    promo = world.store.tables.promos.get(payment.promo_code_id or "")
    if promo is not None and payment.membership_id is None:
        promo.uses -= 1
        world.store.touch(promo, at)


def apply(world: World, membership: Membership, code: str, at: datetime) -> None:
    """Lowers the next charges of a running membership.

    Raises:
        ApiFault: 409 unless the membership is active or trialing, renews, and has no code yet; 400 `promo_invalid`.
    """
    if membership.status not in ("active", "trialing") or membership.renewal_price is None:
        raise conflict("Only a running membership that renews can take a promo code.")
    if membership.promo_code_id is not None:
        raise conflict("This membership has a promo code already.")
    promo = look_up(world, code)
    if promo is None:
        raise promo_invalid("There is no active promo code like this.")
    _check_terms(promo, world.store.tables.plans[membership.plan_id], at)
    if promo.new_users_only or promo.churned_users_only:
        raise promo_invalid("This promo code is not for running memberships.")
    _check_once(world, promo, membership.member_id)
    take(world, promo, at)
    memberships.change(world, membership, at, promo_code_id=promo.id, promo_charges_left=charges_of(promo))
