"""The old plan is renewed while a change is being paid, or its money is on its way back by other means: nobody pays for
the same time twice, and nobody gets the same money back twice."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from quntedge.gateway.port import PaymentSnapshot
from quntedge.plan_changes import errors
from tests.plan_changes.world import FAILS_LATER, Customer, Killed, World, stages

_PROMISE = text(
    "INSERT INTO refund_tally (transaction_id, held_minor)"
    " SELECT id, :held FROM payment_transaction WHERE user_id = :user"
    " ON CONFLICT (transaction_id) DO UPDATE SET held_minor = excluded.held_minor"
)
_DISPUTE = text(
    "UPDATE payment_transaction SET disputed_minor = total_minor, dispute_status = :status WHERE user_id = :user"
)


async def renewals(world: World, customer: Customer) -> list[PaymentSnapshot]:
    """What was paid for further periods, newest first, each as it is now."""
    paid = [one for one in await world.paid(customer) if one.billing_reason == "subscription_cycle"]
    return [await world.gateway.payment(one.payment_id) for one in paid]


async def test_a_link_paid_after_the_renewal_gives_the_unused_renewal_back(world: World) -> None:
    kim = await world.customer("quarterly")
    await world.move(days=89, hours=12)
    await world.news(kim)
    preview = await world.changes.service.preview(kim.user_id, "yearly", by_checkout=True)
    view = await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    await world.move(hours=14)
    await world.news(kim)
    await world.pay(str(view.pay_url), kim)
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.review) == ("done", None)
    [renewal] = await renewals(world, kim)
    assert renewal.total is not None
    assert renewal.refunded is not None
    # Two hours of the new period had gone by: 90 days cost 75.00, two hours of them 0.07.
    assert (renewal.total.amount_minor, renewal.refunded.amount_minor) == (7500, 7493)
    assert await world.collected(kim) == 7500 + 25000 - preview.refund.amount_minor + 7
    assert (await world.plan_of(kim), await world.allowed(kim), len(await world.alive(kim))) == ("yearly", True, 1)


@pytest.mark.long
@pytest.mark.parametrize("call", ["cancel_membership", "refund_payment"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_on_the_way_it_goes_back_once(world: World, moment: str, call: str) -> None:
    kim = await world.customer("quarterly")
    await world.move(days=89, hours=23, minutes=50)
    await world.news(kim)
    view = await world.begin(kim, "yearly", by_checkout=True)
    await world.move(hours=1)
    await world.pay(str(view.pay_url), kim)
    await world.news(kim)
    world.killer.at, world.killer.armed = {f"{moment} {call}"}, True
    with pytest.raises(Killed):
        await world.changes.wake(view.id)
    world.killer.rest()
    await world.move(minutes=3)
    await world.runner.resume_due()
    await world.go_on(kim)
    [renewal] = await renewals(world, kim)
    assert ((await world.change(kim)).state, (await world.change(kim)).review) == ("done", None)
    assert len(await world.gateway.refunds_of(renewal.payment_id)) == 1
    assert await world.collected(kim) in range(32_500 - 1, 32_500 + 10)


@pytest.mark.long
async def test_a_trial_that_converts_while_a_link_waits_is_given_back(world: World) -> None:
    kim = await world.customer("monthly")
    await world.move(days=6, hours=20)
    await world.news(kim)
    view = await world.begin(kim, "yearly", by_checkout=True)
    await world.move(hours=5)
    await world.news(kim)
    await world.pay(str(view.pay_url), kim)
    await world.go_on(kim)
    [converted] = await renewals(world, kim)
    assert converted.refunded is not None
    assert (await world.change(kim)).state == "done"
    assert await world.collected(kim) == 25000 + 2900 - converted.refunded.amount_minor
    assert 2890 <= converted.refunded.amount_minor <= 2900


@pytest.mark.long
async def test_a_renewal_that_failed_meanwhile_is_not_charged_any_more(world: World) -> None:
    kim = await world.customer("quarterly", FAILS_LATER)
    await world.move(days=89, hours=12)
    await world.news(kim)
    view = await world.begin(kim, "yearly", by_checkout=True)
    await world.move(hours=14)
    await world.news(kim)
    assert (await world.subscription(kim)).status == "past_due"
    await world.pay(str(view.pay_url), kim)
    await world.go_on(kim)
    assert ((await world.change(kim)).state, (await world.change(kim)).review) == ("done", None)
    assert (await world.subscription(kim)).status == "active"
    await world.move(days=10)
    await world.go_on(kim)
    assert await renewals(world, kim) == []
    assert ((await world.subscription(kim)).status, len(await world.alive(kim))) == ("active", 1)


async def test_while_a_renewal_is_under_way_nothing_is_promised(world: World) -> None:
    kim = await world.customer("quarterly")
    await world.move(days=89, hours=23, minutes=55)
    await world.news(kim)
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    await world.move(minutes=6)
    # The gateway has renewed, and no delivery has told us so.
    with pytest.raises(errors.RenewalUnderWay):
        await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    with pytest.raises(errors.RenewalUnderWay):
        await world.changes.service.preview(kim.user_id, "yearly")
    await world.news(kim)
    fresh = await world.changes.service.preview(kim.user_id, "yearly")
    assert fresh.amount.amount_minor == 25000 - 7500, "the renewal of a minute ago is unused"
    await world.changes.service.confirm(kim.user_id, "yearly", fresh.quote)
    await world.go_on(kim)
    assert await world.collected(kim) == 7500 + 25000


@pytest.mark.long
async def test_in_the_last_second_of_a_period(world: World) -> None:
    """The charge is only just ahead of the renewal, and the old membership is ended after it."""
    kim = await world.customer("quarterly")
    row = await world.subscription(kim)
    assert row.period_end is not None
    left = row.period_end - world.clock.now() - timedelta(seconds=1)
    await world.move(seconds=left.total_seconds())
    await world.news(kim)
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    assert preview.amount.amount_minor == 25000, "a second of 90 days is worth less than half a cent"
    world.killer.at, world.killer.armed = {"after charge"}, True
    with pytest.raises(Killed):
        await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    world.killer.rest()
    await world.move(minutes=2)  # renewed, while nobody was here to end the old plan
    await world.runner.resume_due()
    await world.go_on(kim)
    [renewal] = await renewals(world, kim)
    assert renewal.refunded == renewal.total
    assert (await world.collected(kim), stages(world, kim)) == (7500 + 25000, ["done_now"])


async def test_what_is_promised_as_a_refund_is_no_credit_as_well(world: World) -> None:
    kim = await world.customer("quarterly")
    before = await world.changes.service.preview(kim.user_id, "yearly")
    assert before.amount.amount_minor == 25000 - 7500
    async with world.units() as unit:
        await unit.session.execute(_PROMISE, {"user": kim.user_id, "held": 5000})
        await unit.commit()
    with pytest.raises(errors.PreviewOutdated):
        await world.changes.service.confirm(kim.user_id, "yearly", before.quote)
    after = await world.changes.service.preview(kim.user_id, "yearly")
    assert after.amount.amount_minor == 25000 - 2500


async def test_a_contested_payment_is_no_credit(world: World) -> None:
    kim = await world.customer("quarterly")
    async with world.units() as unit:
        await unit.session.execute(_DISPUTE, {"user": kim.user_id, "status": "under_review"})
        await unit.commit()
    with pytest.raises(errors.PaymentDisputed):
        await world.changes.service.preview(kim.user_id, "yearly")
    async with world.units() as unit:
        await unit.session.execute(_DISPUTE, {"user": kim.user_id, "status": "lost"})
        await unit.commit()
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    assert preview.amount.amount_minor == 25000
