"""When a card expires, when to say so, and which of several pays."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from quntedge.methods.rules import Expiry, Paying, default_of, warn_at

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("month", "year", "ends"),
    [
        (4, 2030, datetime(2030, 5, 1, tzinfo=UTC)),
        (12, 2026, datetime(2027, 1, 1, tzinfo=UTC)),
        (2, 2028, datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_card_is_valid_to_the_end_of_its_month(month: int, year: int, ends: datetime) -> None:
    expiry = Expiry.of(month, year)
    assert expiry is not None
    assert expiry.ends_at == ends
    assert warn_at(expiry, None, NOW) == ends - timedelta(days=30)


@pytest.mark.parametrize(("month", "year"), [(None, 2030), (4, None), (0, 2030), (4, 0), (4, 30), (12, 9999)])
def test_what_says_no_month_never_expires(month: int | None, year: int | None) -> None:
    assert Expiry.of(month, year) is None
    assert warn_at(None, None, NOW) is None


def test_each_month_is_announced_once_and_never_afterwards() -> None:
    expiry = Expiry(9, 2026)
    assert warn_at(expiry, "2026-09", NOW) is None
    assert warn_at(expiry, "2026-08", NOW) == datetime(2026, 9, 1, tzinfo=UTC), "the bank has extended the card"
    assert warn_at(expiry, None, expiry.ends_at - timedelta(seconds=1)) is not None
    assert warn_at(expiry, None, expiry.ends_at) is None


def test_what_paid_last_pays_unless_another_was_chosen_since() -> None:
    chosen, paid = Paying("payt_1", NOW), Paying("payt_2", NOW + timedelta(days=1))
    there = {"payt_1", "payt_2"}
    assert default_of(chosen, paid, there) == paid
    assert default_of(Paying("payt_1", NOW + timedelta(days=2)), paid, there) == Paying(
        "payt_1", NOW + timedelta(days=2)
    )
    assert default_of(chosen, Paying("payt_2", NOW), there) == Paying("payt_2", NOW), "in the same instant"
    assert default_of(chosen, paid, {"payt_1"}) == chosen, "the other one was removed"
    assert [default_of(*pair, set()) for pair in permutations([chosen, None])] == [None, None]
    assert default_of(None, None, there) is None
