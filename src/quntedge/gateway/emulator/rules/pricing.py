"""What a purchase or a renewal costs: price, discount and tax put together."""

from dataclasses import dataclass

from quntedge.gateway.emulator.rules.discounts import off
from quntedge.gateway.emulator.rules.taxes import Tax, tax_for
from quntedge.gateway.emulator.state.records import Plan, Promo
from quntedge.gateway.emulator.state.store import Tables
from quntedge.kit.money import Money


@dataclass(frozen=True, slots=True)
class Price:
    """One amount to be collected. `subtotal` is before discount and tax."""

    subtotal: Money
    discount: Money
    tax: Tax | None
    promo_id: str | None = None
    quote_id: str | None = None

    @property
    def total(self) -> Money:
        """What the buyer pays."""
        net = self.subtotal - self.discount
        return net if self.tax is None else self.tax.total(net)


def price(tables: Tables, plan: Plan, subtotal: Money, promo: Promo | None, country: str | None) -> Price:
    """The price of something listed at `subtotal`. A code that takes nothing off a price of nothing still counts."""
    discount = Money.zero(subtotal.currency) if promo is None else off(promo, subtotal)
    tax = tax_for(tables, plan, subtotal - discount, country)
    return Price(subtotal, discount, tax, None if promo is None else promo.id)
