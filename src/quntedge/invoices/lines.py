"""The lines of documents: those of a price (`quntedge.pricing`), without tax, in words. Pure.

Lines are without tax, the tax is a line of its own, and together they are the total to the minor unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.kit.money import Money
from quntedge.pricing.credits import credit_lines as credited
from quntedge.pricing.rules import LineKind, Price, net_amounts
from quntedge.pricing.told import rate_told

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


def invoice_lines(
    price: Price,
    texts: Sequence[str],
    tax_text: str,
    *,
    plan_id: str | None = None,
    period: tuple[datetime | None, datetime | None] = (None, None),
) -> tuple[Line, ...]:
    """The lines of an invoice over what was charged. `texts` say the lines of the price but for its tax, in their
    order; the tax, on top or inside, is the last line. Plan and period belong to the first one."""
    items = [
        (line, net) for line, net in zip(price.lines, net_amounts(price), strict=True) if line.kind is not LineKind.TAX
    ]
    lines: list[Line] = []
    for (line, net), text in zip(items, texts, strict=True):
        about = () if lines else (plan_id, *period)
        lines.append(Line(line.kind.value, text, net, *about))
    if price.tax:
        lines.append(Line(LineKind.TAX.value, tax_text, price.tax, tax_basis_points=rate_told(price.net, price.tax)))
    return tuple(lines)


def credit_lines(label: str, tax_label: str, amount: Money, tax: Money, tax_basis_points: int) -> tuple[Line, ...]:
    """The lines of a credit note over `amount` with `tax` in it; both may be negative, where one is cancelled."""
    return tuple(
        Line(line.kind.value, tax_label, line.amount, tax_basis_points=line.percent_bp)
        if line.kind is LineKind.TAX
        else Line(line.kind.value, label, line.amount)
        for line in credited(amount, tax, tax_basis_points)
    )


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
