"""Choosing a card when Whop does not answer, and what else is charged with the card that was chosen."""

import pytest

from quntedge.methods.service import Done
from tests.dunning.world import FAILS_LATER, LOST_LATER
from tests.methods.world import MethodWorld

MASTERCARD = "5555555555554444"


async def chosen(world: MethodWorld, last4: str) -> str:
    return next(view.id for view in await world.shown() if view.last4 == last4)


async def resume(world: MethodWorld) -> None:
    await world.base.emulator.disarm()
    await world.base.jump(hours=1)
    await world.base.runtime.processes.resume_due()


def tries(world: MethodWorld) -> int:
    """How often Whop has tried what is open, in vain."""
    payments = world.base.emulator.runtime.world.store.tables.payments.values()
    return max(payment.payments_failed for payment in payments)


@pytest.mark.parametrize(("fault", "tried"), [("cut_after", True), ("error_after", True), ("error_before", False)])
async def test_a_card_is_not_tried_twice_because_an_answer_was_lost(
    world: MethodWorld, fault: str, *, tried: bool
) -> None:
    await world.buy(LOST_LATER)
    await world.base.fail_renewal()
    await world.add(FAILS_LATER)
    before = tries(world)
    await world.base.emulator.faults(fault=fault, match="PATCH /memberships/**", times=1)
    done = await world.methods.service.make_default(world.user_id, await chosen(world, "0341"))
    assert done is Done.PROCESSING
    assert tries(world) == before + tried
    await resume(world)
    assert tries(world) == before + 1, "told once, tried once"
    assert await world.brands() == [("0341", True), ("2341", False)]
    (process,) = await world.base.rows("SELECT state FROM process WHERE kind = 'payment_method_use'")
    assert process["state"] == "done"


@pytest.mark.parametrize("fault", ["cut_after", "error_before"])
async def test_where_nothing_is_open_whop_is_told_again(world: MethodWorld, fault: str) -> None:
    await world.buy()
    second = await world.add(MASTERCARD)
    await world.base.emulator.faults(fault=fault, match="PATCH /memberships/**", times=1)
    done = await world.methods.service.make_default(world.user_id, await chosen(world, "4444"))
    assert done is Done.PROCESSING
    assert await world.brands() == [("4242", True), ("4444", False)], "nothing is claimed before Whop has answered"
    await resume(world)
    assert world.charged_with() == second
    assert await world.brands() == [("4444", True), ("4242", False)]


async def test_a_change_of_plan_is_charged_to_the_card_that_pays_and_not_to_the_newest(world: MethodWorld) -> None:
    await world.buy()
    await world.add(MASTERCARD)
    changes = world.base.runtime.services.plan_changes.service
    preview = await changes.preview(world.user_id, "yearly")
    assert preview.method is not None
    assert preview.method.last4 == "4242"
    await world.methods.service.make_default(world.user_id, await chosen(world, "4444"))
    preview = await changes.preview(world.user_id, "yearly")
    assert preview.method is not None
    assert preview.method.last4 == "4444"
