"""Taking a contract back within fourteen days: received, confirmed, ended, and what is owed waits for staff."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from quntedge.cancellations.errors import (
    InvalidStatement,
    NothingToWithdraw,
    OtherContract,
    WithdrawalPeriodOver,
)
from quntedge.cancellations.rules import Timing
from quntedge.cancellations.service import new_cancellation_id
from quntedge.cancellations.withdrawals import WithdrawalService, WithdrawalView, new_withdrawal_id
from quntedge.gateway.errors import GatewayUnavailable
from quntedge.kit.money import Money
from tests.cancellations.world import Buyer, World


async def withdraw(world: World, buyer: Buyer, **changes: Any) -> WithdrawalView:
    wish = {"key": new_withdrawal_id(world.clock.now()), "contract": buyer.subscription_id, "name": "Kim Example"}
    return await world.cancellations.withdrawals.withdraw(buyer.user_id, **(wish | changes))


async def requests(world: World, buyer: Buyer) -> list[tuple[int, str, str]]:
    rows = await world.rows(
        "SELECT amount_minor, state, requested_by FROM refund_request WHERE user_id = :id ORDER BY id", id=buyer.user_id
    )
    return [(row["amount_minor"], row["state"], row["requested_by"]) for row in rows]


async def test_it_is_received_once_and_ends_the_contract(world: World) -> None:
    kim = await world.buy()
    preview = await world.cancellations.withdrawals.preview(kim.user_id)
    assert (preview.received_at, preview.refunds) == (None, (Money(7500, "usd"),))
    assert preview.deadline == datetime(2026, 9, 16, tzinfo=UTC)
    view = await withdraw(world, kim)
    assert (view.received_at, view.name) == (world.clock.now(), "Kim Example")
    assert view.refunds == preview.refunds
    assert (await world.at_gateway(kim)).raw_status == "canceled"
    assert (await world.subscription(kim))["status"] == "canceled"
    assert await requests(world, kim) == [(7500, "requested", f"customer:{kim.user_id}")]
    assert await withdraw(world, kim, name="Somebody Else") == view
    assert await world.cancellations.withdrawals.preview(kim.user_id) == view
    assert world.told(kim).count("WithdrawalReceived") == 1
    (row,) = await world.rows("SELECT name FROM withdrawal")
    assert b"Kim" not in bytes(row["name"])


async def test_two_at_once_are_one(world: World) -> None:
    kim = await world.buy()
    one, other = await asyncio.gather(withdraw(world, kim), withdraw(world, kim))
    assert one.id == other.id
    assert len(await requests(world, kim)) == 1


async def test_the_fourteenth_day_is_the_last_by_the_customers_calendar(world: World) -> None:
    kim, lou = await world.buy(), await world.buy(zone="America/Los_Angeles")
    world.clock.set(datetime(2026, 9, 16, 0, 0, tzinfo=UTC))
    with pytest.raises(WithdrawalPeriodOver):
        await world.cancellations.withdrawals.preview(kim.user_id)
    with pytest.raises(WithdrawalPeriodOver):
        await withdraw(world, kim)
    assert (await withdraw(world, lou)).time_zone == "America/Los_Angeles"
    assert (await world.subscription(kim))["status"] == "active"


@pytest.mark.parametrize(
    ("bought_in", "moved_to", "hours_later"),
    [("Pacific/Auckland", "America/Los_Angeles", 36), ("America/Los_Angeles", "Pacific/Auckland", 31)],
)
async def test_moving_to_another_zone_neither_shortens_nor_lengthens_the_time(
    world: World, bought_in: str, moved_to: str, hours_later: int
) -> None:
    """Midnight after the fourteenth day, by the calendar of the place where the contract was concluded."""
    kim = await world.buy(zone=bought_in)
    before = await world.cancellations.withdrawals.preview(kim.user_id)
    assert before.deadline == datetime(2026, 9, 15, tzinfo=UTC) + timedelta(hours=hours_later)
    await world.move(kim, moved_to)
    await world.hear_of(kim.membership_id)
    after = await world.cancellations.withdrawals.preview(kim.user_id)
    assert (after.deadline, after.time_zone) == (before.deadline, bought_in)
    world.clock.set(before.deadline - timedelta(seconds=1))
    assert (await withdraw(world, kim)).deadline == before.deadline


async def test_renewals_do_not_begin_the_fourteen_days_anew_and_trials_do_not_delay_them(world: World) -> None:
    kim = await world.buy("monthly")
    await world.advance(days=8)
    await world.hear_of(kim.membership_id)
    assert (await world.subscription(kim))["status"] == "active"
    preview = await world.cancellations.withdrawals.preview(kim.user_id)
    assert preview.refunds == (Money(2900, "usd"),)
    assert preview.deadline == datetime(2026, 9, 16, tzinfo=UTC)
    await world.advance(days=30)
    await world.hear_of(kim.membership_id)
    with pytest.raises(WithdrawalPeriodOver):
        await world.cancellations.withdrawals.preview(kim.user_id)


async def test_during_a_trial_nothing_is_owed(world: World) -> None:
    kim = await world.buy("monthly")
    assert (await withdraw(world, kim)).refunds == ()
    assert (await world.subscription(kim))["status"] == "canceled"
    assert await requests(world, kim) == []


async def test_lifetime_is_a_contract_too(world: World) -> None:
    kim = await world.buy("lifetime")
    view = await withdraw(world, kim)
    assert len(view.refunds) == 1
    assert (await world.subscription(kim))["status"] == "canceled"


async def test_what_was_canceled_can_still_be_withdrawn_from(world: World) -> None:
    kim, lou = await world.buy(), await world.buy()
    key = new_cancellation_id(world.clock.now())
    await world.cancellations.service.cancel(kim.user_id, key=key, when=Timing.NOW)
    await withdraw(world, kim)
    assert await requests(world, kim) != []
    await world.cancellations.service.cancel(lou.user_id, key=new_cancellation_id(world.clock.now()))
    await withdraw(world, lou)
    assert await world.states(lou) == ["replaced", "done"]


async def test_it_waits_for_no_gateway_and_for_no_other_wish(world: World) -> None:
    kim = await world.buy()

    def away(point: str) -> None:
        raise GatewayUnavailable("away")

    world.cut.trouble = away
    await world.cancellations.service.cancel(kim.user_id, key=new_cancellation_id(world.clock.now()))
    assert (await withdraw(world, kim)).received_at == world.clock.now()
    assert await world.states(kim) == ["replaced", "requested"]
    await world.recover()
    assert await world.states(kim) == ["replaced", "done"]
    assert (await world.at_gateway(kim)).raw_status == "canceled"


async def test_wrong_declarations_change_nothing(world: World) -> None:
    kim, lou = await world.buy(), await world.buy()
    with pytest.raises(OtherContract):
        await withdraw(world, kim, contract=lou.subscription_id)
    with pytest.raises(InvalidStatement):
        await withdraw(world, kim, name=" ")
    with pytest.raises(NothingToWithdraw):
        await world.cancellations.withdrawals.preview("usr_nobody")
    assert await world.rows("SELECT id FROM withdrawal") == []
    assert world.told(kim) == []


async def test_pro_rata_where_the_service_was_begun_at_express_wish(world: World) -> None:
    kim = await world.buy()
    service = WithdrawalService(world.units, world.processes, world.vault, world.cancellations.service, "pro_rata")
    await world.advance(days=9)
    (refund,) = (await service.preview(kim.user_id)).refunds
    # Nine of ninety days; the emulator's clock goes on while the test runs.
    assert Money(6749, "usd") <= refund <= Money(6750, "usd")


async def test_a_payment_that_arrives_later_is_owed_as_well(world: World) -> None:
    kim = await world.buy()
    async with world.units() as unit:
        await unit.session.execute(text("DELETE FROM payment_transaction WHERE user_id = :id"), {"id": kim.user_id})
        await unit.commit()
    assert (await withdraw(world, kim)).refunds == ()
    for _ in range(2):
        await world.hear_of(kim.membership_id)
    assert [amount for amount, _, _ in await requests(world, kim)] == [7500]
