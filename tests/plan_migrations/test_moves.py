"""Subscribers move to a new price at the end of a period that ends after their notice, and not before."""

from datetime import timedelta

import pytest

from quntedge.plan_changes.errors import NewTermsApply
from quntedge.plan_migrations.service import Ask
from tests.plan_migrations.conftest import Shop


async def test_a_dearer_version(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    version = await shop.reprice(quarterly=8500)
    before = await shop.migrations.outlook(Ask("quarterly"))
    assert (before.moving, before.sample[0].old.amount_minor, before.sample[0].rises) == (1, 7500, True)

    view = await shop.migrate("quarterly")
    assert (view.state, view.to_version, view.counts["waiting"]) == ("running", version, 1)
    row = await world.subscription(kim)
    [told] = [fact for fact in shop.announced if fact.user_id == kim.user_id]
    assert (told.old_price_minor, told.new_price_minor, told.from_at) == (7500, 8500, row.period_end)
    again = await shop.migrate("quarterly")
    assert again.id == view.id
    assert len([fact for fact in shop.announced if fact.user_id == kim.user_id]) == 1

    await shop.to(kim, days=80)
    assert (await shop.item(kim)).state == "waiting"
    assert not (await world.gateway.membership(kim.membership_id)).cancel_at_period_end
    await shop.to(kim, days=8, hours=1)
    assert (await shop.item(kim)).state == "moving"
    row = await world.subscription(kim)
    assert (row.cancel_at_period_end, row.plan_version) == (False, version - 1)
    with pytest.raises(NewTermsApply):
        await world.changes.service.withdraw(kim.user_id)
    assert await world.changes.service.current(kim.user_id) is not None

    await shop.to(kim, days=2)
    assert (await shop.item(kim)).state == "moved"
    row = await world.subscription(kim)
    assert (row.status, row.plan_version, await world.plan_of(kim)) == ("active", version, "quarterly")
    assert await world.collected(kim) == 7500 + 8500
    assert (len(await world.alive(kim)), await world.allowed(kim)) == (1, True)
    assert (await shop.migrations.view(view.id)).state == "done"
    await shop.to(kim, days=91)
    assert await world.collected(kim) == 7500 + 8500 + 8500


async def test_a_period_that_ends_within_the_notice_is_renewed_at_the_old_price(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("monthly")
    await shop.to_period_end(kim)
    assert await world.collected(kim) == 2900, "the trial is over"
    await shop.to(kim, days=15)
    await shop.reprice(monthly=3500)
    await shop.migrate("monthly")
    item, row = await shop.item(kim), await world.subscription(kim)
    assert item.noticed_at is not None
    assert item.not_before == item.noticed_at + timedelta(days=30)
    assert row.period_end is not None
    assert row.period_end < item.not_before
    await shop.to_period_end(kim)
    assert (await world.collected(kim), (await shop.item(kim)).state) == (2900 + 2900, "waiting")
    await shop.to(kim, hours=2)
    assert (await shop.item(kim)).move_at == (await world.subscription(kim)).period_end
    await shop.to_period_end(kim)
    assert ((await shop.item(kim)).state, await world.collected(kim)) == ("moved", 2900 + 2900 + 3500)


async def test_a_cheaper_version_needs_no_notice(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("yearly")
    await shop.to(kim, days=360)
    await shop.reprice(yearly=20000)
    await shop.migrate("yearly")
    await shop.to_period_end(kim)
    assert ((await shop.item(kim)).state, await world.collected(kim)) == ("moved", 25000 + 20000)


async def test_a_card_that_is_declined_is_tried_again_and_access_stays(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("quarterly")
    price = await world.collected(kim)
    version = (await world.subscription(kim)).plan_version
    await shop.reprice(quarterly=price + 500)
    view = await shop.migrate("quarterly", from_version=version)
    [method] = await world.gateway.methods_of(kim.member_id)
    await world.emulator.change_card(method.method_id, "declines_later:insufficient_funds")
    await shop.to_period_end(kim)
    assert ((await world.change(kim)).state, await world.allowed(kim)) == ("collecting", True)
    for days in (1, 2):
        await shop.to(kim, days=days)
    item = await shop.item(kim)
    assert (item.state, item.reason) == ("left", "not_paid")
    assert ((await world.subscription(kim)).status, await world.collected(kim)) == ("canceled", price)
    assert (await shop.migrations.view(view.id)).reasons["not_paid"] == 1
