import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.edge.limits import Limit, RateLimits
from quntedge.kit.errors import RateLimited


class Watch:
    """Seconds that move when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


def hits(limits: RateLimits, count: int, who: str = "a", limit: Limit = Limit.SIGN_IN) -> int:
    """How many of these were let through."""
    through = 0
    for _ in range(count):
        try:
            limits.hit(limit, who)
        except RateLimited:
            continue
        through += 1
    return through


def test_the_amount_goes_through_and_no_more() -> None:
    limits = RateLimits(Watch())
    assert hits(limits, 50) == 10
    assert hits(limits, 50, who="b") == 10
    assert hits(limits, 50, limit=Limit.SIGN_IN_EMAIL) == 5


def test_the_refusal_says_when_to_come_back_and_keeps_its_word() -> None:
    watch = Watch()
    limits = RateLimits(watch)
    watch.seconds += 17.3
    hits(limits, 10)
    with pytest.raises(RateLimited) as caught:
        limits.hit(Limit.SIGN_IN, "a")
    wait = caught.value.retry_after_seconds
    assert 1 <= wait <= 120
    watch.seconds += wait
    limits.hit(Limit.SIGN_IN, "a")


def test_no_burst_at_the_border_of_two_windows() -> None:
    watch = Watch()
    limits = RateLimits(watch)
    watch.seconds = 59.9 + 60 * 20_000
    assert hits(limits, 20) == 10
    watch.seconds += 0.2
    assert hits(limits, 20) <= 1


def test_who_waits_out_the_window_starts_anew() -> None:
    watch = Watch()
    limits = RateLimits(watch)
    hits(limits, 10)
    watch.seconds += 120
    assert hits(limits, 50) == 10


@given(st.lists(st.floats(0, 40), min_size=1, max_size=80))
def test_in_no_window_much_more_than_the_amount_goes_through(steps: list[float]) -> None:
    watch = Watch()
    limits = RateLimits(watch)
    through: list[float] = []
    for step in steps:
        watch.seconds += step
        if hits(limits, 1):
            through.append(watch.seconds)
    for at in through:
        # Two counters approximate a sliding window: they are off by the unevenness within one window, never by two.
        assert sum(1 for other in through if at - 60 < other <= at) < 2 * Limit.SIGN_IN.value.amount


def test_memory_is_bounded() -> None:
    limits = RateLimits(Watch(), max_identifiers=100)
    for number in range(1000):
        limits.hit(Limit.GENERAL, str(number))
    assert len(limits._windows) <= 100
