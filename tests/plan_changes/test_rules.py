"""What a change is and what it costs: laws that hold for any prices, periods and moments."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.kit.money import Money
from quntedge.plan_changes import errors
from quntedge.plan_changes.lines import Line, LineKind, line_text
from quntedge.plan_changes.rules import (
    Direction,
    PaidPeriod,
    Proration,
    Settlement,
    Terms,
    direction,
    later,
    moment,
    settle,
)
from quntedge.plan_changes.situation import check_state
from quntedge.plan_changes.waiting import next_attempt
from quntedge.pricing.credits import Given
from quntedge.pricing.rules import smallest_charge, sum_of

START = datetime(2028, 2, 15, 9, 30, 12, tzinfo=UTC)
NONE = Money.zero("usd")


def terms(price: int, days: int | None, *features: str, kind: str = "recurring", currency: str = "usd") -> Terms:
    return Terms("plan", "Plan", kind, Money(price, currency), days, dict.fromkeys(features))


def period(
    paid: int, days: int = 30, *, carried: int = 0, refunded: int = 0, tax: int = 0, currency: str = "usd"
) -> PaidPeriod:
    return PaidPeriod(
        START,
        START + timedelta(days=days),
        Given(Money(paid, currency), Money(tax, currency), Money(refunded, currency), Money(carried, currency)),
    )


@st.composite
def changes(draw: st.DrawFn) -> tuple[Terms, Terms, PaidPeriod, datetime, Proration, bool]:
    currency = draw(st.sampled_from(["usd", "jpy", "kwd"]))
    amounts = st.integers(1000, 10**8)  # a unit at least, in every currency
    days = draw(st.integers(1, 800))
    paid = draw(st.one_of(st.just(0), amounts))
    tax = draw(st.integers(0, paid // 3))
    refunded = draw(st.integers(0, paid))
    carried = draw(st.one_of(st.just(0), amounts))
    held = period(paid, days, carried=carried, refunded=refunded, tax=tax, currency=currency)
    now = START + timedelta(seconds=draw(st.integers(-3600, days * 86400 + 3600)))
    wanted_days = draw(st.one_of(st.none(), st.integers(1, 800)))
    wanted = terms(draw(amounts), wanted_days, kind="recurring" if wanted_days else "lifetime", currency=currency)
    current = terms(draw(amounts), days, currency=currency)
    proration: Proration = draw(st.sampled_from(["credit", "refund", "extension", "none"]))
    return current, wanted, held, now, proration, draw(st.booleans())


@given(changes())
def test_the_lines_are_what_is_charged_and_nobody_pays_more_than_the_price(
    change: tuple[Terms, Terms, PaidPeriod, datetime, Proration, bool],
) -> None:
    current, wanted, held, now, proration, by_checkout = change
    found = settle(current, wanted, held, now, proration=proration, by_checkout=by_checkout)
    currency = wanted.price.currency
    assert sum_of(found.lines, currency) == found.charge
    assert Money.zero(currency) <= found.charge <= wanted.price
    assert found.charge + found.credit == wanted.price
    assert not found.charge or found.charge >= smallest_charge(currency)
    assert Money.zero(currency) <= found.refund <= held.given.refundable
    assert 0 <= found.extension_days <= 1095
    if by_checkout:
        assert found.charge == wanted.price, "nothing can be taken off on the gateway's page"
    assert {Line.from_json(line.to_json()) for line in found.lines} == set(found.lines)
    for line in found.lines:
        assert line_text(line, "en")
        assert line_text(line, "fr")


@given(changes())
def test_no_more_comes_back_than_was_given(
    change: tuple[Terms, Terms, PaidPeriod, datetime, Proration, bool],
) -> None:
    current, wanted, held, now, proration, by_checkout = change
    found = settle(current, wanted, held, now, proration=proration, by_checkout=by_checkout)
    given_back = found.credit + found.refund + _worth(found)
    waived = [line for line in found.lines if line.kind is LineKind.WAIVED]
    assert given_back + sum((line.amount for line in waived), Money.zero(given_back.currency)) <= (
        held.given.refundable + held.given.carried
    )
    assert all(-line.amount < smallest_charge(given_back.currency) for line in waived)
    if now >= held.end or proration == "none":
        assert not given_back, "no time is left, or it is not paid out"


def _worth(found: Settlement) -> Money:
    return sum(
        (line.amount for line in found.lines if line.kind is LineKind.EXTENSION), Money.zero(found.charge.currency)
    )


@given(st.integers(100, 10**7), st.integers(100, 10**7), st.integers(1, 400), st.integers(0, 400 * 86400))
def test_up_and_down_in_the_same_second_nets_to_nothing(low: int, high: int, days: int, second: int) -> None:
    """Whoever regrets a change at once has paid what a fresh period of the old plan costs, less what was left of the
    old one; at the beginning of a period that is nothing at all."""
    first, second_plan = terms(min(low, high), days, "a"), terms(max(low, high), days, "a", "b")
    now = START + timedelta(seconds=min(second, days * 86400))
    held = period(first.price.amount_minor, days)
    up = settle(first, second_plan, held, now, proration="credit")
    new = PaidPeriod(now, now + timedelta(days=days), Given(up.charge, NONE, NONE, up.credit + waived_in(up)))
    down = settle(second_plan, first, new, now, proration="credit")
    lost = sum((line.amount for line in down.lines if line.kind is LineKind.FORFEITED), NONE)
    net = up.charge + down.charge - down.refund - _worth(down)
    assert net == first.price - held.credit(now) + lost + waived_in(down)
    if second == 0 and not waived_in(down):
        assert net == lost
        assert lost.amount_minor * days <= first.price.amount_minor, "less than a day"


def waived_in(found: Settlement) -> Money:
    return sum((line.amount for line in found.lines if line.kind is LineKind.WAIVED), NONE)


@given(st.integers(1, 10**8), st.integers(1, 800), st.lists(st.integers(0, 800 * 86400), min_size=2, max_size=2))
def test_what_is_left_only_gets_less(paid: int, days: int, seconds: list[int]) -> None:
    held = period(paid, days)
    earlier, later_ = (held.credit(START + timedelta(seconds=second)) for second in sorted(seconds))
    assert held.given.paid >= earlier >= later_ >= NONE
    assert held.credit(START) == held.given.paid
    assert held.credit(held.end) == NONE
    used, left = held.days(START + timedelta(seconds=seconds[0]))
    assert (used + left, used >= 0, left >= 0) == (days, True, True)


def test_rounded_once_half_away_from_zero() -> None:
    # A third of a second of 30 days is left of 0.01, … exactly half of a cent rounds up, less than half down.
    held = period(1, 2)
    assert held.credit(START + timedelta(days=1)) == Money(1, "usd")
    assert held.credit(START + timedelta(days=1, seconds=1)) == NONE


def test_over_a_leap_day_and_a_change_of_clocks_seconds_count() -> None:
    leap = period(2900, 30)  # 15 February to 16 March 2028
    assert leap.days(START + timedelta(days=15)) == (15, 15)
    assert leap.credit(START + timedelta(days=15)) == Money(1450, "usd")
    assert leap.credit(START + timedelta(days=15, seconds=1)).amount_minor in (1449, 1450)


def test_a_refunded_and_a_taxed_payment() -> None:
    assert period(3000, refunded=3000).credit(START) == NONE
    assert period(3000, refunded=1000).credit(START) == Money(2000, "usd")
    taxed = period(3600, tax=600)
    assert (taxed.credit(START), taxed.share_with_tax(START)) == (Money(3000, "usd"), Money(3600, "usd"))


def test_too_little_to_be_charged_is_not_charged() -> None:
    found = settle(terms(2950, 30), terms(3000, 30), period(2950), START, proration="credit")
    assert (found.charge, found.credit) == (NONE, Money(3000, "usd"))
    assert [line.kind for line in found.lines] == [LineKind.NEW_PLAN, LineKind.UNUSED_TIME, LineKind.WAIVED]


def test_days_instead_of_money() -> None:
    found = settle(terms(2900, 30), terms(3000, 30), period(2900), START, proration="extension")
    assert (found.charge, found.credit, found.extension_days, found.refund) == (Money(3000, "usd"), NONE, 29, NONE)
    forever = settle(terms(2900, 30), terms(9000, None, kind="lifetime"), period(2900), START, proration="extension")
    assert (forever.extension_days, forever.refund) == (0, Money(2900, "usd"))


def test_in_a_trial_and_after_a_free_period_it_is_said_that_nothing_is_left() -> None:
    trial = settle(terms(2900, 30), terms(9000, 90), None, START, proration="credit", trial=True)
    free = settle(terms(2900, 30), terms(9000, 90), period(0), START, proration="credit")
    assert [line_text(found.lines[1]) for found in (trial, free)] == [
        "Nothing was paid for the trial of Plan, so there is nothing to take off",
        "Nothing was paid for this period of Plan, so there is nothing to take off",
    ]


MONTHLY = terms(2900, 30, "a")


@pytest.mark.parametrize(
    ("wanted", "expected", "when"),
    [
        (terms(25000, 365, "a", "b"), Direction.UPGRADE, "now"),
        (terms(1900, 30), Direction.DOWNGRADE, "period_end"),
        (terms(25000, 365, "a"), Direction.LONGER, "now"),
        (terms(900, 7, "a"), Direction.SHORTER, "period_end"),
        (terms(3900, 30, "a"), Direction.UPGRADE, "now"),
        (terms(1900, 30, "a"), Direction.DOWNGRADE, "period_end"),
        (terms(3000, 31, "b"), Direction.UPGRADE, "now"),
        (terms(2990, 31, "b"), Direction.DOWNGRADE, "period_end"),
        (terms(0, None, kind="free"), Direction.TO_FREE, "period_end"),
        (terms(49900, None, "a", kind="lifetime"), Direction.TO_LIFETIME, "now"),
    ],
)
def test_what_a_change_is(wanted: Terms, expected: Direction, when: str) -> None:
    assert direction(MONTHLY, wanted) is expected
    assert moment(expected, upgrade="now", downgrade="period_end") == when
    assert moment(Direction.TO_FREE, upgrade="now", downgrade="now") == "period_end"


def test_a_higher_limit_is_more() -> None:
    few = Terms("few", "Few", "recurring", Money(2900, "usd"), 30, {"seats": 2})
    many = Terms("many", "Many", "recurring", Money(2900, "usd"), 30, {"seats": None})
    assert (direction(few, many), direction(many, few)) == (Direction.UPGRADE, Direction.DOWNGRADE)


def test_later_nothing_is_charged_now() -> None:
    at = START + timedelta(days=30)
    for wanted in (terms(1900, 30), terms(0, None, kind="free")):
        lines = later(MONTHLY, wanted, at, period(2900))
        assert sum_of(lines, "usd") == NONE
        assert all(line_text(line, locale) for line in lines for locale in ("en", "fr"))
    assert line_text(lines[0], "fr-CA") == "Vous gardez Plan jusqu’au 16 mars 2028"
    first = later(MONTHLY, terms(1900, 30), START.replace(day=1), period(2900))
    assert line_text(first[0], "fr") == "Vous gardez Plan jusqu’au 1er févr. 2028"
    # The evening of one day is the next morning elsewhere.
    auckland = ZoneInfo("Pacific/Auckland")
    evening = later(MONTHLY, terms(1900, 30), START.replace(day=28, hour=20), period(2900))
    assert line_text(evening[0], "en", auckland) == "You keep Plan until 29 Feb 2028"


@pytest.mark.parametrize(
    ("status", "ending", "error"),
    [
        ("past_due", False, errors.PaymentOverdue),
        ("paused", False, errors.SubscriptionPaused),
        ("completed", False, errors.LifetimeHeld),
        ("active", True, errors.CancellationPending),
        ("trialing", True, errors.CancellationPending),
    ],
)
def test_when_a_plan_cannot_be_changed(status: str, ending: bool, error: type[Exception]) -> None:
    check_state("active", ending=False)
    check_state("trialing", ending=False)
    with pytest.raises(error):
        check_state(status, ending=ending)


def test_the_attempts_stay_within_the_grace() -> None:
    assert [next_attempt(number, START, 7) for number in (1, 2, 3)] == [
        START + timedelta(days=1),
        START + timedelta(days=3),
        None,
    ]
    assert [next_attempt(number, START, 2) for number in (1, 2)] == [START + timedelta(days=1), None]
    assert next_attempt(1, START, 0) is None
