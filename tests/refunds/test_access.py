"""What a full refund does to access is what the plan says, and nothing by itself."""

import pytest

from quntedge.kit.money import Money
from quntedge.subscriptions.rebuild import Rebuild
from tests.refunds.world import Payer, World


async def with_policy(world: World, policy: str, plan: str = "quarterly") -> None:
    async with world.runtime.units() as unit:
        connection = await unit.driver_connection()
        await connection.execute(
            "UPDATE plan SET rules = jsonb_set(rules, '{refund}', jsonb_build_object('access', %s::text))"
            " WHERE code = %s",
            (policy, plan),
        )
        await unit.commit()


async def standing(world: World, payer: Payer) -> tuple[str, bool]:
    """The subscription's status, and whether it is to end with its period."""
    await world.work()
    query = "SELECT status, cancel_at_period_end FROM subscription WHERE user_id = :id"
    (row,) = await world.rows(query, id=payer.user_id)
    return row["status"], row["cancel_at_period_end"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("keep", ("active", False)), ("end_of_period", ("active", True)), ("revoke", ("canceled", False))],
)
async def test_the_plan_decides(world: World, policy: str, expected: tuple[str, bool]) -> None:
    await with_policy(world, policy)
    payer = await world.buy()
    await world.give(payer, Money(7499, "usd"))
    assert await standing(world, payer) == ("active", False), "a part of it ends nothing"
    await world.give(payer, Money(1, "usd"))
    assert await standing(world, payer) == expected
    membership = await world.runtime.gateway.membership(payer.membership_id)
    assert (membership.status.value, membership.cancel_at_period_end) == expected
    entries = await world.rows("SELECT kind, after FROM subscription_event WHERE kind LIKE 'payment.%' ORDER BY id")
    assert [(row["kind"], row["after"]["refund"]["refunded_minor"]) for row in entries] == [
        ("payment.partially_refunded", 7499),
        ("payment.refunded", 7500),
    ]
    rebuild = Rebuild(world.runtime.engine, world.runtime.units)
    assert [finding async for portion in rebuild.verify() for finding in portion.findings] == []


async def test_what_was_bought_for_good_ends_at_once(world: World) -> None:
    await with_policy(world, "revoke", "lifetime")
    payer = await world.buy("lifetime")
    await world.give(payer)
    assert (await standing(world, payer))[0] == "canceled"


async def test_a_refund_made_at_the_gateway_counts_as_well(world: World) -> None:
    await with_policy(world, "revoke")
    payer = await world.buy()
    await world.runtime.gateway.refund_payment(payer.payment_id, amount=None, metadata={}, idempotency_key="dashboard")
    await world.settles(payer)
    assert (await standing(world, payer))[0] == "canceled"


async def test_an_old_payment_that_is_given_back_ends_nothing(world: World) -> None:
    await with_policy(world, "revoke")
    payer = await world.buy()
    await world.emulator.advance(days=91)
    world.clock.set(world.clock.now().replace(month=12))
    await world.hear(payer.membership_id)
    assert await world.rows("SELECT id FROM payment_transaction WHERE total_minor > 0 AND paid_at IS NOT NULL") != []
    await world.give(payer)
    assert (await standing(world, payer))[0] == "active"


async def test_a_cancellation_that_is_under_way_goes_first(world: World) -> None:
    """Its wish is kept until the gateway has answered to it; then the refund's end takes its place."""
    await with_policy(world, "revoke")
    payer = await world.buy()
    await world.emulator.faults(fault="error_before", match="POST /memberships/*/cancel")
    await world.runtime.services.cancellations.service.cancel(payer.user_id, key="can_1")
    await world.give(payer)
    states = "SELECT state FROM cancellation ORDER BY requested_at, id"
    assert [row["state"] for row in await world.rows(states)] == ["requested"]
    await world.emulator.disarm()
    await world.pass_by(minutes=1)
    await world.pass_by(minutes=1)
    assert (await standing(world, payer))[0] == "canceled"
    assert [row["state"] for row in await world.rows(states)] == ["replaced", "done"]


async def test_what_is_canceled_already_stays_as_it_is(world: World) -> None:
    await with_policy(world, "end_of_period")
    payer = await world.buy()
    service = world.runtime.services.cancellations.service
    await service.cancel(payer.user_id, key="can_1")
    await world.give(payer)
    assert await standing(world, payer) == ("active", True)
    assert len(await world.rows("SELECT id FROM cancellation")) == 1
