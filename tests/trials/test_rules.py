"""When the end of a trial is announced, and whose mailbox an address leads to."""

from datetime import datetime, timedelta

import pytest

from quntedge.accounts.rules import mailbox_of
from quntedge.trials import rules
from tests.conftest import START

END = START + timedelta(days=14)


@pytest.mark.parametrize(
    ("days", "before"), [(14, timedelta(days=3)), (7, timedelta(days=3)), (4, timedelta(days=2)), (1, timedelta(0.5))]
)
def test_the_reminder_comes_three_days_before_and_never_before_half(days: int, before: timedelta) -> None:
    end = START + timedelta(days=days)
    assert rules.reminder_at(START, end, None, will_convert=True) == end - before


@pytest.mark.parametrize(
    ("moved_to", "again"),
    [
        (END, False),
        (END + timedelta(hours=23), False),
        (END + timedelta(days=1), True),
        (END - timedelta(days=2), False),
    ],
)
def test_an_end_is_told_again_only_when_it_comes_a_day_later(moved_to: datetime, again: bool) -> None:
    assert rules.is_news(moved_to, END) is again
    planned = rules.reminder_at(START, moved_to, END, will_convert=True)
    assert planned == (moved_to - rules.REMIND_BEFORE if again else None)


def test_nothing_is_announced_where_nothing_is_charged() -> None:
    assert rules.reminder_at(START, END, None, will_convert=False) is None
    assert rules.reminder_at(START, None, None, will_convert=True) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Kim@Example.org", "kim@example.org", True),
        ("kim+trial2@example.org", "kim@example.org", True),
        ("k.i.m+x@gmail.com", "kim@googlemail.com", True),
        ("k.im@example.org", "kim@example.org", False),
        ("kim@example.org", "kim@example.net", False),
        ("+@example.org", "kim@example.org", False),
    ],
)
def test_addresses_of_one_mailbox(one: str, other: str, same: bool) -> None:
    assert (mailbox_of(one) == mailbox_of(other)) is same
