import asyncio
from datetime import timedelta
from typing import Any

import pytest

from quntedge.checkout import rules
from quntedge.checkout.queries import CheckoutView
from quntedge.kit.clock import FrozenClock
from quntedge.payments.events import PaymentRecorded
from quntedge.subscriptions.events import SubscriptionChanged
from tests.checkout.conftest import World


def changed(user_id: str, checkout_id: str | None, subscription_id: str, **values: Any) -> SubscriptionChanged:
    facts: dict[str, Any] = {
        "subscription_id": subscription_id,
        "user_id": user_id,
        "plan_id": "plan_1",
        "kind": "subscription.created",
        "status": "active",
        "started": True,
        "ended": False,
        "trial": False,
        "checkout_id": checkout_id,
        "membership_id": "mem_1",
        "period_end": None,
        "grace_until": None,
        "cause": "test",
    }
    return SubscriptionChanged(**facts | values)


def declined(user_id: str, checkout_id: str | None, at: Any, **values: Any) -> PaymentRecorded:
    facts: dict[str, Any] = dict.fromkeys(PaymentRecorded.__dataclass_fields__) | {
        "transaction_id": "txn_1",
        "user_id": user_id,
        "status": "failed",
        "currency": "usd",
        "refunded_minor": 0,
        "attempts_failed": 1,
        "newly_paid": False,
        "newly_failed": True,
        "decline_class": "hard",
        "occurred_at": at,
        "checkout_id": checkout_id,
        "cause": "test",
    }
    return PaymentRecorded(**facts | values)


async def tell(world: World, *facts: SubscriptionChanged | PaymentRecorded) -> None:
    async with world.units() as unit:
        await world.outcomes.on_subscription_changed(unit, [f for f in facts if isinstance(f, SubscriptionChanged)])
        await world.outcomes.on_payment_recorded(unit, [f for f in facts if isinstance(f, PaymentRecorded)])
        await unit.commit()


async def shown(world: World, user: str, view: CheckoutView) -> CheckoutView:
    async with world.units() as unit:
        return await world.checkouts.get(unit, user, view.id)


async def gateway_id(world: World, view: CheckoutView) -> str:
    return next(str(i.whop_checkout_id) for i in await world.intents() if i.id == view.id)


async def test_a_started_subscription_completes_its_checkout_once(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    view = await world.checkouts.start(user, "monthly", "key-1")
    subscription = await world.subscribe(user)
    clock.advance(timedelta(minutes=3))
    await tell(world, changed(user, view.id, subscription))
    after = await shown(world, user, view)
    assert (after.state, after.purchase_url, after.subscription_id) == ("completed", None, subscription)
    (intent,) = await world.intents()
    assert (intent.whop_membership_id, intent.completed_at) == ("mem_1", clock.now())
    assert world.retired == [intent.whop_checkout_id]
    await tell(world, changed(user, view.id, subscription, membership_id="mem_2"))
    (intent,) = await world.intents()
    assert intent.whop_membership_id == "mem_1"
    assert len(world.retired) == 1


@pytest.mark.parametrize("ended", [True, False])
async def test_other_changes_leave_the_checkout_alone(world: World, ended: bool) -> None:
    user = await world.user()
    view = await world.checkouts.start(user, "monthly", "key-1")
    subscription = await world.subscribe(user)
    await tell(world, changed(user, view.id, subscription, started=False, ended=ended))
    assert await shown(world, user, view) == view
    assert world.retired == []


async def test_a_foreign_checkout_id_completes_nothing(world: World) -> None:
    user, stranger = await world.user("kim"), await world.user("ann")
    view = await world.checkouts.start(user, "monthly", "key-1")
    subscription = await world.subscribe(stranger)
    await tell(world, changed(stranger, view.id, subscription), declined(stranger, view.id, view.created_at))
    assert await shown(world, user, view) == view


async def test_the_buyers_other_checkouts_end_with_the_purchase(world: World) -> None:
    user, other_user = await world.user("kim"), await world.user("ann")
    bought = await world.checkouts.start(user, "monthly", "key-1")
    left = await world.checkouts.start(user, "yearly", "key-2")
    others = await world.checkouts.start(other_user, "yearly", "key-1")
    await tell(world, changed(user, bought.id, await world.subscribe(user)))
    assert (await shown(world, user, left)).state == "expired"
    assert (await shown(world, other_user, others)).state == "open"
    assert sorted(world.retired) == sorted([await gateway_id(world, bought), await gateway_id(world, left)])


async def test_many_purchases_in_one_batch(world: World) -> None:
    bought = {}
    for number in range(5):
        user = await world.user(f"user{number}")
        bought[user] = await world.checkouts.start(user, "monthly", "key-1")
    subscriptions = {user: await world.subscribe(user) for user in bought}
    await tell(world, *(changed(user, view.id, subscriptions[user]) for user, view in bought.items()))
    for user, view in bought.items():
        assert (await shown(world, user, view)).subscription_id == subscriptions[user]


async def test_a_declined_payment_is_told_and_may_be_tried_again(world: World) -> None:
    user = await world.user()
    view = await world.checkouts.start(user, "monthly", "key-1")
    await tell(world, declined(user, view.id, view.created_at))
    after = await shown(world, user, view)
    assert (after.state, after.failure, after.purchase_url) == ("open", "hard", view.purchase_url)
    await tell(world, declined(user, view.id, view.created_at, newly_failed=False, decline_class="soft"))
    assert (await shown(world, user, view)).failure == "hard"
    await tell(world, changed(user, view.id, await world.subscribe(user)))
    assert (await shown(world, user, view)).failure is None
    await tell(world, declined(user, view.id, view.created_at))
    assert (await shown(world, user, view)).failure is None


async def test_an_unpaid_checkout_expires_and_a_late_payment_still_counts(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    view = await world.checkouts.start(user, "monthly", "key-1")
    clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    async with world.units() as unit:
        assert await world.outcomes.expire(unit, clock.now()) == 0
    clock.advance(timedelta(seconds=1))
    assert (await shown(world, user, view)).state == "expired"
    async with world.units() as unit:
        assert await world.outcomes.expire(unit, clock.now()) == 1
        await unit.commit()
        assert await world.outcomes.expire(unit, clock.now()) == 0
    assert world.retired == [await gateway_id(world, view)]
    await tell(world, changed(user, view.id, await world.subscribe(user)))
    assert (await shown(world, user, view)).state == "completed"


async def test_a_checkout_that_opens_after_another_purchase_cannot_be_paid(world: World) -> None:
    user = await world.user()
    bought = await world.checkouts.start(user, "monthly", "key-1")
    world.wire.hold = asyncio.Event()
    world.wire.reached.clear()
    late = asyncio.create_task(world.checkouts.start(user, "yearly", "key-2"))
    await world.wire.reached.wait()
    await tell(world, changed(user, bought.id, await world.subscribe(user)))
    world.wire.hold.set()
    with pytest.raises(rules.CheckoutExpired):
        await late
    made = {configuration["id"] for configuration in await world.checkouts_at_gateway()}
    assert set(world.retired) == made
    assert len(made) == 2


async def test_one_paid_while_it_was_still_opening_stays_completed(world: World) -> None:
    user = await world.user()
    world.wire.hold = asyncio.Event()
    opening = asyncio.create_task(world.checkouts.start(user, "monthly", "key-1"))
    await world.wire.reached.wait()
    (intent,) = await world.intents()
    async with world.units() as unit:
        await world.outcomes.on_subscription_changed(unit, [changed(user, intent.id, await world.subscribe(user))])
        await unit.commit()
    world.wire.hold.set()
    view = await opening
    assert (view.state, view.purchase_url) == ("completed", None)
    assert len(world.retired) == 1


async def test_a_repetition_after_24_hours_is_a_new_checkout(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    world.wire.faults = ["lost"]
    with pytest.raises(rules.CheckoutUnavailable):
        await world.checkouts.start(user, "monthly", "key-1")
    clock.advance(timedelta(hours=24))
    view = await world.checkouts.start(user, "monthly", "key-1")
    assert view.state == "open"
    assert len(await world.intents()) == 2
