"""A new price over HTTP: announced, shown, moved to by who stays; who cancels is never charged it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from quntedge.catalog.rules import CatalogFile
from quntedge.catalog.toml import packaged
from quntedge.kit.money import Money
from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product, running_product
from tests.web.browser import HTML

PATH = "/api/admin/plan-migrations"
KIM, LOU = "kim@customers.test", "lou@customers.test"


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    async with running_product(settings, database_url) as running:
        yield running


async def buy(product: Product, customer: httpx.AsyncClient, email: str) -> None:
    await sign_up(customer, email)
    started = await check_out(customer, "quarterly")
    await product.emulator.pay(checkout_of(started["purchase_url"]), email=email)
    await product.settled()


async def make_dearer(product: Product) -> None:
    seed = packaged()
    plan = seed.plans["quarterly"]
    dearer = replace(plan, prices={**plan.prices, "usd": Money(8500, "usd")})
    await product.runtime.catalog.apply(CatalogFile(seed.features, {**seed.plans, plan.code: dearer}))
    await product.runtime.catalog.sync_gateway()


async def tool(product: Product, client: httpx.AsyncClient, *scopes: str) -> httpx.AsyncClient:
    """The client, as the tool of those who run the installation."""
    async with product.runtime.units() as unit:
        _, key = await product.runtime.services.api_keys.create(unit, "tool", scopes)
        await unit.commit()
    client.headers["authorization"] = f"Bearer {key}"
    return client


async def mails_of(product: Product, email: str) -> list[str]:
    return [str(mail["subject"]) for mail in product.post.mails if email in str(mail["to"])]


@pytest.mark.long
async def test_a_new_price_from_the_notice_to_the_first_payment(product: Product) -> None:
    async with product.browser() as kim, product.browser() as lou, product.browser() as client:
        await buy(product, kim, KIM)
        await buy(product, lou, LOU)
        await make_dearer(product)
        staff = await tool(product, client, "migrations:read", "migrations:write")
        shown = (await staff.post(f"{PATH}/preview", json={"plan": "quarterly"})).json()
        assert (shown["subscribers"], shown["groups"][0]["new_price"]["amount_minor"]) == (2, 8500)
        started = await staff.post(PATH, json={"plan": "quarterly"})
        assert started.status_code == 202, started.text
        address = f"{PATH}/{started.json()['id']}"
        await product.advance(minutes=2)
        assert (await staff.get(address)).json()["subscribers"]["waiting"] == 2
        assert (await staff.post(PATH, json={"plan": "quarterly"})).json()["id"] == started.json()["id"]

        told = (await mails_of(product, KIM))[-1]
        assert told == "A new price for your QuntEdge Quarterly plan"
        page = (await kim.get("/billing", headers=HTML)).text
        assert "The price of your plan changes" in page
        assert "$85.00 instead of $75.00" in page
        left = await lou.post(
            "/api/subscription/cancel", json={"when": "period_end"}, headers={"idempotency-key": "lou-1"}
        )
        assert left.status_code == 200, left.text

        await product.advance(days=89)
        await sign_in(kim, KIM)
        taken_back = await kim.delete("/api/subscription/change")
        assert (taken_back.status_code, taken_back.json()["code"]) == (409, "new_terms_apply")
        assert (await kim.get("/billing/plan-change", headers=HTML)).status_code == 200
        await product.advance(days=2)
        subscription = await subscription_of(kim)
        assert (subscription["status"], subscription["price"]["amount_minor"]) == ("active", 8500)
        paid = (await kim.get("/api/payment/transactions")).json()["data"]
        assert [row["total"]["amount_minor"] for row in paid if row["status"] == "paid"] == [8500, 7500]
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"]
        assert (await mails_of(product, KIM)).count(told) == 1
        await sign_in(lou, LOU)
        paid = (await lou.get("/api/payment/transactions")).json()["data"]
        assert [row["total"]["amount_minor"] for row in paid] == [7500]

        view = (await staff.get(address)).json()
        assert (view["state"], view["subscribers"]["moved"], view["reasons"]) == ("done", 1, {"ended": 1})
        people = (await staff.get(f"{address}/subscribers", params={"state": "moved"})).json()["data"]
        assert [one["new_price"]["amount_minor"] for one in people] == [8500]


async def test_only_keys_with_the_scope_move_subscribers(product: Product) -> None:
    async with product.browser() as client, product.browser() as nobody:
        reader = await tool(product, client, "migrations:read")
        assert (await reader.post(PATH, json={"plan": "quarterly"})).status_code == 403
        assert (await reader.get(PATH)).json() == {"data": [], "next_cursor": None}
        assert (await nobody.get(PATH)).status_code == 401
        for address in (f"{PATH}/nonsense", f"{PATH}/mig_01k4a2f0e8f9xa3s6m1q2r7v5z/subscribers"):
            assert (await reader.get(address)).json()["code"] == "plan_migration_not_found"
        wrong = await reader.post(f"{PATH}/preview", json={"plan": "quarterly", "notice_days": 29})
        assert wrong.status_code == 422
