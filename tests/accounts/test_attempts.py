"""Attempts to sign in are limited by all web processes together."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.accounts.attempts import Quota, SignInAttempts
from quntedge.accounts.models import AttemptWindow
from quntedge.kit.clock import FrozenClock
from quntedge.kit.errors import RateLimited
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import open_shop

SECRET = "a secret of at least thirty-two characters"
KIM = Quota("sign_in_email", "kim@customer.test", 5, 60)


async def _try(units: UnitOfWorkFactory, *quotas: Quota) -> bool:
    async with units() as unit:
        try:
            await SignInAttempts(SECRET).count(unit, quotas)
        except RateLimited:
            return False
        await unit.commit()
    return True


async def test_attempts_at_the_same_moment_do_not_pass_together(units: UnitOfWorkFactory) -> None:
    passed = await asyncio.gather(*(_try(units, KIM) for _ in range(12)))
    assert sum(passed) == 5
    assert await _try(units, Quota("sign_in_email", "lee@customer.test", 5, 60))
    assert await _try(units, Quota("sign_in", "kim@customer.test", 5, 60)), "another rule counts by itself"


async def test_the_window_slides_and_the_refused_are_not_counted(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    assert [await _try(units, KIM) for _ in range(7)] == [True] * 5 + [False] * 2
    # Halfway through the next minute, half of those five still count.
    clock.advance(timedelta(seconds=60 - clock.now().timestamp() % 60 + 30))
    assert [await _try(units, KIM) for _ in range(4)] == [True, True, False, False]
    clock.advance(timedelta(minutes=2))
    assert [await _try(units, KIM) for _ in range(6)] == [True] * 5 + [False]


async def test_whoever_is_refused_hears_when_to_come_back(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    once = Quota("sign_in", "203.0.113.9", 1, 60)
    assert await _try(units, once)
    async with units() as unit:
        with pytest.raises(RateLimited) as refused:
            await SignInAttempts(SECRET).count(unit, [once])
    assert 1 <= int(refused.value.headers()["Retry-After"]) <= 60


async def test_counters_name_nobody_and_are_deleted_once_they_limit_nothing(
    units: UnitOfWorkFactory, clock: FrozenClock
) -> None:
    await _try(units, KIM)
    attempts = SignInAttempts(SECRET)
    async with units() as unit:
        (row,) = (await unit.session.scalars(select(AttemptWindow))).all()
        assert b"kim" not in row.digest
        assert await attempts.purge(unit) == 0
        clock.advance(timedelta(minutes=2))
        assert await attempts.purge(unit) == 1


async def test_two_web_processes_allow_together_what_one_does(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    async with (
        open_shop(settings, engine, units, clock, vault) as one,
        open_shop(settings, engine, units, clock, vault) as two,
    ):
        await one.sign_up("kim@customer.test")
        browsers = [one.client(address="198.51.100.1"), two.client(address="198.51.100.2")]
        clock.advance(timedelta(minutes=2))
        statuses = [await _guess(browsers[number % 2], f"guess number {number}") for number in range(8)]
    assert statuses == [401] * 5 + [429] * 3


async def _guess(browser: httpx.AsyncClient, password: str) -> int:
    answer = await browser.post("/api/account/sign-in", json={"email": "kim@customer.test", "password": password})
    return answer.status_code
