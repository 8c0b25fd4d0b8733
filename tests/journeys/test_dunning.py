"""Renewals that fail, where Whop leaves the end to us: three customers, three ends, every mail once."""

from collections import Counter
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product
from tests.web.browser import form

FAILS_LATER = "4000000000000341"
LOST_LATER = "4000000000002341"
ZONE = "America/Los_Angeles"


async def leave_the_end_to_us(product: Product) -> None:
    async with httpx.AsyncClient(trust_env=False) as seller:
        answer = await seller.patch(
            f"{product.emulator.api_base_url}/accounts/biz_test/preferences",
            json={"subscription_failure_behavior": "none"},
            headers={"authorization": "Bearer test-key"},
        )
    assert answer.status_code == 200, answer.text
    # The worker asks every hour; nobody has to wait for that here.
    await product.runtime.unpaid.check()


async def subscribe(product: Product, client: httpx.AsyncClient, email: str, card: str) -> str:
    await sign_up(client, email)
    started = await check_out(client, "quarterly")
    bought = await product.emulator.pay(checkout_of(started["purchase_url"]), card, email=email)
    return str(bought["membership"]["id"])


async def allowed(client: httpx.AsyncClient) -> bool:
    return bool((await client.get("/api/subscription/access/unlimited_accounts")).json()["allowed"])


def mails_to(product: Product, email: str) -> Counter[str]:
    """Kinds of the mails somebody got, the confirmation of the purchase left out."""
    kinds = Counter(str(mail["x-notification-kind"]) for mail in product.post.mails if email in str(mail["to"]))
    assert kinds.pop("subscription_confirmed") == 1
    return kinds


@pytest.mark.long
async def test_three_customers_whose_renewal_fails(product: Product) -> None:
    await leave_the_end_to_us(product)
    async with product.browser() as kim, product.browser() as lou, product.browser() as max_:
        membership = await subscribe(product, kim, "kim@customers.test", "4242424242424242")
        await subscribe(product, lou, "lou@customers.test", FAILS_LATER)
        await subscribe(product, max_, "max@customers.test", LOST_LATER)
        await product.emulator.decline_next(membership, 6, "insufficient_funds")
        assert (await kim.patch("/api/account/me", json={"time_zone": ZONE})).json()["time_zone"] == ZONE
        await product.settled()

        await product.advance(days=91)
        for client, name in ((kim, "kim"), (lou, "lou"), (max_, "max")):
            await sign_in(client, f"{name}@customers.test")
            assert (await subscription_of(client))["status"] == "past_due"
            assert await allowed(client)
        case = (await kim.get("/api/payment/dunning")).json()["case"]
        assert (case["step"], case["reason"], case["access_paused"]) == ("retry", "soft", False)
        assert case["amount"] == {"amount_minor": 7500, "currency": "usd"}
        assert "We try again on" in (await kim.get("/billing")).text
        await pays_with_another_card(product, max_)

        await product.advance(days=9)
        assert not await allowed(kim)
        assert (await kim.get("/api/payment/dunning")).json()["case"]["access_paused"] is True
        await product.advance(days=15)
        assert (await subscription_of(kim))["status"] == "active"
        assert await allowed(kim)
        assert (await kim.get("/api/payment/dunning")).json() == {"case": None}
        assert (await subscription_of(lou))["status"] == "canceled"
        assert not await allowed(lou)

    assert mails_to(product, "kim@") == {
        "payment_failed": 6,
        "grace_ending": 1,
        "access_paused": 1,
        "payment_recovered": 1,
    }
    assert mails_to(product, "lou@") == {"payment_failed": 7, "grace_ending": 1, "access_paused": 1, "ended_unpaid": 1}
    assert mails_to(product, "max@") == {"payment_failed": 2, "payment_recovered": 1}
    cases = await product.rows("SELECT state, closed_by FROM dunning_case ORDER BY state, closed_by")
    assert [tuple(case.values()) for case in cases] == [
        ("exhausted", "us"),
        ("recovered", "customer"),
        ("recovered", "us"),
    ]
    tries = await product.rows(
        "SELECT a.started_at FROM dunning_attempt a JOIN dunning_case c ON c.id = a.case_id"
        " WHERE a.actor = 'us' AND c.state = 'recovered'"
    )
    assert len(tries) == 3
    assert all(9 <= row["started_at"].astimezone(ZoneInfo(ZONE)).hour < 18 for row in tries)


async def pays_with_another_card(product: Product, client: httpx.AsyncClient) -> None:
    """On the pages, without JavaScript; the lost card is not offered as a way out."""
    page = await client.get("/billing/recover")
    assert "Use another card" in page.text
    leaving = await client.post("/billing/recover/card", data=form(page, "/billing/recover/card"))
    assert leaving.status_code == 303
    setup = httpx.URL(leaving.headers["location"]).path.rpartition("/")[2]
    saved = await product.emulator.pay(setup, email="max@customers.test")
    assert saved["redirect_url"].startswith(f"{product.url}/billing/recover")
    method = saved["setup_intent"]["payment_method_id"]

    page = await client.get("/billing/recover")
    assert page.text.count('name="method"') == 2
    wrong = await client.post("/billing/recover", data=form(page, "/billing/recover") | {"method": "payt_of_lou"})
    assert (wrong.status_code, wrong.headers["location"]) == (303, "/billing/recover")
    form_ = form(page, "/billing/recover") | {"method": method}
    paid = await client.post("/billing/recover", data=form_)
    assert (paid.status_code, paid.headers["location"]) == (303, "/billing")
    await product.settled()
    assert "the payment has gone through" in (await client.get("/billing")).text
    assert (await subscription_of(client))["status"] == "active"
    again = await client.post("/billing/recover", data=form_)
    assert again.headers["location"] == "/billing"
    assert (await client.post("/api/payment/recover", json={"method": method})).json()[
        "code"
    ] == "idempotency_key_missing"
    refused = await client.post("/api/payment/recover", json={"method": method}, headers={"idempotency-key": "again"})
    assert (refused.status_code, refused.json()["code"]) == (404, "nothing_to_recover")
