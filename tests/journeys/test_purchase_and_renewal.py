"""The main job: a customer picks a plan, pays on the hosted checkout, gets access and a mail; and it renews."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.journeys.world import PASSWORD, Product


async def sign_up(client: httpx.AsyncClient, email: str, name: str = "Kim Rivers") -> dict[str, Any]:
    answer = await client.post(
        "/api/account/sign-up",
        json={"email": email, "password": PASSWORD, "name": name, "accept_terms": True},
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    client.headers["x-csrf-token"] = found["csrf_token"]
    return found


async def sign_in(client: httpx.AsyncClient, email: str) -> None:
    """Sessions end after five idle weeks: whoever comes back after a quarter signs in again."""
    answer = await client.post("/api/account/sign-in", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    client.headers["x-csrf-token"] = answer.json()["csrf_token"]


async def check_out(client: httpx.AsyncClient, plan: str, key: str = "attempt-1") -> dict[str, Any]:
    answer = await client.post("/api/payment/checkout", json={"plan": plan}, headers={"idempotency-key": key})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def subscription_of(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/subscription")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["subscription"]
    return found


def checkout_of(purchase_url: str) -> str:
    return httpx.URL(purchase_url).params["session"]


@pytest.mark.long
async def test_a_quarterly_purchase_and_its_renewal(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, "kim@customers.test")
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is False
        started = await check_out(kim, "quarterly")
        paid = await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        assert paid["outcome"] == "paid"
        await product.settled()

        subscription = await subscription_of(kim)
        assert subscription["status"] == "active"
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is True
        assert (await kim.get(f"/api/payment/checkout/{started['id']}")).json()["state"] == "completed"
        assert len(product.post.mails) == 1
        assert product.post.mails[0]["to"] == "Kim Rivers <kim@customers.test>"

        await product.advance(days=91)
        await sign_in(kim, "kim@customers.test")

        renewed = await subscription_of(kim)
        first_end = datetime.fromisoformat(subscription["period_end"])
        assert datetime.fromisoformat(renewed["period_end"]) == first_end + timedelta(days=90)
        transactions = (await kim.get("/api/payment/transactions")).json()["data"]
        assert [t["total"] for t in transactions] == [{"amount_minor": 7500, "currency": "usd"}] * 2
        assert {t["status"] for t in transactions} == {"paid"}
        invoices = (await kim.get("/api/payment/invoices")).json()["data"]
        assert [i["number"] for i in invoices] == ["INV-2026-000002", "INV-2026-000001"]
        assert {i["status"] for i in invoices} == {"paid"}
        assert len(product.post.mails) == 2
        assert "INV-2026-000002" in str(product.post.mails[1].get_body(("plain",)))


@pytest.mark.long
async def test_a_trial_converts_and_two_customers_do_not_see_each_other(product: Product) -> None:
    async with product.browser() as kim, product.browser() as lou:
        await sign_up(kim, "kim@customers.test")
        await sign_up(lou, "lou@customers.test", "Lou Meadow")
        started = await check_out(kim, "monthly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        assert (await subscription_of(kim))["status"] == "trialing"
        assert (await kim.get("/api/payment/invoices")).json()["data"] == []
        assert (await lou.get(f"/api/payment/checkout/{started['id']}")).status_code == 404
        await product.advance(days=8)
        assert (await subscription_of(kim))["status"] == "active"
        (invoice,) = (await kim.get("/api/payment/invoices")).json()["data"]
        assert invoice["total"] == {"amount_minor": 2900, "currency": "usd"}
        assert (await lou.get(f"/api/payment/invoices/{invoice['id']}")).status_code == 404
        assert (await lou.get("/api/payment/invoices")).json()["data"] == []


async def test_a_declined_card_leaves_no_access_and_the_buyer_may_try_again(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, "kim@customers.test")
        started = await check_out(kim, "yearly")
        session = checkout_of(started["purchase_url"])
        declined = await product.emulator.pay(session, "4000000000000002", email="kim@customers.test")
        assert declined["outcome"] == "declined"
        await product.settled()
        assert (await kim.get("/api/subscription/access/api_access")).json()["allowed"] is False
        followed = (await kim.get(f"/api/payment/checkout/{started['id']}")).json()
        assert followed["state"] == "open"
        await product.emulator.pay(session, email="kim@customers.test")
        await product.settled()
        assert (await kim.get("/api/subscription/access/api_access")).json()["allowed"] is True


async def test_a_renewal_that_fails_for_good_ends_access_and_says_so(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, "kim@customers.test")
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), "4000000000000341", email="kim@customers.test")
        await product.settled()
        assert (await subscription_of(kim))["status"] == "active"
        await product.advance(days=91)
        await sign_in(kim, "kim@customers.test")
        assert (await subscription_of(kim))["status"] == "past_due"
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["grace"] is True
        await product.advance(days=10)
        assert (await subscription_of(kim))["status"] == "canceled"
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is False
        # What everybody has stays.
        assert (await kim.get("/api/subscription/access/basic_dashboard")).json()["allowed"] is True
        invoices = (await kim.get("/api/payment/invoices")).json()["data"]
        assert [invoice["status"] for invoice in invoices][-1] == "paid"


async def test_lifetime_is_for_ever(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, "kim@customers.test")
        started = await check_out(kim, "lifetime")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        assert (await subscription_of(kim))["status"] == "completed"
        await product.advance(days=800)
        await sign_in(kim, "kim@customers.test")
        assert (await kim.get("/api/subscription/access/custom_integrations")).json()["allowed"] is True
        again = await kim.post(
            "/api/payment/checkout", json={"plan": "monthly"}, headers={"idempotency-key": "another"}
        )
        assert (again.status_code, again.json()["code"]) == (409, "already_subscribed")
