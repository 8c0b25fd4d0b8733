"""Money: exact in, exact through, exact out, over every currency."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import (
    MAX_AMOUNT_MINOR,
    MIN_AMOUNT_MINOR,
    CurrencyMismatch,
    InvalidMoney,
    Money,
    exponent,
    round_half_away,
)

CURRENCIES = sorted(EXPONENTS)
repeatable = settings(derandomize=True, deadline=None)
currencies = st.sampled_from(CURRENCIES)
amounts = st.integers(MIN_AMOUNT_MINOR, MAX_AMOUNT_MINOR)
small = st.integers(-(10**12), 10**12)
moneys = st.builds(Money, amounts, currencies)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("29.00", "usd", 2900),
        ("29", "usd", 2900),
        ("29.9", "usd", 2990),
        ("-0.05", "usd", -5),
        ("-0", "usd", 0),
        ("0.00", "jpy", 0),
        ("007.10", "usd", 710),
        ("100", "jpy", 100),
        ("100.0", "jpy", 100),
        ("10.000", "usd", 1000),
        ("1.234", "kwd", 1234),
        ("1.2345", "clf", 12345),
        ("29.00", "USD", 2900),
        ("9999999999999999.99", "usd", 999_999_999_999_999_999),
    ],
)
def test_text_in_major_units_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency.lower())


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", " 1", "1 ", "1\n", "+1", "--1", "1e2", "1E2", "1_000", "1,000.00", "1.", ".5", "1.2.3", "0x10"),
        *("NaN", "nan", "sNaN", "Infinity", "-inf", "one", "$29", "29 usd", "２９", "٢٩", "1²", "1\u200b", "\x001"),
        *("10.001", "0.009", "1234567890123456789", "0" * 19, "0.0000000000000000001", "9" * 100_000),
    ],
)
def test_text_that_is_not_an_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidMoney) as refusal:
        Money.parse(text, "usd")
    assert len(str(refusal.value)) < 150, "a refusal never echoes a long input back"


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("10.10", "jpy"),
        ("0.0001", "kwd"),
        ("999999999999999999", "clf"),
        (Decimal("0.001"), "usd"),
        (Decimal("NaN"), "usd"),
        (Decimal("sNaN"), "usd"),
        (Decimal("-Infinity"), "usd"),
        (Decimal("1e999999"), "usd"),
        (Decimal("1e-999999"), "usd"),
        (Decimal("1." + "0" * 60), "usd"),
        (Decimal("92233720368547758.08"), "usd"),
        (2**63, "jpy"),
        (10**400, "usd"),
    ],
)
def test_what_is_too_fine_too_large_or_not_finite_is_refused(amount: str | int | Decimal, currency: str) -> None:
    with pytest.raises(InvalidMoney):
        Money.parse(amount, currency)


@pytest.mark.parametrize("amount", [29.0, math.nan, True, False, None, b"29", [29]])
def test_floats_booleans_and_other_types_are_a_type_error(amount: Any) -> None:
    with pytest.raises(TypeError):
        Money.parse(amount, "usd")
    with pytest.raises(TypeError):
        Money(amount, "usd")


@pytest.mark.parametrize("currency", ["", "us", "usdt", "xxx", "xau", "eth", "u$d", "ＵＳＤ", "\u212aRW", "bgn"])
def test_unknown_currencies_are_refused(currency: str) -> None:
    for attempt in (lambda: Money.parse(1, currency), lambda: Money(1, currency), lambda: exponent(currency)):
        with pytest.raises(InvalidMoney):
            attempt()


@pytest.mark.parametrize("currency", [None, 840, [], b"usd"])
def test_a_currency_that_is_not_text_is_refused(currency: Any) -> None:
    with pytest.raises(InvalidMoney):
        Money.parse(1, currency)
    with pytest.raises(InvalidMoney):
        Money(1, currency)


def test_the_stored_code_is_lower_case_only() -> None:
    with pytest.raises(InvalidMoney):
        Money(1, "USD")


def test_decimals_and_integers_are_major_units() -> None:
    assert Money.parse(Decimal("29.00"), "usd") == Money.parse(29, "usd") == Money(2900, "usd")
    assert Money.parse(Decimal("1E+2"), "usd") == Money(10_000, "usd")
    assert Money.parse(Decimal("0E-30"), "jpy") == Money.zero("jpy")
    assert Money.parse(Decimal("-92233720368547758.08"), "usd").amount_minor == MIN_AMOUNT_MINOR


@pytest.mark.parametrize("currency", CURRENCIES)
def test_every_currency_writes_its_own_number_of_decimals(currency: str) -> None:
    decimals = exponent(currency)
    text = Money(-1_234_567, currency).to_major_text()
    assert text == (f"-{1_234_567 / 10**decimals:.{decimals}f}")
    assert Money.parse(text, currency) == Money(-1_234_567, currency)
    assert Money(0, currency).to_major_text() == ("0" if decimals == 0 else "0." + "0" * decimals)
    with pytest.raises(InvalidMoney):
        Money.parse("1." + "0" * decimals + "1", currency)


@repeatable
@given(moneys)
def test_major_units_round_trip_for_every_amount(money: Money) -> None:
    with localcontext() as context:
        context.prec = 3  # a caller's context must not matter
        major = money.to_major()
        assert Money.parse(major, money.currency) == money
    assert major * 10 ** exponent(money.currency) == money.amount_minor
    if len(str(abs(money.amount_minor))) <= 14:
        assert Money.parse(money.to_major_text(), money.currency) == money


@repeatable
@given(small, small, currencies)
def test_addition_subtraction_negation_and_order_are_those_of_the_integers(a: int, b: int, currency: str) -> None:
    x, y = Money(a, currency), Money(b, currency)
    assert (x + y).amount_minor == a + b
    assert (x - y).amount_minor == a - b
    assert (-x).amount_minor == -a
    assert abs(x).amount_minor == abs(a)
    assert (x < y, x <= y, x > y, x >= y, x == y) == (a < b, a <= b, a > b, a >= b, a == b)
    assert bool(x) is (a != 0)
    assert (x == y) <= (hash(x) == hash(y))


def test_multiplication_takes_whole_numbers_only() -> None:
    assert Money(2900, "usd") * 3 == 3 * Money(2900, "usd") == Money(8700, "usd")
    wrong: list[Any] = [1.5, Decimal("1.5"), True, Money(2, "usd"), "2"]
    for factor in wrong:
        with pytest.raises(TypeError):
            Money(2900, "usd") * factor


def test_currencies_do_not_mix() -> None:
    dollars, yen = Money(100, "usd"), Money(100, "jpy")
    for operation in (
        lambda: dollars + yen,
        lambda: dollars - yen,
        lambda: dollars < yen,
        lambda: dollars <= yen,
        lambda: dollars > yen,
        lambda: dollars >= yen,
        lambda: max(dollars, yen),
    ):
        with pytest.raises(CurrencyMismatch):
            operation()
    assert dollars != yen
    assert issubclass(CurrencyMismatch, ValueError)
    assert issubclass(InvalidMoney, ValueError)


def test_numbers_are_not_money() -> None:
    zero: Any = 0
    operations: list[Callable[[], object]] = [
        lambda: Money(1, "usd") + zero,
        lambda: zero + Money(1, "usd"),
        lambda: Money(1, "usd") - zero,
        lambda: Money(1, "usd") < zero,
        lambda: Money(1, "usd") >= zero,
        lambda: Money(1, "usd") <= zero,
        lambda: Money(1, "usd") > zero,
    ]
    for operation in operations:
        with pytest.raises(TypeError):
            operation()
    assert Money(0, "usd") != zero


def test_results_that_no_column_could_hold_are_refused() -> None:
    largest = Money(MAX_AMOUNT_MINOR, "usd")
    operations: list[Callable[[], object]] = [
        lambda: largest + Money(1, "usd"),
        lambda: largest * 2,
        lambda: -Money(MIN_AMOUNT_MINOR, "usd"),
        lambda: largest.percent(10_001),
    ]
    for operation in operations:
        with pytest.raises(InvalidMoney):
            operation()


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("2.5", 3), ("-2.5", -3), ("3.5", 4), ("0.5", 1), ("-0.5", -1), ("0.49", 0), ("-0.49", 0), ("-0", 0), ("7", 7)],
)
def test_halves_go_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_away(Decimal(value)) == rounded
    assert round_half_away(Fraction(value)) == rounded


@repeatable
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18, places=6))
def test_rounding_agrees_with_the_decimal_module(value: Decimal) -> None:
    with localcontext() as context:
        context.prec = 60
        expected = int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    assert round_half_away(value) == expected == round_half_away(Fraction(value))


def test_rounding_takes_exact_finite_numbers_only() -> None:
    wrong: list[Any] = [2.5, 2, "2.5", True]
    for value in wrong:
        with pytest.raises(TypeError):
            round_half_away(value)
    for text in ("NaN", "Infinity"):
        with pytest.raises(InvalidMoney):
            round_half_away(Decimal(text))


def test_percent_is_in_basis_points_and_exact() -> None:
    assert Money(2900, "usd").percent(1450) == Money(421, "usd")  # 420.5; a float says 420
    assert Money(-2900, "usd").percent(1450) == Money(-421, "usd")
    assert Money(2900, "usd").percent(10_000) == Money(2900, "usd")
    assert Money(1, "jpy").percent(4_999) == Money(0, "jpy")
    assert Money(1, "jpy").percent(5_000) == Money(1, "jpy")
    share: Any = 14.5
    with pytest.raises(TypeError):
        Money(2900, "usd").percent(share)


@repeatable
@given(moneys, st.integers(1, 400))
def test_a_split_sums_to_the_whole_and_is_even(money: Money, parts: int) -> None:
    shares = money.split(parts)
    assert len(shares) == parts
    assert sum(share.amount_minor for share in shares) == money.amount_minor
    assert max(shares).amount_minor - min(shares).amount_minor <= 1
    magnitudes = [abs(share.amount_minor) for share in shares]
    assert magnitudes == sorted(magnitudes, reverse=True), "what is left over goes to the first parts"


@repeatable
@given(moneys, st.lists(st.integers(0, 10**6), min_size=1, max_size=30).filter(any))
def test_an_allocation_sums_to_the_whole_and_is_off_by_less_than_a_unit(money: Money, weights: list[int]) -> None:
    shares = money.allocate(weights)
    assert sum(share.amount_minor for share in shares) == money.amount_minor
    for share, weight in zip(shares, weights, strict=True):
        exact = Fraction(money.amount_minor * weight, sum(weights))
        assert abs(share.amount_minor - exact) < 1
        assert weight or not share, "a weight of nothing gets nothing"
    if money.amount_minor > MIN_AMOUNT_MINOR:
        assert (-money).allocate(weights) == tuple(-share for share in shares)


def test_the_largest_remainder_wins_and_ties_go_to_the_first() -> None:
    assert [share.amount_minor for share in Money(100, "usd").allocate([1, 1, 1])] == [34, 33, 33]
    assert [share.amount_minor for share in Money(-100, "usd").allocate([1, 1, 1])] == [-34, -33, -33]
    assert [share.amount_minor for share in Money(10, "usd").allocate([15, 26, 59])] == [1, 3, 6]
    assert [share.amount_minor for share in Money(5, "usd").allocate([0, 1, 1])] == [0, 3, 2]
    assert [share.amount_minor for share in Money(2, "jpy").split(3)] == [1, 1, 0]


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [1, -1], [-1], [2, -1]])
def test_weights_without_a_meaning_are_refused(weights: list[int]) -> None:
    with pytest.raises(InvalidMoney):
        Money(100, "usd").allocate(weights)


def test_parts_and_weights_are_whole_numbers() -> None:
    for parts in (0, -1):
        with pytest.raises(InvalidMoney):
            Money(100, "usd").split(parts)
    wrong: list[Any] = [1.0, True, "1", None]
    for value in wrong:
        with pytest.raises(TypeError):
            Money(100, "usd").split(value)
        with pytest.raises(TypeError):
            Money(100, "usd").allocate([1, value])


@pytest.mark.parametrize(
    ("money", "locale", "text"),
    [
        (Money(2900, "usd"), "en", "$29.00"),
        (Money(-123_456, "usd"), "en", "-$1,234.56"),
        (Money(2900, "usd"), "fr", "29,00\u00a0$US"),
        (Money(123_456_789, "eur"), "fr", "1\u202f234\u202f567,89\u00a0€"),
        (Money(100, "jpy"), "en", "¥100"),
        (Money(1_234, "kwd"), "en", "KWD\u00a01.234"),
        (Money(150, "afn"), "en", "AFN\u00a01.50"),
        (Money(MAX_AMOUNT_MINOR, "usd"), "en", "$92,233,720,368,547,758.07"),
    ],
)
def test_people_read_every_minor_unit(money: Money, locale: str, text: str) -> None:
    assert money.format(locale) == text


@pytest.mark.parametrize("currency", CURRENCIES)
def test_formatting_hides_nothing_in_any_currency(currency: str) -> None:
    digits = "".join(filter(str.isdigit, Money(1_234_567, currency).format("en")))
    assert digits == "1234567"


def test_json_and_plain_text_forms() -> None:
    assert Money(2900, "usd").to_json() == {"amount_minor": 2900, "currency": "usd"}
    assert str(Money(-5, "usd")) == "-0.05 USD"
    assert str(Money(100, "jpy")) == "100 JPY"


def test_money_cannot_be_changed() -> None:
    money: Any = Money(1, "usd")
    with pytest.raises(AttributeError):
        money.amount_minor = 2
