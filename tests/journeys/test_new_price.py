"""A price rises: whoever has the plan keeps their price, whoever comes new pays the new one."""

from dataclasses import replace

import httpx

from quntedge.catalog.rules import CatalogFile
from quntedge.catalog.toml import packaged
from quntedge.kit.money import Money
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product

OLD, NEW = {"amount_minor": 7500, "currency": "usd"}, {"amount_minor": 8500, "currency": "usd"}


async def buy(product: Product, customer: httpx.AsyncClient, email: str) -> None:
    await sign_up(customer, email)
    started = await check_out(customer, "quarterly")
    await product.emulator.pay(checkout_of(started["purchase_url"]), email=email)
    await product.settled()


async def test_a_new_price_is_for_new_customers(product: Product) -> None:
    async with product.browser() as kim, product.browser() as lou:
        await buy(product, kim, "kim@customers.test")
        seed = packaged()
        plan = seed.plans["quarterly"]
        dearer = replace(plan, prices={**plan.prices, "usd": Money(8500, "usd")})
        wanted = CatalogFile(seed.features, {**seed.plans, plan.code: dearer})
        found = await product.runtime.catalog.diff(wanted)
        assert found.notes == ("quarterly: 1 subscriber keeps version 1 and its price",)
        await product.runtime.catalog.apply(wanted)
        await product.runtime.catalog.sync_gateway()

        await buy(product, lou, "lou@customers.test")
        await product.advance(days=91)
        for customer, email, price in ((kim, "kim@customers.test", OLD), (lou, "lou@customers.test", NEW)):
            await sign_in(customer, email)
            subscription = await subscription_of(customer)
            assert (subscription["status"], subscription["plan"], subscription["price"]) == (
                "active",
                "quarterly",
                price,
            )
            paid = (await customer.get("/api/payment/transactions")).json()["data"]
            assert [one["total"] for one in paid] == [price, price]
            access = await customer.get("/api/subscription/access/priority_support")
            assert access.json()["allowed"], "features hold for all versions"
    assert await product.runtime.catalog.subscribers() == {("quarterly", 1): 1, ("quarterly", 2): 1}
