"""A charge that the gateway tells, taken apart into the lines that a preview of it has. Pure.

The gateway has the last word: its amounts are what was paid. What we had agreed upon with the customer says how they
came about, where it leads to the same amounts; where it does not, the difference can be asked for (`differs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from quntedge.kit.money import Money, round_half_away
from quntedge.pricing.rules import WHOLE_BP, Label, Line, LineKind, Price, TaxMode, sum_of

# Rates as laws have them: whole percents, then halves, tenths, hundredths.
_STEPS = (100, 50, 10, 1)


@dataclass(frozen=True, slots=True)
class Told:
    """What the gateway says of a payment, read as prices are shown: `price` before anything came off or was put on top
    (`change`), with the tax in both where it is inclusive. `price` + `change` + tax on top = `total`."""

    total: Money
    price: Money
    change: Money
    tax: Money
    tax_mode: TaxMode

    @property
    def charged(self) -> Money:
        """What was charged for the item, as prices are shown: without tax on top."""
        return self.price + self.change

    @property
    def lowered(self) -> bool:
        """Whether something was taken off."""
        return self.change.amount_minor < 0


# Of a plan's renewals one is like the other: what is read from the same amounts is the same.
@lru_cache(maxsize=4096)
def told(
    total: int, currency: str, *, subtotal: int | None = None, tax: int | None = None, tax_behavior: str | None = None
) -> Told:
    """Reads what the gateway says, in minor units. `subtotal` is before discount, with the tax in it when that is
    inclusive; tax that is more than the total is not believed."""
    tax = tax if tax is not None and 0 <= tax <= total else 0
    mode = TaxMode.UNSPECIFIED
    if tax and tax_behavior in (TaxMode.EXCLUSIVE, TaxMode.INCLUSIVE):
        mode = TaxMode(tax_behavior)
    elif tax:
        # Nobody says how. Where the subtotal is not the total, or not known, the rest is the price without.
        mode = TaxMode.INCLUSIVE if subtotal == total else TaxMode.EXCLUSIVE
    charged = total if mode is TaxMode.INCLUSIVE else total - tax
    price = subtotal if subtotal is not None and subtotal > 0 else charged
    return Told(
        Money(total, currency), Money(price, currency), Money(charged - price, currency), Money(tax, currency), mode
    )


def taken_off(subtotal: int | None, total: int | None, tax: int | None, tax_behavior: str | None) -> int | None:
    """What was taken off the subtotal, in the minor units all of these are in: what is recorded of a payment.

    None where it does not follow: an amount is missing, or there is tax of which nobody says whether the total has it
    on top of the price. Whop writes the subtotal as the price before discount, with the tax in it when it is inclusive.
    """
    if subtotal is None or total is None:
        return None
    if tax and tax_behavior not in ("exclusive", "inclusive"):
        return None
    on_top = tax or 0 if tax_behavior == "exclusive" else 0
    off = subtotal + on_top - total
    return off if off >= 0 else None


def price_told(said: Told, item: Line, agreed: Sequence[Line] = ()) -> Price:
    """What was charged, line by line: `item` (its amount is not read) at the price the gateway tells, what came off,
    the tax.

    `agreed` are the lines by which it was to be lowered. They stand as they are where they come to what was taken off.
    Otherwise the first of them says what it was for, and the gateway says how much.
    """
    return _lines_of(said, item, agreed) if agreed else _plain(said, item)


@lru_cache(maxsize=4096)
def _plain(said: Told, item: Line) -> Price:
    return _lines_of(said, item, ())


def _lines_of(said: Told, item: Line, agreed: Sequence[Line]) -> Price:
    lines = [replace(item, amount=said.price)]
    discount = Money.zero(said.total.currency)
    if said.lowered:
        lowered = _lowered(said.change, agreed)
        lines += lowered
        discount = -sum_of((line for line in lowered if line.kind is LineKind.DISCOUNT), discount.currency)
    elif said.change:
        lines.append(Line(LineKind.ADJUSTMENT, Label.SURCHARGE, said.change))
    if said.tax and said.tax_mode is TaxMode.EXCLUSIVE:
        rate = rate_told(said.total - said.tax, said.tax)
        lines.append(Line(LineKind.TAX, Label.TAX, said.tax, percent_bp=rate))
    return Price(tuple(lines), said.price, discount, said.tax, said.total, said.tax_mode)


def _lowered(change: Money, agreed: Sequence[Line]) -> Sequence[Line]:
    if not agreed:
        return (Line(LineKind.DISCOUNT, Label.DISCOUNT, change),)
    return agreed if sum_of(agreed, change.currency) == change else (replace(agreed[0], amount=change),)


def differs(said: Told, agreed: Sequence[Line]) -> bool:
    """Whether the gateway took off something else than was agreed. Nothing agreed is nothing to differ from."""
    return bool(agreed) and sum_of(agreed, said.total.currency) != said.change


def rate_told(net: Money, tax: Money) -> int:
    """The rate in basis points that leads from `net` to `tax`: the roundest one that does.

    The gateway tells the amount alone. Where no rate leads to it exactly, the nearest one is given.
    """
    return _rate(net.amount_minor, tax.amount_minor)


@lru_cache(maxsize=4096)
def _rate(net: int, tax: int) -> int:
    if not net or not tax:
        return 0
    exact = Fraction(tax * WHOLE_BP, net)
    for step in _STEPS:
        rate = round_half_away(exact / step) * step
        if rate and round_half_away(Fraction(net * rate, WHOLE_BP)) == tax:
            return rate
    return round_half_away(exact)
