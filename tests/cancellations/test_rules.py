"""Dates, choices and amounts."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.cancellations import rules
from quntedge.cancellations.errors import (
    InvalidStatement,
    InvalidSurvey,
    NothingRenews,
    OnlyAtOnce,
    WithdrawalPeriodOver,
)
from quntedge.cancellations.rules import Payment, Situation, Timing
from quntedge.kit.money import Money
from quntedge.pricing.rules import Discount
from quntedge.pricing.shares import unused
from quntedge.subscriptions.models import STATUSES

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
END = NOW + timedelta(days=29)


def situation(status: str, **changes: datetime | None) -> Situation:
    return Situation(**{"status": status, "plan_name": "Monthly", "period_end": END} | changes)


@pytest.mark.parametrize(
    ("status", "timings"),
    [
        ("trialing", ["period_end", "now"]),
        ("active", ["period_end", "now"]),
        ("paused", ["period_end", "now"]),
        ("past_due", ["now"]),
        ("completed", []),
        ("incomplete", []),
        ("canceled", []),
        ("expired", []),
    ],
)
def test_every_status_has_its_ways_to_end(status: str, timings: list[str]) -> None:
    assert status in STATUSES
    assert [option.timing for option in rules.options(situation(status), NOW)] == timings


def test_what_an_option_means() -> None:
    at_end, now = rules.options(situation("active"), NOW)
    assert (at_end.ends_at, at_end.access_until) == (END, END)
    assert (now.ends_at, now.access_until) == (NOW, NOW)
    trial_end = NOW + timedelta(days=3)
    assert rules.options(situation("trialing", trial_end=trial_end), NOW)[0].ends_at == trial_end
    gone = NOW - timedelta(days=1)
    paused = rules.options(situation("paused", pause_access_until=gone), NOW)[0]
    assert (paused.ends_at, paused.access_until) == (END, gone)
    assert rules.options(situation("paused"), NOW)[0].access_until == END
    assert [o.timing for o in rules.options(situation("active", period_end=None), NOW)] == ["now"]


def test_choosing() -> None:
    assert rules.choose(situation("active"), None, NOW).timing == Timing.PERIOD_END
    assert rules.choose(situation("active"), Timing.NOW, NOW).timing == Timing.NOW
    assert rules.choose(situation("past_due"), None, NOW).timing == Timing.NOW
    with pytest.raises(OnlyAtOnce):
        rules.choose(situation("past_due"), Timing.PERIOD_END, NOW)
    with pytest.raises(NothingRenews):
        rules.choose(situation("completed"), Timing.NOW, NOW)


def test_the_survey() -> None:
    assert rules.survey(None, None) == rules.survey("", "  \n ") == rules.Survey()
    kept = rules.survey("unused", " caf\u0065\u0301 \ud800 ")
    assert (kept.reason, kept.feedback) == ("unused", "café")
    assert rules.survey(None, "x" * 1000).feedback is not None
    with pytest.raises(InvalidSurvey) as caught:
        rules.survey("boredom", "x" * 1001)
    assert [error["field"] for error in caught.value.errors] == ["reason", "feedback"]


@pytest.mark.parametrize(
    ("concluded", "zone", "deadline"),
    [
        ("2026-09-01T12:00:00Z", "UTC", "2026-09-16T00:00:00Z"),
        # The day is the customer's: late in the evening here is the next day there, and the other way round.
        ("2026-09-01T23:30:00Z", "Europe/Paris", "2026-09-16T22:00:00Z"),
        ("2026-09-01T02:30:00Z", "America/New_York", "2026-09-15T04:00:00Z"),
        # The clocks change meanwhile, forward and back.
        ("2027-03-20T12:00:00Z", "Europe/Paris", "2027-04-03T22:00:00Z"),
        ("2026-10-20T12:00:00Z", "Europe/Paris", "2026-11-03T23:00:00Z"),
        # Midnight itself does not exist on that day in Cairo: the day begins at one.
        ("2026-04-09T12:00:00Z", "Africa/Cairo", "2026-04-23T22:00:00Z"),
        # Month ends, leap day, and a zone without full hours.
        ("2028-02-20T12:00:00Z", "UTC", "2028-03-06T00:00:00Z"),
        ("2027-02-20T12:00:00Z", "UTC", "2027-03-07T00:00:00Z"),
        ("2026-12-25T12:00:00Z", "Asia/Kathmandu", "2027-01-08T18:15:00Z"),
    ],
)
def test_fourteen_days_by_the_customers_calendar(concluded: str, zone: str, deadline: str) -> None:
    found = rules.withdrawal_deadline(datetime.fromisoformat(concluded), ZoneInfo(zone))
    assert found == datetime.fromisoformat(deadline)
    rules.check_withdrawal(found, found - timedelta(microseconds=1))
    with pytest.raises(WithdrawalPeriodOver) as caught:
        rules.check_withdrawal(found, found)
    assert caught.value.extra["deadline"] == found.isoformat()


def test_the_name_under_a_declaration() -> None:
    assert rules.statement_name("  Zoë\u00a0 Example ") == "Zoë Example"
    for name in ("", " ", "x" * 201, "Kim\x00", "\u202eKim"):
        with pytest.raises(InvalidStatement):
            rules.statement_name(name)


def payment(number: int, paid: int, refunded: int = 0) -> Payment:
    return Payment(f"txn_{number}", Money(paid, "usd"), Money(refunded, "usd"), NOW + timedelta(days=number))


def test_in_full_everything_that_has_not_gone_back_is_owed() -> None:
    found = rules.owed([payment(1, 2900, 400), payment(2, 100, 100), payment(3, 700)], "full", (NOW, END), NOW)
    assert {owed.transaction_id: owed.amount.amount_minor for owed in found} == {"txn_1": 2500, "txn_3": 700}


def test_pro_rata_only_the_time_that_is_left_is_owed() -> None:
    half = NOW + (END - NOW) / 2
    found = rules.owed([payment(1, 2900), payment(2, 2901)], "pro_rata", (NOW, END), half)
    assert [(owed.transaction_id, owed.amount) for owed in found] == [("txn_2", Money(1451, "usd"))]
    # What has gone back counts, and what was bought for good has no time to divide.
    assert rules.owed([payment(1, 2900, 2000)], "pro_rata", (NOW, END), half)[0].amount == Money(900, "usd")
    assert rules.owed([payment(1, 2900)], "pro_rata", None, half)[0].amount == Money(2900, "usd")
    assert rules.owed([payment(1, 2900)], "pro_rata", (NOW, END), END) == ()


@given(
    paid=st.integers(0, 10**9),
    seconds=st.integers(1, 10**8),
    used=st.integers(-(10**6), 10**8),
)
def test_the_unused_share_is_never_more_than_was_paid_and_never_grows(paid: int, seconds: int, used: int) -> None:
    end = NOW + timedelta(seconds=seconds)
    earlier, later = NOW + timedelta(seconds=used), NOW + timedelta(seconds=used + 1)
    one = unused(Money(paid, "usd"), NOW, end, earlier).amount_minor
    two = unused(Money(paid, "usd"), NOW, end, later).amount_minor
    assert 0 <= two <= one <= paid
    assert unused(Money(paid, "usd"), NOW, end, NOW).amount_minor == paid
    assert unused(Money(paid, "usd"), NOW, end, end).amount_minor == 0


def test_discounts() -> None:
    price = Money(2999, "usd")
    assert Discount("offer", 2000).after(price) == Money(2399, "usd")
    assert Discount("offer", None, Money(500, "usd")).after(price) == Money(2499, "usd")
    assert Discount("offer", None, Money(5000, "usd")).after(price) == Money(0, "usd")
