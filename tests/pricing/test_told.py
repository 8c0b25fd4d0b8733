"""Charges that the gateway tells: whatever it says, the lines make up the total, and what we know is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import Money
from quntedge.pricing.credits import Credited, credit_lines
from quntedge.pricing.rules import Label, Line, LineKind, net_amounts, sum_of
from quntedge.pricing.told import Told, differs, price_told, rate_told, taken_off, told

repeatable = settings(derandomize=True, deadline=None)
currencies = st.sampled_from(sorted(EXPONENTS))
minor = st.integers(0, 10**12)


def item(currency: str = "usd") -> Line:
    return Line(LineKind.PLAN, Label.PLAN, Money.zero(currency), "Monthly")


def off(*amounts: int, currency: str = "usd") -> list[Line]:
    return [Line(LineKind.DISCOUNT, Label.PROMOTION, Money(-amount, currency), "CODE") for amount in amounts]


@st.composite
def charges(draw: st.DrawFn) -> Told:
    total = draw(st.integers(1, 10**12))
    return told(
        total,
        draw(currencies),
        subtotal=draw(st.none() | minor | st.just(total)),
        tax=draw(st.none() | st.integers(0, 2 * total)),
        tax_behavior=draw(st.sampled_from(["exclusive", "inclusive", "unspecified", "unable_to_collect", None])),
    )


@repeatable
@given(charges(), st.lists(st.integers(1, 10**6), max_size=3))
def test_lines_make_up_the_total_whatever_is_told(said: Told, agreed: list[int]) -> None:
    currency = said.total.currency
    known = off(*agreed, currency=currency)
    price = price_told(said, item(currency), known)
    assert price.total == said.total == sum_of(price.lines, currency)
    net = sum((part.amount_minor for part in net_amounts(price)), 0)
    assert net + price.tax.amount_minor == said.total.amount_minor
    if said.lowered and not differs(said, known) and known:
        assert list(price.lines[1 : 1 + len(known)]) == known
    if said.lowered and differs(said, known):
        assert (price.lines[1].name, price.lines[1].amount) == ("CODE", said.change), "the gateway has the last word"


@repeatable
@given(currencies, st.integers(1, 10**10), st.integers(1, 3000))
def test_a_rate_that_laws_know_is_found_again(currency: str, net: int, rate: int) -> None:
    tax = Money(net, currency).percent(rate)
    found = rate_told(Money(net, currency), tax)
    assert (found == 0) == (not tax)
    assert not tax or Money(net, currency).percent(found) == tax
    if net > 10_000 * 100:
        assert found == rate, "of large amounts only one rate in hundredths leads to the tax"


@repeatable
@given(currencies, st.integers(1, 10**8), st.data())
def test_the_tax_of_all_credits_is_the_tax_of_the_invoice(currency: str, total: int, data: st.DataObject) -> None:
    def money(amount: int) -> Money:
        return Money(amount, currency)

    so_far = Credited(money(total), money(data.draw(st.integers(0, total))), money(0), money(0))
    while so_far.left:
        left = so_far.left.amount_minor
        amount = data.draw(st.integers(1, left))
        amount = left if amount > left // 2 else amount
        lines = credit_lines(money(amount), so_far.tax_of(money(amount)), 900)
        assert sum_of(lines, currency) == money(amount)
        assert all(line.amount.amount_minor >= 0 for line in lines)
        so_far = so_far.and_also(money(amount))
    assert so_far.tax_credited == so_far.tax


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # $29.00, 9 % on top.
        ((3161, 2900, 261, "exclusive"), [("plan", 2900), ("tax", 261)]),
        # 20 % off, then 9 % on top.
        ((2529, 2900, 209, "exclusive"), [("plan", 2900), ("discount", -580), ("tax", 209)]),
        # 20 % inside.
        ((2900, 2900, 483, "inclusive"), [("plan", 2417), ("tax", 483)]),
        # The same at half the price: what is taken off is without its tax as well.
        ((1450, 2900, 242, "inclusive"), [("plan", 2416), ("discount", -1208), ("tax", 242)]),
        # Nobody says how, but only one way fits.
        ((2900, 2900, 483, "unspecified"), [("plan", 2417), ("tax", 483)]),
        ((3161, 2900, 261, None), [("plan", 2900), ("tax", 261)]),
        ((2900, None, None, None), [("plan", 2900)]),
        ((3100, 2900, None, None), [("plan", 2900), ("adjustment", 200)]),
        # More tax than was paid is not believed.
        ((100, 2900, 261, "exclusive"), [("plan", 2900), ("discount", -2800)]),
    ],
)
def test_what_is_charged_without_its_tax(
    said: tuple[int, int | None, int | None, str | None], expected: list[tuple[str, int]]
) -> None:
    total, subtotal, tax, behavior = said
    price = price_told(told(total, "usd", subtotal=subtotal, tax=tax, tax_behavior=behavior), item())
    shown = [
        (line.kind.value, net.amount_minor)
        for line, net in zip(price.lines, net_amounts(price), strict=True)
        if line.kind is not LineKind.TAX
    ]
    assert shown + ([("tax", price.tax.amount_minor)] if price.tax else []) == expected


def test_what_was_agreed_is_said_and_the_gateway_says_how_much() -> None:
    said = told(2000, "usd", subtotal=2900)
    assert price_told(said, item(), off(880, 20)).lines[1:] == tuple(off(880, 20))
    assert not differs(said, off(880, 20))
    assert price_told(said, item(), off(881, 20)).lines[1:] == tuple(off(900))
    assert differs(said, off(881, 20))
    assert not differs(said, [])
    full = told(2900, "usd", subtotal=2900)
    assert len(price_told(full, item(), off(900)).lines) == 1
    assert differs(full, off(900)), "charged in full in spite of what was agreed"


@pytest.mark.parametrize(
    ("subtotal", "total", "tax", "behavior", "expected"),
    [
        (2900, 2900, None, None, 0),
        (2900, 2320, None, None, 580),
        (2900, 3161, 261, "exclusive", 0),
        (2900, 2529, 209, "exclusive", 580),
        (2900, 2900, 483, "inclusive", 0),
        (2900, 2320, 386, "inclusive", 580),
        (2900, 0, 0, "unspecified", 2900),
        (2900, 3161, 261, "unspecified", None),
        (2900, 3161, 261, None, None),
        (2900, 3000, None, None, None),
        (None, 2900, None, None, None),
        (2900, None, None, None, None),
    ],
)
def test_what_was_taken_off_follows_from_what_is_told_or_is_not_known(
    subtotal: int | None, total: int | None, tax: int | None, behavior: str | None, expected: int | None
) -> None:
    assert taken_off(subtotal, total, tax, behavior) == expected
