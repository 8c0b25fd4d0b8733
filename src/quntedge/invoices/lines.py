"""What the lines of a document are, given the amounts the gateway tells. Pure.

Lines are without tax, the tax is a line of its own, and together they are the total to the minor unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from quntedge.kit.money import Money, round_half_away

_WHOLE = 10_000
# Rates as laws have them: whole percents, then halves, tenths, hundredths.
_STEPS = (100, 50, 10, 1)
_SLACK = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `kind` is one of `models.LINE_KINDS`; only tax has a rate, in hundredths of a percent."""

    kind: str
    label: str
    amount: Money
    plan_id: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    tax_basis_points: int | None = None


@dataclass(frozen=True, slots=True)
class Amounts:
    """What the gateway says of a payment. `subtotal` is before discount, with the tax in it when that is inclusive."""

    total: Money
    subtotal: Money | None = None
    tax: Money | None = None
    tax_behavior: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A total taken apart: `item` + `deduction` + `tax` = total. A deduction above zero is a surcharge."""

    item: Money
    deduction: Money
    tax: Money

    @property
    def net(self) -> Money:
        """What the tax is reckoned from."""
        return self.item + self.deduction


def parts_of(amounts: Amounts) -> Parts:
    """Takes a total apart. What is left out is nothing; tax that is more than the total is not believed."""
    zero = Money.zero(amounts.total.currency)
    tax = amounts.tax if amounts.tax is not None and zero <= amounts.tax <= amounts.total else zero
    net = amounts.total - tax
    subtotal = amounts.subtotal
    if subtotal is None or subtotal <= zero:
        return Parts(net, zero, tax)
    item = subtotal
    if tax and _tax_is_inside(amounts, subtotal):
        inside = Fraction(subtotal.amount_minor * net.amount_minor, amounts.total.amount_minor)
        item = Money(round_half_away(inside), net.currency)
    return Parts(item, net - item, tax)


def _tax_is_inside(amounts: Amounts, subtotal: Money) -> bool:
    if amounts.tax_behavior in ("inclusive", "exclusive"):
        return amounts.tax_behavior == "inclusive"
    return subtotal == amounts.total


def rate_of(net: Money, tax: Money) -> int:
    """The rate in hundredths of a percent that leads from `net` to `tax`: the roundest one that does.

    The gateway tells the amount alone. Where no rate leads to it exactly, the nearest one is given.
    """
    if not net or not tax:
        return 0
    exact = Fraction(tax.amount_minor * _WHOLE, net.amount_minor)
    for step in _STEPS:
        rate = round_half_away(exact / step) * step
        if rate and net.percent(rate) == tax:
            return rate
    return round_half_away(exact)


@dataclass(frozen=True, slots=True)
class Labels:
    """What the lines say, in the language of the document."""

    item: str
    deduction: str
    surcharge: str
    tax: str


def invoice_lines(
    amounts: Amounts,
    labels: Labels,
    *,
    plan_id: str | None = None,
    period: tuple[datetime | None, datetime | None] = (None, None),
    prorated: bool = False,
) -> tuple[Line, ...]:
    """The lines of an invoice. `prorated`: what is taken off is unused time of another plan, and no discount."""
    parts = parts_of(amounts)
    lines = [Line("plan" if plan_id else "adjustment", labels.item, parts.item, plan_id, *period)]
    if parts.deduction < Money.zero(parts.deduction.currency):
        lines.append(Line("proration" if prorated else "discount", labels.deduction, parts.deduction))
    elif parts.deduction:
        lines.append(Line("adjustment", labels.surcharge, parts.deduction))
    if parts.tax:
        lines.append(Line("tax", labels.tax, parts.tax, tax_basis_points=rate_of(parts.net, parts.tax)))
    return tuple(lines)


def tax_of_credit(total: Money, tax: Money, credited: Money, tax_credited: Money, amount: Money) -> Money:
    """The tax in `amount`, which is credited now after `credited` before, with `tax_credited` in it.

    Reckoned from the sums, so that however many parts an invoice is credited in, their tax is its tax in the end.
    """
    zero = Money.zero(total.currency)
    due = Fraction(tax.amount_minor * (credited + amount).amount_minor, total.amount_minor)
    part = Money(round_half_away(due), total.currency) - tax_credited
    return max(zero, min(part, amount, tax))


def credit_lines(label: str, tax_label: str, amount: Money, tax: Money, tax_basis_points: int) -> tuple[Line, ...]:
    """The lines of a credit note over `amount` with `tax` in it; both may be negative, where one is cancelled."""
    lines = [Line("adjustment", label, amount - tax)]
    if tax:
        lines.append(Line("tax", tax_label, tax, tax_basis_points=tax_basis_points))
    return tuple(lines)


def total_of(lines: Sequence[Line]) -> Money:
    """What lines make up together; raises ValueError for no lines."""
    if not lines:
        raise ValueError("a document has at least one line")
    return sum((line.amount for line in lines[1:]), lines[0].amount)


def paid_period(
    paid_at: datetime, start: datetime | None, end: datetime | None, days: int | None
) -> tuple[datetime | None, datetime | None]:
    """The period that a payment is for, given the subscription's period as we know it now and the plan's days.

    A payment and the period it begins are told apart, in either order. While the period that is known is still the old
    one, the new one begins with its end; what lies in the past is left open.
    """
    if start is None or end is None:
        return None, None
    slack = min(_SLACK, (end - start) / 4)
    if paid_at < start - slack:
        return None, None
    if paid_at < end - slack:
        return start, end
    return (end, end + timedelta(days=days)) if days is not None else (None, None)
