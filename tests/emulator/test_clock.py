"""The movable clock, those who follow it, and the order in which a jump happens."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.control.clock import add_months
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.kit.clock import FrozenClock
from quntedge.kit.following_clock import FollowingClock
from tests.emulator.conftest import START, Shop
from tests.emulator.receiver import Receiver
from tests.jobs.conftest import until


async def now(emu: RunningEmulator) -> datetime:
    return datetime.fromisoformat((await emu.state())["now"])


@pytest.fixture
async def still() -> AsyncIterator[RunningEmulator]:
    """An emulator for which no real time passes, so that times can be compared exactly."""
    async with running_emulator(EmulatorConfig(start=START), real_clock=FrozenClock(START)) as running:
        yield running


async def test_advance_by_each_unit(still: RunningEmulator) -> None:
    steps: list[tuple[dict[str, float | str], timedelta]] = [
        ({"seconds": 30}, timedelta(seconds=30)),
        ({"minutes": 1.5}, timedelta(seconds=90)),
        ({"hours": 2}, timedelta(hours=2)),
        ({"days": 3}, timedelta(days=3)),
    ]
    for step, length in steps:
        before = await now(still)
        await still.advance(**step)
        assert await now(still) - before == length
    target = (await now(still)) + timedelta(days=400)
    await still.advance(to=target.isoformat())
    assert await now(still) == target


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


async def test_long_poll(still: RunningEmulator) -> None:
    emu = still
    first = (await emu.control.get("clock")).json()
    waiting = asyncio.create_task(emu.control.get("clock", params={"version": first["version"], "wait": 20}))
    quick = await emu.control.get("clock", params={"version": first["version"] + 7, "wait": 20})
    assert quick.json()["version"] == first["version"]
    assert not waiting.done()
    await emu.advance(days=1)
    moved = (await waiting).json()
    assert moved["version"] > first["version"]
    assert moved["offset_seconds"] - first["offset_seconds"] == 86400
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
        assert abs(clock.now() - await now(shop.emu)) < timedelta(hours=1)
        await shop.emu.advance(days=95)
        assert len(seen) == 3 * 4
        # Renewals are a month apart; how long the machine takes for one does not matter.
        assert max(seen) < timedelta(hours=1)
        assert abs(clock.now() - await now(shop.emu)) < timedelta(hours=1)
    finally:
        await clock.stop()
        hooked.received = []
    assert paid["outcome"] == "paid"


async def test_a_follower_that_does_not_come_back_is_left_behind() -> None:
    async with running_emulator(EmulatorConfig(start=START, follower_wait_seconds=0.05)) as emu:
        followers = emu.runtime.followers
        for _ in range(2):
            version = (await emu.control.get("clock")).json()["version"]
            query = {"follower": "hangs", "version": version, "wait": 50}
            only_poll = asyncio.create_task(emu.control.get("clock", params=query))
            await until(lambda: followers.polling() == ["hangs"])
            await emu.advance(days=1)
            assert (await only_poll).json()["version"] != version
            assert followers.present() == []


async def test_a_follower_that_hangs_up_is_not_waited_for(emu: RunningEmulator) -> None:
    """However long a follower may take: one whose connection is gone will not come back with this poll."""
    followers = emu.runtime.followers
    version = (await emu.control.get("clock")).json()["version"]
    async with httpx.AsyncClient(trust_env=False) as http:
        query = {"follower": "ends", "version": version, "wait": 50}
        poll = asyncio.create_task(http.get(f"{emu.control_url}/clock", params=query, timeout=60))
        await until(lambda: followers.present() == ["ends"])
        poll.cancel()
        await until(lambda: followers.present() == [])


async def test_real_time_brings_happenings_too(shop: Shop, hooked: Receiver) -> None:
    """Without a jump: the clock is moved to just before a renewal, which then comes by itself."""
    paid = await shop.sell()
    hooked.clear()
    end = datetime.fromisoformat(paid["membership"]["current_period_end"])
    await shop.emu.advance(to=(end - timedelta(seconds=0.3)).isoformat())
    async with asyncio.timeout(60):
        while not hooked.of("payment.succeeded"):
            await asyncio.sleep(0.02)


async def test_a_year_of_twenty_subscriptions_passes_in_order(shop: Shop, hooked: Receiver) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    for number in range(20):
        await shop.emu.pay(checkout_id, email=f"c{number}@customer.test")
    await shop.emu.settle()
    hooked.clear()
    reached = await shop.emu.advance(months=12)
    assert (reached["events"], reached["deliveries"]) == (20 * 12, 20 * 12 * 4)
    assert len(hooked.received) == 20 * 12 * 4
    created = [datetime.fromisoformat(one.data["created_at"]) for one in hooked.of("payment.succeeded")]
    months = [round((at - START.astimezone(UTC)).total_seconds() / 86400 / 30) for at in created]
    assert months == sorted(months)


async def test_stopping_does_not_wait_for_long_polls(emu: RunningEmulator) -> None:
    version = (await emu.control.get("clock")).json()["version"]
    async with httpx.AsyncClient(trust_env=False) as http:
        query = {"follower": "waits", "version": version, "wait": 50}
        waiting = asyncio.create_task(http.get(f"{emu.control_url}/clock", params=query, timeout=60))
        await until(lambda: emu.runtime.followers.present() == ["waits"])
        await emu.runtime.followers.release()
        async with asyncio.timeout(60):
            assert (await waiting).status_code == 200
