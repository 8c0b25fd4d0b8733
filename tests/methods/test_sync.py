"""What we hold of a customer's cards follows what Whop says, whatever the order it is said in."""

from datetime import timedelta

from quntedge.gateway.acts import StoredMethod
from quntedge.gateway.whop.adapter import connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.methods.sync import MethodSync, take_over
from tests.dunning.world import LOST_LATER
from tests.methods.world import MethodWorld

MASTERCARD = "5555555555554444"


async def test_the_card_of_a_purchase_is_found_and_pays(world: MethodWorld) -> None:
    await world.buy(expiry="04/30")
    (view,) = await world.shown()
    assert (view.kind, view.brand, view.last4) == ("card", "visa", "4242")
    assert (view.exp_month, view.exp_year, view.expired, view.expires_soon) == (4, 2030, False, False)
    assert (view.is_default, view.pays) == (True, "Quarterly")
    assert view.whop_method_id == world.charged_with()


async def test_a_plain_renewal_looks_at_nothing_and_the_night_does(world: MethodWorld) -> None:
    await world.buy()
    before = await world.base.rows("SELECT * FROM method_member")
    await world.base.travel(days=90, hours=2)
    assert (await world.base.status()) == "active"
    assert await world.base.rows("SELECT * FROM method_member") == before
    assert await world.look() == 1
    assert await world.look() == 0
    (member,) = await world.base.rows("SELECT sync_at - synced_at AS wait FROM method_member")
    assert member["wait"] == timedelta(days=1)


async def test_a_trial_begins_with_a_card_and_without_a_payment(world: MethodWorld) -> None:
    await world.buy(plan="monthly")
    assert await world.base.status() == "trialing"
    assert [view.last4 for view in await world.shown()] == ["4242"]


async def test_what_is_missing_at_whop_is_gone_here_and_comes_back_with_it(world: MethodWorld) -> None:
    await world.buy()
    second = await world.add(MASTERCARD)
    assert await world.brands() == [("4242", True), ("4444", False)]
    store = world.base.emulator.runtime.world.store
    card = store.tables.methods[second]
    store.remove(store.tables.methods, second)
    await world.methods.sync.refresh(world.user_id)
    assert await world.brands() == [("4242", True)]
    store.add(store.tables.methods, card)
    await world.methods.sync.refresh(world.user_id)
    assert await world.brands() == [("4242", True), ("4444", False)]
    assert len(await world.base.rows("SELECT id FROM payment_method")) == 2


async def test_an_answer_that_was_overtaken_changes_nothing(world: MethodWorld) -> None:
    await world.buy()
    await world.add(MASTERCARD)
    now = world.base.clock.now()
    stale = [StoredMethod("payt_old", "card", "visa", "0000")]
    async with world.base.runtime.units() as unit:
        await take_over(unit, world.user_id, world.base.member_id, stale, now - timedelta(seconds=1))
        await unit.commit()
    assert await world.brands() == [("4242", True), ("4444", False)]
    async with world.base.runtime.units() as unit:
        await take_over(unit, world.user_id, world.base.member_id, stale, now)
        await unit.commit()
    assert await world.brands() == [("0000", False)]


async def test_a_card_that_was_changed_elsewhere_pays_once_it_has_paid(world: MethodWorld) -> None:
    """On Whop's own pages a customer chooses another card: nothing tells us until it is charged."""
    await world.buy()
    second = await world.add(MASTERCARD)
    await world.base.runtime.gateway.use_method(world.base.membership_id, second)
    assert await world.brands() == [("4242", True), ("4444", False)]
    await world.base.travel(days=90, hours=2)
    await world.look()
    assert await world.brands() == [("4444", True), ("4242", False)]


async def test_a_payment_that_failed_before_is_looked_at(world: MethodWorld) -> None:
    await world.buy(LOST_LATER)
    await world.base.fail_renewal()
    await world.look()
    second = await world.base.save_card(MASTERCARD)
    await world.base.runtime.gateway.use_method(world.base.membership_id, second)
    await world.base.jump(seconds=1)
    await world.base.hear()
    assert await world.base.status() == "active"
    assert await world.look() == 1
    assert await world.brands() == [("4444", True), ("2341", False)]


async def test_cards_saved_elsewhere_belong_to_whoever_the_member_is(world: MethodWorld) -> None:
    await world.buy()
    checkout = await world.base.api("POST", "/checkout_configurations", {"account_id": "biz_test", "mode": "setup"})
    saved = await world.base.emulator.pay(checkout["id"], MASTERCARD, email="kim@customers.test")
    await world.told(saved["setup_intent"])
    assert await world.brands() == [("4242", True), ("4444", False)]
    stranger = await world.base.emulator.pay(checkout["id"], MASTERCARD, email="somebody@customers.test")
    await world.told(stranger["setup_intent"])
    assert len(await world.shown()) == 2


async def test_a_gateway_that_gives_no_answer_puts_the_look_off(world: MethodWorld) -> None:
    await world.buy()
    await world.base.jump(hours=25)
    await world.base.emulator.faults(fault="error_before", match="GET /payment_methods**", status=503)
    runtime = world.base.runtime
    settings = WhopSettings("custom", "test-key", "biz_test", world.base.emulator.api_base_url)
    impatient = connect(settings, read_retries=0)
    assert await MethodSync(runtime.units, impatient).sync_due() == 1
    assert await MethodSync(runtime.units, impatient).refresh(world.user_id) is False
    await impatient.close()
    assert await world.look() == 0
    assert await world.brands() == [("4242", True)]
    await world.base.emulator.disarm()
    await world.base.jump(hours=2)
    assert await world.look() == 1
