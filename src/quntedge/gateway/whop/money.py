"""The one place where Whop's ways of writing money meet ours.

Whop writes an amount in *major* units: as an object `{"amount": "29.99", "currency": "usd", …}` in native shapes, as a
bare JSON number next to a currency in legacy shapes, plans and invoice lines. JSON numbers must have been read with
`parse_float=Decimal`; a float is refused, because by then the exact amount is already gone.
"""

from decimal import Decimal
from functools import lru_cache

from quntedge.kit.money import InvalidMoney, Money

_BASIS_POINTS = 10_000


class WrongMoneyType(TypeError):
    """The value is no money at all: neither a money object nor a number, or its members have the wrong type."""


def money_from(value: object, fallback_currency: str | None) -> Money:
    """Reads a money object, or a number in major units of `fallback_currency`.

    Raises `WrongMoneyType` when the value is of another type (floats included) and `InvalidMoney` when it is money that
    cannot be held exactly: an unknown currency, finer than the currency allows, out of range, or no currency given.
    """
    if isinstance(value, dict):
        amount, currency = value.get("amount"), value.get("currency")
        if not isinstance(currency, str):
            raise WrongMoneyType("the money object has no currency text")
    else:
        amount, currency = value, fallback_currency
    # bool is an int in Python, but `true` is no amount.
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        raise WrongMoneyType("an amount is a decimal text or an exact number")
    if currency is None:
        raise InvalidMoney("the amount has no currency")
    # What is sold has few prices, and each payment names several amounts.
    return _parse_text(amount, currency) if isinstance(amount, str) else Money.parse(amount, currency)


@lru_cache(maxsize=4096)
def _parse_text(amount: str, currency: str) -> Money:
    return Money.parse(amount, currency)


def request_number(money: Money) -> int | float:
    """The amount in major units as the JSON number Whop's write operations take.

    The SDK encodes numbers through `float`. Its shortest text is checked to be exactly our amount, so that nothing is
    ever sent that differs from what was asked. Raises `InvalidMoney` for the astronomically large amounts where it is.
    """
    major = money.to_major()
    if major == major.to_integral_value():
        return int(major)
    number = float(major)
    if Decimal(repr(number)) != major:
        raise InvalidMoney(f"{money} cannot be sent exactly")
    return number


def request_fraction(basis_points: int) -> int | float:
    """Hundredths of a percent as the fraction Whop's write operations take: 2000 is 0.2.

    Raises ValueError for less than one hundredth of a percent and for more than everything.
    """
    if not 0 < basis_points <= _BASIS_POINTS:
        raise ValueError("a discount is more than nothing and at most everything")
    return 1 if basis_points == _BASIS_POINTS else float(Decimal(basis_points) / _BASIS_POINTS)
