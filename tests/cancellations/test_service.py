"""Canceling, taking it back, and canceling again, at a real gateway."""

import asyncio

import pytest
from sqlalchemy import delete, select

from quntedge.cancellations.errors import (
    CancellationRefused,
    NothingRenews,
    NothingToCancel,
    NothingToResume,
    OnlyAtOnce,
    ResumeRefused,
)
from quntedge.cancellations.models import Cancellation
from quntedge.cancellations.queries import CancellationView
from quntedge.cancellations.rules import Timing
from quntedge.cancellations.service import new_cancellation_id
from quntedge.gateway.errors import GatewayRejected, GatewayUnavailable
from quntedge.processes.models import Process
from quntedge.processes.runner import ProcessRunning
from tests.cancellations.world import Buyer, World, no_trouble, once

_FEEDBACK = select(Cancellation.feedback)
_FORGET = delete(Cancellation)


async def cancel(world: World, buyer: Buyer, when: Timing | None = None, **answers: str) -> CancellationView:
    key = new_cancellation_id(world.clock.now())
    return await world.cancellations.service.cancel(buyer.user_id, key=key, when=when, **answers)


async def test_at_the_periods_end_it_can_be_undone_and_made_again(world: World) -> None:
    kim = await world.buy()
    end = (await world.subscription(kim))["period_end"]
    first = await cancel(world, kim)
    assert (first.state, first.timing, first.access_until, first.undo_until) == ("scheduled", "period_end", end, end)
    assert (await world.at_gateway(kim)).cancel_at_period_end
    assert (await world.subscription(kim))["status"] == "active"

    undone = await world.cancellations.service.resume(kim.user_id)
    assert (undone.id, undone.state, undone.undo_until) == (first.id, "undone", None)
    assert not (await world.at_gateway(kim)).cancel_at_period_end
    assert await world.cancellations.service.resume(kim.user_id) == undone

    second = await cancel(world, kim)
    assert second.id != first.id
    await world.advance(days=91)
    await world.hear_of(kim.membership_id)
    assert await world.states(kim) == ["undone", "done"]
    (row,) = await world.rows("SELECT ended_at FROM cancellation WHERE id = :id", id=second.id)
    assert row["ended_at"] == end
    assert world.told(kim) == [
        "CancellationRequested",
        "CancellationScheduled",
        "CancellationWithdrawn",
        "CancellationUndone",
        "CancellationRequested",
        "CancellationScheduled",
    ]
    with pytest.raises(NothingToResume):
        await world.cancellations.service.resume(kim.user_id)
    with pytest.raises(NothingToCancel):
        await cancel(world, kim)
    actors = await world.rows("SELECT kind, actor FROM subscription_event WHERE kind LIKE '%cancellation%' ORDER BY id")
    assert {row["actor"] for row in actors} == {f"customer:{kim.user_id}"}


async def test_now_ends_it_at_once_also_where_the_end_was_scheduled(world: World) -> None:
    kim = await world.buy()
    await cancel(world, kim)
    done = await cancel(world, kim, Timing.NOW)
    subscription = await world.subscription(kim)
    assert (done.state, done.ended_at) == ("done", subscription["ended_at"])
    assert subscription["status"] == "canceled"
    assert await world.states(kim) == ["replaced", "done"]
    assert (await world.at_gateway(kim)).raw_status == "canceled"


async def test_repeating_is_harmless(world: World) -> None:
    kim = await world.buy()
    first = await cancel(world, kim)
    assert await cancel(world, kim) == first
    assert await cancel(world, kim, Timing.PERIOD_END) == first
    same_key = await world.cancellations.service.cancel(kim.user_id, key=first.id)
    assert same_key == first
    both = await asyncio.gather(*(world.cancellations.service.resume(kim.user_id) for _ in range(2)))
    assert {view.id for view in both} == {first.id}
    assert world.cut.count("cancel_membership") == 1
    lou = await world.buy()
    clicks = await asyncio.gather(cancel(world, lou), cancel(world, lou))
    assert clicks[0].id == clicks[1].id
    assert await world.states(lou) == ["scheduled"]
    assert world.told(lou) == ["CancellationRequested", "CancellationScheduled"]


async def test_what_cannot_be_canceled_says_why(world: World) -> None:
    with pytest.raises(NothingToCancel):
        await world.cancellations.service.cancel("usr_nobody", key="can_1")
    lifetime = await world.buy("lifetime")
    with pytest.raises(NothingRenews, match="yours for good"):
        await cancel(world, lifetime)
    with pytest.raises(NothingRenews):
        await world.cancellations.service.preview(lifetime.user_id)
    active = await world.buy()
    with pytest.raises(NothingToResume, match="renews as usual"):
        await world.cancellations.service.resume(active.user_id)
    assert world.cut.calls == []


async def test_a_trial_ends_with_the_trial_and_nothing_is_charged(world: World) -> None:
    kim = await world.buy("monthly")
    preview = await world.cancellations.service.preview(kim.user_id)
    trial_end = (await world.subscription(kim))["trial_end"]
    assert (preview.status, preview.options[0].access_until) == ("trialing", trial_end)
    await cancel(world, kim)
    await world.advance(days=8)
    await world.hear_of(kim.membership_id)
    assert (await world.subscription(kim))["status"] == "canceled"
    assert await world.rows("SELECT id FROM payment_transaction WHERE total_minor > 0") == []
    assert await world.states(kim) == ["done"]


async def test_past_due_can_only_end_at_once(world: World) -> None:
    kim = await world.buy(card="4000000000000341")
    await world.advance(days=91)
    await world.hear_of(kim.membership_id)
    assert (await world.subscription(kim))["status"] == "past_due"
    preview = await world.cancellations.service.preview(kim.user_id)
    assert [option.timing for option in preview.options] == ["now"]
    with pytest.raises(OnlyAtOnce):
        await cancel(world, kim, Timing.PERIOD_END)
    assert (await cancel(world, kim)).state == "done"


async def test_the_survey_is_kept_sealed_and_only_the_code_leaves_the_house(world: World) -> None:
    kim = await world.buy()
    await cancel(world, kim, reason="missing_features", feedback="  I am Kim and I need charts.  ")
    (row,) = await world.rows("SELECT id, reason, feedback FROM cancellation")
    assert row["reason"] == "missing_features"
    assert b"charts" not in bytes(row["feedback"])
    async with world.units() as unit:
        cipher = await world.vault.cipher(unit.session, kim.user_id)
        stored = await unit.session.scalar(_FEEDBACK)
    assert cipher.open("cancellation", "feedback", row["id"], stored) == "I am Kim and I need charts."
    membership = world.emulator.runtime.world.store.tables.memberships[kim.membership_id]
    assert membership.cancellation_reason == "missing_features"


async def test_a_cancellation_in_the_gateways_portal_is_kept_and_confirmed_as_well(world: World) -> None:
    kim = await world.buy()
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=True, idempotency_key="portal")
    for _ in range(2):
        await world.hear_of(kim.membership_id)
    assert await world.states(kim) == ["scheduled"]
    await world.gateway.keep_membership(kim.membership_id)
    await world.hear_of(kim.membership_id)
    assert await world.states(kim) == ["undone"]
    assert world.told(kim) == ["CancellationScheduled", "CancellationUndone"]


async def test_what_a_plan_change_lets_run_out_is_no_cancellation(world: World) -> None:
    kim = await world.buy()
    now = world.clock.now()
    async with world.units() as unit:
        unit.session.add(
            Process(
                id="prc_change",
                kind="plan_change",
                subject_id=kim.subscription_id,
                user_id=kim.user_id,
                state="running",
                step="wait",
                data={},
                due_at=now,
                created_at=now,
                updated_at=now,
            )
        )
        await unit.commit()
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=True, idempotency_key="change")
    await world.hear_of(kim.membership_id)
    assert (await world.subscription(kim))["cancel_at_period_end"] is True
    assert await world.states(kim) == []
    # Whoever takes it back anyway is told by the plan change that the plan goes on, and not a second time.
    assert (await world.cancellations.service.resume(kim.user_id)).state == "undone"
    assert world.told(kim) == ["CancellationWithdrawn"]


async def test_the_delivery_may_be_faster_than_our_own_answer(world: World) -> None:
    kim = await world.buy()
    heard = asyncio.Event()
    cancel_membership = world.cut.cancel_membership

    async def slow(*args: object, **options: object) -> object:
        answer = await cancel_membership(*args, **options)
        await world.hear_of(kim.membership_id)
        heard.set()
        return answer

    world.cut.cancel_membership = slow
    view = await cancel(world, kim)
    assert heard.is_set()
    assert view.state == "scheduled"
    assert world.told(kim) == ["CancellationRequested", "CancellationScheduled"]


async def test_a_refusal_changes_nothing_and_the_former_plan_stands(world: World) -> None:
    kim = await world.buy()
    world.cut.trouble = once("before cancel_membership", GatewayRejected("no"))
    with pytest.raises(CancellationRefused):
        await cancel(world, kim)
    assert await world.states(kim) == ["failed"]
    assert (await world.subscription(kim))["cancel_at_period_end"] is False
    await cancel(world, kim)
    world.cut.trouble = once("before cancel_membership", GatewayRejected("no"))
    with pytest.raises(CancellationRefused):
        await cancel(world, kim, Timing.NOW)
    assert await world.states(kim) == ["failed", "scheduled", "failed"]
    assert world.told(kim).count("CancellationScheduled") == 1
    world.cut.trouble = once("before keep_membership", GatewayRejected("no"))
    with pytest.raises(ResumeRefused):
        await world.cancellations.service.resume(kim.user_id)
    assert (await world.states(kim))[1] == "scheduled"


async def test_what_ended_there_meanwhile_is_no_refusal(world: World) -> None:
    kim = await world.buy()
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=False, idempotency_key="portal")
    assert (await cancel(world, kim, Timing.NOW)).state == "done"
    lou = await world.buy()
    await cancel(world, lou)
    await world.gateway.cancel_membership(lou.membership_id, at_period_end=False, idempotency_key="portal-2")
    with pytest.raises(ResumeRefused):
        await world.cancellations.service.resume(lou.user_id)
    assert await world.states(lou) == ["done"]


async def test_while_the_gateway_is_away_the_wish_is_kept_and_nothing_else_begins(world: World) -> None:
    kim = await world.buy()

    def away(point: str) -> None:
        raise GatewayUnavailable("away")

    world.cut.trouble = away
    waiting = await cancel(world, kim)
    assert (waiting.state, waiting.undo_until) == ("requested", None)
    with pytest.raises(ProcessRunning):
        await world.cancellations.service.resume(kim.user_id)
    with pytest.raises(ProcessRunning):
        await cancel(world, kim, Timing.NOW)
    assert await cancel(world, kim) == waiting
    world.cut.trouble = no_trouble
    again = await cancel(world, kim)
    assert (again.id, again.state) == (waiting.id, "scheduled")


async def test_a_flag_without_a_record_can_be_taken_back(world: World) -> None:
    """As left by a version that kept no cancellations."""
    kim = await world.buy()
    await cancel(world, kim)
    async with world.units() as unit:
        await unit.session.execute(_FORGET)
        await unit.commit()
    assert (await world.cancellations.service.resume(kim.user_id)).state == "undone"
    assert (await world.subscription(kim))["cancel_at_period_end"] is False
