"""Adding, choosing and removing cards: what Whop is told, and what is refused with which reason."""

import asyncio

import pytest

from quntedge.edge.methods import Chosen, make_default
from quntedge.kit.errors import QuntedgeError
from quntedge.methods.errors import (
    NothingRenews,
    PaymentMethodBusy,
    PaymentMethodExpired,
    PaymentMethodInUse,
    PaymentMethodNotFound,
    PaymentMethodRefused,
)
from quntedge.methods.service import Done
from tests.dunning.world import LOST_LATER
from tests.methods.world import MethodWorld
from tests.notifications.world import add_user

MASTERCARD = "5555555555554444"


async def chosen(world: MethodWorld, last4: str) -> str:
    return next(view.id for view in await world.shown() if view.last4 == last4)


async def test_adding_a_card_uses_its_page_up(world: MethodWorld) -> None:
    await world.buy()
    added = await world.add(MASTERCARD)
    assert await world.brands() == [("4242", True), ("4444", False)]
    (setup,) = await world.base.rows("SELECT * FROM method_setup")
    assert setup["whop_method_id"] == added
    assert setup["ended_at"] is not None
    jobs = await world.base.rows("SELECT args FROM procrastinate_jobs WHERE task_name = 'checkout.retire'")
    assert {"checkout_id": setup["whop_checkout_id"]} in [job["args"] for job in jobs]


async def test_a_page_that_nobody_used_is_made_unusable_after_a_day(world: MethodWorld) -> None:
    await world.buy()
    url = await world.methods.service.start_adding(world.user_id)

    async def end() -> int:
        async with world.base.runtime.units() as unit:
            count = await world.methods.service.end_setups(unit, unit.clock.now())
            await unit.commit()
        return count

    await world.base.jump(hours=23)
    assert await end() == 0
    await world.base.jump(hours=1)
    assert (await end(), await end()) == (1, 0)
    page = url.rpartition("/")[2]
    jobs = await world.base.rows("SELECT args FROM procrastinate_jobs WHERE task_name = 'checkout.retire'")
    assert {"checkout_id": page} in [job["args"] for job in jobs]
    saved = await world.base.emulator.pay(page, MASTERCARD, email="kim@customers.test")
    await world.told(saved["setup_intent"])
    assert await world.brands() == [("4242", True), ("4444", False)], "saved at the last moment"


async def test_choosing_charges_it_from_the_next_renewal_on(world: MethodWorld) -> None:
    await world.buy()
    second = await world.add(MASTERCARD)
    services = world.base.runtime.services
    assert await make_default(services, world.user_id, await chosen(world, "4444")) is Chosen.DONE
    assert world.charged_with() == second
    assert await world.brands() == [("4444", True), ("4242", False)]
    await world.base.travel(days=90, hours=2)
    (newest, _) = await world.base.rows("SELECT * FROM payment_transaction ORDER BY occurred_at DESC")
    assert (newest["whop_method_id"], newest["method_last4"], newest["status"]) == (second, "4444", "paid")
    assert (newest["method_exp_month"], newest["method_exp_year"]) == (12, 2029)


async def test_choosing_pays_what_is_open_at_once(world: MethodWorld) -> None:
    await world.buy(LOST_LATER)
    await world.base.fail_renewal()
    await world.add(MASTERCARD)
    services = world.base.runtime.services
    outcome = await make_default(services, world.user_id, await chosen(world, "4444"))
    assert outcome in (Chosen.PAID, Chosen.PROCESSING)
    await world.base.hear()
    assert await world.base.status() == "active"
    assert (await world.brands())[0] == ("4444", True)
    assert (await world.base.case())["state"] == "recovered"


async def test_the_one_that_pays_is_kept_and_others_are_forgotten_at_whop_too(world: MethodWorld) -> None:
    await world.buy()
    second = await world.add(MASTERCARD)
    service = world.methods.service
    with pytest.raises(PaymentMethodInUse, match="Quarterly is paid with it"):
        await service.remove(world.user_id, await chosen(world, "4242"))
    other = await chosen(world, "4444")
    assert await service.remove(world.user_id, other) is Done.DONE
    assert await world.brands() == [("4242", True)]
    held = await world.base.runtime.gateway.methods_of(world.base.member_id)
    assert second not in {method.method_id for method in held}
    with pytest.raises(PaymentMethodNotFound):
        await service.remove(world.user_id, other)


async def test_whop_has_the_last_word_on_what_is_in_use(world: MethodWorld) -> None:
    """We believe that another card pays: Whop knows better, refuses, and nothing has changed."""
    await world.buy()
    second = await world.add(MASTERCARD)
    await world.base.runtime.gateway.use_method(world.base.membership_id, second)
    with pytest.raises(PaymentMethodInUse, match="The payment provider keeps"):
        await world.methods.service.remove(world.user_id, await chosen(world, "4444"))
    assert len(await world.shown()) == 2


async def test_once_the_subscription_has_ended_its_card_can_go(world: MethodWorld) -> None:
    await world.buy()
    await world.base.runtime.gateway.cancel_membership(
        world.base.membership_id, at_period_end=False, idempotency_key="end"
    )
    await world.base.hear()
    assert await world.base.status() == "canceled"
    assert await world.methods.service.remove(world.user_id, await chosen(world, "4242")) is Done.DONE
    assert await world.shown() == []


async def test_foreign_and_unknown_ids_are_not_found(world: MethodWorld) -> None:
    await world.buy()
    runtime = world.base.runtime
    stranger = await add_user(runtime.units, runtime.vault, "lou@customers.test")
    foreign = await chosen(world, "4242")
    for named in ("pm_0", "payt_1", "", "pm_01k4a2f0e8f9xa3s6m1q2r7v5z", foreign):
        for act in (world.methods.service.make_default, world.methods.service.remove):
            with pytest.raises(PaymentMethodNotFound):
                await act(stranger, named)
    assert await world.brands() == [("4242", True)]


async def test_without_a_subscription_there_is_nothing_to_pay(world: MethodWorld) -> None:
    await world.add()
    assert await world.brands() == [("4242", False)]
    with pytest.raises(NothingRenews):
        await world.methods.service.make_default(world.user_id, await chosen(world, "4242"))


async def test_an_expired_card_pays_nothing(world: MethodWorld) -> None:
    await world.buy()
    await world.add(MASTERCARD, expiry="10/26")
    await world.base.travel(days=62)
    with pytest.raises(PaymentMethodExpired):
        await world.methods.service.make_default(world.user_id, await chosen(world, "4444"))


async def test_a_card_saved_as_somebody_else_at_whop_is_refused(world: MethodWorld) -> None:
    """Whoever the buyer signs in as there is whose card it is."""
    await world.buy()
    await world.add(MASTERCARD, email="spouse@customers.test")
    with pytest.raises(PaymentMethodRefused, match="another account"):
        await world.methods.service.make_default(world.user_id, await chosen(world, "4444"))
    assert await world.brands() == [("4242", True), ("4444", False)]


async def test_two_tabs_remove_once_and_never_what_was_just_chosen(world: MethodWorld) -> None:
    await world.buy()
    await world.add(MASTERCARD)
    service, method = world.methods.service, await chosen(world, "4444")
    outcomes = await asyncio.gather(
        service.make_default(world.user_id, method),
        service.remove(world.user_id, method),
        service.remove(world.user_id, method),
        return_exceptions=True,
    )
    expected = (PaymentMethodBusy, PaymentMethodInUse, PaymentMethodNotFound, PaymentMethodRefused)
    assert all(one is Done.DONE or isinstance(one, expected) for one in outcomes), outcomes
    held = {method.method_id for method in await world.base.runtime.gateway.methods_of(world.base.member_id)}
    assert world.charged_with() in held, "what Whop charges is never what was removed"
    assert sum(one is Done.DONE for one in outcomes) >= 1


@pytest.mark.parametrize("fault", ["cut_after", "error_after", "error_before"])
async def test_a_removal_that_whop_did_not_answer_resolves_itself(world: MethodWorld, fault: str) -> None:
    await world.buy()
    await world.add(MASTERCARD)
    method = await chosen(world, "4444")
    await world.base.emulator.faults(fault=fault, match="DELETE /payment_methods/**", times=1)
    assert await world.methods.service.remove(world.user_id, method) is Done.PROCESSING
    with pytest.raises(QuntedgeError):
        await world.methods.service.remove(world.user_id, method)
    await world.base.emulator.disarm()
    await world.base.jump(hours=1)
    await world.base.runtime.processes.resume_due()
    assert await world.brands() == [("4242", True)]
