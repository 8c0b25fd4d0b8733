"""In which currency money settles. Nothing says how Whop's own ledger posts what it has exchanged: here its lines are
in the currency they settled in, at the rate of their own time, down to the hundred millionth."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from quntedge.gateway.emulator.state.finance_records import UNITS_PER_MAJOR, ExchangeRate, Line
from quntedge.kit.money import Money, exponent

FEE_BASIS_POINTS = 100
"""What exchanging costs, of the whole payment."""


def rate_at(rates: Iterable[ExchangeRate], currency: str, at: datetime) -> ExchangeRate | None:
    """How money of this currency settled at a time; None for as it is."""
    said = [each for each in rates if each.source == currency and each.created_at <= at]
    newest = max(said, key=lambda each: (each.created_at, each.id), default=None)
    return None if newest is None or newest.rate is None else newest


def exchanged(line: Line, by: ExchangeRate | None) -> Line:
    """A movement as it settles."""
    if by is None or by.rate is None:
        return line
    return replace(line, currency=by.target, units=_rounded(line.units * Decimal(by.rate)))


def settled(money: Money, by: ExchangeRate | None) -> Money:
    """An amount as it settles, in whole minor units."""
    if by is None or by.rate is None:
        return money
    units = Decimal(money.amount_minor * (UNITS_PER_MAJOR // 10 ** exponent(money.currency))) * Decimal(by.rate)
    return Money(_rounded(units / (UNITS_PER_MAJOR // 10 ** exponent(by.target))), by.target)


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))
