"""The lines of documents: they make up the total exactly, whatever the gateway tells."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.invoices.lines import (
    Amounts,
    Labels,
    credit_lines,
    invoice_lines,
    paid_period,
    parts_of,
    rate_of,
    tax_of_credit,
    total_of,
)
from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import Money

repeatable = settings(derandomize=True, deadline=None)
LABELS = Labels("Pro", "Discount", "Further charges", "VAT")
currencies = st.sampled_from(sorted(EXPONENTS))
minor = st.integers(0, 10**12)
AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


@st.composite
def amounts(draw: st.DrawFn) -> Amounts:
    currency = draw(currencies)

    def money(strategy: st.SearchStrategy[int | None]) -> Money | None:
        value = draw(strategy)
        return None if value is None else Money(value, currency)

    total = draw(st.integers(1, 10**12))
    return Amounts(
        total=Money(total, currency),
        subtotal=money(st.none() | minor | st.just(total)),
        tax=money(st.none() | st.integers(0, 2 * total)),
        tax_behavior=draw(st.sampled_from(["exclusive", "inclusive", "unspecified", "unable_to_collect", None])),
    )


@repeatable
@given(amounts(), st.booleans())
def test_lines_make_up_the_total_whatever_is_told(told: Amounts, prorated: bool) -> None:
    lines = invoice_lines(told, LABELS, plan_id="pln_1", prorated=prorated)
    assert total_of(lines) == told.total
    parts = parts_of(told)
    assert parts.item + parts.deduction + parts.tax == told.total
    assert [line.kind for line in lines].count("tax") == bool(parts.tax)
    assert all((line.tax_basis_points is not None) == (line.kind == "tax") for line in lines)


@repeatable
@given(currencies, st.integers(1, 10**10), st.integers(1, 3000))
def test_a_rate_that_laws_know_is_found_again(currency: str, net: int, rate: int) -> None:
    tax = Money(net, currency).percent(rate)
    found = rate_of(Money(net, currency), tax)
    assert (found == 0) == (not tax)
    assert not tax or Money(net, currency).percent(found) == tax
    if net > 10_000 * 100:
        assert found == rate, "of large amounts only one rate in hundredths leads to the tax"


@repeatable
@given(currencies, st.integers(1, 10**8), st.data())
def test_the_tax_of_all_credits_is_the_tax_of_the_invoice(currency: str, total: int, data: st.DataObject) -> None:
    tax = data.draw(st.integers(0, total))
    credited = taxed = 0
    while credited < total:
        amount = data.draw(st.integers(1, total - credited))
        amount = total - credited if amount > (total - credited) // 2 else amount
        part = tax_of_credit(
            Money(total, currency), Money(tax, currency), Money(credited, currency), Money(taxed, currency),
            Money(amount, currency),
        )  # fmt: skip
        lines = credit_lines("Refund", "VAT", Money(amount, currency), part, 900)
        assert total_of(lines) == Money(amount, currency)
        assert all(line.amount.amount_minor >= 0 for line in lines)
        credited, taxed = credited + amount, taxed + part.amount_minor
    assert taxed == tax


@pytest.mark.parametrize(
    ("told", "expected"),
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
def test_what_the_lines_are(
    told: tuple[int, int | None, int | None, str | None], expected: list[tuple[str, int]]
) -> None:
    total, subtotal, tax, behavior = told
    lines = invoice_lines(
        Amounts(
            Money(total, "usd"),
            None if subtotal is None else Money(subtotal, "usd"),
            None if tax is None else Money(tax, "usd"),
            behavior,
        ),
        LABELS,
        plan_id="pln_1",
    )
    assert [(line.kind, line.amount.amount_minor) for line in lines] == expected


DAY = timedelta(days=1)
OLD = (AT - 30 * DAY, AT)
NEW = (AT, AT + 30 * DAY)


@pytest.mark.parametrize(
    ("paid_at", "known", "days", "expected"),
    [
        (AT, NEW, 30, NEW),
        (AT - timedelta(hours=1), NEW, 30, NEW),
        # The payment is told before the period that it begins.
        (AT, OLD, 30, NEW),
        (AT - timedelta(hours=1), OLD, 30, NEW),
        (AT + 4 * DAY, OLD, 30, NEW),
        # Periods of a day.
        (AT, (AT - DAY, AT), 1, (AT, AT + DAY)),
        (AT, (AT, AT + DAY), 1, (AT, AT + DAY)),
        # Long ago, or once and for all.
        (AT - 90 * DAY, NEW, 30, (None, None)),
        (AT, (AT, None), None, (None, None)),
        (AT, (None, None), 30, (None, None)),
        (AT, OLD, None, (None, None)),
    ],
)
def test_which_period_a_payment_is_for(
    paid_at: datetime,
    known: tuple[datetime | None, datetime | None],
    days: int | None,
    expected: tuple[datetime | None, datetime | None],
) -> None:
    assert paid_period(paid_at, *known, days) == expected
