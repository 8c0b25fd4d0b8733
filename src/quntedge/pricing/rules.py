"""What something costs, line by line and to the minor unit. Pure: no row, no clock, no gateway.

A price is a list of lines that add up to what is paid. The kinds of the lines (`plan`, `proration`, `discount`, `tax`)
are those that a preview, a checkout and an invoice show; nobody else adds, rounds or shares amounts. Every amount is
rounded once, half away from zero; whatever is shared out is shared without a rest (`shares.apportion`). A charge that
the gateway tells is taken apart into the same lines (`told`), and so is what goes back (`credits`).

Tax is the gateway's to decide. Where it adds tax on top, its line counts; where the price holds the tax already, no
line does, and `Price.tax` says how much of the total it is. `net_amounts` is for invoices, whose lines are without tax.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from quntedge.kit.money import CurrencyMismatch, Money
from quntedge.pricing.shares import apportion, part_of

WHOLE_BP = 10_000
"""All of an amount, in basis points (hundredths of a percent)."""


class LineKind(StrEnum):
    """What a line is for. Part of the public contract."""

    PLAN = "plan"
    PRORATION = "proration"
    DISCOUNT = "discount"
    TAX = "tax"
    ADJUSTMENT = "adjustment"
    """What belongs to no plan: a payment for something else, a surcharge, what goes back."""


class Label(StrEnum):
    """What a line says; `labels.line_text` puts it into words."""

    PLAN = "plan"
    PAYMENT = "payment"
    SURCHARGE = "surcharge"
    DISCOUNT = "discount"
    REFUND = "refund"
    TRIAL = "trial"
    UNUSED_TIME = "unused_time"
    PROMOTION = "promotion"
    STAY_OFFER = "stay_offer"
    BELOW_SMALLEST_CHARGE = "below_smallest_charge"
    TAX = "tax"


class TaxMode(StrEnum):
    """How the gateway treats tax: added on top of the price, part of the price, or none that we know of."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"
    UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True)
class Tax:
    """The tax that applies. `rate_bp` is None while nobody knows it: then nothing is counted for it."""

    mode: TaxMode = TaxMode.UNSPECIFIED
    rate_bp: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a rate below 0 or above 100 %."""
        if self.rate_bp is not None and not 0 <= self.rate_bp <= WHOLE_BP:
            raise ValueError("a tax rate is 0 to 10,000 basis points")

    def of(self, net: Money) -> Money:
        """The tax on an amount: on top of it, or inside it."""
        if not self.rate_bp or self.mode is TaxMode.UNSPECIFIED:
            return Money.zero(net.currency)
        if self.mode is TaxMode.EXCLUSIVE:
            return net.percent(self.rate_bp)
        return part_of(net, self.rate_bp, WHOLE_BP + self.rate_bp)


NO_TAX = Tax()


@dataclass(frozen=True, slots=True)
class Discount:
    """What a promotion takes off each of the first `periods` charges; None is all of them.

    Either a share in basis points or a fixed amount, never both. `name` is the code or the name shown with it.
    """

    name: str
    percent_bp: int | None = None
    amount: Money | None = None
    periods: int | None = 1

    def __post_init__(self) -> None:
        """Raises ValueError for a discount that is neither or both, nothing, more than everything, or of no period."""
        if (self.percent_bp is None) == (self.amount is None):
            raise ValueError("a discount is a share or an amount")
        if self.percent_bp is not None and not 0 < self.percent_bp <= WHOLE_BP:
            raise ValueError("a share is 1 to 10,000 basis points")
        if self.amount is not None and self.amount.amount_minor <= 0:
            raise ValueError("an amount off is more than zero")
        if self.periods is not None and self.periods < 1:
            raise ValueError("a discount lasts one period at least")

    def off(self, price: Money) -> Money:
        """What it takes off a price: never more than the price, nothing off a price in another currency."""
        if price.amount_minor <= 0:
            return Money.zero(price.currency)
        if self.percent_bp is not None:
            return min(price.percent(self.percent_bp), price)
        if self.amount is None or self.amount.currency != price.currency:
            return Money.zero(price.currency)
        return min(self.amount, price)

    def after(self, price: Money) -> Money:
        """What a price comes to with it, where the gateway collects every amount that is left."""
        return price - self.off(price)

    def covers(self, charge: int) -> bool:
        """Whether it lowers the charge with this number; charges of nothing (a trial) are not counted, the first is
        number 1."""
        return self.periods is None or charge <= self.periods


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Amounts that lower the price are negative. `name` is the plan or the promotion."""

    kind: LineKind
    label: Label
    amount: Money
    name: str = ""
    period_start: datetime | None = None
    period_end: datetime | None = None
    percent_bp: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """Lines and what they come to. `tax` is what of `total` is tax, `subtotal` the price before anything came off."""

    lines: tuple[Line, ...]
    subtotal: Money
    discount: Money
    tax: Money
    total: Money
    tax_mode: TaxMode = field(default=TaxMode.UNSPECIFIED)

    def __post_init__(self) -> None:
        """Raises ValueError when the lines do not add up to the total, or the total is below zero."""
        if sum_of(self.lines, self.total.currency) != self.total:
            raise ValueError("the lines of a price add up to its total")
        if self.total.amount_minor < 0:
            raise ValueError("nobody is paid for buying")

    @property
    def net(self) -> Money:
        """The total without the tax in it."""
        return self.total - self.tax

    @property
    def taken_off(self) -> Money:
        """Everything that came off the price: discounts and credit."""
        return self.discount + self.credit

    @property
    def credit(self) -> Money:
        """What credit for time that was paid already took off."""
        return -sum_of((line for line in self.lines if line.kind is LineKind.PRORATION), self.total.currency)


def smallest_charge(currency: str) -> Money:
    """The gateway collects nothing between zero and one major unit."""
    return Money.parse(1, currency)


def uncollectable(rest: Money) -> Money:
    """How much of an amount the gateway does not collect: all of it below the smallest charge, otherwise nothing."""
    return rest if Money.zero(rest.currency) < rest < smallest_charge(rest.currency) else Money.zero(rest.currency)


class Priced(Protocol):
    """A line of whatever is added up here: of a price, of a document, of a change of plan."""

    @property
    def amount(self) -> Money:
        """What it adds."""
        ...


def sum_of(lines: Iterable[Priced], currency: str) -> Money:
    """What lines come to. Raises `CurrencyMismatch` where one is of another currency."""
    whole = 0
    for line in lines:
        amount = line.amount
        if amount.currency != currency:
            raise CurrencyMismatch(f"a line in {amount.currency} among lines in {currency}")
        whole += amount.amount_minor
    return Money(whole, currency)


def price_of(
    item: Line, *, discount: Discount | None = None, proration: Line | None = None, tax: Tax = NO_TAX
) -> Price:
    """What one charge costs: a line of kind `plan`, less a discount, less a credit, and the tax that is known.

    The discount comes off the plan's price, then the credit off what is left; neither takes more than there is. What is
    left below the gateway's smallest charge is not collected: it becomes a discount of its own, so that nobody is ever
    charged more than they were shown.
    """
    lines = [item]
    left = item.amount
    taken = Money.zero(left.currency)
    if discount is not None and (off := discount.off(left)):
        lines.append(_discount_line(Label.PROMOTION, off, discount))
        left, taken = left - off, taken + off
    if proration is not None and (credit := min(-proration.amount, left)):
        lines.append(replace(proration, amount=-credit))
        left -= credit
    if waived := uncollectable(left):
        lines.append(Line(LineKind.DISCOUNT, Label.BELOW_SMALLEST_CHARGE, -waived))
        left, taken = left - waived, taken + waived
    tax_amount = tax.of(left)
    if tax.mode is TaxMode.EXCLUSIVE and tax_amount:
        lines.append(Line(LineKind.TAX, Label.TAX, tax_amount, percent_bp=tax.rate_bp))
        left += tax_amount
    return Price(tuple(lines), item.amount, taken, tax_amount, left, tax.mode)


def _discount_line(label: Label, off: Money, discount: Discount) -> Line:
    return Line(LineKind.DISCOUNT, label, -off, name=discount.name, percent_bp=discount.percent_bp)


def net_amounts(price: Price) -> tuple[Money, ...]:
    """The amounts of the lines without tax, in their order: what an invoice lists, with the tax below.

    They add up to the total less the tax, to the minor unit; a line of kind `tax` has none.
    """
    amounts = [line.amount for line in price.lines if line.kind is not LineKind.TAX]
    if price.tax_mode is TaxMode.INCLUSIVE and price.tax:
        amounts = list(apportion(price.net, amounts))
    if len(amounts) == len(price.lines):
        return tuple(amounts)
    shares, zero = iter(amounts), Money.zero(price.total.currency)
    return tuple(zero if line.kind is LineKind.TAX else next(shares) for line in price.lines)
