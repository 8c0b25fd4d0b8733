"""What deliveries about trials lead to, in whichever order they come."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from quntedge.settings import Settings
from tests.gateway.objects import money, native_membership, native_payment
from tests.webhooks.world import World, open_world, ours

END = "2026-10-06T10:15:20.000Z"
NEXT_END = "2026-11-05T10:15:20.000Z"
TRIAL = ours(status="trialing", current_period_end=END)


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    async with open_world(settings, database_url) as opened:
        yield opened


async def kinds(world: World) -> list[str]:
    return [row["kind"] for row in await world.rows("SELECT kind FROM notification ORDER BY created_at, id")]


async def test_the_gateway_announces_an_end_and_repeats_itself(world: World) -> None:
    await world.event("membership.activated", native_membership(**TRIAL), "msg_1")
    await world.work()
    for webhook_id in ("msg_2", "msg_3"):
        await world.event("membership.trial_ending_soon", native_membership(**TRIAL), webhook_id)
        await world.work()
    assert await kinds(world) == ["trial_started", "trial_ending"]
    world.clock.advance(timedelta(days=20))
    async with world.runtime.units() as unit:
        assert await world.runtime.trials.remind(unit, world.clock.now()) == 0
        await unit.commit()
    assert len(await kinds(world)) == 2


async def test_an_announcement_is_all_we_need_to_know_of_a_trial(world: World) -> None:
    """The first delivery about a membership may be the announcement; what came before was lost or is late."""
    await world.event("membership.trial_ending_soon", native_membership(**TRIAL), "msg_1")
    await world.work()
    assert sorted(await kinds(world)) == ["trial_ending", "trial_started"]


async def test_an_announcement_that_has_to_be_read_first_is_not_forgotten(world: World) -> None:
    trial = native_membership(**TRIAL)
    world.whop.objects["memberships"] = {trial["id"]: trial}
    await world.event("membership.trial_ending_soon", trial | {"updated_at": None}, "msg_1")
    await world.work()
    await world.runtime.webhooks.settle_readings()
    assert sorted(await kinds(world)) == ["trial_ending", "trial_started"]


@pytest.mark.parametrize("first", ["membership", "payment"])
async def test_a_conversion_gets_one_mail_in_either_order(world: World, first: str) -> None:
    await world.event("membership.activated", native_membership(**TRIAL), "msg_1")
    await world.work()
    later = {"updated_at": "2026-10-06T10:15:40.000Z"}
    active = native_membership(current_period_start=END, current_period_end=NEXT_END, **later)
    paid = native_payment(billing_reason="subscription_cycle", paid_at="2026-10-06T10:15:30.000Z", **later)
    news = [("membership.updated", active, "msg_2"), ("payment.succeeded", paid, "msg_3")]
    for event_type, data, webhook_id in news if first == "membership" else reversed(news):
        await world.event(event_type, data, webhook_id)
        await world.work()
    assert await kinds(world) == ["trial_started", "trial_converted"]
    again = native_payment(
        id="pay_next",
        billing_reason="subscription_cycle",
        total=money("29.00"),
        paid_at="2026-11-05T10:15:30.000Z",
        updated_at="2026-11-05T10:15:30.000Z",
    )
    await world.event("payment.succeeded", again, "msg_4")
    await world.work()
    assert await kinds(world) == ["trial_started", "trial_converted", "renewal_paid"]
    (trial,) = await world.rows("SELECT state, transaction_id FROM trial")
    (first_payment,) = await world.rows("SELECT id FROM payment_transaction ORDER BY paid_at LIMIT 1")
    assert trial == {"state": "converted", "transaction_id": first_payment["id"]}
