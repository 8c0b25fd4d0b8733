"""Money: an integer of minor units and a lower-case ISO 4217 code. No float ever touches it.

There is one rounding rule, half away from zero, and it has one name: :func:`round_half_away`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from babel import Locale
from babel.numbers import NumberPattern, parse_pattern

from quntedge.kit.currencies import EXPONENTS

# Columns are bigint: an amount that does not fit must fail here, in words, not in the database driver.
MAX_AMOUNT_MINOR = 2**63 - 1
MIN_AMOUNT_MINOR = -(2**63)

_AMOUNT = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_MAX_DIGITS = 18
# CLDR's currencySpacing, which babel leaves out: "KWD 1.234" and not "KWD1.234", while "$29.00" stays.
_LETTER_MEETS_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_BASIS_POINTS = 10_000


class InvalidMoney(ValueError):
    """The amount or the currency is not money: bad text, too fine, too large, unknown code."""


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies met in one operation."""


def exponent(currency: str) -> int:
    """Return the number of decimals of the currency's minor unit (usd 2, jpy 0, kwd 3).

    Raises InvalidMoney for a code that is not a lower-case active ISO 4217 currency.
    """
    try:
        return EXPONENTS[currency]
    except (KeyError, TypeError):
        raise InvalidMoney(f"unknown currency {_shown(currency)}; use a lower-case ISO 4217 code") from None


def round_half_away(value: Decimal | Fraction) -> int:
    """Round to the nearest integer, halves away from zero (2.5 → 3, -2.5 → -3): the one rounding rule for money.

    Raises TypeError for anything but an exact Decimal or Fraction, InvalidMoney for NaN and infinities.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise InvalidMoney("only a finite number can be rounded")
    elif not isinstance(value, Fraction):
        raise TypeError(f"round_half_away takes a Decimal or a Fraction, not {type(value).__name__}")
    exact = Fraction(value)
    magnitude = (2 * abs(exact.numerator) + exact.denominator) // (2 * exact.denominator)
    return magnitude if exact >= 0 else -magnitude


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency.

    ``amount_minor`` counts minor units (cents for usd, whole yen for jpy) and fits a signed 64-bit integer;
    ``currency`` is a lower-case ISO 4217 code. Construction raises InvalidMoney when either is not so, TypeError when
    the amount is not an int. Equality across currencies is False; order and arithmetic across currencies raise
    CurrencyMismatch.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        _require_int(self.amount_minor, "amount_minor")
        exponent(self.currency)
        if not MIN_AMOUNT_MINOR <= self.amount_minor <= MAX_AMOUNT_MINOR:
            raise InvalidMoney("the amount is too large to be stored")

    @classmethod
    def parse(cls, amount: str | int | Decimal, currency: str) -> "Money":
        """Read an amount given in MAJOR units ("29.00", 29, Decimal("29.00") are all 29 dollars).

        Text is ASCII digits with an optional leading minus and an optional fraction, at most 18 digits in all. The
        currency may be in either case. Trailing zeros beyond the currency's decimals are exact and accepted
        ("10.000" usd); anything finer is not. Raises TypeError for float and bool, InvalidMoney for the rest.
        """
        code = _code(currency)
        decimals = exponent(code)
        if isinstance(amount, str):
            if not _AMOUNT.fullmatch(amount) or sum(map(str.isdigit, amount)) > _MAX_DIGITS:
                raise InvalidMoney(f"{_shown(amount)} is not an amount; write it like 29.00, with at most 18 digits")
            return cls(_scaled(Decimal(amount), decimals, code), code)
        if isinstance(amount, Decimal):
            return cls(_scaled(amount, decimals, code), code)
        _require_int(amount, "amount")
        return cls(amount * 10**decimals, code)

    @classmethod
    def zero(cls, currency: str) -> "Money":
        """Return no money in ``currency``."""
        return cls(0, currency)

    def to_major(self) -> Decimal:
        """Return the exact amount in major units, with all the decimals of the currency (Decimal("29.00"))."""
        sign = 1 if self.amount_minor < 0 else 0
        digits = tuple(int(digit) for digit in str(abs(self.amount_minor)))
        # Built from its digits: arithmetic on Decimal would round to the thread's context.
        return Decimal((sign, digits, -exponent(self.currency)))

    def to_major_text(self) -> str:
        """Return the amount in major units as plain text: "29.00", "-0.05", "100" for jpy."""
        return f"{self.to_major():f}"

    def to_json(self) -> dict[str, int | str]:
        """Return the form money has in every JSON body: ``{"amount_minor": 2900, "currency": "usd"}``."""
        return {"amount_minor": self.amount_minor, "currency": self.currency}

    def format(self, locale: str = "en") -> str:
        """Return the amount as people of ``locale`` write it ("$29.00", "29,00 $US"), never rounded.

        Raises babel.UnknownLocaleError for a locale babel does not know.
        """
        pattern = _currency_pattern(locale, exponent(self.currency))
        # currency_digits would round to the decimals in *usual use*, and hide part of an afghani.
        text: str = pattern.apply(
            self.to_major(), locale, currency=self.currency.upper(), currency_digits=False, decimal_quantization=False
        )
        return _LETTER_MEETS_DIGIT.sub("\u00a0", text)

    def percent(self, basis_points: int) -> "Money":
        """Return ``basis_points`` hundredths of a percent of the amount, rounded half away from zero."""
        _require_int(basis_points, "basis_points")
        return Money(round_half_away(Fraction(self.amount_minor * basis_points, _BASIS_POINTS)), self.currency)

    def split(self, parts: int) -> "tuple[Money, ...]":
        """Return ``parts`` amounts that differ by one minor unit at most and sum to the whole.

        Raises InvalidMoney when ``parts`` is less than 1.
        """
        _require_int(parts, "parts")
        if parts < 1:
            raise InvalidMoney("an amount is split into at least one part")
        return self.allocate([1] * parts)

    def allocate(self, weights: Sequence[int]) -> "tuple[Money, ...]":
        """Share the amount in proportion to ``weights``; the parts sum to the whole.

        What flooring leaves over goes, unit by unit, to the largest remainders, ties to the first. A negative amount
        is shared as its positive twin. Raises InvalidMoney for empty, negative or all-zero weights.
        """
        for weight in weights:
            _require_int(weight, "weight")
        total = sum(weights)
        if not weights or min(weights) < 0 or total == 0:
            raise InvalidMoney("weights must be whole numbers from 0 up, at least one of them above 0")
        sign = -1 if self.amount_minor < 0 else 1
        shares = [divmod(abs(self.amount_minor) * weight, total) for weight in weights]
        parts = [whole for whole, _ in shares]
        by_remainder = sorted(range(len(parts)), key=lambda index: -shares[index][1])
        for index in by_remainder[: abs(self.amount_minor) - sum(parts)]:
            parts[index] += 1
        return tuple(Money(sign * part, self.currency) for part in parts)

    def __add__(self, other: "Money") -> "Money":
        if not isinstance(other, Money):
            return NotImplemented
        return Money(self.amount_minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        if not isinstance(other, Money):
            return NotImplemented
        return Money(self.amount_minor - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount_minor, self.currency)

    def __abs__(self) -> "Money":
        return Money(abs(self.amount_minor), self.currency)

    def __mul__(self, factor: int) -> "Money":
        if not _is_int(factor):
            return NotImplemented
        return Money(self.amount_minor * factor, self.currency)

    __rmul__ = __mul__

    def __bool__(self) -> bool:
        return self.amount_minor != 0

    def __lt__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.amount_minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.amount_minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.amount_minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        if not isinstance(other, Money):
            return NotImplemented
        return self.amount_minor >= self._same(other)

    def __str__(self) -> str:
        return f"{self.to_major_text()} {self.currency.upper()}"

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot meet in one operation")
        return other.amount_minor


def _scaled(value: Decimal, decimals: int, currency: str) -> int:
    """Return ``value`` in minor units, exactly, or raise InvalidMoney; no Decimal context can round it."""
    sign, digits, scale = value.as_tuple()
    if not isinstance(scale, int):
        raise InvalidMoney("an amount is a finite number")
    if not any(digits):
        return 0
    # Bounded before any power is taken: Decimal("1e999999") is eight characters and a million digits.
    if len(digits) > 40 or value.adjusted() > 20:
        raise InvalidMoney("the amount has too many digits")
    shift = scale + decimals
    magnitude: int = int("".join(map(str, digits)))
    if shift >= 0:
        magnitude *= 10**shift
    else:
        # A shift past the digits leaves a fraction in any case; capping it keeps the power small.
        magnitude, finer = divmod(magnitude, 10 ** min(-shift, len(digits) + 1))
        if finer:
            raise InvalidMoney(f"the amount is finer than {currency}, which has {decimals} decimals")
    return -magnitude if sign else magnitude


def _code(currency: object) -> str:
    # Only ASCII: the Kelvin sign lower-cases to a plain "k".
    if isinstance(currency, str) and currency.isascii():
        return currency.lower()
    raise InvalidMoney(f"unknown currency {_shown(currency)}; use an ISO 4217 code")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require_int(value: object, name: str) -> None:
    if not _is_int(value):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")


def _shown(text: object) -> str:
    """Quote caller input in an error message, shortened so that a megabyte is not echoed back."""
    shown = ascii(text)
    return shown if len(shown) <= 32 else f"{shown[:29]}..."


@lru_cache(maxsize=256)
def _currency_pattern(locale: str, decimals: int) -> NumberPattern:
    pattern = parse_pattern(Locale.parse(locale).currency_formats["standard"].pattern)
    pattern.frac_prec = (decimals, decimals)
    return pattern
