"""Whop's money and ours."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.gateway.port import UnusableEvent
from quntedge.gateway.whop.documents import load_json
from quntedge.gateway.whop.money import WrongMoneyType, money_from, request_fraction, request_number
from quntedge.kit.money import InvalidMoney, Money
from tests.gateway.payloads import money


@pytest.mark.parametrize(
    ("value", "fallback", "expected"),
    [
        (money("29.99"), None, Money(2999, "usd")),
        (money("29.99", "EUR"), "usd", Money(2999, "eur")),
        (money("100", "jpy", 0), None, Money(100, "jpy")),
        (money("100.00", "jpy"), None, Money(100, "jpy")),
        (money("1.234", "kwd", 3), None, Money(1234, "kwd")),
        (money("-0.30"), None, Money(-30, "usd")),
        (Decimal("29.0"), "usd", Money(2900, "usd")),
        (Decimal("10"), "USD", Money(1000, "usd")),
        (29, "usd", Money(2900, "usd")),
        (0, "jpy", Money(0, "jpy")),
        ({"amount": Decimal("5.5"), "currency": "usd"}, None, Money(550, "usd")),
    ],
)
def test_amounts_are_read_exactly(value: object, fallback: str | None, expected: Money) -> None:
    assert money_from(value, fallback) == expected


@pytest.mark.parametrize(
    "value", [29.0, True, False, [], [29], None, {"amount": 29.0, "currency": "usd"}, {"amount": "1"}, {}]
)
def test_what_is_no_money_is_called_a_wrong_type(value: object) -> None:
    with pytest.raises(WrongMoneyType):
        money_from(value, "usd")


@pytest.mark.parametrize(
    ("value", "fallback"),
    [
        (money("29.999"), None),
        (money("100.5", "jpy"), None),
        (money("0.5", "eth", 18), None),
        (money("1e3"), None),
        (money("NaN"), None),
        (money(" 1"), None),
        (money(""), None),
        (money("1" * 30), None),
        (Decimal("0.001"), "usd"),
        (Decimal("1E+999999"), "usd"),
        (Decimal("1E-999999"), "usd"),
        (10**400, "usd"),
        (Decimal("1.00"), None),
        (Decimal("1.00"), "nope"),
    ],
)
def test_what_cannot_be_held_exactly_is_refused(value: object, fallback: str | None) -> None:
    with pytest.raises(InvalidMoney):
        money_from(value, fallback)


@given(st.integers(-(10**14), 10**14), st.sampled_from(["usd", "jpy", "kwd", "clf"]))
def test_what_we_send_is_read_back_as_the_same_amount(amount_minor: int, currency: str) -> None:
    ours = Money(amount_minor, currency)
    sent = json.dumps(request_number(ours))
    assert money_from(load_json(sent), currency) == ours


def test_an_amount_that_a_json_number_would_change_is_not_sent() -> None:
    with pytest.raises(InvalidMoney, match="exactly"):
        request_number(Money(9_007_199_254_740_993_01, "usd"))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"NaN", b"Infinity", b"\xff", b"[" * 100_000, b"9" * 10_000, b"1e99999999999999999999"]
)
def test_what_is_no_json_is_unusable(text: bytes) -> None:
    with pytest.raises(UnusableEvent) as caught:
        load_json(text)
    assert caught.value.reason == "not_json"


def test_fractions_are_read_as_exact_decimals() -> None:
    assert load_json(b"[31.61, 1, 1e2]") == [Decimal("31.61"), 1, Decimal("1E+2")]


@pytest.mark.parametrize(
    ("basis_points", "sent"), [(1, "0.0001"), (1250, "0.125"), (2000, "0.2"), (3333, "0.3333"), (10_000, "1")]
)
def test_a_percentage_is_sent_as_the_fraction_it_is(basis_points: int, sent: str) -> None:
    assert json.dumps(request_fraction(basis_points)) == sent


@pytest.mark.parametrize("basis_points", [-1, 0, 10_001])
def test_no_discount_is_nothing_or_more_than_everything(basis_points: int) -> None:
    with pytest.raises(ValueError, match="at most everything"):
        request_fraction(basis_points)
