"""Taxes: a rate for each country, on top of a price or inside it."""

from dataclasses import dataclass
from fractions import Fraction

from quntedge.gateway.emulator.state.records import Plan
from quntedge.gateway.emulator.state.store import Tables
from quntedge.kit.money import Money, round_half_away

_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Tax:
    """What the state gets of a price. `behavior` is `inclusive` or `exclusive`."""

    amount: Money
    behavior: str

    def total(self, price: Money) -> Money:
        """What the buyer pays for something that costs `price`."""
        return price + self.amount if self.behavior == "exclusive" else price


def tax_on(price: Money, behavior: str, basis_points: int) -> Tax:
    """The tax on (exclusive) or in (inclusive) a price, rounded half away from zero."""
    if behavior == "exclusive":
        return Tax(price.percent(basis_points), behavior)
    inside = Fraction(price.amount_minor * basis_points, _WHOLE + basis_points)
    return Tax(Money(round_half_away(inside), price.currency), behavior)


def tax_for(tables: Tables, plan: Plan, price: Money, country: str | None) -> Tax | None:
    """The tax of a price for a buyer of a country; None where none is collected, and for a price of nothing."""
    rate = tables.tax_rates.get((country or "").lower())
    if not rate or not price:
        return None
    behavior = tables.tax_behavior if plan.tax_type == "unspecified" else plan.tax_type
    return tax_on(price, behavior, rate)


def share_of(part: Money, whole: Money, amount: Money) -> Money:
    """What of `amount` belongs to `part` of `whole`: the tax of a partial refund."""
    if not whole:
        return Money.zero(amount.currency)
    return Money(
        round_half_away(Fraction(amount.amount_minor * part.amount_minor, whole.amount_minor)), amount.currency
    )
