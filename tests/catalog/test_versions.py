"""Terms that were sold are never changed: whatever is wished for, in whatever order."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from quntedge.catalog.versions import GatewayStep, PriceRef, Terms, current_version, gateway_steps, revised
from quntedge.kit.money import Money

USD, EUR = Money(2900, "usd"), Money(2700, "eur")
FIRST = revised((), {"usd": USD, "eur": EUR}, 30, 7)


def terms(version: int, price: Money, *, days: int | None = 30, trial: int = 7, retired: bool = False) -> Terms:
    return Terms(version, price, days, trial, retired=retired)


def linked(history: tuple[Terms, ...]) -> tuple[Terms, ...]:
    return tuple(replace(one, whop_plan_id=f"plan_{one.version}_{one.currency}") for one in history)


def test_the_first_version() -> None:
    assert (terms(1, USD), terms(1, EUR)) == FIRST
    assert current_version(()) == 0


def test_the_same_terms_change_nothing() -> None:
    assert revised(FIRST, {"eur": EUR, "usd": USD}, 30, 7) == FIRST


def test_a_price_a_period_or_a_trial_makes_a_version_in_all_currencies() -> None:
    dearer = Money(3500, "usd")
    assert revised(FIRST, {"usd": dearer, "eur": EUR}, 30, 7) == (
        terms(1, USD, retired=True),
        terms(1, EUR, retired=True),
        terms(2, dearer),
        terms(2, EUR),
    )
    assert current_version(revised(FIRST, {"usd": USD, "eur": EUR}, 31, 7)) == 2
    assert current_version(revised(FIRST, {"usd": USD, "eur": EUR}, 30, 0)) == 2


def test_a_currency_more_or_less_is_no_version() -> None:
    gbp = Money(2500, "gbp")
    more = revised(FIRST, {"usd": USD, "eur": EUR, "gbp": gbp}, 30, 7)
    assert more == (*FIRST, terms(1, gbp))
    less = revised(more, {"usd": USD, "gbp": gbp}, 30, 7)
    assert less == (terms(1, USD), terms(1, EUR, retired=True), terms(1, gbp))


def test_a_currency_that_was_dropped_comes_back_as_a_version() -> None:
    dropped = revised(FIRST, {"usd": USD}, 30, 7)
    assert current_version(revised(dropped, {"usd": USD, "eur": EUR}, 30, 7)) == 2


def test_earlier_terms_wished_for_again_are_a_third_version() -> None:
    second = revised(FIRST, {"usd": Money(3500, "usd")}, 30, 7)
    third = revised(second, {"usd": USD}, 30, 7)
    assert third[-1] == terms(3, USD)


def test_the_gateway_makes_the_new_before_it_archives_the_old() -> None:
    history = revised(linked(FIRST), {"usd": Money(3500, "usd")}, 30, 7)
    assert gateway_steps("monthly", history, for_sale=True) == [
        GatewayStep("create", PriceRef("monthly", 2, "usd"), Money(3500, "usd")),
        GatewayStep("archive", PriceRef("monthly", 1, "usd"), USD),
        GatewayStep("archive", PriceRef("monthly", 1, "eur"), EUR),
    ]
    done = tuple(
        replace(one, gateway_archived=True) if one.retired else replace(one, whop_plan_id="plan_new") for one in history
    )
    assert gateway_steps("monthly", done, for_sale=True) == []
    assert [step.action for step in gateway_steps("monthly", linked(FIRST), for_sale=False)] == ["archive", "archive"]
    assert gateway_steps("monthly", FIRST, for_sale=False) == []


wishes = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["usd", "eur", "gbp"]), st.integers(100, 103), min_size=1),
        st.sampled_from([30, 90]),
        st.sampled_from([0, 7]),
        st.booleans(),
    ),
    max_size=8,
)


@given(wishes)
def test_whatever_is_wished_for_nothing_sold_is_lost_or_altered(
    asked: list[tuple[dict[str, int], int, int, bool]],
) -> None:
    history: tuple[Terms, ...] = ()
    for amounts, period, trial, synced in asked:
        prices = {code: Money(amount, code) for code, amount in amounts.items()}
        after = revised(history, prices, period, trial)
        assert revised(after, prices, period, trial) == after, "the same wish again changes nothing"
        assert [replace(new, retired=old.retired) for old, new in zip(history, after, strict=False)] == list(history)
        assert not any(old.retired and not new.retired for old, new in zip(history, after, strict=False))
        current = {one.currency: one for one in after if not one.retired}
        assert {code: one.price for code, one in current.items()} == prices
        assert {(one.period_days, one.trial_days) for one in current.values()} == {(period, trial)}
        assert {one.version for one in current.values()} == {current_version(after)}
        assert len({(one.version, one.currency) for one in after}) == len(after)
        history = tuple(replace(one, gateway_archived=one.retired) for one in linked(after)) if synced else after
