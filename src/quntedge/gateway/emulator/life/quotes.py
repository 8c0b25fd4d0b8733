"""Payment quotes: a price that is fixed for an hour and charged by one payment."""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.rules.pricing import Price, price
from quntedge.gateway.emulator.rules.taxes import Tax
from quntedge.gateway.emulator.state.money_records import Quote
from quntedge.gateway.emulator.state.records import Payment, Plan, Promo
from quntedge.gateway.emulator.wire.errors import ApiFault

LASTS = timedelta(hours=1)


def quote(world: World, plan: Plan, promo: Promo | None, country: str | None, at: datetime) -> Quote:
    """Prices a purchase. No buyer is looked up, so no trial applies."""
    cost = price(world.store.tables, plan, first_charge(plan, trial=False), promo, country)
    made = Quote(
        id=world.store.new_id("pq"),
        created_at=at,
        updated_at=at,
        plan_id=plan.id,
        subtotal=cost.subtotal,
        discount=cost.discount,
        total=cost.total,
        expires_at=at + LASTS,
        tax=None if cost.tax is None else cost.tax.amount,
        tax_behavior=None if cost.tax is None else cost.tax.behavior,
        promo_code_id=cost.promo_id,
        country=country,
    )
    return world.store.add(world.store.tables.quotes, made)


def accept(quoted: Quote, plan: Plan, promo: Promo | None, country: str | None, at: datetime) -> Price:
    """The price to charge.

    Raises:
        ApiFault: 409 `quote_in_use`; 400 `quote_expired`, or `quote_mismatch` when the purchase or the buyer's place
            is another than the quoted one.
    """
    if quoted.payment_id is not None:
        raise ApiFault(409, "conflict", "Another payment holds this quote.", code="quote_in_use")
    if quoted.expires_at <= at:
        raise ApiFault(400, "bad_request", "This quote has expired: quote again.", code="quote_expired")
    same = plan.id == quoted.plan_id and (None if promo is None else promo.id) == quoted.promo_code_id
    if not same or quoted.country not in (None, country):
        raise ApiFault(400, "bad_request", "This is not the purchase that was quoted.", code="quote_mismatch")
    tax = None if quoted.tax is None or quoted.tax_behavior is None else Tax(quoted.tax, quoted.tax_behavior)
    return Price(quoted.subtotal, quoted.discount, tax, quoted.promo_code_id, quoted.id)


def hold(world: World, payment: Payment, at: datetime) -> None:
    """Keeps a payment's quote for it: a declined payment can be retried at the quoted price."""
    _set_holder(world, payment, payment.id, at)


def let_go(world: World, payment: Payment, at: datetime) -> None:
    """Frees the quote of a payment that was given up."""
    _set_holder(world, payment, None, at)


def _set_holder(world: World, payment: Payment, holder: str | None, at: datetime) -> None:
    quoted = world.store.tables.quotes.get(payment.quote_id or "")
    if quoted is not None:
        quoted.payment_id = holder
        world.store.touch(quoted, at)
