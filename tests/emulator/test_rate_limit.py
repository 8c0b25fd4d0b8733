"""The rate limit: so many requests a minute for each operation and credential, by the emulator's clock."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from quntedge.gateway.emulator.callers.limits import DOCUMENTED_PER_MINUTE, RateLimited, RateLimiter, operation_of
from quntedge.gateway.emulator.testing import RunningEmulator

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def test_a_minutes_worth_passes_at_once_and_no_more() -> None:
    limiter = RateLimiter(DOCUMENTED_PER_MINUTE)
    for _ in range(DOCUMENTED_PER_MINUTE):
        limiter.take("account", "GET /payments", NOON)
    with pytest.raises(RateLimited) as refused:
        limiter.take("account", "GET /payments", NOON)
    assert (refused.value.message, refused.value.headers) == ("Try again in 1 second.", {"Retry-After": "1"})
    limiter.take("account", "GET /payments/{id}", NOON)
    limiter.take("another", "GET /payments", NOON)
    later = NOON + timedelta(seconds=1)
    for _ in range(DOCUMENTED_PER_MINUTE // 60):
        limiter.take("account", "GET /payments", later)
    with pytest.raises(RateLimited):
        limiter.take("account", "GET /payments", later)


def test_the_wait_is_what_the_bucket_needs() -> None:
    limiter = RateLimiter(5)
    for _ in range(5):
        limiter.take("account", "x", NOON)
    with pytest.raises(RateLimited) as refused:
        limiter.take("account", "x", NOON)
    assert refused.value.message == "Try again in 12 seconds."
    with pytest.raises(RateLimited):
        limiter.take("account", "x", NOON + timedelta(seconds=11))
    limiter.take("account", "x", NOON + timedelta(seconds=12))


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    limiter = RateLimiter(2)
    limiter.take("account", "x", NOON)
    limiter.take("account", "x", NOON - timedelta(days=1))
    with pytest.raises(RateLimited):
        limiter.take("account", "x", NOON - timedelta(days=1))


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/api/v1/payments", "GET /api/v1/payments"),
        ("/api/v1/payments/pay_0123456789abcd", "GET /api/v1/payments/{id}"),
        ("/api/v1/payments/pay_0123456789abcd/fees", "GET /api/v1/payments/{id}/fees"),
        ("/api/v1/checkout_configurations", "GET /api/v1/checkout_configurations"),
        ("/api/v1/dispute_alerts/dspa_0123456789abcd", "GET /api/v1/dispute_alerts/{id}"),
        ("/api/v1/users/user_0123456789abcd/access/prod_0123456789abcd", "GET /api/v1/users/{id}/access/{id}"),
        ("/api/v1/invoices/inv_0123456789abcd/mark_uncollectible", "GET /api/v1/invoices/{id}/mark_uncollectible"),
        ("/api/v1/disputes/summary", "GET /api/v1/disputes/summary"),
    ],
)
def test_objects_of_a_kind_share_an_operation(path: str, operation: str) -> None:
    assert operation_of("GET", path) == operation


async def test_over_http(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    limits = emu.control
    assert (await limits.get("limits")).json() == {"requests_per_minute": 0}
    assert (await limits.post("limits", json={"requests_per_minute": 1})).json() == {"requests_per_minute": 1}
    assert (await api.get("products")).status_code == 200
    refused = await api.get("products")
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await api.get("plans")).status_code == 200
    await emu.advance(minutes=1)
    assert (await api.get("products")).status_code == 200
    await limits.post("limits", json={"requests_per_minute": 0})
    assert (await api.get("products")).status_code == 200
    for body in ({}, {"requests_per_minute": -1}, {"per_hour": 5}):
        assert (await limits.post("limits", json=body)).status_code == 400


async def test_a_limited_write_does_not_use_up_its_key(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.control.post("limits", json={"requests_per_minute": 1})
    await api.post("products", json={"title": "One"})
    key = {"Idempotency-Key": "k"}
    assert (await api.post("products", json={"title": "Two"}, headers=key)).status_code == 429
    await emu.advance(minutes=1)
    made = await api.post("products", json={"title": "Two"}, headers=key)
    assert (made.status_code, "idempotent-replayed" in made.headers) == (201, False)
