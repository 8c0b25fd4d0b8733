"""Retries, dead letters, lanes, replay, retention; and what a killed worker leaves behind."""

import asyncio
import os
import signal
import sys
import textwrap
from datetime import timedelta

import pytest
from sqlalchemy import text

from quntedge.settings import Settings
from quntedge.webhooks import queries, replay, rules
from quntedge.webhooks.bodies import RETENTION
from quntedge.webhooks.replay import Filter
from tests.gateway import payloads
from tests.gateway.payloads import legacy_membership, native_membership, native_payment
from tests.webhooks.world import World, ours


async def test_a_gateway_in_trouble_is_asked_again_later_and_nothing_is_lost(world: World) -> None:
    world.whop.put("memberships", native_membership(**ours()))
    world.whop.outages = [500, 500, 500]
    await world.event("membership.activated", legacy_membership(**ours()), "msg_1", pinned=False)
    await world.work()
    event = await world.row("SELECT state, outcome, attempts, due_at FROM webhook_event")
    assert (event["state"], event["outcome"], event["attempts"]) == ("retrying", "gateway_unavailable", 1)
    assert timedelta(seconds=1) < event["due_at"] - world.clock.now() < timedelta(seconds=3)
    world.clock.set(event["due_at"])
    await world.work()
    assert (await world.row("SELECT status FROM subscription"))["status"] == "active"


async def test_eight_failures_make_a_dead_letter_that_a_replay_brings_back(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours(plan_id="plan_unknown")), "msg_1")
    for attempt in range(1, rules.MAX_ATTEMPTS + 1):
        await world.work()
        event = await world.row("SELECT state, outcome, attempts, due_at, error FROM webhook_event")
        assert event["attempts"] == attempt
        world.clock.set(max(world.clock.now(), event["due_at"]))
    assert (event["state"], event["outcome"]) == ("dead", "unknown_gateway_plan")
    assert "plan_unknown" in event["error"]
    assert await world.work() == 0

    async with world.runtime.units() as unit:
        (cause,) = await replay.causes(unit)
        assert (cause.state, cause.outcome, cause.count) == ("dead", "unknown_gateway_plan", 1)
        await unit.session.execute(text("UPDATE plan_price SET whop_plan_id = 'plan_unknown'"))
        assert await replay.replay(unit, Filter(outcome="unknown_gateway_plan")) == 1
        await unit.commit()
    await world.work()
    assert (await world.row("SELECT status FROM subscription"))["status"] == "active"


async def test_a_poisoned_event_harms_only_itself(world: World) -> None:
    for number in range(20):
        plan = "plan_unknown" if number == 7 else payloads.PLAN_ID
        membership = native_membership(id=f"mem_{number}", user_id=f"user_{number}", metadata={}, plan_id=plan)
        world.whop.put("memberships", membership)
        await world.event("membership.activated", membership, f"msg_{number}")
    await world.work()
    states = await world.states()
    assert states.pop("msg_7") == ("retrying", "unknown_gateway_plan")
    assert set(states.values()) == {("processed", "applied")}
    assert (await world.row("SELECT count(*) AS n FROM subscription")) == {"n": 19}


async def test_only_the_membership_in_trouble_waits(world: World) -> None:
    world.whop.outages = [500] * 3
    world.whop.put("memberships", native_membership(**ours()))
    await world.event("membership.activated", legacy_membership(**ours()), "msg_1", pinned=False)
    await world.work()
    await world.event("membership.updated", native_membership(**ours(cancel_at_period_end=True)), "msg_2")
    other = native_membership(id="mem_other", user_id="user_other", metadata={})
    world.whop.put("memberships", other)
    await world.event("membership.activated", other, "msg_3")
    await world.work()
    assert [state for state, _ in (await world.states()).values()] == ["retrying", "received", "processed"]
    world.clock.advance(timedelta(seconds=5))
    await world.work()
    assert {state for state, _ in (await world.states()).values()} == {"processed", "stale"} or {
        state for state, _ in (await world.states()).values()
    } == {"processed"}


async def test_two_workers_never_hold_the_same_membership(world: World) -> None:
    for number in range(6):
        await world.event("membership.updated", native_membership(**ours()), f"msg_{number}")
    async with world.runtime.units() as first, world.runtime.units() as second:
        now = world.clock.now()
        ours_now = await queries.claim_due(first, now, 2)
        theirs = await queries.claim_due(second, now, 10)
        assert len(ours_now) == 2
        assert theirs == []
        await first.rollback()
        await second.rollback()
        assert len(await queries.claim_due(second, now, 10)) == 6


async def test_many_workers_apply_everything_once(world: World) -> None:
    for number in range(120):
        membership = native_membership(id=f"mem_{number % 30}", user_id=f"user_{number % 30}", metadata={})
        membership["updated_at"] = f"2026-09-29T10:{15 + number // 30}:30.000Z"
        world.whop.put("memberships", membership)
        await world.event("membership.updated", membership, f"msg_{number}")
    worked = await asyncio.gather(*(world.work() for _ in range(4)))
    await world.work()
    assert sum(worked) <= 120 + 30
    assert {state for state, _ in (await world.states()).values()} <= {"processed", "stale"}
    counts = await world.row(
        "SELECT (SELECT count(*) FROM subscription) AS s, (SELECT count(*) FROM subscription_membership) AS m,"
        " (SELECT min(gateway_updated_at) = max(gateway_updated_at) FROM subscription_membership) AS newest"
    )
    assert counts == {"s": 30, "m": 30, "newest": True}


async def test_an_object_that_does_not_exist_is_parked_and_retried(world: World) -> None:
    await world.event("membership.activated", legacy_membership(**ours()), "msg_1", pinned=False)
    await world.work()
    assert (await world.states())["msg_1"] == ("retrying", "gateway_not_found")


async def test_bodies_go_after_ninety_days_and_webhook_ids_stay(world: World) -> None:
    maintain = world.runtime.bodies.maintain
    async with world.runtime.units() as unit:
        assert await maintain(unit) == 6
        await unit.commit()
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.work()
    partitions = await world.rows("SELECT tableoid::regclass::text AS name FROM webhook_body")
    assert partitions == [{"name": "webhook_body_2026w40"}]
    world.clock.advance(RETENTION + timedelta(days=8))
    async with world.runtime.units() as unit:
        await maintain(unit)
        await unit.commit()
    assert await world.rows("SELECT event_id FROM webhook_body") == []
    assert await world.rows("SELECT week FROM inbox_key") == []
    answer = await world.deliver(payloads.envelope("membership.activated", native_membership(), webhook_id="msg_1"))
    assert answer.status_code == 200
    assert await world.row("SELECT count(*) AS n FROM webhook_event") == {"n": 1}
    async with world.runtime.units() as unit:
        await replay.replay(unit, Filter(states=("processed",)))
        await unit.commit()
    await world.work()
    assert (await world.states())["msg_1"] == ("quarantined", "body_expired")


async def test_a_delivery_before_its_partition_stays_in_the_default_one_until_it_expires(world: World) -> None:
    where = "SELECT tableoid::regclass::text AS name FROM webhook_body"
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    async with world.runtime.units() as unit:
        assert await world.runtime.bodies.maintain(unit) == 5
        await unit.commit()
    assert await world.rows(where) == [{"name": "webhook_body_default"}]
    assert await world.work() == 1
    assert (await world.states())["msg_1"] == ("processed", "applied")
    world.clock.advance(RETENTION + timedelta(minutes=1))
    async with world.runtime.units() as unit:
        await world.runtime.bodies.maintain(unit)
        await unit.commit()
    assert await world.rows(where) == []


async def test_partitions_made_while_deliveries_arrive_lose_and_hide_nothing(world: World) -> None:
    async def make_partitions() -> None:
        for _ in range(20):
            world.clock.advance(timedelta(weeks=1))
            async with world.runtime.units() as unit:
                await world.runtime.bodies.maintain(unit)
                await unit.commit()

    async def deliver(number: int) -> None:
        membership = native_membership(id=f"mem_{number}", user_id=f"user_{number}", metadata={})
        world.whop.put("memberships", membership)
        await world.event("membership.activated", membership, f"msg_{number}")
        await world.work()

    making = asyncio.create_task(make_partitions())
    for start in range(0, 60, 6):
        await asyncio.gather(*(deliver(number) for number in range(start, start + 6)))
    await making
    await world.work()
    assert set((await world.states()).values()) == {("processed", "applied")}


async def test_history_cannot_be_rewritten(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.work()
    for statement in ("UPDATE subscription_event SET kind = 'x'", "DELETE FROM subscription_event"):
        async with world.runtime.units() as unit:
            with pytest.raises(Exception, match="never changed or deleted"):
                await unit.session.execute(text(statement))


KILLED = """
    import asyncio
    from quntedge.settings import load_settings
    from quntedge.storage.unit_of_work import UnitOfWork
    from quntedge.wiring import build

    async def main() -> None:
        settings = load_settings()
        runtime = build(settings, settings.database_url)

        async def hang_before_commit(unit):
            await unit.dispatch()
            print("claimed", flush=True)
            await asyncio.sleep(3600)

        UnitOfWork.commit = hang_before_commit
        await runtime.webhooks.process_due()

    asyncio.run(main())
"""


async def test_a_worker_killed_between_claim_and_commit_loses_and_doubles_nothing(
    world: World, settings: Settings, database_url: str
) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.event("payment.succeeded", native_payment(**ours()), "msg_2")
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "QUNTEDGE_SECRET_KEY": settings.secret_key.get_secret_value(),
        "QUNTEDGE_ENCRYPTION_KEYS": settings.encryption_keys.get_secret_value(),
        "WHOP_ENVIRONMENT": "custom",
        "WHOP_BASE_URL": world.whop.url,
        "WHOP_API_KEY": "test-key",
        "WHOP_ACCOUNT_ID": payloads.ACCOUNT_ID,
        "WHOP_WEBHOOK_SECRETS": payloads.SECRET,
    }
    # Its clock is the real one; the events must be due by it.
    async with world.runtime.units() as unit:
        await unit.session.execute(text("UPDATE webhook_event SET due_at = '2020-01-01T00:00:00Z'"))
        await unit.commit()
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(KILLED), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"claimed\n"
    # While it holds them, nobody else gets them.
    assert await world.work() == 0
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    for _ in range(100):
        if await world.work():
            break
        await asyncio.sleep(0.05)  # until PostgreSQL has noticed that the connection is gone
    assert set((await world.states()).values()) == {("processed", "applied")}
    counts = await world.row(
        "SELECT (SELECT count(*) FROM subscription) AS s, (SELECT count(*) FROM subscription_event) AS e,"
        " (SELECT count(*) FROM payment_transaction) AS t, (SELECT count(*) FROM invoice) AS i,"
        " (SELECT max(last_number) FROM invoice_counter) AS n, (SELECT count(*) FROM notification) AS m"
    )
    assert counts == {"s": 1, "e": 2, "t": 1, "i": 1, "n": 1, "m": 2}


async def test_a_batch_on_both_sides_of_a_week_can_be_opened(world: World) -> None:
    inbox = world.runtime.inbox
    documents = [payloads.envelope("nobody.knows", {}, webhook_id=f"msg_{n}") for n in range(3)]
    deliveries = []
    for number, document in enumerate(documents):
        deliveries.append(inbox._delivery(f"msg_{number}", payloads.body_of(document)))
        world.clock.advance(timedelta(weeks=1))
    assert await inbox._store(deliveries) == [True, True, True]
    # Another process, without this one's keys.
    world.runtime.bodies._keys.clear()
    await world.work()
    assert set((await world.states()).values()) == {("ignored", "unknown_type")}


async def test_an_error_nobody_expected_costs_only_its_own_event_an_attempt(world: World) -> None:
    world.whop.put("memberships", native_membership(**ours()))
    broken = world.whop.put("memberships", native_membership(**ours(id="mem_broken")))
    await world.event("membership.activated", legacy_membership(**ours()), "msg_1", pinned=False)
    await world.event("membership.activated", legacy_membership(**ours(id="mem_broken")), "msg_2", pinned=False)
    read = world.runtime.gateway.membership

    async def sometimes(membership_id: str) -> object:
        if membership_id == broken["id"]:
            raise LookupError("nobody maps this")
        return await read(membership_id)

    world.runtime.gateway.membership = sometimes  # type: ignore[method-assign, assignment]
    await world.work()
    assert await world.states() == {"msg_1": ("processed", "applied"), "msg_2": ("retrying", "LookupError")}


async def test_a_late_failure_does_not_undo_what_somebody_else_finished(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    async with world.runtime.units() as unit:
        (claimed,) = await queries.claim_due(unit, world.clock.now(), 10)
        await unit.rollback()
    await world.work()
    await world.runtime.webhooks._record_failure(claimed, TimeoutError())
    assert await world.states() == {"msg_1": ("processed", "applied")}


async def test_being_told_to_wait_is_no_failed_attempt(world: World) -> None:
    world.whop.put("memberships", native_membership(**ours()))
    world.whop.outages = [429] * 3
    await world.event("membership.activated", legacy_membership(**ours()), "msg_1", pinned=False)
    await world.work()
    event = await world.row("SELECT state, attempts, outcome FROM webhook_event")
    assert event == {"state": "retrying", "attempts": 0, "outcome": "gateway_rate_limited"}
