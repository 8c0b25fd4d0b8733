"""Shares of amounts: of what was paid for time that is left, of a whole among its parts, of a price per month. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor

from quntedge.kit.money import Money, round_half_away

SECOND = timedelta(seconds=1)


def prorated(value: Fraction, unused_seconds: int, whole_seconds: int) -> int:
    """The worth, in minor units, of `unused_seconds` of `whole_seconds` for which `value` minor units were given.

    Exact by seconds, rounded once, and never more than what was given.
    """
    if whole_seconds <= 0 or value <= 0:
        return 0
    return min(round_half_away(value * unused_seconds / whole_seconds), floor(value))


def unused(paid: Money, start: datetime, end: datetime, now: datetime) -> Money:
    """The share of what was paid for a period that belongs to the time left of it; nothing where it has no length."""
    left = end - max(start, min(now, end))
    return Money(prorated(Fraction(paid.amount_minor), left // SECOND, (end - start) // SECOND), paid.currency)


def whole_days(span: timedelta) -> int:
    """A time as days are shown: rounded to whole ones, by seconds."""
    return round_half_away(Fraction(span // SECOND, 86_400))


def part_of(amount: Money, part: int, whole: int) -> Money:
    """`part` of `whole` equal parts of an amount, rounded once; raises ZeroDivisionError for a whole of nothing."""
    return Money(round_half_away(Fraction(amount.amount_minor * part, whole)), amount.currency)


def apportion(whole: Money, amounts: Sequence[Money]) -> tuple[Money, ...]:
    """Shares `whole` in proportion to amounts, negative ones included; the shares add up to the whole.

    What rounding down leaves over goes, unit by unit, to the largest remainders, ties to the first. Amounts that add up
    to nothing get nothing, but for the first, which takes all. Raises ValueError where there is nothing to share among.
    """
    if not amounts:
        raise ValueError("an amount is shared among at least one")
    base = sum(amount.amount_minor for amount in amounts)
    if base == 0:
        nothing = Money.zero(whole.currency)
        return (whole, *([nothing] * (len(amounts) - 1)))
    exact = [Fraction(whole.amount_minor * amount.amount_minor, base) for amount in amounts]
    shares = [floor(share) for share in exact]
    rest = whole.amount_minor - sum(shares)
    by_remainder = sorted(range(len(shares)), key=lambda index: shares[index] - exact[index])
    for index in by_remainder[:rest]:
        shares[index] += 1
    return tuple(Money(share, whole.currency) for share in shares)
