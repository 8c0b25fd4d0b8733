"""A walk through time that waits for those who work, stops where they have something to do, and can be watched."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.kit.following_clock import FollowingClock
from tests.emulator.conftest import START, Shop
from tests.emulator.receiver import Receiver
from tests.jobs.conftest import until

HOUR = timedelta(hours=1)


class Works:
    """A program with work to do. `plan` holds what it has to do by itself."""

    def __init__(self, *plan: datetime) -> None:
        self.plan = sorted(plan)
        self.settled_at: list[datetime] = []
        self.permits: asyncio.Semaphore | None = None
        self.waiting = 0

    def hold(self) -> None:
        """From now on nothing is done without permission."""
        self.permits = asyncio.Semaphore(0)

    def permit(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.permits is not None
            self.permits.release()

    @asynccontextmanager
    async def following(self, emu: RunningEmulator) -> AsyncIterator[FollowingClock]:
        self.clock = FollowingClock(emu.control_url, retry_seconds=0.01)
        await self.clock.start()
        end = self.clock.work(self.settle)
        try:
            await until(lambda: emu.runtime.followers.working() != [] and self.settled_at != [])
            yield self.clock
        finally:
            await end()
            await self.clock.stop()

    async def settle(self) -> datetime | None:
        if self.permits is not None:
            self.waiting += 1
            await self.permits.acquire()
            self.waiting -= 1
        self.settled_at.append(self.clock.now())
        return next((at for at in self.plan if at > self.clock.now()), None)


def at_days(instants: list[datetime]) -> list[int]:
    """Whole days since the start."""
    return [(at - START) // timedelta(days=1) for at in instants]


async def test_the_clock_stays_until_the_work_of_an_instant_is_done(shop: Shop, hooked: Receiver) -> None:
    await shop.sell()
    hooked.clear()
    works = Works()
    async with works.following(shop.emu):
        works.hold()
        advancing = asyncio.create_task(shop.emu.advance(days=65))
        done = len(works.settled_at)
        for renewals in range(3):  # at the start, and at the two renewals
            await until(lambda: works.waiting == 1)
            assert len(hooked.of("payment.succeeded")) == renewals
            assert at_days([works.clock.now()]) == [30 * renewals]
            works.permit()
            done += 1
            await until(lambda done=done: len(works.settled_at) == done)  # type: ignore[misc]
        works.permit(9)
        await advancing
    assert {0, 30, 60, 65} <= set(at_days(works.settled_at))
    assert works.settled_at == sorted(works.settled_at)


async def test_it_stops_where_a_follower_has_something_to_do(emu: RunningEmulator) -> None:
    works = Works(START + timedelta(days=3), START + timedelta(days=3, hours=5), START + timedelta(days=50))
    async with works.following(emu):
        await emu.advance(days=10)
        assert at_days(works.settled_at)[-3:] == [3, 3, 10]
        second = works.settled_at[-2]
        assert timedelta(0) <= second - works.plan[1] < HOUR


async def test_one_who_always_has_something_to_do_does_not_keep_it_from_arriving(emu: RunningEmulator) -> None:
    works = Works()

    async def restless() -> datetime:
        works.settled_at.append(works.clock.now())
        return works.clock.now() + timedelta(microseconds=1)

    works.settle = restless  # type: ignore[method-assign]
    async with works.following(emu):
        reached = await emu.advance(minutes=1)
    assert datetime.fromisoformat(reached["now"]) >= START + timedelta(minutes=1)


async def test_what_a_follower_causes_is_waited_for_too(shop: Shop, hooked: Receiver) -> None:
    """At the renewal it resumes nothing but changes the membership, and is asked again once that was delivered."""
    membership = (await shop.sell())["membership"]["id"]
    hooked.clear()
    works = Works()
    changed: list[bool] = []
    settle = works.settle

    async def cancels_after_the_renewal() -> datetime | None:
        if hooked.of("payment.succeeded") and not changed:
            changed.append(True)
            await shop.sdk.memberships.cancel(membership, cancel_at_period_end=True)
        return await settle()

    works.settle = cancels_after_the_renewal  # type: ignore[method-assign]
    async with works.following(shop.emu):
        await shop.emu.advance(days=31)
    assert changed
    assert at_days(works.settled_at).count(30) >= 2
    canceling = [one for one in hooked.of("membership.updated") if one.data["cancel_at_period_end"]]
    assert canceling
    assert at_days([canceling[0].sent_at]) == [30]


async def test_one_who_never_gets_done_is_left_behind_and_said_so() -> None:
    async with running_emulator(EmulatorConfig(start=START, follower_work_seconds=0.05)) as emu:
        works = Works(START + timedelta(days=1))
        with capture_logs() as logs:
            async with works.following(emu):
                works.hold()
                await emu.advance(days=30)
                works.permit(9)
    late = [entry for entry in logs if entry["event"] == "clock.follower_not_quiet"]
    assert len(late) == 1  # it is not waited for at every further instant


async def test_a_worker_that_dies_at_an_instant_does_not_hold_the_clock(emu: RunningEmulator) -> None:
    works = Works()
    async with works.following(emu) as clock:
        works.hold()
        advancing = asyncio.create_task(emu.advance(days=30))
        await until(lambda: works.waiting == 1 and emu.runtime.followers.polling() != [])
        await clock.stop()  # its connections are closed; it says no good-bye
        reached = await advancing
        works.permit(9)
    assert at_days([datetime.fromisoformat(reached["now"])]) == [30]


async def test_a_worker_that_dies_between_two_polls_is_soon_missed() -> None:
    """Its connection tells nothing then; that it does not poll again does."""
    async with running_emulator(EmulatorConfig(start=START, follower_wait_seconds=0.2)) as emu:
        now = (await emu.control.get("clock")).json()
        query = {"follower": "dies", "version": now["version"], "step": now["step"], "wait": 50, "works": 1}
        last_poll = asyncio.create_task(emu.control.get("clock", params=query))
        await until(lambda: emu.runtime.followers.polling() == ["dies"])
        with capture_logs() as logs:
            await emu.advance(days=30)
        await last_poll
        assert emu.runtime.followers.working() == []
        assert "clock.follower_not_quiet" not in {entry["event"] for entry in logs}


async def test_one_who_stops_working_goes_on_following(emu: RunningEmulator) -> None:
    works = Works()
    clock = FollowingClock(emu.control_url, retry_seconds=0.01)
    works.clock = clock
    await clock.start()
    try:
        end = clock.work(works.settle)
        with pytest.raises(RuntimeError, match="one already"):
            clock.work(works.settle)
        await until(lambda: emu.runtime.followers.working() != [])
        await end()
        assert emu.runtime.followers.working() == []
        seen = len(works.settled_at)
        await emu.advance(days=2)
        assert at_days([clock.now()]) == [2]
        assert len(works.settled_at) == seen
        await end()
    finally:
        await clock.stop()


async def test_a_run_can_be_watched_to_its_end(shop: Shop, hooked: Receiver) -> None:
    await shop.sell()
    before = len(hooked.received)
    begun = await shop.emu.control.post("clock/advance", json={"days": 95, "wait": False})
    assert begun.status_code == 202
    run = begun.json()
    seen = []
    while run["state"] == "running":
        answer = await shop.emu.control.get(f"clock/advance/{run['run']}", params={"seen": run["changes"], "wait": 20})
        run = answer.json()
        seen.append((run["at"], run["happenings"], run["deliveries"]))
    assert run["state"] == "done"
    assert run["hurried"] == 0
    assert (run["happenings"], run["deliveries"]) == (3, len(hooked.received) - before)
    assert seen == sorted(seen)
    assert run["from"] < run["to"] <= run["at"]


async def test_a_run_is_canceled_at_the_instant_reached(shop: Shop) -> None:
    await shop.sell()
    works = Works()
    async with works.following(shop.emu):
        works.hold()
        run = (await shop.emu.control.post("clock/advance", json={"days": 95, "wait": False})).json()["run"]
        await until(lambda: works.waiting == 1)
        works.permit()
        await until(lambda: works.waiting == 1 and at_days([works.clock.now()]) == [30])
        assert works.clock.traveling
        stopped = (await shop.emu.control.delete(f"clock/advance/{run}")).json()
        assert stopped["state"] == "canceled"
        assert at_days([datetime.fromisoformat(stopped["at"])]) == [30]
        assert stopped["happenings"] == 1
        works.permit(9)
        await until(lambda: not works.clock.traveling)
    again = (await shop.emu.control.delete(f"clock/advance/{run}")).json()
    assert again == stopped
    rest = await shop.emu.advance(days=65)
    assert rest["events"] == 2


async def test_unknown_runs_and_impossible_reports(emu: RunningEmulator) -> None:
    for method in ("GET", "DELETE"):
        assert (await emu.control.request(method, "clock/advance/run_7")).status_code == 404
    assert (await emu.control.get("clock", params={"step": "x"})).status_code == 400
    bad: list[dict[str, object]] = [
        {},
        {"follower": ""},
        {"follower": "a", "step": -1},
        {"follower": "a", "next_due": "2026-09-01T00:00:00"},
        {"follower": "a", "works": "yes"},
        {"follower": "a", "more": 1},
    ]
    for body in bad:
        assert (await emu.control.post("clock/report", json=body)).status_code == 400, body
    assert (await emu.control.post("clock/advance", json={"days": 1, "wait": 3})).status_code == 400
    assert emu.runtime.followers.working() == []


async def test_stopping_the_emulator_ends_a_run_that_is_watched() -> None:
    works = Works()
    async with running_emulator(EmulatorConfig(start=START)) as emu, works.following(emu):
        works.hold()
        run = (await emu.control.post("clock/advance", json={"days": 9, "wait": False})).json()
        await until(lambda: works.waiting == 1)
        watched = {"seen": run["changes"], "wait": 50}
        watching = asyncio.create_task(emu.control.get(f"clock/advance/{run['run']}", params=watched))
        # What the server does when it is told to stop.
        emu.runtime.runs.cancel()
        await emu.runtime.followers.release()
        await emu.runtime.runs.stop()
        async with asyncio.timeout(60):
            assert (await watching).json()["state"] == "canceled"
        assert at_days([emu.runtime.world.now()]) == [0]
        works.permit(9)
