"""Pausing and resuming at the real emulator: what is charged, what is told, and what a crash leaves."""

import contextlib
from collections.abc import Callable, Coroutine
from datetime import timedelta

import pytest
from sqlalchemy import text

from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.pauses import errors
from quntedge.processes.runner import HANDOVER
from tests.pauses.world import World
from tests.processes.world import Killed

_HISTORY = text(
    "SELECT after ->> 'status' AS status, after ->> 'paused_at' IS NOT NULL AS paused FROM subscription_event"
    " WHERE after ? 'status' ORDER BY id"
)


async def test_a_timed_pause_collects_nothing_and_ends_by_itself(world: World) -> None:
    await world.buy()
    end = (await world.row("subscription"))["period_end"]
    view = await world.service.pause(world.user_id, days=45)
    subscription = await world.row("subscription")
    assert (view.state, subscription["status"]) == ("running", "paused")
    assert view.access_until == subscription["pause_access_until"] == end
    assert view.charge_at == view.resume_at == subscription["resume_at"]
    await world.advance(days=44)
    await world.hear()
    assert (await world.row("subscription"))["status"] == "paused"
    assert await world.paid_amounts() == [2900]
    await world.advance(days=2)
    await world.hear()
    subscription, pause = await world.row("subscription"), await world.row("pause")
    assert (subscription["status"], pause["state"], pause["ended_by"]) == ("active", "ended", "whop")
    assert subscription["paused_at"] is None
    assert await world.paid_amounts() == [2900, 2900]
    assert view.resume_at is not None
    assert subscription["period_end"] == view.resume_at + timedelta(days=30)
    assert world.told() == ["PauseBegan", "PauseEnded"]


async def test_an_open_pause_lasts_until_it_is_resumed_and_the_paid_time_is_not_lost(world: World) -> None:
    await world.buy(pause_access="keep")
    end = (await world.row("subscription"))["period_end"]
    view = await world.service.pause(world.user_id)
    assert (view.state, view.resume_at, view.access_until, view.charge_at) == ("running", None, None, None)
    await world.advance(days=10)
    resumed = await world.service.resume(world.user_id)
    assert (resumed.state, resumed.charge_at) == ("ended", end)
    pause = await world.row("pause")
    assert pause["ended_by"] == f"customer:{world.user_id}"
    await world.advance(days=15)
    assert await world.paid_amounts() == [2900]
    await world.advance(days=6)
    assert await world.paid_amounts() == [2900, 2900]
    with pytest.raises(errors.NotPaused):
        await world.service.resume(world.user_id)
    assert world.told() == ["PauseBegan", "PauseEnded"]


async def test_the_history_says_when_it_was_paused_and_when_it_was_not(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=10)
    await world.service.resume(world.user_id)
    async with world.units() as unit:
        found = await unit.session.execute(_HISTORY)
        history = [(row.status, row.paused) for row in found]
    assert history[:2] == [("active", False), ("paused", True)]
    assert history[-1] == ("active", False)


async def test_the_same_wish_twice_is_one_pause(world: World) -> None:
    await world.buy()
    first = await world.service.pause(world.user_id, days=20)
    assert await world.service.pause(world.user_id, days=20) == first
    with pytest.raises(errors.AlreadyPaused):
        await world.service.pause(world.user_id, days=21)
    assert world.acts.calls == ["pause"]


async def test_what_is_set_to_end_or_is_a_trial_is_not_paused(world: World) -> None:
    await world.buy(trial_days=7)
    with pytest.raises(errors.PauseInTrial):
        await world.service.pause(world.user_id, days=20)
    await world.advance(days=8)
    await world.gateway.cancel_membership(world.membership_id, at_period_end=True, idempotency_key="cancel")
    await world.hear()
    with pytest.raises(errors.PauseWhileCancelling):
        await world.service.pause(world.user_id, days=20)
    with pytest.raises(errors.NothingToPause):
        await world.service.pause("usr_nobody", days=20)
    assert world.acts.calls == []


async def test_a_refusal_of_the_gateway_changes_nothing(world: World) -> None:
    await world.buy()
    # Ended there, and nobody has told us yet.
    await world.gateway.cancel_membership(world.membership_id, at_period_end=False, idempotency_key="cancel")
    with pytest.raises(errors.PauseRefused):
        await world.service.pause(world.user_id, days=20)
    pause = await world.row("pause")
    assert (pause["state"], (await world.row("subscription"))["status"]) == ("failed", "active")
    assert world.told() == []


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("killed", "before pause"),
        ("killed", "after pause"),
        ("killed", "before resume"),
        ("killed", "after resume"),
        ("unknown", "after pause"),
        ("unknown", "after resume"),
    ],
)
async def test_cut_off_anywhere_it_ends_right(world: World, kind: str, point: str) -> None:
    await world.buy()
    world.acts.trouble = _once(point, Killed() if kind == "killed" else GatewayOutcomeUnknown("cut off"))
    await _survived(world, world.service.pause(world.user_id, days=20))
    assert (await world.row("pause"))["state"] == "running"
    assert (await world.row("subscription"))["status"] == "paused"
    await _survived(world, world.service.resume(world.user_id))
    assert (await world.row("pause"))["state"] == "ended"
    assert (await world.row("subscription"))["status"] == "active"
    assert world.told() == ["PauseBegan", "PauseEnded"]
    assert (await world.gateway.membership(world.membership_id)).paused is False


async def _survived(world: World, act: Coroutine[None, None, object]) -> None:
    """Does it, and after a crash lets another process take over."""
    with contextlib.suppress(Killed):
        await act
    world.clock.advance(HANDOVER)
    await world.processes.resume_due()


def _once(point: str, error: BaseException) -> Callable[[str], None]:
    reached: list[str] = []

    def trouble(here: str) -> None:
        if here == point and not reached:
            reached.append(here)
            raise error

    return trouble
