"""The process is killed at every boundary: before and after each call, after each commit. The end state is right."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from quntedge.cancellations.rules import Timing
from quntedge.cancellations.service import new_cancellation_id
from quntedge.cancellations.withdrawals import new_withdrawal_id
from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.storage.unit_of_work import UnitOfWork
from tests.cancellations.world import Buyer, Killed, World, once

Act = Callable[[World, Buyer], Awaitable[object]]

MOST_COMMITS = 8


@contextmanager
def dying_after_commit(number: int) -> Iterator[list[int]]:
    """The process dies right after its commit of this number; the list holds how many there were."""
    commit, done = UnitOfWork.commit, [0]

    async def counted(unit: UnitOfWork) -> None:
        await commit(unit)
        done[0] += 1
        if done[0] == number:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnitOfWork, "commit", counted)
        yield done


async def cancel(world: World, buyer: Buyer) -> object:
    return await world.cancellations.service.cancel(buyer.user_id, key=new_cancellation_id(world.clock.now()))


async def cancel_now(world: World, buyer: Buyer) -> object:
    key = new_cancellation_id(world.clock.now())
    return await world.cancellations.service.cancel(buyer.user_id, key=key, when=Timing.NOW)


async def resume(world: World, buyer: Buyer) -> object:
    return await world.cancellations.service.resume(buyer.user_id)


async def withdraw(world: World, buyer: Buyer) -> object:
    return await world.cancellations.withdrawals.withdraw(
        buyer.user_id, key=new_withdrawal_id(world.clock.now()), contract=buyer.subscription_id, name="Kim Example"
    )


async def check_scheduled(world: World, buyer: Buyer) -> None:
    assert await world.states(buyer) == ["scheduled"]
    assert (await world.at_gateway(buyer)).cancel_at_period_end
    subscription = await world.subscription(buyer)
    assert (subscription["status"], subscription["cancel_at_period_end"]) == ("active", True)
    assert world.told(buyer) == ["CancellationRequested", "CancellationScheduled"]


async def check_ended(world: World, buyer: Buyer) -> None:
    assert await world.states(buyer) == ["done"]
    assert (await world.at_gateway(buyer)).raw_status == "canceled"
    assert (await world.subscription(buyer))["status"] == "canceled"
    assert world.told(buyer) == ["CancellationRequested"]


async def check_kept(world: World, buyer: Buyer) -> None:
    assert await world.states(buyer) == ["undone"]
    assert not (await world.at_gateway(buyer)).cancel_at_period_end
    subscription = await world.subscription(buyer)
    assert (subscription["status"], subscription["cancel_at_period_end"]) == ("active", False)
    assert world.told(buyer)[2:] == ["CancellationWithdrawn", "CancellationUndone"]


async def check_withdrawn(world: World, buyer: Buyer) -> None:
    assert await world.states(buyer) == ["done"]
    assert (await world.at_gateway(buyer)).raw_status == "canceled"
    assert (await world.subscription(buyer))["status"] == "canceled"
    owed = await world.rows("SELECT amount_minor FROM refund_request WHERE user_id = :id", id=buyer.user_id)
    assert [row["amount_minor"] for row in owed] == [7500]
    assert sorted(world.told(buyer)) == ["CancellationRequested", "WithdrawalReceived"]


@pytest.mark.parametrize(
    ("act", "check", "call"),
    [
        pytest.param(cancel, check_scheduled, "cancel_membership", id="cancel"),
        pytest.param(cancel_now, check_ended, "cancel_membership", id="cancel-now"),
        pytest.param(resume, check_kept, "keep_membership", id="resume"),
        pytest.param(withdraw, check_withdrawn, "cancel_membership", id="withdraw"),
    ],
)
async def test_killed_anywhere_it_ends_right(world: World, act: Act, check: Act, call: str) -> None:
    async def ready() -> Buyer:
        buyer = await world.buy()
        if act is resume:
            await cancel(world, buyer)
        world.cut.calls.clear()
        return buyer

    for point in (f"{when} {call}" for when in ("before", "after")):
        for trouble in (Killed(), GatewayOutcomeUnknown("the line was cut")):
            buyer = await ready()
            world.cut.trouble = once(point, trouble)
            if isinstance(trouble, Killed):
                with pytest.raises(Killed):
                    await act(world, buyer)
            else:
                await act(world, buyer)
            await world.recover()
            await check(world, buyer)
            # What had happened at the gateway is found by looking; only undoing may be sent twice.
            assert world.cut.count(call) == (1 if point.startswith("after") and act is not resume else 2)
    commits = 0
    for number in range(1, MOST_COMMITS):
        buyer = await ready()
        with dying_after_commit(number) as done:
            try:
                await act(world, buyer)
            except Killed:
                commits += 1
        if done[0] < number:
            break
        await world.recover()
        await check(world, buyer)
    assert commits >= 5, "the act has fewer transactions than it should have: was it cut off at all?"


async def test_a_request_repeated_with_its_key_goes_on_where_the_first_died(world: World) -> None:
    buyer = await world.buy()
    key = new_cancellation_id(world.clock.now())
    world.cut.trouble = once("after cancel_membership", Killed())
    with pytest.raises(Killed):
        await world.cancellations.service.cancel(buyer.user_id, key=key)
    view = await world.cancellations.service.cancel(buyer.user_id, key=key)
    assert (view.id, view.state) == (key, "scheduled")
    await check_scheduled(world, buyer)
    assert world.cut.count("cancel_membership") == 1
