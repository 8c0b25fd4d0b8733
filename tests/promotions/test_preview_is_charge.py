"""For any price and any promotion: what the preview says is what the gateway charges, charge by charge."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from quntedge.gateway.emulator.rules.pricing import price as gateway_price
from quntedge.gateway.emulator.rules.taxes import tax_on
from quntedge.gateway.emulator.state.records import Plan, Promo
from quntedge.gateway.emulator.state.store import Tables
from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import Money
from quntedge.pricing.preview import Item, charge, preview
from quntedge.pricing.rules import Discount, Tax, TaxMode, smallest_charge
from quntedge.pricing.told import taken_off

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Money, Discount]:
    currency = draw(st.sampled_from(sorted(EXPONENTS)))
    smallest = smallest_charge(currency).amount_minor
    price = Money(draw(st.integers(smallest, 10**12)), currency)
    periods = draw(st.one_of(st.none(), st.integers(1, 12)))
    if draw(st.booleans()):
        return price, Discount("CODE", percent_bp=draw(st.integers(1, 10_000)), periods=periods)
    return price, Discount("CODE", amount=Money(draw(st.integers(1, 2 * 10**12)), currency), periods=periods)


@given(cases(), st.sampled_from(["exclusive", "inclusive"]), st.one_of(st.none(), st.integers(1, 3000)))
def test_preview_charge_and_what_the_payment_tells_are_one(
    case: tuple[Money, Discount], behavior: str, rate: int | None
) -> None:
    price, discount = case
    item = Item("Monthly", price, period_days=30)
    tax = Tax(TaxMode(behavior), rate)
    shown = preview(item, NOW, discount=discount, tax=tax)
    promo = _one_use_code(shown.saved, discount.periods)
    tables, plan = Tables(), _plan(price, behavior)
    if rate is not None:
        tables.tax_rates["fr"] = rate
    assert shown.regular is not None
    for number in range(1, (discount.periods or 2) + 2):
        lowered = promo if promo is not None and discount.covers(number) else None
        charged = gateway_price(tables, plan, price, lowered, "fr")
        expected = charge(item, number, NOW, discount=discount, tax=tax)
        covered = discount.covers(number)
        assert charged.total == expected.total == (shown.first if covered else shown.regular).total
        told = None if charged.tax is None else charged.tax
        seen = taken_off(
            price.amount_minor,
            charged.total.amount_minor,
            None if told is None else told.amount.amount_minor,
            None if told is None else told.behavior,
        )
        assert seen == (shown.saved.amount_minor if covered else 0)


@given(st.integers(0, 10**12), st.sampled_from(["exclusive", "inclusive"]), st.integers(0, 10_000))
def test_tax_is_counted_as_the_gateway_counts_it(minor: int, behavior: str, rate: int) -> None:
    amount = Money(minor, "eur")
    assert Tax(TaxMode(behavior), rate).of(amount) == tax_on(amount, behavior, rate).amount


def _one_use_code(off: Money, periods: int | None) -> Promo | None:
    """The promo code that a checkout has made: an amount, whatever the promotion says."""
    if not off:
        return None
    return Promo(
        id="promo_1",
        created_at=NOW,
        updated_at=NOW,
        code="CODE-1",
        promo_type="flat_amount",
        amount_off=off.to_major_text(),
        currency=off.currency,
        promo_duration_months=periods or 0,
    )


def _plan(price: Money, behavior: str) -> Plan:
    return Plan(
        id="plan_1",
        created_at=NOW,
        updated_at=NOW,
        product_id="prod_1",
        plan_type="renewal",
        initial_price=Money.zero(price.currency),
        renewal_price=price,
        billing_period=30,
        tax_type=behavior,
    )
