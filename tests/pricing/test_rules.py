"""Prices: lines that add up, discounts that never take too much, and sharing without a rest."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import Money
from quntedge.pricing.preview import Item, charge, preview
from quntedge.pricing.rules import (
    Discount,
    Label,
    Line,
    LineKind,
    Price,
    Tax,
    TaxMode,
    net_amounts,
    price_of,
    smallest_charge,
    sum_of,
)
from quntedge.pricing.shares import apportion, prorated

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

currencies = st.sampled_from(sorted(EXPONENTS))
prices = st.integers(1, 10**13)


@st.composite
def discounts(draw: st.DrawFn, currency: str) -> Discount:
    periods = draw(st.one_of(st.none(), st.integers(1, 24)))
    if draw(st.booleans()):
        return Discount("CODE", percent_bp=draw(st.integers(1, 10_000)), periods=periods)
    return Discount("CODE", amount=Money(draw(prices), currency), periods=periods)


taxes = st.builds(Tax, st.sampled_from(list(TaxMode)), st.one_of(st.none(), st.integers(0, 10_000)))


def plan(minor: int, currency: str = "usd") -> Line:
    return Line(LineKind.PLAN, Label.PLAN, Money(minor, currency), "Monthly", NOW, NOW + 30 * DAY)


def usd(minor: int) -> Money:
    return Money(minor, "usd")


@given(st.data(), currencies)
def test_whatever_comes_off_the_lines_are_the_total(data: st.DataObject, currency: str) -> None:
    item = plan(data.draw(prices), currency)
    credit = data.draw(st.one_of(st.none(), prices))
    proration = None
    if credit is not None:
        proration = Line(LineKind.PRORATION, Label.UNUSED_TIME, -Money(credit, currency))
    tax = data.draw(taxes)
    price = price_of(item, discount=data.draw(st.one_of(st.none(), discounts(currency))), proration=proration, tax=tax)
    assert sum_of(price.lines, currency) == price.total
    net = price.total - price.tax if tax.mode is TaxMode.EXCLUSIVE else price.total
    zero = Money.zero(currency)
    # Nobody owes less than nothing, and nobody is asked for what the gateway does not collect.
    assert zero <= price.total
    assert net == zero or net >= min(smallest_charge(currency), item.amount)
    assert zero <= price.tax <= price.total
    assert price.discount <= price.subtotal == item.amount
    # What an invoice lists without tax is the rest, to the minor unit.
    assert sum((part.amount_minor for part in net_amounts(price)), 0) == (price.total - price.tax).amount_minor


@pytest.mark.parametrize(
    ("minor", "basis_points", "off"),
    [(2900, 1450, 421), (2900, 2000, 580), (1, 5000, 1), (3, 5000, 2), (2900, 10_000, 2900), (9999, 3333, 3333)],
)
def test_a_share_is_rounded_once_half_away_from_zero(minor: int, basis_points: int, off: int) -> None:
    assert Discount("CODE", percent_bp=basis_points).off(usd(minor)) == usd(off)


def test_an_amount_never_takes_more_than_there_is_and_nothing_in_another_currency() -> None:
    ten = Discount("CODE", amount=usd(1000))
    assert ten.off(usd(2900)) == usd(1000)
    assert ten.off(usd(700)) == usd(700)
    assert ten.off(Money(700, "eur")) == Money.zero("eur")
    assert ten.off(usd(0)) == usd(0)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"percent_bp": 1, "amount": usd(1)},
        {"percent_bp": 0},
        {"percent_bp": 10_001},
        {"amount": usd(0)},
        {"amount": usd(-1)},
        {"percent_bp": 1, "periods": 0},
    ],
)
def test_a_discount_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"discount|share|amount"):
        Discount("CODE", **wrong)  # type: ignore[arg-type]


def test_what_is_left_below_the_smallest_charge_is_on_us() -> None:
    price = price_of(plan(2900), discount=Discount("CODE", amount=usd(2801)))
    assert [(line.label, line.amount) for line in price.lines[1:]] == [
        (Label.PROMOTION, usd(-2801)),
        (Label.BELOW_SMALLEST_CHARGE, usd(-99)),
    ]
    assert (price.total, price.discount) == (usd(0), usd(2900))
    assert price_of(plan(2900), discount=Discount("CODE", amount=usd(2800))).total == usd(100)


def test_tax_on_top_is_a_line_and_tax_inside_is_not() -> None:
    on_top = price_of(plan(2900), discount=Discount("CODE", percent_bp=2000), tax=Tax(TaxMode.EXCLUSIVE, 2000))
    assert (on_top.total, on_top.tax, on_top.lines[-1].kind) == (usd(2784), usd(464), LineKind.TAX)
    inside = price_of(plan(2900), tax=Tax(TaxMode.INCLUSIVE, 2000))
    assert (inside.total, inside.tax, len(inside.lines)) == (usd(2900), usd(483), 1)
    assert net_amounts(inside) == (usd(2417),)
    unknown = price_of(plan(2900), tax=Tax(TaxMode.EXCLUSIVE, None))
    assert (unknown.total, unknown.tax) == (usd(2900), usd(0))


def test_lines_that_do_not_add_up_are_no_price() -> None:
    with pytest.raises(ValueError, match="add up"):
        Price((plan(2900),), usd(2900), usd(0), usd(0), usd(2899))


@given(currencies, st.integers(-(10**12), 10**12), st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=8))
def test_sharing_leaves_no_rest(currency: str, whole: int, parts: list[int]) -> None:
    shares = apportion(Money(whole, currency), [Money(part, currency) for part in parts])
    assert sum(share.amount_minor for share in shares) == whole
    if base := sum(parts):
        assert all(
            abs(share.amount_minor - Fraction(whole * part, base)) < 1
            for share, part in zip(shares, parts, strict=True)
        )


@given(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_part_of_the_time_is_worth_a_part_of_the_money(value: int, unused: int, more: int) -> None:
    worth = prorated(Fraction(value), unused, unused + more)
    assert 0 <= worth <= value
    if unused + more:
        assert abs(worth - Fraction(value * unused, unused + more)) <= Fraction(1, 2)


def test_a_preview_tells_today_the_discounted_charges_and_what_comes_after() -> None:
    item = Item("Monthly", usd(2900), period_days=30)
    found = preview(item, NOW, discount=Discount("CODE", percent_bp=2000, periods=3))
    assert (found.today.total, found.first.total, found.saved) == (usd(2320), usd(2320), usd(580))
    assert found.regular is not None
    assert (found.regular.total, found.discounted_charges) == (usd(2900), 3)
    lasting = preview(item, NOW, discount=Discount("CODE", percent_bp=2000, periods=None))
    assert lasting.regular is not None
    assert (lasting.regular.total, lasting.discounted_charges) == (usd(2320), None)


def test_a_trial_uses_no_discount_up() -> None:
    item = Item("Monthly", usd(2900), period_days=30, trial_days=7)
    found = preview(item, NOW, discount=Discount("CODE", percent_bp=5000))
    assert (found.today.total, found.first.total, found.first_at) == (usd(0), usd(1450), NOW + 7 * DAY)
    assert [line.label for line in found.today.lines] == [Label.TRIAL]
    entitled_to_none = preview(item, NOW, discount=Discount("CODE", percent_bp=5000), trial=False)
    assert entitled_to_none.today == entitled_to_none.first
    assert entitled_to_none.today.total == usd(1450)


def test_what_is_paid_once_has_no_charge_after_it() -> None:
    found = preview(Item("Lifetime", usd(49_900)), NOW, discount=Discount("CODE", amount=usd(900), periods=None))
    assert (found.today.total, found.regular, found.discounted_charges) == (usd(49_000), None, 1)


@given(st.data(), currencies, st.integers(1, 30))
def test_charge_by_charge_the_preview_is_what_is_charged(data: st.DataObject, currency: str, number: int) -> None:
    item = Item("Monthly", Money(data.draw(prices), currency), period_days=30)
    discount = data.draw(discounts(currency))
    found = preview(item, NOW, discount=discount)
    charged = charge(item, number, NOW, discount=discount)
    assert found.regular is not None
    covered = found.discounted_charges is None or number <= found.discounted_charges
    assert charged.total == (found.first if covered else found.regular).total
