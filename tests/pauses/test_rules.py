"""Who may pause, for how long, and what follows."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from quntedge.kit.errors import QuntedgeError
from quntedge.pauses import errors, rules
from quntedge.pauses.rules import Standing
from tests.conftest import START

END = START + timedelta(days=12)
RUNNING = Standing(
    status="active",
    renews=True,
    cancel_at_period_end=False,
    period_end=END,
    access="period",
    max_days=None,
    is_changing=False,
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "completed", "renews": False}, errors.NothingToPause),
        ({"status": "incomplete"}, errors.NothingToPause),
        ({"status": "trialing"}, errors.PauseInTrial),
        ({"status": "past_due"}, errors.PauseWhilePastDue),
        ({"status": "paused"}, errors.AlreadyPaused),
        ({"cancel_at_period_end": True}, errors.PauseWhileCancelling),
        ({"is_changing": True}, errors.PauseWhileChanging),
        ({"max_days": 0}, errors.PauseNotOffered),
    ],
)
def test_each_obstacle_has_its_reason(changes: dict[str, object], expected: type[QuntedgeError]) -> None:
    rules.check_standing(RUNNING)
    with pytest.raises(expected) as caught:
        rules.check_standing(replace(RUNNING, **changes))  # type: ignore[arg-type]
    assert caught.value.detail != caught.value.title


@pytest.mark.parametrize(
    ("access", "until"), [("keep", None), ("none", START), ("period", END)], ids=["keep", "none", "period"]
)
def test_access_follows_the_plan(access: str, until: datetime | None) -> None:
    agreed = rules.terms(replace(RUNNING, access=access), START + timedelta(days=30), START)
    assert agreed.access_until == until


@pytest.mark.parametrize(
    ("days", "charged"),
    [(5, END), (12, END), (30, START + timedelta(days=30))],
    ids=["ends within the period", "ends with it", "ends after it"],
)
def test_a_period_that_ran_out_is_charged_when_the_pause_ends(days: int, charged: datetime) -> None:
    assert rules.terms(RUNNING, START + timedelta(days=days), START).charge_at == charged
    assert rules.terms(RUNNING, None, START).charge_at is None


def test_a_pause_within_the_paid_period_interrupts_no_access() -> None:
    assert rules.terms(RUNNING, END, START).access_until is None
    assert rules.terms(RUNNING, END + timedelta(seconds=1), START).access_until == END
    assert rules.interrupted_at(END, None) == END


def test_the_plan_limits_how_long() -> None:
    limited = replace(RUNNING, max_days=60)
    agreed = rules.terms(limited, START + timedelta(days=60), START)
    assert (agreed.max_until, agreed.open_ended) == (START + timedelta(days=60), False)
    for wish in (None, START + timedelta(days=60, seconds=1), START + timedelta(hours=11), START - timedelta(days=1)):
        with pytest.raises(errors.InvalidPauseEnd) as caught:
            rules.terms(limited, wish, START)
        assert caught.value.errors
    assert rules.terms(RUNNING, START + rules.LONGEST, START).open_ended
    with pytest.raises(errors.InvalidPauseEnd):
        rules.terms(RUNNING, START + rules.LONGEST + timedelta(days=1), START)


def test_an_end_is_a_time_or_a_number_of_days() -> None:
    until = START + timedelta(days=3)
    assert rules.end_of_pause(None, 3, START) == until == rules.end_of_pause(until, None, START)
    assert rules.end_of_pause(None, None, START) is None
    for end, days in ((until, 3), (None, 0), (None, 10_000)):
        with pytest.raises(errors.InvalidPauseEnd):
            rules.end_of_pause(end, days, START)


def test_the_reminder_comes_three_days_before_and_never_before_half() -> None:
    assert rules.reminder_at(START, START + timedelta(days=30)) == START + timedelta(days=27)
    assert rules.reminder_at(START, START + timedelta(days=2)) == START + timedelta(days=1)
    assert rules.reminder_at(START, None) is None


def test_months_on_offer_fit_the_plan() -> None:
    assert [months for months, _ in rules.choices(None, START)] == [1, 2, 3]
    assert rules.choices(75, START) == [(1, START + timedelta(days=30)), (2, START + timedelta(days=60))]
    assert rules.choices(10, START) == []
