"""Codes at the checkout: what is shown is what is charged, and what is not paid is given back."""

import asyncio

import pytest
from sqlalchemy import text

from quntedge.checkout import rules
from quntedge.gateway.errors import GatewayRejected
from quntedge.kit.clock import FrozenClock
from quntedge.promotions import errors
from quntedge.promotions.queries import running
from tests.promotions.conftest import Store, spec, usd

RESERVATION = (
    "SELECT state, outcome, whop_promo_id FROM promotion_reservation ORDER BY created_at DESC, id DESC LIMIT 1"
)
USES = "SELECT uses FROM promotion"


async def test_what_is_shown_is_what_is_charged_and_recorded(store: Store) -> None:
    await store.save(spec(percent_bp=1450, periods=3, max_uses=1))
    user = await store.user()
    view = await store.checkouts.start(user, "quarterly", "key-1", promotion_code="launch20")
    assert (view.promotion_code, view.price, view.discount) == ("LAUNCH20", usd(7500), usd(1088))
    assert view.payment_code is not None
    assert view.payment_code.startswith("LAUNCH20-")
    async with store.units() as unit:
        shown = await store.checkouts.preview(unit, user, view.id)
    payment = await store.pay(user, view, promo_code=view.payment_code)
    assert payment.total == shown.today.total == view.total == usd(6412)
    row = await store.one("SELECT * FROM promotion_redemption")
    assert (row["discount_minor"], row["agreed_minor"], row["total_minor"]) == (1088, 1088, 6412)
    assert (row["opening"], row["differs"]) == (True, False)
    assert (await store.one(RESERVATION))["state"] == "used"
    assert (await store.one(USES))["uses"] == 1
    async with store.units() as unit:
        left = await running(unit.session, str(payment.membership_id))
    assert left is not None
    assert (left.code, left.left, left.price, left.regular) == ("LAUNCH20", 2, usd(6412), usd(7500))
    # The code was for this checkout alone: at the gateway it is used up.
    promo = await store.gateway.promo(str(payment.promo_code_id))
    assert promo.uses == 1
    # Hearing of it again changes nothing.
    await store.hear(user, payment, view.id)
    assert (await store.one("SELECT count(*) AS n FROM promotion_redemption"))["n"] == 1


async def test_the_same_request_gets_the_same_code(store: Store) -> None:
    await store.save(spec(max_per_customer=1))
    user = await store.user()
    first = await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    assert await store.checkouts.start(user, "quarterly", "key-1", promotion_code=" launch20 ") == first
    # Another tab, later: the open checkout holds the one use this customer may have, so it is the one to pay.
    assert await store.checkouts.start(user, "quarterly", "key-2", promotion_code="LAUNCH20") == first
    assert (await store.one(USES))["uses"] == 1
    with pytest.raises(errors.PromotionHeld) as raised:
        await store.checkouts.start(user, "yearly", "key-3", promotion_code="LAUNCH20")
    assert raised.value.extra["checkout_id"] == first.id
    without = await store.checkouts.start(user, "quarterly", "key-4")
    assert without.id != first.id
    assert without.discount is None


async def test_what_is_not_paid_in_time_is_given_back(store: Store, clock: FrozenClock) -> None:
    await store.save(spec(max_uses=1))
    user, other = await store.user("kim"), await store.user("lou")
    await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    with pytest.raises(errors.PromotionUsedUp):
        await store.checkouts.start(other, "quarterly", "key-1", promotion_code="LAUNCH20")
    promo_id = (await store.one(RESERVATION))["whop_promo_id"]
    await store.expire(clock)
    assert (await store.one(RESERVATION))["state"] == "released"
    assert (await store.one(USES))["uses"] == 0
    assert (await store.gateway.promo(promo_id)).archived
    await store.checkouts.start(other, "quarterly", "key-2", promotion_code="LAUNCH20")


async def test_giving_up_frees_the_use_at_once(store: Store) -> None:
    await store.save(spec(max_per_customer=1))
    user = await store.user()
    view = await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    with pytest.raises(rules.CheckoutNotFound):
        async with store.units() as unit:
            await store.checkouts.abandon(unit, await store.user("lou"), view.id)
    async with store.units() as unit:
        given_up = await store.checkouts.abandon(unit, user, view.id)
        await unit.commit()
    assert (given_up.state, given_up.purchase_url, given_up.payment_code) == ("expired", None, None)
    await store.work()
    assert (await store.one(RESERVATION))["state"] == "released"
    await store.checkouts.start(user, "yearly", "key-2", promotion_code="LAUNCH20")


async def test_paid_at_the_last_moment_counts(store: Store, clock: FrozenClock) -> None:
    """The link was retired late: the gateway says that the code was used, so it is not given to anybody else."""
    await store.save(spec(max_uses=1))
    user = await store.user()
    view = await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    session = str(view.purchase_url).partition("session=")[2]
    paid = await store.emulator.pay(session, email="kim@customers.test", promo_code=view.payment_code)
    await store.expire(clock)
    assert (await store.one(RESERVATION))["state"] == "releasing"
    with pytest.raises(errors.PromotionUsedUp):
        await store.checkouts.start(await store.user("lou"), "quarterly", "key-1", promotion_code="LAUNCH20")
    await store.hear(user, await store.gateway.payment(paid["payment"]["id"]), view.id)
    assert (await store.one(RESERVATION))["state"] == "used"
    assert (await store.one(USES))["uses"] == 1


async def test_paying_without_the_code_is_seen_and_frees_the_use(store: Store) -> None:
    await store.save(spec(max_uses=1))
    user = await store.user()
    view = await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    payment = await store.pay(user, view)
    assert payment.total == usd(7500)
    assert (await store.one(RESERVATION))["outcome"] == "paid_without_code"
    await store.work()
    assert (await store.one(RESERVATION))["state"] == "released"
    assert (await store.one(USES))["uses"] == 0


async def test_a_code_that_only_the_gateway_knows_is_recorded(store: Store) -> None:
    made = await store.emulator.control.post(
        f"{store.emulator.api_base_url}/promo_codes",
        json={
            "account_id": store.emulator.config.account_id,
            "code": "DASHBOARD",
            "promo_type": "flat_amount",
            "amount_off": 5,
            "base_currency": "usd",
            "promo_duration_months": 1,
            "new_users_only": False,
        },
        headers={"Authorization": f"Bearer {store.emulator.config.api_key}"},
    )
    made.raise_for_status()
    user = await store.user()
    view = await store.checkouts.start(user, "quarterly", "key-1")
    await store.pay(user, view, promo_code="dashboard")
    row = await store.one("SELECT * FROM promotion_redemption")
    assert (row["promotion_id"], row["reservation_id"], row["agreed_minor"]) == (None, None, None)
    assert (row["whop_promo_id"], row["discount_minor"]) == (made.json()["id"], 500)
    # What another feature took off a charge is no promotion.
    store.credit_promos.add(made.json()["id"])
    other = await store.user("lou")
    await store.pay(other, await store.checkouts.start(other, "quarterly", "key-1"), promo_code="dashboard")
    assert (await store.one("SELECT count(*) AS n FROM promotion_redemption"))["n"] == 1


@pytest.mark.parametrize("lost", ["promo", "checkout"])
async def test_an_unknown_outcome_makes_nothing_twice(store: Store, lost: str) -> None:
    await store.save(spec(max_uses=1))
    user = await store.user()
    store.wire.faults = ["lost"] if lost == "promo" else ["", "lost"]
    with pytest.raises(rules.CheckoutUnavailable):
        await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    view = await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    assert view.state == "open"
    assert len(await store.gateway.promos()) == len(await store.checkouts_at_gateway()) == 1
    assert (await store.one(USES))["uses"] == 1


async def test_a_code_made_without_our_knowing_is_found_and_archived(store: Store, clock: FrozenClock) -> None:
    await store.save(spec(max_uses=1))
    store.wire.faults = ["lost"]
    with pytest.raises(rules.CheckoutUnavailable):
        await store.checkouts.start(await store.user(), "quarterly", "key-1", promotion_code="LAUNCH20")
    assert (await store.one(RESERVATION))["whop_promo_id"] is None
    await store.expire(clock)
    assert (await store.one(RESERVATION))["state"] == "released"
    assert [promo.archived for promo in await store.gateway.promos()] == [True]


async def test_a_refusal_gives_the_use_back(store: Store) -> None:
    await store.save(spec(max_uses=1))
    user = await store.user()
    store.wire.faults = ["rejected"]
    with pytest.raises(GatewayRejected):
        await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    await store.work()
    assert (await store.one(USES))["uses"] == 0
    assert (await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")).state == "open"


async def test_many_customers_want_the_last_use_at_the_checkout(store: Store) -> None:
    await store.save(spec(max_uses=1))
    users = [await store.user(f"user{number}") for number in range(10)]

    async def buy(user: str) -> bool:
        try:
            await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
        except errors.PromotionUsedUp:
            return False
        return True

    assert sum(await asyncio.gather(*(buy(user) for user in users))) == 1
    assert len(await store.gateway.promos()) == len(await store.checkouts_at_gateway()) == 1


async def test_a_customer_with_a_past_is_no_new_customer(store: Store) -> None:
    await store.save(spec(first_purchase_only=True))
    user = await store.user()
    await store.subscribe(user, status="canceled")
    with pytest.raises(errors.PromotionFirstPurchaseOnly):
        await store.checkouts.start(user, "quarterly", "key-1", promotion_code="LAUNCH20")
    assert await store.intents() == []
    assert (await store.checkouts.start(user, "quarterly", "key-1")).state == "open"


async def test_another_address_of_the_same_mailbox_is_no_new_customer_either(store: Store) -> None:
    await store.save(spec(first_purchase_only=True))
    kim, again = await store.user("kim"), await store.user("again")
    async with store.units() as unit:
        await unit.session.execute(
            text("UPDATE app_user SET mailbox_index = convert_to('kim', 'UTF8') WHERE id IN (:one, :other)"),
            {"one": kim, "other": again},
        )
        await unit.commit()
    await store.subscribe(kim, status="canceled")
    with pytest.raises(errors.PromotionFirstPurchaseOnly):
        await store.checkouts.start(again, "quarterly", "key-1", promotion_code="LAUNCH20")
