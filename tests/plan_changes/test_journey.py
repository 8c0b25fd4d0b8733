"""Over HTTP with the clock moved: a trial becomes paid, an upgrade with a credit, a downgrade planned, taken back,
planned again and carried out; with every mail."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product, running_product

EMAIL = "kim@customers.test"


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    async with running_product(settings, database_url) as running:
        yield running


async def asked(client: httpx.AsyncClient, method: str, path: str, status: int = 200, **options: Any) -> dict[str, Any]:
    answer = await client.request(method, f"/api/subscription/change{path}", **options)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def changed(client: httpx.AsyncClient, plan: str, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Previews and confirms; both answers."""
    preview = await asked(client, "POST", "/preview", json={"plan": plan})
    body = {"plan": plan, "quote": preview["quote"]}
    return preview, await asked(client, "POST", "", json=body, headers={"idempotency-key": key})


@pytest.mark.long
async def test_up_down_and_back(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        await asked(kim, "POST", "/preview", 409, json={"plan": "yearly"})
        await asked(kim, "GET", "", 404)
        started = await check_out(kim, "monthly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL)
        await product.settled()
        assert (await subscription_of(kim))["status"] == "trialing"
        await product.advance(days=22)  # the trial's week, and half of the first paid month

        preview, change = await changed(kim, "yearly", "up")
        assert (preview["when"], preview["method"]["last4"]) == ("now", "4242")
        assert preview["amount"]["amount_minor"] == sum(line["amount"]["amount_minor"] for line in preview["lines"])
        assert 25000 - 1460 <= preview["amount"]["amount_minor"] <= 25000 - 1440
        again = {"plan": "yearly", "quote": preview["quote"]}
        assert await asked(kim, "POST", "", json=again, headers={"idempotency-key": "up"}) == change
        await asked(kim, "POST", "", 400, json=again)
        await product.advance(minutes=1)
        done = await asked(kim, "GET", "")
        assert (done["state"], done["id"]) == ("done", change["id"])
        assert (await subscription_of(kim))["plan"] == "yearly"
        assert (await kim.get("/api/subscription/access/api_access")).json()["allowed"] is True
        paid = (await kim.get("/api/payment/transactions")).json()["data"]
        assert paid[0]["total"] == preview["amount"]

        await planned_and_taken_back(product, kim)
        await carried_out_on_pages(product, kim)
        kinds = [str(mail["X-Notification-Kind"]) for mail in product.post.mails]
        assert [kind for kind in kinds if kind.startswith("plan_change")] == [
            "plan_changed",
            "plan_change_scheduled",
            "plan_change_withdrawn",
            "plan_change_scheduled",
            "plan_change_done",
        ]
        assert "subscription_ended" not in kinds
        [told] = [mail for mail in product.post.mails if mail["X-Notification-Kind"] == "plan_changed"]
        text = told.get_body(("plain",))
        assert text is not None
        assert "Unused time on Monthly" in text.get_content()


async def planned_and_taken_back(product: Product, kim: httpx.AsyncClient) -> None:
    preview, change = await changed(kim, "quarterly", "down")
    assert (preview["when"], preview["amount"]["amount_minor"], change["withdrawable"]) == ("period_end", 0, True)
    await product.settled()
    assert (await asked(kim, "GET", ""))["state"] == "scheduled"
    assert (await subscription_of(kim))["cancel_at_period_end"] is False
    assert (await asked(kim, "DELETE", ""))["state"] == "withdrawn"
    await product.settled()
    await asked(kim, "DELETE", "", 404)


async def carried_out_on_pages(product: Product, kim: httpx.AsyncClient) -> None:
    """The same without a line of JavaScript."""
    page = (await kim.get("/billing/change")).text
    assert "/billing/change/quarterly" in page
    assert "/billing/change/yearly" not in page
    page = (await kim.get("/billing/change/quarterly")).text
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    answer = await kim.post("/billing/change/quarterly", data=fields | {"quote": "qte_unknown"})
    assert (answer.status_code, "nothing was done" in answer.text) == (410, True)
    answer = await kim.post("/billing/change/quarterly", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/billing/plan-change")
    page = (await kim.get("/billing/plan-change")).text
    assert "You move to Quarterly on" in page
    assert "You are going to move to another plan" in (await kim.get("/billing")).text
    await product.advance(days=366)
    await sign_in(kim, EMAIL)
    assert "You are on the Quarterly plan" in (await kim.get("/billing/plan-change")).text
    await product.settled()
    found = await subscription_of(kim)
    assert (found["plan"], found["status"]) == ("quarterly", "active")
    assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is True


@pytest.mark.long
async def test_canceling_and_keeping_the_plan_have_the_last_word(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL)
        await product.settled()

        await changed(kim, "free", "to-free")
        await product.settled()
        assert (await subscription_of(kim))["cancel_at_period_end"] is True
        answer = await kim.post("/api/subscription/resume")
        await product.settled()
        assert (answer.status_code, (await asked(kim, "GET", ""))["state"]) == (200, "withdrawn"), answer.text
        assert (await subscription_of(kim))["cancel_at_period_end"] is False

        await changed(kim, "monthly", "down")
        await product.settled()
        headers = {"idempotency-key": "enough"}
        answer = await kim.post("/api/subscription/cancel", json={"when": "period_end"}, headers=headers)
        await product.settled()
        assert (answer.status_code, (await asked(kim, "GET", ""))["state"]) == (200, "dropped"), answer.text
        assert (await subscription_of(kim))["cancel_at_period_end"] is True
        await product.advance(days=91)
        await sign_in(kim, EMAIL)
        assert (await subscription_of(kim))["status"] == "canceled"
        assert len((await kim.get("/api/payment/transactions")).json()["data"]) == 1
        assert [str(mail["X-Notification-Kind"]) for mail in product.post.mails] == [
            "subscription_confirmed",
            "plan_change_scheduled",
            "plan_change_withdrawn",
            "plan_change_scheduled",
            "cancellation_scheduled",
            "subscription_ended",
        ]
