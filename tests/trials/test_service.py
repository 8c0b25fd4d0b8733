"""Trials from start to end, and the one reminder of each end."""

from datetime import timedelta

import pytest

from quntedge.gateway.port import MembershipStatus
from tests.conftest import START
from tests.trials.world import TRIAL, World

DAY = timedelta(days=1)
DUE = START + TRIAL - 3 * DAY


async def in_trial(world: World) -> None:
    await world.customer("mem_1", "kim@example.org")
    await world.hear(world.trial())


async def test_our_own_reminder_comes_when_the_gateway_says_nothing(world: World) -> None:
    await in_trial(world)
    assert await world.sweep(DUE - timedelta(seconds=1)) == 0
    assert await world.sweep(DUE) == 1
    assert [(e.membership_id, e.trial_end) for e in world.endings] == [("mem_1", START + TRIAL)]
    assert await world.sweep(DUE + DAY) == 0


@pytest.mark.parametrize("first", ["gateway", "sweep"])
async def test_whoever_comes_first_the_end_is_told_once(world: World, first: str) -> None:
    await in_trial(world)
    world.clock.set(DUE)
    for turn in (first, "gateway", "sweep", "gateway"):
        if turn == "gateway":
            await world.announced()
        else:
            await world.sweep(DUE)
    assert len(world.endings) == 1
    world.clock.advance(timedelta(minutes=1))
    await world.hear(world.trial())
    assert (await world.rows("trial"))[0]["remind_at"] is None


async def test_a_longer_trial_is_announced_again_and_a_slightly_longer_one_is_not(world: World) -> None:
    await in_trial(world)
    await world.sweep(DUE)
    world.clock.advance(timedelta(minutes=1))
    await world.hear(world.trial(period_end=START + TRIAL + timedelta(hours=5)))
    assert (await world.rows("trial"))[0]["remind_at"] is None
    world.clock.advance(timedelta(minutes=1))
    await world.hear(world.trial(period_end=START + TRIAL + 10 * DAY))
    assert await world.sweep(DUE + 10 * DAY) == 1
    assert [e.trial_end - START for e in world.endings] == [TRIAL, TRIAL + 10 * DAY]


async def test_whoever_has_cancelled_is_not_told_of_a_charge_until_they_come_back(world: World) -> None:
    await in_trial(world)
    world.clock.advance(DAY)
    await world.hear(world.trial(cancel_at_period_end=True))
    await world.announced()
    assert await world.sweep(DUE) == 0
    assert world.endings == []
    world.clock.advance(timedelta(hours=1))
    await world.hear(world.trial())
    assert await world.sweep(world.clock.now()) == 1
    assert len(world.endings) == 1


async def test_a_trial_converts_once_it_is_paid_time(world: World) -> None:
    await in_trial(world)
    world.clock.set(START + TRIAL)
    await world.hear(world.paid())
    (trial,) = await world.rows("trial")
    assert (trial["state"], trial["ended_at"], trial["remind_at"]) == ("converted", START + TRIAL, None)
    await world.announced()
    assert world.endings == []


async def test_a_trial_that_is_cancelled_ends_as_a_trial(world: World) -> None:
    await in_trial(world)
    world.clock.set(START + TRIAL)
    ended = world.trial(status=MembershipStatus.CANCELED, raw_status="canceled", canceled_at=START + DAY)
    await world.hear(ended)
    (trial,) = await world.rows("trial")
    assert trial["state"] == "ended"
    assert await world.sweep(START + TRIAL) == 0


async def test_what_never_was_a_trial_leaves_no_trace(world: World) -> None:
    await world.customer("mem_1", "kim@example.org")
    await world.hear(world.paid())
    assert await world.rows("trial") == []


async def test_many_at_once(world: World) -> None:
    for number in range(1, 6):
        await world.customer(f"mem_{number}", f"kim{number}@example.org")
    await world.hear(*(world.trial(f"mem_{number}") for number in range(1, 6)))
    world.clock.advance(DAY)
    await world.hear(world.paid("mem_1"), world.trial("mem_2", cancel_at_period_end=True), world.trial("mem_3"))
    assert await world.sweep(DUE) == 3
    assert sorted(e.membership_id for e in world.endings) == ["mem_3", "mem_4", "mem_5"]
