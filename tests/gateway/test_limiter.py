"""The rate limiter: a burst, then an even flow, per operation, and never a queue without end."""

import pytest

from quntedge.gateway.errors import GatewayRateLimited
from quntedge.gateway.whop.limiter import BURST, MAX_WAIT_SECONDS, REQUESTS_PER_MINUTE, Limiter

WHOP_LIMIT_PER_MINUTE = 600


class FakeTime:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


async def test_a_burst_is_free_and_the_rest_flows_evenly() -> None:
    time = FakeTime()
    limiter = Limiter(time.monotonic, time.sleep, per_minute=60, burst=3)
    starts = []
    for _ in range(6):
        await limiter.wait("payments.retrieve")
        starts.append(time.now - 1000.0)
    assert starts == pytest.approx([0, 0, 0, 1, 2, 3])


async def test_no_minute_ever_sees_more_than_whop_allows() -> None:
    time = FakeTime()
    limiter = Limiter(time.monotonic, time.sleep)
    starts = []
    for index in range(3000):
        if index == 700:
            time.now += 45.0  # a pause lets the bucket fill again
        await limiter.wait("payments.retrieve")
        starts.append(time.now)
    for index, start in enumerate(starts):
        within = [other for other in starts[index:] if other < start + 60.0]
        assert len(within) <= BURST + REQUESTS_PER_MINUTE < WHOP_LIMIT_PER_MINUTE
    assert time.now - 1000.0 < 3000 / REQUESTS_PER_MINUTE * 60 + 45.0


async def test_operations_do_not_hold_each_other_up() -> None:
    time = FakeTime()
    limiter = Limiter(time.monotonic, time.sleep, per_minute=60, burst=1)
    await limiter.wait("payments.retrieve")
    await limiter.wait("memberships.retrieve")
    assert time.now == 1000.0
    await limiter.wait("payments.retrieve")
    assert time.now == pytest.approx(1001.0)


async def test_a_hopeless_wait_is_refused_and_takes_no_place() -> None:
    time = FakeTime()
    patient: list[float] = []

    async def remember(seconds: float) -> None:
        patient.append(seconds)  # time stands still: the queue only grows

    limiter = Limiter(time.monotonic, remember, per_minute=60, burst=1)
    for _ in range(31):
        await limiter.wait("refunds.list")
    assert patient[-1] == pytest.approx(MAX_WAIT_SECONDS)
    for _ in range(3):
        with pytest.raises(GatewayRateLimited) as caught:
            await limiter.wait("refunds.list")
        assert caught.value.retry_after_seconds == pytest.approx(31.0)
    time.now += 5.0
    await limiter.wait("refunds.list")
    assert patient[-1] == pytest.approx(26.0)
