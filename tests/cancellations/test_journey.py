"""Cancel, undo, cancel, end, come back: over HTTP, on the pages and through the API, with every mail."""

from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product
from tests.web.browser import HTML, form

EMAIL = "kim@customers.test"


async def buy(product: Product, client: httpx.AsyncClient, plan: str, key: str, email: str = EMAIL) -> None:
    started = await check_out(client, plan, key)
    await product.emulator.pay(checkout_of(started["purchase_url"]), email=email)
    await product.settled()


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def page(client: httpx.AsyncClient, path: str) -> httpx.Response:
    answer = await client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer


async def post(client: httpx.AsyncClient, path: str, fields: dict[str, str]) -> httpx.Response:
    """Posts a form as a browser does and follows to the next page."""
    answer = await client.post(path, data=fields, headers=HTML)
    return await page(client, answer.headers["location"]) if answer.status_code == 303 else answer


async def kinds(product: Product) -> list[str]:
    rows = await product.rows("SELECT kind FROM notification WHERE kind <> 'invoice' ORDER BY created_at, id")
    return [row["kind"] for row in rows]


@pytest.mark.long
async def test_cancel_undo_cancel_end_and_come_back(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        await buy(product, kim, "yearly", "first")
        end = (await subscription_of(kim))["period_end"]

        # On the pages: billing, one page, one button.
        billing = await page(kim, "/billing")
        assert 'href="/billing/cancel"' in billing.text
        asked = await page(kim, "/billing/cancel")
        fields = form(asked, "/billing/cancel") | {"when": "period_end", "reason": "unused", "feedback": "No time."}
        after = await post(kim, "/billing/cancel", fields)
        assert "Your plan is cancelled" in after.text
        assert "Keep my plan" in after.text
        await product.settled()
        assert (await subscription_of(kim))["cancel_at_period_end"] is True
        # The same form again, from a double click, is the same cancellation.
        await post(kim, "/billing/cancel", fields)
        kept = await post(kim, "/billing/resume", form(after, "/billing/resume"))
        assert "goes on as before" in kept.text
        await product.settled()
        assert (await subscription_of(kim))["cancel_at_period_end"] is False

        # Through the API.
        scheduled = await kim.post("/api/subscription/cancel", json={}, headers={"idempotency-key": "second"})
        assert scheduled.status_code == 200, scheduled.text
        assert scheduled.json()["state"] == "scheduled"
        assert scheduled.json()["access_until"] == scheduled.json()["undo_until"] == end
        replay = await kim.post("/api/subscription/cancel", json={}, headers={"idempotency-key": "second"})
        assert replay.json() == scheduled.json()
        await product.settled()
        assert await kinds(product) == [
            "subscription_confirmed",
            "cancellation_scheduled",
            "cancellation_undone",
            "cancellation_scheduled",
        ]
        told = text_of(product.post.mails[1])
        assert "Nothing more will be charged" in told
        assert "September 1, 2027" in told
        assert (await kim.get("/api/subscription/access/api_access")).json()["allowed"] is True

        await product.advance(days=366)
        await sign_in(kim, EMAIL)
        assert (await subscription_of(kim))["status"] == "canceled"
        assert (await kim.get("/api/subscription/access/api_access")).json()["allowed"] is False
        assert (await kinds(product))[4:] == ["subscription_ended"]
        assert len((await kim.get("/api/payment/transactions")).json()["data"]) == 1

        await buy(product, kim, "quarterly", "again")
        assert (await subscription_of(kim))["status"] == "active"
        history: list[dict[str, Any]] = (await kim.get("/api/subscription/events")).json()["data"]
        assert len({event["subscription_id"] for event in history}) == 2
        states = await product.rows("SELECT state, reason FROM cancellation ORDER BY requested_at, id")
        assert [tuple(row.values()) for row in states] == [("undone", "unused"), ("done", None)]


async def test_a_withdrawal_in_two_steps_with_its_confirmation(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        await buy(product, kim, "quarterly", "first")
        assert 'href="/billing/withdraw"' in (await page(kim, "/billing")).text
        first = await page(kim, "/billing/withdraw")
        assert "15 Sep 2026" in first.text
        nameless = await post(kim, "/billing/withdraw", form(first, "/billing/withdraw") | {"name": " "})
        assert (nameless.status_code, "Give your name" in nameless.text) == (422, True)
        second = await post(kim, "/billing/withdraw", form(first, "/billing/withdraw") | {"name": "Kim <b>Rivers"})
        assert "I withdraw from the contract for Quarterly" in second.text
        assert (await subscription_of(kim))["status"] == "active"
        received = await post(kim, "/billing/withdraw/confirm", form(second, "/billing/withdraw/confirm"))
        assert "We have received your withdrawal" in received.text
        assert "Kim &lt;b&gt;Rivers" in received.text
        assert 'href="/billing/withdraw"' not in (await page(kim, "/billing")).text
        await product.settled()
        assert sorted(await kinds(product)) == ["subscription_confirmed", "subscription_ended", "withdrawal_received"]
        (mail,) = (mail for mail in product.post.mails if mail["x-notification-kind"] == "withdrawal_received")
        told = text_of(mail)
        contract = (await subscription_of(kim))["id"]
        assert f"I withdraw from the contract for Quarterly ({contract})" in told
        assert "September 1, 2026" in told
        assert "UTC" in told
        assert "$75.00" in told
        (owed,) = await product.rows("SELECT amount_minor, currency, state, reason FROM refund_request")
        assert tuple(owed.values()) == (7500, "usd", "requested", "withdrawal")


async def test_the_offer_of_the_packaged_catalogue_and_what_the_api_refuses(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        nothing = await kim.get("/api/subscription/cancel/preview")
        assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_cancel")
        refused = await kim.post("/api/subscription/cancel", json={}, headers={"idempotency-key": "now"})
        assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_cancel")
        await buy(product, kim, "monthly", "first")
        preview = (await kim.get("/api/subscription/cancel/preview")).json()
        assert [option["when"] for option in preview["options"]] == ["period_end", "now"]
        assert preview["offer"]["price_after"] == {"amount_minor": 2320, "currency": "usd"}
        keyless = await kim.post("/api/subscription/cancel", json={})
        assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
        odd = await kim.post(
            "/api/subscription/cancel", json={"feedback": "x" * 1001}, headers={"idempotency-key": "odd"}
        )
        assert odd.status_code == 422
        early = await kim.post("/api/subscription/resume")
        assert (early.status_code, early.json()["code"]) == (409, "nothing_to_resume")
        offered = await page(kim, "/billing/cancel")
        assert "No thanks, cancel" in offered.text
        assert "formaction" in offered.text
        stays = await post(kim, "/billing/cancel/offer", form(offered, "/billing/cancel"))
        assert "Thank you for staying" in stays.text
        await product.settled()
        assert (await subscription_of(kim))["price"] == {"amount_minor": 2320, "currency": "usd"}
        other = await kim.post(
            "/api/subscription/withdraw",
            json={"contract": "sub_other", "name": "Kim"},
            headers={"idempotency-key": "w"},
        )
        assert (other.status_code, other.json()["code"]) == (409, "other_contract")
        await product.advance(days=20)
        late = await kim.post("/api/subscription/withdraw/preview")
        assert (late.status_code, late.json()["code"]) == (409, "withdrawal_period_over")
        assert "still cancel" in (await page(kim, "/billing/withdraw")).text
        now = await kim.post("/api/subscription/cancel", json={"when": "now"}, headers={"idempotency-key": "now"})
        assert now.json()["state"] == "done", "a refused request uses up no key"
        reused = await kim.post("/api/subscription/cancel", json={}, headers={"idempotency-key": "now"})
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
        await product.settled()
        assert (await subscription_of(kim))["status"] == "canceled"
        assert (await kinds(product)).count("subscription_ended") == 1
