"""What becomes of subscribers who are not simply active: each has a rule."""

from datetime import timedelta

import pytest

from quntedge.gateway.port import MembershipStatus
from quntedge.subscriptions.events import CancellationRequested
from tests.plan_changes.world import Customer
from tests.plan_migrations.conftest import Shop


async def dearer(shop: Shop, customer: Customer) -> None:
    """A new price for this customer's version of the plan, and a migration to it."""
    row = await shop.world.subscription(customer)
    code = await shop.world.plan_of(customer)
    await shop.make_room(code)
    await shop.reprice(**{code: (row.renewal_price_minor or 0) + 100})
    await shop.migrate(code)


async def test_a_trial_converts_at_its_price_and_moves_a_period_later(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("monthly")
    assert (await world.subscription(kim)).status == "trialing"
    old = (await world.subscription(kim)).renewal_price_minor
    await dearer(shop, kim)
    await shop.to_period_end(kim)
    assert (await world.collected(kim), (await world.subscription(kim)).status) == (old, "active")
    await shop.to(kim, hours=2)
    await shop.to_period_end(kim)
    assert ((await shop.item(kim)).state, await world.collected(kim)) == ("moved", 2 * (old or 0) + 100)


async def test_who_has_cancelled_is_not_told_and_not_moved(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=True, idempotency_key="kim-leaves")
    await world.news(kim)
    await dearer(shop, kim)
    assert ((await shop.item(kim)).state, (await shop.item(kim)).reason) == ("skipped", "ending")
    assert not [fact for fact in shop.announced if fact.user_id == kim.user_id]
    # Who stays after all is told when the same is asked for again.
    await world.gateway.keep_membership(kim.membership_id)
    await world.news(kim)
    await shop.migrate("quarterly")
    assert (await shop.item(kim)).state == "waiting"
    assert len([fact for fact in shop.announced if fact.user_id == kim.user_id]) == 1


async def test_who_cancels_after_the_notice_leaves(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    await dearer(shop, kim)
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=True, idempotency_key="kim-goes")
    await shop.to_period_end(kim)
    await shop.to(kim, hours=2)
    item = await shop.item(kim)
    assert (item.state, item.reason, item.change_id) == ("left", "ended", None)
    assert (await world.subscription(kim)).status == "canceled"


async def test_who_cancels_in_the_last_days_leaves_as_well(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    paid = await world.collected(kim)
    await dearer(shop, kim)
    end = (await world.subscription(kim)).period_end
    assert end is not None
    await shop.to(kim, seconds=(end - timedelta(days=1) - world.clock.now()).total_seconds())
    assert (await shop.item(kim)).state == "moving"
    async with world.units() as unit:
        row = await world.subscription(kim)
        unit.record(CancellationRequested(row.id, kim.user_id, True, f"customer:{kim.user_id}", "test"))
        await unit.commit()
    await world.run_jobs()
    assert (await world.subscription(kim)).cancel_at_period_end
    await shop.to(kim, days=3)
    assert ((await shop.item(kim)).state, (await shop.item(kim)).reason) == ("left", "ended")
    assert (await world.collected(kim), (await world.subscription(kim)).status) == (paid, "canceled")


async def test_a_pause_is_waited_for(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    paid = await world.collected(kim)
    await dearer(shop, kim)
    await world.gateway.pause_membership(kim.membership_id, until=None, idempotency_key="kim-pauses")
    await world.news(kim)
    await shop.to_period_end(kim)
    await shop.to(kim, days=20)
    assert ((await shop.item(kim)).state, await world.collected(kim)) == ("waiting", paid)
    await world.gateway.resume_membership(kim.membership_id, idempotency_key="kim-is-back")
    await shop.to(kim, days=1, hours=1)
    assert await world.collected(kim) == 2 * paid, "the period after the pause is charged at the old price"
    await shop.to_period_end(kim)
    assert ((await shop.item(kim)).state, await world.collected(kim)) == ("moved", 3 * paid + 100)


async def test_an_unpaid_renewal_comes_first(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("monthly")
    price = (await world.subscription(kim)).renewal_price_minor or 0
    await shop.to_period_end(kim)
    await dearer(shop, kim)
    [method] = await world.gateway.methods_of(kim.member_id)
    await world.emulator.change_card(method.method_id, "declines_later:insufficient_funds")
    await shop.to_period_end(kim)
    assert (await world.gateway.membership(kim.membership_id)).status is MembershipStatus.PAST_DUE
    await shop.to(kim, hours=2)
    assert ((await shop.item(kim)).state, (await world.subscription(kim)).status) == ("waiting", "past_due")
    await world.emulator.change_card(method.method_id, "succeeds")
    await shop.to(kim, days=2)
    assert ((await world.subscription(kim)).status, await world.collected(kim)) == ("active", 2 * price)
    await shop.to_period_end(kim)
    assert ((await shop.item(kim)).state, await world.collected(kim)) == ("moved", 3 * price + 100)


@pytest.mark.long
async def test_who_changes_to_another_plan_is_left_out(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    await dearer(shop, kim)
    await world.begin(kim, "yearly")
    await world.go_on(kim)
    await shop.to(kim, days=89)
    assert ((await shop.item(kim)).state, (await shop.item(kim)).reason) == ("left", "changed_plan")


@pytest.mark.long
async def test_a_change_of_the_customers_own_goes_first(shop: Shop) -> None:
    """They have planned to leave for a cheaper plan: nothing is planned beside that."""
    world = shop.world
    kim = await world.customer("yearly")
    await dearer(shop, kim)
    await world.begin(kim, "quarterly")
    await world.go_on(kim)
    await shop.to_period_end(kim)
    await shop.to(kim, hours=3)
    assert await world.plan_of(kim) == "quarterly"
    assert ((await shop.item(kim)).state, (await shop.item(kim)).reason) == ("left", "changed_plan")


@pytest.mark.long
async def test_a_lifetime_plan_has_nothing_to_move(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    await dearer(shop, kim)
    await world.begin(kim, "lifetime")
    await world.go_on(kim)
    await shop.to(kim, days=89)
    assert (await shop.item(kim)).state == "left"
    assert (await world.subscription(kim)).status == "completed"
