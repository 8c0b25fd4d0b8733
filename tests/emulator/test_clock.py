"""The movable clock, those who follow it, and the order in which a jump happens."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from quntedge.gateway.emulator.control import add_months
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.kit.following_clock import FollowingClock
from tests.emulator.conftest import START, Shop
from tests.emulator.receiver import Receiver


async def now(emu: RunningEmulator) -> datetime:
    return datetime.fromisoformat((await emu.state())["now"])


async def test_advance_by_each_unit(emu: RunningEmulator) -> None:
    steps: list[tuple[dict[str, float | str], timedelta]] = [
        ({"seconds": 30}, timedelta(seconds=30)),
        ({"minutes": 1.5}, timedelta(seconds=90)),
        ({"hours": 2}, timedelta(hours=2)),
        ({"days": 3}, timedelta(days=3)),
    ]
    for step, length in steps:
        before = await now(emu)
        await emu.advance(**step)
        assert timedelta(0) <= await now(emu) - before - length < timedelta(seconds=5)
    target = (await now(emu)) + timedelta(days=400)
    await emu.advance(to=target.isoformat())
    assert timedelta(0) <= await now(emu) - target < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-03-31", 12, "2027-03-31"),
        ("2026-11-30", 3, "2027-02-28"),
    ],
)
def test_months_are_calendar_months(start: str, months: int, end: str) -> None:
    assert add_months(datetime.fromisoformat(start), months) == datetime.fromisoformat(end)


IMPOSSIBLE: list[dict[str, object]] = [
    {},
    {"days": 1, "hours": 1},
    {"days": -1},
    {"days": "1"},
    {"days": True},
    {"days": 1e300},
    {"months": 1.5},
    {"months": 10**6},
    {"to": "2020-01-01T00:00:00Z"},
    {"to": "2026-12-01T00:00:00"},
    {"to": "soon"},
    {"to": "9999-12-31T23:59:59Z"},
    {"years": 1},
]


async def test_impossible_jumps_change_nothing(emu: RunningEmulator) -> None:
    before = (await emu.control.get("clock")).json()
    for body in IMPOSSIBLE:
        answer = await emu.control.post("clock/advance", json=body)
        assert answer.status_code == 400, body
        assert answer.json()["error"]["message"]
    after = (await emu.control.get("clock")).json()
    assert (after["version"], after["offset_seconds"]) == (before["version"], before["offset_seconds"])


async def test_long_poll(emu: RunningEmulator) -> None:
    first = (await emu.control.get("clock")).json()
    waiting = asyncio.create_task(emu.control.get("clock", params={"version": first["version"], "wait": 20}))
    quick = await emu.control.get("clock", params={"version": first["version"] + 7, "wait": 20})
    assert quick.json()["version"] == first["version"]
    assert not waiting.done()
    await emu.advance(days=1)
    moved = (await waiting).json()
    assert moved["version"] > first["version"]
    assert moved["offset_seconds"] - first["offset_seconds"] == pytest.approx(86400, abs=5)
    idle = await emu.control.get("clock", params={"version": moved["version"], "wait": 0})
    assert idle.json()["version"] == moved["version"]


async def test_a_follower_is_never_behind_what_it_receives(shop: Shop, hooked: Receiver) -> None:
    """The receiver compares each signed timestamp with the following clock the moment it arrives."""
    paid = await shop.sell()
    clock = FollowingClock(shop.emu.control_url)
    await clock.start()
    seen: list[timedelta] = []
    received = hooked.received.append

    class Watching(list):  # type: ignore[type-arg]
        def append(self, one: object) -> None:
            seen.append(abs(clock.now() - getattr(one, "sent_at")))  # noqa: B009
            received(one)  # type: ignore[arg-type]

    hooked.received = Watching()
    try:
        assert abs(clock.now() - await now(shop.emu)) < timedelta(seconds=5)
        await shop.emu.advance(days=95)
        assert len(seen) == 3 * 4
        assert max(seen) < timedelta(seconds=70)
        assert abs(clock.now() - await now(shop.emu)) < timedelta(seconds=5)
    finally:
        await clock.stop()
        hooked.received = []
    assert paid["outcome"] == "paid"


async def test_a_lost_follower_holds_up_one_jump_only(emu: RunningEmulator) -> None:
    await emu.control.get("clock", params={"follower": "gone", "version": 1, "wait": 0})
    began = time.monotonic()
    await emu.advance(days=1)
    first = time.monotonic() - began
    began = time.monotonic()
    for _ in range(5):
        await emu.advance(days=1)
    assert first >= emu.config.follower_wait_seconds > time.monotonic() - began


async def test_real_time_brings_happenings_too(shop: Shop, hooked: Receiver) -> None:
    """Without a jump: the clock is moved to just before a renewal, which then comes by itself."""
    paid = await shop.sell()
    hooked.clear()
    end = datetime.fromisoformat(paid["membership"]["current_period_end"])
    await shop.emu.advance(to=(end - timedelta(seconds=0.3)).isoformat())
    async with asyncio.timeout(5):
        while not hooked.of("payment.succeeded"):
            await asyncio.sleep(0.02)


async def test_a_year_of_twenty_subscriptions_takes_seconds(shop: Shop, hooked: Receiver) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    for number in range(20):
        await shop.emu.pay(checkout_id, email=f"c{number}@customer.test")
    await shop.emu.settle()
    hooked.clear()
    began = time.monotonic()
    reached = await shop.emu.advance(months=12)
    assert time.monotonic() - began < 30  # a few seconds on a quiet machine
    assert (reached["events"], reached["deliveries"]) == (20 * 12, 20 * 12 * 4)
    assert len(hooked.received) == 20 * 12 * 4
    created = [datetime.fromisoformat(one.data["created_at"]) for one in hooked.of("payment.succeeded")]
    months = [round((at - START.astimezone(UTC)).total_seconds() / 86400 / 30) for at in created]
    assert months == sorted(months)


async def test_stopping_does_not_wait_for_long_polls(shop: Shop) -> None:
    version = (await shop.emu.control.get("clock")).json()["version"]
    async with httpx.AsyncClient() as http:
        waiting = asyncio.create_task(
            http.get(f"{shop.emu.control_url}/clock", params={"version": version, "wait": 50}, timeout=60)
        )
        await asyncio.sleep(0.05)
        began = time.monotonic()
        await shop.emu.runtime.followers.release()
        assert (await waiting).status_code == 200
        assert time.monotonic() - began < 2
