import asyncio
from datetime import timedelta

import pytest

from quntedge.checkout import rules
from quntedge.checkout.idempotency import IdempotencyKeyInFlight, IdempotencyKeyMissing, IdempotencyKeyReused
from quntedge.checkout.queries import CheckoutView, owners
from quntedge.gateway.errors import GatewayRejected
from quntedge.kit.clock import FrozenClock
from quntedge.kit.ids import is_id
from quntedge.kit.money import Money
from quntedge.subscriptions.models import LIVE, STATUSES
from tests.checkout.conftest import BASE_URL, World


async def test_a_checkout_is_opened(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    view = await world.checkouts.start(user, "monthly", "key-1")
    assert is_id(view.id, "chk")
    assert (view.state, view.plan_code, view.plan_name) == ("open", "monthly", "Monthly")
    assert (view.price, view.created_at, view.failure) == (Money(2900, "usd"), clock.now(), None)
    assert view.purchase_url is not None
    assert view.purchase_url.startswith(world.emulator.url)
    (there,) = await world.checkouts_at_gateway()
    assert there["metadata"] == {"intent_id": view.id}
    assert there["redirect_url"] == f"{BASE_URL}/api/whop/return?checkout={view.id}"
    assert world.wire.keys == [view.id]
    (intent,) = await world.intents()
    assert (intent.whop_checkout_id, intent.expires_at) == (there["id"], clock.now() + timedelta(hours=24))
    async with world.units() as unit:
        assert await world.checkouts.get(unit, user, view.id) == view
        plan = await world.plan("monthly")
        (owner,) = (await owners(unit, [view.id, "chk_x", "\x00"])).values()
        assert (owner.user_id, owner.plan_id, owner.state) == (user, plan.id, "open")
        assert await owners(unit, ["nonsense"]) == {}


async def test_what_is_paid_there_carries_our_id(world: World) -> None:
    view = await world.checkouts.start(await world.user(), "yearly", "key-1")
    (there,) = await world.checkouts_at_gateway()
    paid = await world.emulator.pay(there["id"], email="kim@customer.test")
    membership = await world.gateway.membership(paid["membership"]["id"])
    assert membership.metadata["intent_id"] == view.id


async def test_a_repetition_gets_the_same_answer(world: World) -> None:
    user = await world.user()
    view = await world.checkouts.start(user, "monthly", "key-1")
    assert await world.checkouts.start(user, "monthly", "key-1") == view
    with pytest.raises(IdempotencyKeyReused):
        await world.checkouts.start(user, "yearly", "key-1")
    assert len(await world.checkouts_at_gateway()) == len(await world.intents()) == 1


async def test_another_customer_may_use_the_same_key(world: World) -> None:
    first = await world.checkouts.start(await world.user("kim"), "monthly", "key-1")
    second = await world.checkouts.start(await world.user("ann"), "monthly", "key-1")
    assert first.id != second.id


@pytest.mark.parametrize("same_key", [True, False])
async def test_a_double_click_opens_one_checkout(world: World, same_key: bool) -> None:
    user = await world.user()
    world.wire.hold = asyncio.Event()
    first = asyncio.create_task(world.checkouts.start(user, "monthly", "key-1"))
    await world.wire.reached.wait()
    expected = IdempotencyKeyInFlight if same_key else rules.CheckoutInProgress
    with pytest.raises(expected):
        await world.checkouts.start(user, "monthly", "key-1" if same_key else "key-2")
    world.wire.hold.set()
    view = await first
    assert await world.checkouts.start(user, "monthly", "key-1" if same_key else "key-2") == view
    assert await world.checkouts.start(user, "monthly", "key-3") == view
    assert len(await world.checkouts_at_gateway()) == len(await world.intents()) == 1


async def test_many_clicks_at_once_open_one_checkout(world: World) -> None:
    user = await world.user()
    results = await asyncio.gather(
        *(world.checkouts.start(user, "monthly", f"key-{n}") for n in range(10)), return_exceptions=True
    )
    assert {result.id for result in results if isinstance(result, CheckoutView)} == {(await world.intents())[0].id}
    assert all(isinstance(result, CheckoutView | rules.CheckoutInProgress) for result in results)
    assert len(await world.checkouts_at_gateway()) == len(await world.intents()) == 1


async def test_a_later_or_another_wish_is_a_new_checkout(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    first = await world.checkouts.start(user, "monthly", "key-1")
    other = await world.checkouts.start(user, "yearly", "key-2")
    clock.advance(timedelta(seconds=60))
    later = await world.checkouts.start(user, "monthly", "key-3")
    assert len({first.id, other.id, later.id}) == 3


@pytest.mark.parametrize(
    ("fault", "wait"),
    [("lost", 5), ("refused", 5), ("limited", 12)],
)
async def test_an_unclear_answer_is_resumed_under_the_same_id(world: World, fault: str, wait: int) -> None:
    user = await world.user()
    world.wire.faults = [fault]
    with pytest.raises(rules.CheckoutUnavailable) as caught:
        await world.checkouts.start(user, "monthly", "key-1")
    assert caught.value.retry_after_seconds == wait
    (intent,) = await world.intents()
    assert intent.state == "unknown"
    view = await world.checkouts.start(user, "monthly", "key-1")
    assert (view.id, view.state) == (intent.id, "open")
    assert world.wire.keys == [intent.id, intent.id]
    assert len(await world.checkouts_at_gateway()) == len(await world.intents()) == 1


async def test_a_process_that_died_during_the_call_is_resumed_after_its_lease(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    world.wire.hold = asyncio.Event()
    dying = asyncio.create_task(world.checkouts.start(user, "monthly", "key-1"))
    await world.wire.reached.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    world.wire.hold.set()
    with pytest.raises(IdempotencyKeyInFlight):
        await world.checkouts.start(user, "monthly", "key-1")
    clock.advance(timedelta(seconds=60))
    view = await world.checkouts.start(user, "monthly", "key-1")
    assert view.state == "open"
    assert len(await world.checkouts_at_gateway()) == len(await world.intents()) == 1


async def test_a_slow_first_and_a_resuming_second_agree(world: World, clock: FrozenClock) -> None:
    user = await world.user()
    world.wire.hold = asyncio.Event()
    slow = asyncio.create_task(world.checkouts.start(user, "monthly", "key-1"))
    await world.wire.reached.wait()
    clock.advance(timedelta(seconds=61))
    second = asyncio.create_task(world.checkouts.start(user, "monthly", "key-1"))
    world.wire.hold.set()
    assert await slow == await second
    assert len(await world.checkouts_at_gateway()) == len(await world.intents()) == 1


async def test_a_refusal_ends_the_intent_and_frees_the_key(world: World) -> None:
    user = await world.user()
    world.wire.faults = ["rejected"]
    with pytest.raises(GatewayRejected):
        await world.checkouts.start(user, "monthly", "key-1")
    (refused,) = await world.intents()
    assert (refused.state, refused.failure) == ("failed", "gateway_rejected")
    view = await world.checkouts.start(user, "monthly", "key-1")
    assert view.id != refused.id
    assert view.state == "open"


async def test_what_cannot_be_bought_leaves_nothing_behind(world: World) -> None:
    user = await world.user()
    for plan in ("weekly", "", "\x00", "\ud800", "x" * 10_000):
        for _ in range(2):
            with pytest.raises(rules.PlanNotFound):
                await world.checkouts.start(user, plan, "key-1")
    with pytest.raises(rules.PlanIsFree):
        await world.checkouts.start(user, "free", "key-1")
    assert await world.intents() == []
    assert (await world.checkouts.start(user, "monthly", "key-1")).state == "open"


async def test_a_subscriber_cannot_buy_twice(world: World) -> None:
    for status in LIVE:
        user = await world.user(status)
        await world.subscribe(user, "quarterly", status=status)
        with pytest.raises(rules.AlreadySubscribed, match="Quarterly"):
            await world.checkouts.start(user, "monthly", "key-1")
    assert await world.checkouts_at_gateway() == []


async def test_one_whose_subscription_ended_may_buy_again(world: World) -> None:
    for status in sorted(set(STATUSES) - set(LIVE)):
        user = await world.user(status)
        await world.subscribe(user, status=status)
        assert (await world.checkouts.start(user, "monthly", "key-1")).state == "open"


async def test_a_key_is_needed(world: World) -> None:
    with pytest.raises(IdempotencyKeyMissing):
        await world.checkouts.start(await world.user(), "monthly", None)


async def test_a_foreign_or_made_up_checkout_is_not_found(world: World) -> None:
    view = await world.checkouts.start(await world.user("kim"), "monthly", "key-1")
    stranger = await world.user("ann")
    async with world.units() as unit:
        for checkout_id in (view.id, "chk_" + "0" * 26, "", "\x00", "sub_" + view.id[4:]):
            with pytest.raises(rules.CheckoutNotFound):
                await world.checkouts.get(unit, stranger, checkout_id)
