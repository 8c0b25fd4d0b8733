"""Intake and worker do not hang on what else is slow."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from sqlalchemy import text
from structlog.testing import capture_logs

from quntedge.webhooks import rules
from quntedge.webhooks.worker import InboxWorker
from tests.gateway import payloads
from tests.gateway.payloads import legacy_membership, native_membership
from tests.webhooks.world import World, ours


async def test_a_delivery_is_taken_while_all_other_connections_are_held(world: World) -> None:
    document = payloads.envelope("membership.activated", native_membership(**ours()), webhook_id="msg_1")
    async with AsyncExitStack() as held:
        for _ in range(world.runtime.settings.pool_size):
            await held.enter_async_context(world.runtime.engine.connect())
        async with asyncio.timeout(60):
            assert (await world.deliver(document)).status_code == 200
    assert await world.row("SELECT count(*) AS n FROM webhook_event") == {"n": 1}


async def test_closing_lets_go_of_the_connections_of_the_intake(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    pool = world.runtime.inbox_engine.pool
    assert pool.status() != (empty := pool.recreate()).status()
    await world.runtime.close()
    assert world.runtime.inbox_engine.pool.status() == empty.status()


async def test_a_batch_that_has_to_wait_does_not_hold_up_other_memberships(world: World) -> None:
    names = [{"id": f"mem_{number}", "user_id": f"user_{number}"} for number in range(2)]
    for number, name in enumerate(names):
        world.whop.put("memberships", native_membership(**name))
        await world.event("membership.activated", native_membership(**name), f"msg_{number}")
    await world.work()
    worker = InboxWorker(world.runtime.webhooks, poll=timedelta(milliseconds=5), pace=timedelta(milliseconds=5))
    stop = asyncio.Event()
    later = {"cancel_at_period_end": True, "updated_at": "2026-09-29T10:15:35Z"}
    async with asyncio.timeout(60), world.runtime.units() as unit:
        await unit.session.execute(text("SELECT 1 FROM subscription WHERE whop_membership_id = 'mem_0' FOR UPDATE"))
        running = asyncio.create_task(worker.run(stop))
        await world.event("membership.updated", native_membership(**names[0], **later), "msg_held")
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not await world.rows(waits):
            await asyncio.sleep(0.005)
        await world.event("membership.updated", native_membership(**names[1], **later), "msg_free")
        worker.wake()
        while (await world.states())["msg_free"][0] != "processed":
            await asyncio.sleep(0.005)
        assert (await world.states())["msg_held"][0] != "processed"
        stop.set()
    async with asyncio.timeout(60):
        await running
    assert {state for state, _ in (await world.states()).values()} == {"processed"}


async def test_a_stopping_worker_does_not_wait_for_a_gateway_that_does_not_answer(world: World) -> None:
    async with asyncio.timeout(60):
        await _stop_while_reading(world)
    # Nothing of it is left to wait for, and nothing is lost: when the lease ends, the events are read again.
    async with asyncio.timeout(60):
        await world.runtime.webhooks.settle_readings()
    world.whop.answering.set()
    assert await world.work() == 0
    world.clock.advance(rules.LEASE)
    assert await world.work() == 2
    assert {state for state, _ in (await world.states()).values()} == {"processed"}


async def _stop_while_reading(world: World) -> None:
    """Two events are away, each in a reading of its own, when the worker is told to stop."""
    world.whop.answering.clear()
    worker = InboxWorker(world.runtime.webhooks, poll=timedelta(milliseconds=5), patience=timedelta(milliseconds=50))
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(worker.run(stop))
        for number in range(2):
            name = {"id": f"mem_{number}", "user_id": f"user_{number}"}
            world.whop.put("memberships", native_membership(**name))
            await world.event("membership.activated", legacy_membership(**name), f"msg_{number}", pinned=False)
            while len(world.whop.reads) <= number:
                await asyncio.sleep(0.005)
        stop.set()
        async with asyncio.timeout(60):
            await running
    assert [entry["event"] for entry in logs].count("inbox.readings_broken_off") == 1
