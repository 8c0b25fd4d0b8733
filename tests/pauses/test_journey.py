"""A year in small: a trial that becomes a subscription, a pause over a renewal, an early return."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import START, Product, running_product
from tests.web.browser import HTML, form


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    async with running_product(settings, database_url) as running:
        yield running


async def kinds(product: Product) -> list[str]:
    """The mails that went out, in their order."""
    rows = await product.rows("SELECT kind FROM notification WHERE state = 'sent' ORDER BY sent_at, id")
    return [row["kind"] for row in rows]


async def paid(client: httpx.AsyncClient) -> list[int]:
    """The amounts of what was paid, newest first, without the nothing that a trial begins with."""
    rows = (await client.get("/api/payment/transactions")).json()["data"]
    return [row["total"]["amount_minor"] for row in rows if row["status"] == "paid" and row["total"]["amount_minor"]]


async def pause_on_the_page(client: httpx.AsyncClient) -> httpx.Response:
    """Pauses for three months without a script, after a date that cannot be; the page afterwards."""
    page = await client.get("/billing/pause", headers=HTML)
    fields = form(page, "/billing/pause")
    wrong = await client.post("/billing/pause", data=fields | {"length": "date", "date": "2020-01-01"}, headers=HTML)
    assert wrong.status_code == 422
    assert "A pause can end from" in wrong.text
    return await client.post("/billing/pause", data=fields | {"length": "90"}, headers=HTML, follow_redirects=True)


async def may(client: httpx.AsyncClient) -> bool:
    answer = await client.get("/api/subscription/access/unlimited_accounts")
    allowed: bool = answer.json()["allowed"]
    return allowed


@pytest.mark.long
async def test_a_trial_a_pause_over_a_renewal_and_the_way_back(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, "kim@customers.test")
        started = await check_out(kim, "monthly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        refused = await kim.post("/api/subscription/pause", json={"days": 30})
        assert (refused.status_code, refused.json()["code"]) == (409, "pause_in_trial")

        await product.advance(days=5)
        assert await kinds(product) == ["trial_started", "trial_ending"]
        await product.advance(days=3)
        assert await kinds(product) == ["trial_started", "trial_ending", "trial_converted"]
        assert [i["number"] for i in (await kim.get("/api/payment/invoices")).json()["data"]] == ["INV-2026-000001"]
        paid_until = datetime.fromisoformat((await subscription_of(kim))["period_end"])
        assert timedelta(0) <= paid_until - (START + timedelta(days=37)) < timedelta(minutes=5)

        preview = (await kim.get("/api/subscription/pause/preview", params={"days": 60})).json()
        paused = await kim.post("/api/subscription/pause", json={"days": 60})
        assert paused.status_code == 200, paused.text
        told = paused.json()
        assert told["state"] == "running"
        assert datetime.fromisoformat(told["access_until"]) == paid_until
        assert datetime.fromisoformat(told["charge_at"]) == datetime.fromisoformat(told["resume_at"])
        assert preview["access_until"] == told["access_until"]
        assert (await kim.post("/api/subscription/pause", json={"days": 60})).json()["id"] == told["id"]
        await product.settled()
        assert (await subscription_of(kim))["status"] == "paused"
        assert await may(kim) is True

        await product.advance(days=31)
        await sign_in(kim, "kim@customers.test")
        assert (await subscription_of(kim))["status"] == "paused"
        assert await may(kim) is False
        assert await paid(kim) == [2900]

        await product.advance(days=30)
        await sign_in(kim, "kim@customers.test")
        resumed = await subscription_of(kim)
        assert resumed["status"] == "active"
        assert await may(kim) is True
        assert await paid(kim) == [2900, 2900]
        ended = datetime.fromisoformat(told["resume_at"])
        assert datetime.fromisoformat(resumed["period_end"]) - ended < timedelta(days=30, minutes=5)
        assert sorted((await kinds(product))[3:]) == [
            "pause_ending",
            "renewal_paid",
            "subscription_paused",
            "subscription_resumed",
        ]

        billing = await pause_on_the_page(kim)
        assert "Your subscription is paused." in billing.text
        await product.advance(days=3)
        back = await kim.post("/billing/pause/end", data=form(billing, "/billing/pause/end"), follow_redirects=True)
        assert "Your subscription goes on." in back.text
        assert (await subscription_of(kim))["period_end"] == resumed["period_end"]
        assert (await kim.post("/api/subscription/unpause")).json()["code"] == "not_paused"
        await product.advance(days=28)
        assert await paid(kim) == [2900, 2900, 2900]
        (pauses,) = await product.rows("SELECT count(*), count(*) FILTER (WHERE state = 'ended') AS ended FROM pause")
        assert pauses == {"count": 2, "ended": 2}
