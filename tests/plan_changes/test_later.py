"""Changes at the end of the period: planned, taken back, collected, tried again, given up."""

import pytest
from sqlalchemy import text

from quntedge.kit.money import Money
from quntedge.plan_changes import errors
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn
from tests.plan_changes.world import Customer, World, stages

_STATES = text(
    "SELECT p.code, c.state FROM plan_change c JOIN plan p ON p.id = c.to_plan_id WHERE c.user_id = :user ORDER BY c.id"
)

_WHOP_PLAN = text(
    "SELECT v.whop_plan_id FROM plan_price v JOIN plan p ON p.id = v.plan_id"
    " WHERE p.code = :code AND v.currency = 'usd' AND v.retired_at IS NULL"
)


async def planned(world: World, plan: str = "quarterly", start: str = "yearly") -> Customer:
    """Somebody who has planned a downgrade."""
    kim = await world.customer(start)
    preview = await world.changes.service.preview(kim.user_id, plan)
    assert (preview.moment, preview.amount.amount_minor) == ("period_end", 0)
    view = await world.changes.service.confirm(kim.user_id, plan, preview.quote)
    assert (view.state, view.withdrawable) == ("scheduled", True)
    await world.news(kim)
    return kim


async def test_a_downgrade_takes_place_when_the_period_ends(world: World) -> None:
    kim = await planned(world)
    row = await world.subscription(kim)
    assert (row.status, row.cancel_at_period_end, row.canceled_at) == ("active", False, None)
    assert (await world.alive(kim))[0].cancel_at_period_end
    await world.move(days=364)
    await world.runner.resume_due()
    assert (await world.plan_of(kim), len(await world.paid(kim))) == ("yearly", 1)
    await world.move(days=1)
    await world.news(kim)
    assert await world.allowed(kim), "between the end of the old plan and the charge for the new one"
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.review, change.attempt) == ("done", None, 1)
    assert (await world.plan_of(kim), await world.collected(kim)) == ("quarterly", 25000 + 7500)
    assert len(await world.alive(kim)) == 1
    row = await world.subscription(kim)
    assert (row.status, await world.allowed(kim), await world.allowed(kim, "api_access")) == ("active", True, False)
    assert stages(world, kim) == ["scheduled", "done_later"]


async def test_it_can_be_taken_back_until_then(world: World) -> None:
    kim = await planned(world)
    view = await world.changes.service.withdraw(kim.user_id)
    assert view.state == "withdrawn"
    await world.news(kim)
    assert not (await world.alive(kim))[0].cancel_at_period_end
    with pytest.raises(errors.NoChange):
        await world.changes.service.withdraw(kim.user_id)
    await world.move(days=366)
    await world.go_on(kim)
    row = await world.subscription(kim)
    assert (row.status, await world.plan_of(kim), await world.collected(kim)) == ("active", "yearly", 50000)
    assert stages(world, kim) == ["scheduled", "withdrawn"]


async def test_to_free_the_subscription_ends_with_its_period(world: World) -> None:
    kim = await planned(world, "free")
    row = await world.subscription(kim)
    assert (row.status, row.cancel_at_period_end) == ("active", True)
    await world.move(days=365, minutes=1)
    await world.go_on(kim)
    row = await world.subscription(kim)
    assert (row.status, await world.allowed(kim), await world.allowed(kim, "basic_dashboard")) == (
        "canceled",
        False,
        True,
    )
    assert (await world.change(kim)).state == "done"
    assert await world.collected(kim) == 25000


async def test_a_declined_charge_is_tried_again_and_access_stays(world: World) -> None:
    kim = await planned(world)
    [method] = await world.gateway.methods_of(kim.member_id)
    await world.emulator.change_card(method.method_id, "declines_later:insufficient_funds")
    await world.move(days=365, minutes=1)
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.attempt, change.purchase_url is not None) == ("collecting", 1, True)
    assert await world.allowed(kim)
    await world.emulator.change_card(method.method_id, "succeeds")
    await world.move(days=1)
    await world.runner.resume_due()
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.attempt) == ("done", 2)
    assert await world.collected(kim) == 25000 + 7500
    assert (await world.plan_of(kim), await world.allowed(kim)) == ("quarterly", True)
    assert stages(world, kim) == ["scheduled", "not_collected", "done_later"]


async def test_declined_for_good_the_subscription_ends(world: World) -> None:
    kim = await planned(world)
    [method] = await world.gateway.methods_of(kim.member_id)
    await world.emulator.change_card(method.method_id, "declines_later:insufficient_funds")
    await world.move(days=365, minutes=1)
    for wait in (0, 1, 2):
        await world.move(days=wait)
        assert await world.allowed(kim)
        await world.runner.resume_due()
        await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.failure, change.attempt) == ("failed", "soft", 3)
    row = await world.subscription(kim)
    assert (row.status, await world.allowed(kim), await world.collected(kim)) == ("canceled", False, 25000)
    assert await world.alive(kim) == []
    assert stages(world, kim) == ["scheduled", "not_collected", "not_collected", "failed"]
    assert [fact for fact in world.news_told if fact.user_id == kim.user_id][-1].ended


async def test_the_link_in_the_mail_pays_for_it_as_well(world: World) -> None:
    kim = await planned(world)
    [method] = await world.gateway.methods_of(kim.member_id)
    await world.emulator.change_card(method.method_id, "declines_later:insufficient_funds")
    await world.move(days=365, minutes=1)
    await world.go_on(kim)
    current = await world.changes.service.current(kim.user_id)
    assert current is not None
    assert current.pay_url is not None
    await world.pay(current.pay_url, kim, "5555555555554444")
    await world.go_on(kim)
    await world.move(days=1)
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.attempt, change.review) == ("done", 1, None)
    assert await world.collected(kim) == 25000 + 7500
    assert len(await world.alive(kim)) == 1


async def test_a_new_plan_takes_the_place_of_the_planned_one(world: World) -> None:
    kim = await planned(world)
    preview = await world.changes.service.preview(kim.user_id, "lifetime")
    assert preview.replaces is not None
    await world.changes.service.confirm(kim.user_id, "lifetime", preview.quote)
    await world.go_on(kim)
    async with world.units() as unit:
        rows = await unit.session.execute(_STATES, {"user": kim.user_id})
        assert [tuple(row) for row in rows] == [("quarterly", "replaced"), ("lifetime", "done")]
    await world.move(days=366)
    await world.go_on(kim)
    assert (await world.plan_of(kim), len(await world.alive(kim))) == ("lifetime", 1)


async def test_whoever_cancels_wants_nothing_to_follow(world: World) -> None:
    kim = await planned(world)
    row = await world.subscription(kim)
    async with world.units() as unit:
        unit.record(CancellationRequested(row.id, kim.user_id, True, f"customer:{kim.user_id}", "test"))
        await unit.commit()
    await world.run_jobs()
    row = await world.subscription(kim)
    assert ((await world.change(kim)).state, row.cancel_at_period_end) == ("dropped", True)
    await world.move(days=366)
    await world.go_on(kim)
    assert ((await world.subscription(kim)).status, await world.collected(kim)) == ("canceled", 25000)


async def test_whoever_keeps_the_old_plan_keeps_it(world: World) -> None:
    kim = await planned(world)
    row = await world.subscription(kim)
    await world.gateway.keep_membership(kim.membership_id)
    async with world.units() as unit:
        unit.record(CancellationWithdrawn(row.id, kim.user_id, f"customer:{kim.user_id}", "test"))
        await unit.commit()
    await world.run_jobs()
    await world.move(days=366)
    await world.go_on(kim)
    assert (await world.change(kim)).state == "withdrawn"
    assert (await world.plan_of(kim), await world.collected(kim)) == ("yearly", 50000)


async def test_ended_at_the_gateway_before_its_time_nothing_is_charged(world: World) -> None:
    kim = await planned(world)
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=False, idempotency_key="by-staff")
    await world.news(kim)
    await world.move(days=366)
    await world.go_on(kim)
    assert (await world.change(kim)).state == "dropped"
    assert ((await world.subscription(kim)).status, await world.collected(kim)) == ("canceled", 25000)


async def test_kept_at_the_gateway_the_plan_stays(world: World) -> None:
    kim = await planned(world)
    await world.gateway.keep_membership(kim.membership_id)
    await world.move(days=366)
    await world.go_on(kim)
    assert (await world.change(kim)).state == "withdrawn"
    assert (await world.subscription(kim)).status == "active"
    assert (await world.plan_of(kim), await world.collected(kim)) == ("yearly", 50000)


async def test_what_a_trial_is_not_given_for(world: World) -> None:
    """The plan moved to has a trial, and this customer never had it; paid for, it begins paid."""
    kim = await planned(world, "monthly", "quarterly")
    await world.move(days=90, minutes=1)
    await world.go_on(kim)
    row = await world.subscription(kim)
    assert (row.status, await world.plan_of(kim), await world.collected(kim)) == ("active", "monthly", 7500 + 2900)
    assert (await world.change(kim)).review is None


async def test_what_a_trial_is_not_given_for_where_taxes_are_collected(world: World) -> None:
    """A price is quoted for the country that the buyer paid from, and charged there."""
    await world.emulator.set_taxes({"de": 1900})
    try:
        kim = await world.customer("quarterly", country="de")
        await world.begin(kim, "monthly")
        await world.move(days=90, minutes=1)
        await world.go_on(kim)
    finally:
        await world.emulator.set_taxes({})
    row, change = await world.subscription(kim), await world.change(kim)
    assert (row.status, await world.plan_of(kim), change.review) == ("active", "monthly", None)
    paid = sorted(await world.paid(kim), key=lambda payment: str(payment.created_at))
    assert [(payment.total, payment.tax) for payment in paid] == [
        (Money(8925, "usd"), Money(1425, "usd")),
        (Money(3451, "usd"), Money(551, "usd")),
    ]


async def test_a_plan_changed_at_the_gateway_is_told(world: World) -> None:
    kim = await world.customer("monthly")
    async with world.units() as unit:
        plan_id = await unit.session.scalar(_WHOP_PLAN, {"code": "yearly"})
    switch = f"memberships/{kim.membership_id}/switch_plan"
    (await world.emulator.control.post(switch, json={"plan_id": plan_id})).raise_for_status()
    await world.news(kim)
    assert (await world.plan_of(kim), stages(world, kim)) == ("yearly", ["switched"])
    await world.news(kim)
    assert stages(world, kim) == ["switched"]
