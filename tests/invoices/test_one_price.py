"""One price: what a preview shows is what the gateway charges, and what the invoice says, line by line.

The gateway's side is the emulator's own arithmetic, which shares nothing with ours but the rounding of `Money`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.rules.discounts import charges_of
from quntedge.gateway.emulator.rules.pricing import Price as Charge
from quntedge.gateway.emulator.rules.pricing import price as gateway_price
from quntedge.gateway.emulator.state.records import Plan, Promo
from quntedge.gateway.emulator.state.store import Tables
from quntedge.invoices.agreed import Agreed, of_change, of_promotion
from quntedge.invoices.lines import Line, invoice_lines
from quntedge.kit.money import Money
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_changes.rules import PaidPeriod, Terms, settle
from quntedge.pricing.credits import Given
from quntedge.pricing.preview import Item, preview
from quntedge.pricing.rules import (
    Discount,
    Label,
    LineKind,
    Price,
    Tax,
    TaxMode,
    net_amounts,
    smallest_charge,
    sum_of,
)
from quntedge.pricing.rules import Line as PriceLine
from quntedge.pricing.told import Told, differs, price_told, told
from quntedge.promotions.models import PromotionReservation

repeatable = settings(derandomize=True, deadline=None, max_examples=150)
AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
# No decimals, two and three, and each of them in more than one currency.
currencies = st.sampled_from(["jpy", "krw", "usd", "eur", "kwd", "bhd"])


@dataclass(frozen=True)
class Sale:
    """Something to be sold, and how it is taxed."""

    item: Item
    tax: Tax

    @property
    def tables(self) -> Tables:
        """The gateway's world: one country, in which the buyer lives."""
        if self.tax.mode is TaxMode.UNSPECIFIED or not self.tax.rate_bp:
            return Tables()
        return Tables(tax_rates={"us": self.tax.rate_bp}, tax_behavior=self.tax.mode.value)

    @property
    def plan(self) -> Plan:
        """The plan as it stands at the gateway."""
        once, zero = self.item.period_days is None, Money.zero(self.item.price.currency)
        return Plan(
            id="plan_1",
            created_at=AT,
            updated_at=AT,
            product_id="prod_1",
            plan_type="one_time" if once else "renewal",
            initial_price=self.item.price if once else zero,
            renewal_price=zero if once else self.item.price,
            billing_period=self.item.period_days,
            trial_period_days=self.item.trial_days or None,
        )


def taxes() -> st.SearchStrategy[Tax]:
    kinds = st.sampled_from(list(TaxMode))
    return st.builds(Tax, kinds, st.one_of(st.none(), st.integers(1, 2700), st.sampled_from([550, 1000, 2000])))


@st.composite
def sales(draw: st.DrawFn, *, once: bool = True) -> Sale:
    currency = draw(currencies)
    least = smallest_charge(currency).amount_minor
    price = Money(draw(st.integers(least, least * 50) | st.integers(least, 10**11)), currency)
    days = draw(st.one_of(st.integers(1, 400), *([st.none()] if once else [])))
    return Sale(Item("Pro", price, days, draw(st.sampled_from([0, 7]))), draw(taxes()))


@st.composite
def discounts(draw: st.DrawFn, price: Money) -> Discount:
    periods = draw(st.one_of(st.none(), st.integers(1, 6)))
    if draw(st.booleans()):
        return Discount("CODE", percent_bp=draw(st.integers(1, 10_000)), periods=periods)
    least = smallest_charge(price.currency).amount_minor
    off = draw(st.integers(1, price.amount_minor) | st.integers(max(1, price.amount_minor - least), 2 * 10**11))
    return Discount("CODE", amount=Money(off, price.currency), periods=periods)


@repeatable
@given(st.data(), sales(), st.integers(1, 8))
def test_every_charge_of_a_purchase(data: st.DataObject, sale: Sale, number: int) -> None:
    discount = data.draw(st.one_of(st.none(), discounts(sale.item.price)))
    shown = preview(sale.item, AT, discount=discount, tax=sale.tax)
    promo = None if discount is None else _promo_of_checkout(sale, discount)
    if sale.item.trial_days and sale.item.period_days:
        free = gateway_price(sale.tables, sale.plan, first_charge(sale.plan, trial=True), promo, "us")
        assert free.total == shown.today.total == Money.zero(sale.item.price.currency)
    if shown.regular is None:
        number = 1
    lasts = None if promo is None else charges_of(promo)
    charged = gateway_price(
        sale.tables,
        sale.plan,
        first_charge(sale.plan, trial=False),
        promo if lasts is None or number <= lasts else None,
        "us",
    )
    covered = shown.discounted_charges is None or number <= shown.discounted_charges
    expected = shown.first if covered or shown.regular is None else shown.regular
    agreed = None
    if promo is not None and charged.discount and discount is not None:
        agreed = of_promotion(charged.subtotal, _reservation(sale, discount), "CODE", "en")
    _is_one(expected, charged, agreed)


@repeatable
@given(st.data(), sales(once=False), sales())
def test_the_charge_of_a_change_of_plan(data: st.DataObject, before: Sale, after: Sale) -> None:
    currency = after.item.price.currency
    paid = Money(before.item.price.amount_minor, currency)
    on_top = before.tax.of(paid) if before.tax.mode is TaxMode.EXCLUSIVE else Money.zero(currency)
    refunded = Money(data.draw(st.integers(0, paid.amount_minor)), currency)
    days = before.item.period_days or 1
    period = PaidPeriod(AT, AT + days * DAY, Given(paid + on_top, on_top, refunded, Money.zero(currency)))
    now = AT + timedelta(seconds=data.draw(st.integers(0, days * 86_400)))
    current = Terms("old", "Basic", "recurring", paid, days, {})
    wanted = Terms("new", "Pro", "recurring", after.item.price, after.item.period_days, {})
    agreed = settle(current, wanted, period, now, proration=data.draw(st.sampled_from(["credit", "refund", "none"])))
    promo = None if not agreed.credit else _flat(agreed.credit, None)
    charged = gateway_price(after.tables, after.plan, first_charge(after.plan, trial=False), promo, "us")
    net = (
        charged.total
        if charged.tax is None or charged.tax.behavior == "inclusive"
        else charged.subtotal - charged.discount
    )
    assert net == agreed.charge == sum_of(agreed.lines, currency)
    change = PlanChange(lines=[line.to_json() for line in agreed.lines], currency=currency)
    known = of_change(change, "en") if charged.discount else None
    assert (known is not None) == bool(charged.discount)
    price = _is_one(None, charged, known)
    assert price.credit + price.discount == agreed.credit


def _is_one(shown: Price | None, charged: Charge, agreed: Agreed | None) -> Price:
    """The charge is what was shown; taken apart it has the same lines; and the invoice has those, without tax."""
    said = _said(charged)
    lines = () if agreed is None else agreed.lines
    assert not differs(said, lines)
    price = price_told(said, PriceLine(LineKind.PLAN, Label.PLAN, Money.zero("usd"), "Pro"), lines)
    assert price.total == charged.total
    if shown is not None:
        assert shown.total == charged.total
        assert shown.tax == price.tax
        assert _plain(shown.lines) == _plain(price.lines)
        assert net_amounts(shown) == net_amounts(price)
    invoice = _invoice(price, agreed)
    assert sum_of(invoice, charged.total.currency) == charged.total
    kinds = [line.kind.value for line in price.lines if line.kind is not LineKind.TAX]
    assert [line.kind for line in invoice] == kinds + ["tax"] * bool(price.tax)
    for line, part in zip(invoice, price.lines, strict=False):
        if price.tax_mode is not TaxMode.INCLUSIVE or not price.tax:
            assert line.amount == part.amount
        assert line.amount.amount_minor * part.amount.amount_minor >= 0, "what lowers a price lowers an invoice"
    return price


def _said(charged: Charge) -> Told:
    return told(
        charged.total.amount_minor,
        charged.total.currency,
        subtotal=charged.subtotal.amount_minor,
        tax=None if charged.tax is None else charged.tax.amount.amount_minor,
        tax_behavior=None if charged.tax is None else charged.tax.behavior,
    )


def _plain(lines: Sequence[PriceLine]) -> list[tuple[LineKind, Label, Money]]:
    return [(line.kind, line.label, line.amount) for line in lines]


def _invoice(price: Price, agreed: Agreed | None) -> tuple[Line, ...]:
    texts = ["Pro", *(() if agreed is None else agreed.texts)]
    return invoice_lines(price, texts, "VAT", plan_id="pln_1", period=(AT, AT + 30 * DAY))


def _promo_of_checkout(sale: Sale, discount: Discount) -> Promo:
    """The code that a checkout makes at the gateway: a fixed amount, ours to have rounded, for so many charges."""
    # As the checkout computes it: it knows nothing of taxes.
    off = preview(sale.item, AT, discount=discount).first.discount
    return _flat(off, discount.periods)


def _flat(off: Money, periods: int | None) -> Promo:
    return Promo(
        id="promo_1",
        created_at=AT,
        updated_at=AT,
        code="CODE",
        promo_type="flat_amount",
        amount_off=off.to_major_text(),
        currency=off.currency,
        promo_duration_months=periods,
    )


def _reservation(sale: Sale, discount: Discount) -> PromotionReservation:
    return PromotionReservation(
        percent_bp=discount.percent_bp,
        amount_minor=None if discount.amount is None else discount.amount.amount_minor,
        periods=discount.periods,
        currency=sale.item.price.currency,
    )
