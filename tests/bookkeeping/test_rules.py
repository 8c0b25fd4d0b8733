"""How amounts are divided: nothing is lost, and nothing is counted twice."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.bookkeeping import positions, rules
from quntedge.bookkeeping.positions import Collected
from quntedge.bookkeeping.rules import PayoutState
from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import Money

totals = st.integers(1, 10**15)
currencies = st.sampled_from(sorted(EXPONENTS))


@given(totals, st.data(), currencies, st.booleans())
def test_what_comes_in_is_what_it_is_for(total: int, data: st.DataObject, currency: str, remits: bool) -> None:
    tax = data.draw(st.none() | st.integers(0, total))
    fee = data.draw(st.none() | st.integers(0, total))
    shares = rules.payment_shares(total, tax, fee, gateway_remits=remits)
    assert shares.clearing + shares.fees + shares.tax_remitted == total == shares.revenue + shares.tax
    assert shares.clearing == total - (fee or 0)
    assert min(shares.fees, shares.tax_remitted, shares.revenue, shares.tax) >= 0
    assert remits or shares.tax_remitted == 0
    position = positions.of_payment(Collected(currency, total, tax, fee), gateway_remits=remits)
    assert sum(position.values()) == 0


@given(totals, st.data())
def test_the_tax_in_refunds_never_drifts(total: int, data: st.DataObject) -> None:
    tax = data.draw(st.integers(0, total))
    parts = data.draw(st.lists(st.integers(1, total), max_size=12))
    refunded, taken = 0, 0
    for part in parts:
        refunded += part
        share = rules.tax_given_back(total, tax, refunded) - taken
        taken += share
        # Half a unit from the exact share of all refunds together, however many there are.
        assert abs(2 * (taken * total - tax * min(refunded, total))) <= total
        assert 0 <= share <= part + 1
    assert rules.tax_given_back(total, tax, total) == tax
    assert rules.tax_given_back(total, None, refunded) == 0


@given(totals, st.integers(0, 10**6), st.booleans(), currencies, currencies)
def test_a_dispute_takes_out_what_it_holds_or_costs(
    withdrawn: int, fee: int, lost: bool, currency: str, fee_currency: str
) -> None:
    position = positions.of_dispute(Money(withdrawn, currency), Money(fee, fee_currency), lost=lost)
    for each in {currency, fee_currency}:
        assert sum(amount for (_, code), amount in position.items() if code == each) == 0


@given(totals, st.integers(0, 10**6), st.sampled_from(PayoutState))
def test_a_payout_is_in_one_place(amount: int, fee: int, state: PayoutState) -> None:
    shares = rules.payout_shares(amount, fee, state)
    assert shares.clearing + shares.in_transit + shares.bank + shares.fees == 0
    assert sorted((shares.in_transit, shares.bank)) in ([0, amount], [0, 0])
    assert (shares.clearing == -fee) is (state is PayoutState.RETURNED)


@pytest.mark.parametrize(
    ("ours", "received", "reference", "expected"),
    [
        ({"payment": 6900}, {"payment": 7452}, None, True),
        ({"payment": 6900}, {"payment": 7452}, Fraction(107, 100), True),
        ({"payment": 6900}, {"payment": 74520}, Fraction(107, 100), False),
        ({"payment": 6900}, {"payment": -7452}, None, False),
        ({"payment": 6900}, {"payment": 0}, None, False),
        ({"payment": 6900, "refund": -1000}, {"payment": 7452, "refund": -1070}, None, True),
        ({"payment": 6900, "refund": -1000}, {"payment": 7452, "refund": -7000}, None, False),
        ({"payment": 6900, "refund": -1000}, {"payment": 7452, "refund": 1070}, None, False),
        # A dispute that was won, at another rate on its way back.
        ({"payment": 6900, "dispute": 0}, {"payment": 7452, "dispute": -69}, None, True),
        ({"payment": 6900, "dispute": 0}, {"payment": 7452, "dispute": -7452}, None, False),
        ({"dispute": 0}, {"dispute": -69}, Fraction(107, 100), False),
        ({"payment": 0}, {"payment": 7452}, None, False),
    ],
)
def test_an_exchange_is_one_at_about_the_usual_rate(
    ours: dict[str, int], received: dict[str, int], reference: Fraction | None, expected: bool
) -> None:
    assert rules.is_exchange(ours, received, reference) is expected
