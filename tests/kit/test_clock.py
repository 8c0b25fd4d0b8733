"""The clocks that business code is given."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from quntedge.kit.clock import Clock, FrozenClock, SystemClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc() -> None:
    clock: Clock = SystemClock()
    before, now, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    assert before <= now <= after
    assert now.tzinfo is UTC


def test_a_frozen_clock_moves_only_when_told() -> None:
    clock = FrozenClock(NOON)
    as_clock: Clock = clock
    assert as_clock.now() == as_clock.now() == NOON
    assert clock.advance(timedelta(days=30)) == clock.now() == NOON + timedelta(days=30)
    clock.set(NOON)
    assert clock.now() == NOON


def test_a_frozen_clock_speaks_utc_whatever_it_was_given() -> None:
    clock = FrozenClock(NOON.astimezone(timezone(timedelta(hours=9))))
    assert clock.now() == NOON
    assert clock.now().tzinfo is UTC


def test_naive_times_and_steps_back_are_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        FrozenClock(NOON.replace(tzinfo=None))
    clock = FrozenClock(NOON)
    with pytest.raises(ValueError, match="aware"):
        clock.set(NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="advances"):
        clock.advance(timedelta(seconds=-1))
    assert clock.now() == NOON
