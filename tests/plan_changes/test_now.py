"""Changes that happen now: charged on the saved card with a credit, or paid on the gateway's page."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from quntedge.gateway.port import MembershipStatus
from quntedge.kit.money import Money
from quntedge.plan_changes import errors
from tests.plan_changes.world import FAILS_LATER, World, stages

_GIVEN_UP = text("UPDATE plan_change SET state = 'expired', ended_at = :now WHERE id = :id")


async def test_an_upgrade_takes_the_unused_time_off_the_charge(world: World) -> None:
    kim = await world.customer("quarterly")
    await world.move(days=45)
    await world.news(kim)
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    assert (preview.moment, preview.pay_by, preview.direction) == ("now", "method", "upgrade")
    assert preview.method is not None
    assert preview.method.last4 == "4242"
    assert sum(line.amount.amount_minor for line in preview.lines) == preview.amount.amount_minor
    assert preview.amount.amount_minor == 25000 - 3750
    view = await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    assert view.is_open
    assert await world.allowed(kim)
    await world.go_on(kim)

    change = await world.change(kim)
    assert (change.state, change.review, change.failure) == ("done", None, None)
    [new] = await world.alive(kim)
    assert new.membership_id == change.new_membership_id
    assert [payment.total.amount_minor for payment in await world.paid(kim) if payment.total] == [21250, 7500]
    assert await world.active_promos() == 0
    row = await world.subscription(kim)
    assert (row.status, row.whop_membership_id, row.ended_at) == ("active", new.membership_id, None)
    assert (await world.plan_of(kim), await world.allowed(kim, "api_access")) == ("yearly", True)
    assert stages(world, kim) == ["done_now"]


async def test_confirming_twice_is_one_change(world: World) -> None:
    kim = await world.customer("quarterly")
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    first = await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    second = await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    assert first.id == second.id
    with pytest.raises(errors.ChangeRunning):
        await world.changes.service.preview(kim.user_id, "lifetime")
    await world.go_on(kim)
    third = await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    assert (third.id, third.state) == (first.id, "done")
    assert len(await world.paid(kim)) == 2


async def test_two_tabs_begin_one_change(world: World) -> None:
    kim = await world.customer("quarterly")
    service = world.changes.service
    quotes = [(plan, (await service.preview(kim.user_id, plan)).quote) for plan in ("yearly", "lifetime")]
    clicks = (service.confirm(kim.user_id, plan, quote) for plan, quote in quotes)
    answers = await asyncio.gather(*clicks, return_exceptions=True)
    assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [errors.ChangeRunning]
    await world.go_on(kim)
    assert (len(await world.paid(kim)), len(await world.alive(kim))) == (2, 1)


async def test_what_cannot_be_changed_says_why(world: World) -> None:
    kim, service = await world.customer("quarterly"), world.changes.service
    for plan, error in (("quarterly", errors.SamePlan), ("nothing_like_it", errors.UnknownTarget)):
        with pytest.raises(error):
            await service.preview(kim.user_id, plan)
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=True, idempotency_key=f"end-{kim.user_id}")
    await world.news(kim)
    with pytest.raises(errors.CancellationPending):
        await service.preview(kim.user_id, "yearly")
    await world.gateway.cancel_membership(kim.membership_id, at_period_end=False, idempotency_key=f"now-{kim.user_id}")
    await world.news(kim)
    with pytest.raises(errors.NothingToChange):
        await service.preview(kim.user_id, "yearly")
    with pytest.raises(errors.NoChange):
        await service.withdraw(kim.user_id)


async def test_a_payment_that_came_too_late_is_shown_to_somebody(world: World) -> None:
    """The card was charged after all, though the change had been given up."""
    kim = await world.customer("quarterly")
    view = await world.begin(kim, "yearly", by_checkout=True)
    async with world.units() as unit:
        await unit.session.execute(_GIVEN_UP, {"id": view.id, "now": world.clock.now()})
        await unit.commit()
    late = await world.pay(str(view.pay_url), kim)
    await world.news(kim)
    change = await world.change(kim)
    assert (change.state, change.review) == ("expired", f"paid_again:{late['membership']['id']}")
    row = await world.subscription(kim)
    assert (row.status, await world.allowed(kim)) == ("active", True)


async def test_whoever_pays_in_euros_goes_on_in_euros(world: World) -> None:
    kim = await world.customer("quarterly", currency="eur")
    free = await world.changes.service.preview(kim.user_id, "free")
    assert (free.moment, free.price) == ("period_end", Money.zero("eur"))
    await world.begin(kim, "yearly")
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.review, change.currency) == ("done", None, "eur")
    assert await world.collected(kim) == 23000
    assert (await world.subscription(kim)).currency == "eur"


async def test_old_previews_are_forgotten(world: World) -> None:
    kim = await world.customer("quarterly")
    await world.changes.service.preview(kim.user_id, "yearly")
    async with world.units() as unit:
        assert await world.changes.purge(unit, world.clock.now() - timedelta(days=1)) >= 0
        assert await world.changes.purge(unit, world.clock.now() + timedelta(days=8)) >= 1


async def test_a_declined_charge_changes_nothing(world: World) -> None:
    kim = await world.customer("quarterly", FAILS_LATER)
    view = await world.begin(kim, "yearly")
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.id, change.state, change.failure) == (view.id, "failed", "soft")
    [old] = await world.alive(kim)
    assert (old.membership_id, old.cancel_at_period_end) == (kim.membership_id, False)
    assert len(await world.paid(kim)) == 1
    assert await world.active_promos() == 0
    assert (await world.plan_of(kim), await world.allowed(kim)) == ("quarterly", True)
    assert stages(world, kim) == ["failed"]
    # Nobody can pay it later: it was given up at the gateway.
    assert (await world.gateway.payment(str(change.whop_payment_id))).status.value == "void"
    assert (await world.changes.service.preview(kim.user_id, "yearly")).quote


async def test_an_outdated_preview_is_refused_with_a_fresh_one(world: World) -> None:
    kim = await world.customer("quarterly")
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    await world.move(minutes=11)
    with pytest.raises(errors.PreviewOutdated) as caught:
        await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    fresh = caught.value.extra["preview"]
    assert fresh["quote"] != preview.quote
    assert (await world.paid(kim))[0].plan_id != preview.to_plan.code
    with pytest.raises(errors.QuoteUnknown):
        await world.changes.service.confirm((await world.customer()).user_id, "yearly", fresh["quote"])
    assert (await world.changes.service.confirm(kim.user_id, "yearly", fresh["quote"])).is_open


async def test_paid_on_the_gateways_page_the_credit_goes_back_to_the_card(world: World) -> None:
    kim = await world.customer("quarterly")
    await world.move(days=45)
    await world.news(kim)
    preview = await world.changes.service.preview(kim.user_id, "yearly", by_checkout=True)
    assert (preview.amount.amount_minor, preview.refund.amount_minor) == (25000, 3750)
    view = await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    assert view.pay_url is not None
    await world.pay(view.pay_url, kim)
    await world.go_on(kim)
    change = await world.change(kim)
    assert (change.state, change.review) == ("done", None)
    assert len(await world.alive(kim)) == 1
    assert await world.collected(kim) == 7500 + 25000 - 3750
    assert (await world.plan_of(kim), await world.allowed(kim)) == ("yearly", True)
    # The link is closed: a second payment is not possible.
    with pytest.raises(RuntimeError):
        await world.pay(view.pay_url, kim)


async def test_a_checkout_that_nobody_pays_expires_and_changes_nothing(world: World) -> None:
    kim = await world.customer("quarterly")
    view = await world.begin(kim, "yearly", by_checkout=True)
    await world.move(hours=25)
    await world.runner.resume_due()
    change = await world.change(kim)
    assert (change.id, change.state) == (view.id, "expired")
    assert [one.membership_id for one in await world.alive(kim)] == [kim.membership_id]
    assert stages(world, kim) == []


async def test_a_checkout_paid_twice_is_shown_to_somebody(world: World) -> None:
    kim = await world.customer("quarterly")
    view = await world.begin(kim, "yearly", by_checkout=True)
    await world.pay(str(view.pay_url), kim)
    again = await world.pay(str(view.pay_url), kim)
    await world.go_on(kim)
    change = await world.change(kim)
    assert change.state == "done"
    assert change.review is not None
    assert change.review.startswith("paid_again:")
    assert again["membership"]["id"] in (change.new_membership_id, change.review.partition(":")[2])
    assert (await world.subscription(kim)).status == "active"


async def test_a_bank_that_asks_is_waited_for_and_then_given_up(world: World) -> None:
    kim = await world.customer("quarterly")
    [method] = await world.gateway.methods_of(kim.member_id)
    await world.emulator.change_card(method.method_id, "always_challenges")
    await world.begin(kim, "yearly")
    await world.go_on(kim)
    current = await world.changes.service.current(kim.user_id)
    assert current is not None
    assert (current.progress, current.confirm_url is not None) == ("waiting_for_bank", True)
    await world.move(hours=25)
    await world.runner.resume_due()
    change = await world.change(kim)
    assert (change.state, change.failure) == ("failed", "action_timed_out")
    assert len(await world.paid(kim)) == 1
    assert (await world.active_promos(), await world.allowed(kim)) == (0, True)


async def test_an_upgrade_to_lifetime(world: World) -> None:
    kim = await world.customer("quarterly")
    await world.begin(kim, "lifetime")
    await world.go_on(kim)
    [only] = await world.alive(kim)
    assert only.status is MembershipStatus.COMPLETED
    row = await world.subscription(kim)
    assert (row.status, await world.plan_of(kim)) == ("completed", "lifetime")
    assert await world.collected(kim) == 49900
    with pytest.raises(errors.LifetimeHeld):
        await world.changes.service.preview(kim.user_id, "yearly")


async def test_during_a_trial_nothing_is_taken_off(world: World) -> None:
    kim = await world.customer("monthly")
    assert (await world.subscription(kim)).status == "trialing"
    preview = await world.changes.service.preview(kim.user_id, "yearly")
    assert preview.amount.amount_minor == 25000
    assert [line.reason for line in preview.lines if line.reason] == ["trial"]
    await world.changes.service.confirm(kim.user_id, "yearly", preview.quote)
    await world.go_on(kim)
    row = await world.subscription(kim)
    assert (row.status, await world.plan_of(kim), await world.collected(kim)) == ("active", "yearly", 25000)
