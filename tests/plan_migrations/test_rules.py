"""Who moves to new terms, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quntedge.kit.money import Money
from quntedge.plan_migrations import rules
from quntedge.plan_migrations.rules import LEAD, LOOK_AGAIN, MARGIN, Begin, Leave, Left, Look, Offer, Skip, Standing

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW = Money(2900, "usd"), Money(3500, "usd")
ACTIVE = Standing("active", "pln_1", 1, NOW + 20 * DAY, False, OLD)


def step(standing: Standing, not_before: datetime = NOW, now: datetime = NOW) -> rules.Next:
    return rules.next_step(standing, "pln_1", 2, not_before, now)


def test_a_move_is_planned_in_the_last_days_of_the_period() -> None:
    end = NOW + 20 * DAY
    assert step(ACTIVE) == Look(end - LEAD)
    assert step(ACTIVE, now=end - LEAD) == Begin(end)
    assert step(ACTIVE, now=end - timedelta(minutes=5)) == Begin(end)


def test_no_move_before_the_notice_is_over() -> None:
    """To the second: a period that ends one second too early is renewed at the old price."""
    end = NOW + 30 * DAY
    standing = replace(ACTIVE, period_end=end)
    assert step(standing, not_before=end, now=end - LEAD) == Begin(end)
    assert step(standing, not_before=end + timedelta(seconds=1), now=end - LEAD) == Look(end + MARGIN)


def test_a_renewal_that_is_late_is_waited_for() -> None:
    assert step(replace(ACTIVE, period_end=NOW)) == Look(NOW + MARGIN)
    assert step(replace(ACTIVE, period_end=None)) == Look(NOW + LOOK_AGAIN)


@pytest.mark.parametrize("status", ["past_due", "paused", "incomplete"])
def test_what_is_not_paid_for_waits(status: str) -> None:
    assert step(replace(ACTIVE, status=status, period_end=NOW + DAY)) == Look(NOW + LOOK_AGAIN)


@pytest.mark.parametrize(
    "change", [{"status": "trialing"}, {"cancel_at_period_end": True}, {"is_changing": True}], ids=str
)
def test_what_ends_with_the_period_is_looked_at_afterwards(change: dict[str, object]) -> None:
    standing = replace(ACTIVE, period_end=NOW + DAY, **change)  # type: ignore[arg-type]
    assert step(standing) == Look(NOW + DAY + MARGIN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "canceled"}, Left.ENDED),
        ({"status": "expired"}, Left.ENDED),
        ({"status": "completed"}, Left.ENDED),
        ({"plan_id": "pln_2"}, Left.CHANGED_PLAN),
        ({"version": 2}, Left.HAS_VERSION),
        ({"version": 3}, Left.HAS_VERSION),
    ],
    ids=str,
)
def test_who_is_left_out(change: dict[str, object], reason: Left) -> None:
    assert step(replace(ACTIVE, **change)) == Leave(reason)  # type: ignore[arg-type]


def test_only_a_higher_price_needs_notice() -> None:
    assert rules.not_before(NOW, OLD, NEW, 30) == NOW + 30 * DAY
    assert rules.not_before(NOW, NEW, OLD, 30) == NOW
    assert rules.not_before(NOW, OLD, OLD, 30) == NOW


def test_a_notice_never_computes_a_later_renewal() -> None:
    assert rules.expected_at(NOW + 40 * DAY, NOW + 30 * DAY) == NOW + 40 * DAY
    assert rules.expected_at(NOW + 10 * DAY, NOW + 30 * DAY) == NOW + 30 * DAY
    assert rules.expected_at(None, NOW + 30 * DAY) == NOW + 30 * DAY


def test_the_first_look_is_before_a_move_or_after_a_renewal() -> None:
    soon, late = NOW + 10 * DAY, NOW + 30 * DAY
    assert rules.first_look(late, late, NOW) == late - LEAD
    assert rules.first_look(soon, late, NOW) == soon + MARGIN
    assert rules.first_look(NOW + DAY, NOW, NOW) == NOW
    assert rules.first_look(None, NOW, NOW) == NOW


BOUGHT, OFFER = Offer(1, OLD, 30), Offer(2, NEW, 30)


@pytest.mark.parametrize(
    ("standing", "bought", "offer", "expected"),
    [
        (ACTIVE, BOUGHT, OFFER, None),
        (replace(ACTIVE, price=None), BOUGHT, OFFER, None),
        (replace(ACTIVE, price=Money(1450, "usd")), BOUGHT, OFFER, Skip.SPECIAL_PRICE),
        (ACTIVE, BOUGHT, None, Skip.NOT_SOLD),
        (ACTIVE, None, OFFER, Skip.NOT_SOLD),
        (ACTIVE, BOUGHT, replace(OFFER, period_days=365), Skip.OTHER_PERIOD),
        (replace(ACTIVE, cancel_at_period_end=True), BOUGHT, OFFER, Skip.ENDING),
    ],
)
def test_who_cannot_be_moved(
    standing: Standing, bought: Offer | None, offer: Offer | None, expected: Skip | None
) -> None:
    assert rules.obstacle(standing, bought, offer) is expected
