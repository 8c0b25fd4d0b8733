"""What a promo code takes off a price: pure arithmetic."""

from fractions import Fraction

from quntedge.gateway.emulator.state.records import Membership, Promo
from quntedge.gateway.emulator.state.store import Tables
from quntedge.kit.money import Money, round_half_away


def off(promo: Promo, price: Money) -> Money:
    """The discount on a price: never more than the price, nothing in another currency than a flat amount's."""
    if promo.promo_type == "percentage":
        return Money(round_half_away(price.amount_minor * Fraction(promo.amount_off)), price.currency)
    if promo.currency != price.currency:
        return Money.zero(price.currency)
    return min(Money.parse(promo.amount_off, promo.currency), price)


def charges_of(promo: Promo) -> int | None:
    """For how many charges a code works, the first included; None for all of them."""
    return promo.promo_duration_months or None


def promo_of(tables: Tables, membership: Membership) -> Promo | None:
    """The promo code that lowers the membership's next charge."""
    if membership.promo_code_id is None or membership.promo_charges_left == 0:
        return None
    return tables.promos.get(membership.promo_code_id)


def next_price(tables: Tables, membership: Membership) -> Money | None:
    """What the next renewal charges before tax, the promo code considered; None for what never renews."""
    price, promo = membership.renewal_price, promo_of(tables, membership)
    return price if price is None or promo is None else price - off(promo, price)
