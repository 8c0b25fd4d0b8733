"""Attempts fall into the customer's day, wherever that is and whatever its clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.dunning.daytime import is_within, next_slot
from quntedge.kit.dates import zone_of

WINDOW = (9, 18)
ZONES = (
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Africa/Casablanca",
    "Antarctica/Troll",
)

MINUTES = st.integers(0, 8 * 365 * 24 * 60).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


@given(
    after=MINUTES,
    name=st.sampled_from(ZONES),
    seed=st.text(max_size=8),
)
def test_a_slot_is_in_the_window_and_not_more_than_a_day_away(after: datetime, name: str, seed: str) -> None:
    zone = ZoneInfo(name)
    found = next_slot(after, zone, WINDOW, seed)
    assert timedelta(0) <= found - after <= timedelta(hours=25)
    assert 9 <= found.astimezone(zone).hour < 18
    assert is_within(found, zone, WINDOW)
    assert next_slot(after, zone, WINDOW, seed) == found
    # Nothing later on the way there would have been earlier.
    assert next_slot(found, zone, WINDOW, seed) == found


def test_different_seeds_are_spread_over_the_window() -> None:
    after = datetime(2026, 9, 1, tzinfo=UTC)
    hours = {next_slot(after, ZoneInfo("UTC"), WINDOW, f"dun_{number}").hour for number in range(200)}
    assert hours == set(range(9, 18))


@pytest.mark.parametrize(
    ("zone", "day", "before", "after"),
    [
        # Clocks go forward on 28 March 2027 and back on 31 October 2027 in Paris.
        ("Europe/Paris", datetime(2027, 3, 27, 17, 30, tzinfo=UTC), 1, 2),
        ("Europe/Paris", datetime(2027, 10, 30, 17, 30, tzinfo=UTC), 2, 1),
        ("Australia/Lord_Howe", datetime(2027, 4, 3, 8, 0, tzinfo=UTC), 11, 10.5),
    ],
)
def test_the_hour_on_the_wall_is_the_same_before_and_after_the_clocks_change(
    zone: str, day: datetime, before: float, after: float
) -> None:
    place = ZoneInfo(zone)
    first = next_slot(day - timedelta(days=1), place, WINDOW, "dun_1").astimezone(place)
    second = next_slot(day, place, WINDOW, "dun_1").astimezone(place)
    assert first.time() == second.time()
    assert (first.utcoffset(), second.utcoffset()) == (timedelta(hours=before), timedelta(hours=after))


def test_an_hour_that_does_not_exist_and_one_that_exists_twice() -> None:
    paris = ZoneInfo("Europe/Paris")
    night = (2, 3)
    skipped = next_slot(datetime(2027, 3, 28, 0, 30, tzinfo=UTC), paris, night, "dun_1").astimezone(paris)
    assert (skipped.day, skipped.hour) == (28, 3)
    twice = next_slot(datetime(2027, 10, 30, 22, 0, tzinfo=UTC), paris, night, "dun_1").astimezone(paris)
    assert (twice.day, twice.hour, twice.fold) == (31, 2, 0)


def test_a_day_that_was_left_out_altogether() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    found = next_slot(datetime(2011, 12, 30, 8, 0, tzinfo=UTC), ZoneInfo("Pacific/Apia"), WINDOW, "dun_1")
    assert found.astimezone(ZoneInfo("Pacific/Apia")).day == 31


def test_a_window_of_the_whole_day() -> None:
    after = datetime(2026, 9, 1, 23, 59, tzinfo=UTC)
    found = next_slot(after, ZoneInfo("UTC"), (0, 24), "dun_1")
    assert timedelta(0) <= found - after <= timedelta(days=1)
    assert is_within(after, ZoneInfo("UTC"), (0, 24))


def test_who_moves_on_the_day_of_the_attempt_is_still_tried_in_their_day() -> None:
    after = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
    for zone in map(ZoneInfo, ("Europe/Paris", "America/Los_Angeles", "Asia/Tokyo")):
        found = next_slot(after, zone, WINDOW, "dun_1")
        assert 9 <= found.astimezone(zone).hour < 18


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../etc/passwd", "Europe", "x" * 300])
def test_an_unknown_place_is_the_usual_one(name: str | None) -> None:
    assert zone_of(name, "Europe/Paris").key == "Europe/Paris"
