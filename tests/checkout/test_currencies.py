"""Which price is asked for: the currency somebody chose, and the version they were shown."""

from dataclasses import replace

import pytest

from quntedge.catalog.rules import CatalogFile
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.checkout import rules
from quntedge.checkout.idempotency import IdempotencyKeyReused
from quntedge.kit.money import Money
from tests.checkout.conftest import World

SEED = packaged()


async def put_on_sale(world: World, **prices: str) -> None:
    """Other prices for the monthly plan, here and at the gateway."""
    amounts = {code: Money.parse(amount, code) for code, amount in prices.items()}
    plan = replace(SEED.plans["monthly"], prices=amounts)
    service = CatalogService(world.units, world.gateway)
    await service.apply(CatalogFile(SEED.features, {**SEED.plans, "monthly": plan}))
    await service.sync_gateway()


async def paid_for(world: World, checkout_id: str) -> str:
    """The currency somebody pays in who follows the link."""
    (there,) = [one for one in await world.checkouts_at_gateway() if one["metadata"]["intent_id"] == checkout_id]
    paid = await world.emulator.pay(there["id"], email="kim@customer.test")
    return str(paid["payment"]["currency"])


async def test_a_plan_is_bought_in_the_currency_that_was_chosen(world: World) -> None:
    view = await world.checkouts.start(await world.user(), "yearly", "key-1", "eur")
    assert view.price == Money(23000, "eur")
    assert await paid_for(world, view.id) == "eur"
    (intent,) = await world.intents()
    assert (intent.currency, intent.price_minor, intent.plan_version) == ("eur", 23000, 1)


async def test_a_currency_the_plan_is_not_sold_in_is_refused_with_those_it_is(world: World) -> None:
    user = await world.user()
    with pytest.raises(
        rules.CurrencyNotOffered, match=r"Monthly is not sold in 'gbp'\. It is sold in: usd, eur\."
    ) as error:
        await world.checkouts.start(user, "monthly", "key-1", "gbp")
    assert error.value.extra["currencies"] == ["usd", "eur"]
    assert await world.intents() == []
    assert (await world.checkouts.start(user, "monthly", "key-1")).price.currency == "usd", "the key is free again"


async def test_another_currency_is_another_wish(world: World) -> None:
    user = await world.user()
    first = await world.checkouts.start(user, "monthly", "key-1")
    with pytest.raises(IdempotencyKeyReused):
        await world.checkouts.start(user, "monthly", "key-1", "eur")
    second = await world.checkouts.start(user, "monthly", "key-2", "eur")
    assert second.id != first.id
    assert (await world.checkouts.start(user, "monthly", "key-3", "eur")).id == second.id, "a second click"


async def test_a_new_price_counts_from_the_next_wish_on(world: World) -> None:
    user = await world.user()
    first = await world.checkouts.start(user, "monthly", "key-1")
    await put_on_sale(world, usd="35.00", eur="33.00")
    again = await world.checkouts.start(user, "monthly", "key-1")
    assert (again.id, again.price) == (first.id, Money(2900, "usd")), "what was shown is what is asked for"
    fresh = await world.checkouts.start(user, "monthly", "key-2")
    assert (fresh.price, fresh.id == first.id) == (Money(3500, "usd"), False)
    assert [intent.plan_version for intent in await world.intents()] == [1, 2]


async def test_a_purchase_that_is_resumed_keeps_to_the_price_it_began_with(world: World) -> None:
    user = await world.user()
    world.wire.faults = ["lost"]
    with pytest.raises(rules.CheckoutUnavailable):
        await world.checkouts.start(user, "monthly", "key-1", "eur")
    await put_on_sale(world, usd="35.00", eur="33.00")
    resumed = await world.checkouts.start(user, "monthly", "key-1", "eur")
    assert resumed.price == Money(2700, "eur")
    (intent,) = await world.intents()
    assert (intent.state, intent.plan_version) == ("open", 1)
    assert len(await world.checkouts_at_gateway()) == 1, "the gateway was asked for the same thing again"


async def test_a_plan_that_is_no_longer_sold_in_a_currency(world: World) -> None:
    await put_on_sale(world, usd="29.00")
    with pytest.raises(rules.CurrencyNotOffered, match="It is sold in: usd"):
        await world.checkouts.start(await world.user(), "monthly", "key-1", "eur")
