"""A customer's whole life with the product, over HTTP, with the clock moved: what they are shown is what happens."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product

EMAIL = "kim@customers.test"


async def usd(client: httpx.AsyncClient) -> list[int]:
    """What was in fact collected, in cents, oldest first; trials' zero amounts left out."""
    found = (await client.get("/api/payment/transactions", params={"limit": 50})).json()["data"]
    return [t["total"]["amount_minor"] for t in reversed(found) if t["status"] == "paid" and t["total"]["amount_minor"]]


async def change(client: httpx.AsyncClient, plan: str, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Looks at a preview and confirms it; the preview and the change."""
    shown = await client.post("/api/subscription/change/preview", json={"plan": plan})
    assert shown.status_code == 200, shown.text
    preview = shown.json()
    confirmed = await client.post(
        "/api/subscription/change",
        json={"plan": plan, "quote": preview["quote"]},
        headers={"idempotency-key": key},
    )
    assert confirmed.status_code == 200, confirmed.text
    return preview, confirmed.json()


async def may(client: httpx.AsyncClient, feature: str) -> bool:
    return bool((await client.get(f"/api/subscription/access/{feature}")).json()["allowed"])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def live_memberships(product: Product) -> list[str]:
    """Plans' titles of what is alive at the gateway and will be charged again."""
    tables = product.emulator.runtime.world.store.tables
    return [
        str(tables.plans[membership.plan_id].title)
        for membership in tables.memberships.values()
        if membership.status in ("active", "trialing", "past_due") and not membership.cancel_at_period_end
    ]


async def test_trial_paid_yearly_downgrade_cancel_resubscribe(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        started = await check_out(kim, "monthly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL)
        await product.settled()
        trial = await subscription_of(kim)
        assert trial["status"] == "trialing"

        await product.advance(days=8)
        paid = await subscription_of(kim)
        assert (paid["status"], paid["id"]) == ("active", trial["id"])
        assert await usd(kim) == [2900]

        # Ten of the thirty days later: the year is charged less what is left of the month.
        await product.emulator.advance(days=9)
        await product.settled()
        preview, upgraded = await change(kim, "yearly", "up-1")
        assert (preview["direction"], preview["when"]) == ("upgrade", "now")
        await product.settled()
        yearly = await subscription_of(kim)
        assert (yearly["plan"], yearly["status"], yearly["id"]) == ("yearly", "active", trial["id"])
        assert await usd(kim) == [2900, preview["amount"]["amount_minor"]]
        assert sum(line["amount"]["amount_minor"] for line in preview["lines"]) == preview["amount"]["amount_minor"]
        assert 25000 - 2900 < preview["amount"]["amount_minor"] < 25000 - 1900
        assert await live_memberships(product) == ["Yearly"]
        assert await may(kim, "api_access")
        assert (await kim.get("/api/subscription/change")).json()["state"] == "done", upgraded

        # The way down is at the end of what was paid for, and can be taken back until then.
        await sign_in(kim, EMAIL)
        preview, planned = await change(kim, "monthly", "down-1")
        assert (preview["when"], preview["amount"]["amount_minor"]) == ("period_end", 0)
        assert instant(preview["effective_at"]) == instant(yearly["period_end"])
        assert planned["state"] == "scheduled"
        assert await may(kim, "api_access")
        taken_back = await kim.delete("/api/subscription/change")
        assert taken_back.json()["state"] == "withdrawn", taken_back.text
        assert await live_memberships(product) == ["Yearly"]
        await change(kim, "monthly", "down-2")
        await product.advance(days=366)
        await sign_in(kim, EMAIL)
        down = await subscription_of(kim)
        assert (down["plan"], down["status"], down["id"]) == ("monthly", "active", trial["id"])
        assert await live_memberships(product) == ["Monthly"]
        assert not await may(kim, "api_access")
        assert await may(kim, "advanced_analytics")
        assert (await usd(kim))[2:] == [2900]

        # Cancelled, taken back, cancelled: access until the end, then none.
        for key, undo in (("bye-1", True), ("bye-2", False)):
            canceled = await kim.post(
                "/api/subscription/cancel", json={"when": "period_end"}, headers={"idempotency-key": key}
            )
            assert canceled.status_code == 200, canceled.text
            assert (await subscription_of(kim))["cancel_at_period_end"] is True
            if undo:
                assert (await kim.post("/api/subscription/resume", json={})).status_code == 200
                assert (await subscription_of(kim))["cancel_at_period_end"] is False
        assert await may(kim, "advanced_analytics")
        await product.advance(days=31)
        await sign_in(kim, EMAIL)
        assert (await subscription_of(kim))["status"] == "canceled"
        assert not await may(kim, "advanced_analytics")
        assert await live_memberships(product) == []
        assert len(await usd(kim)) == 3

        # Whoever comes back has had their trial.
        again = await check_out(kim, "monthly", "again")
        await product.emulator.pay(checkout_of(again["purchase_url"]), email=EMAIL)
        await product.settled()
        back = await subscription_of(kim)
        assert (back["status"], back["plan"]) == ("active", "monthly")
        assert (await usd(kim))[3:] == [2900]
        assert await may(kim, "advanced_analytics")

    kinds = Counter(str(mail["x-notification-kind"]) for mail in product.post.mails)
    assert kinds == {
        "trial_started": 1,
        "trial_ending": 1,
        "trial_converted": 1,
        "plan_changed": 1,
        "plan_change_scheduled": 2,
        "plan_change_withdrawn": 1,
        "plan_change_done": 1,
        "cancellation_scheduled": 2,
        "cancellation_undone": 1,
        "subscription_ended": 1,
        "subscription_confirmed": 1,
    }
    assert (await product.rows("SELECT count(*) AS n FROM process WHERE state <> 'done'"))[0]["n"] == 0
    assert (await product.rows("SELECT count(*) AS n FROM gateway_difference"))[0]["n"] == 0


@pytest.mark.long
async def test_lifetime_and_free(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        assert await may(kim, "basic_dashboard")
        refused = await kim.post("/api/payment/checkout", json={"plan": "free"}, headers={"idempotency-key": "free"})
        assert (refused.status_code, refused.json()["code"]) == (409, "plan_is_free")
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL)
        await product.settled()

        # To Free and back again before it happens.
        preview, to_free = await change(kim, "free", "free-1")
        assert (preview["direction"], preview["when"], to_free["state"]) == ("to_free", "period_end", "scheduled")
        assert (await kim.delete("/api/subscription/change")).json()["state"] == "withdrawn"

        # Once and for all, less the unused quarter; nothing is ever charged again.
        await product.advance(days=45)
        await sign_in(kim, EMAIL)
        preview, _ = await change(kim, "lifetime", "life-1")
        await product.settled()
        assert (await subscription_of(kim))["status"] == "completed"
        assert await usd(kim) == [7500, preview["amount"]["amount_minor"]]
        assert 49900 - 3750 <= preview["amount"]["amount_minor"] <= 49900 - 3700
        assert await live_memberships(product) == []
        refused = await kim.post("/api/subscription/change/preview", json={"plan": "yearly"})
        assert refused.status_code == 409, refused.text
        await product.advance(days=400)
        await sign_in(kim, EMAIL)
        assert await may(kim, "custom_integrations")
        assert len(await usd(kim)) == 2

    async with product.browser() as lou:
        await sign_up(lou, "lou@customers.test", "Lou Meadow")
        started = await check_out(lou, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="lou@customers.test")
        await product.settled()
        await change(lou, "free", "free-2")
        await product.advance(days=91)
        await sign_in(lou, "lou@customers.test")
        assert (await subscription_of(lou))["status"] == "canceled"
        assert await may(lou, "basic_dashboard")
        assert not await may(lou, "unlimited_accounts")
        assert await usd(lou) == [7500]
        assert (await lou.get("/api/subscription/change")).json()["state"] == "done"


@pytest.mark.long
async def test_the_period_is_kept_to_the_second_when_a_pause_covers_a_renewal(product: Product) -> None:
    async with product.browser() as kim:
        await sign_up(kim, EMAIL)
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL)
        await product.settled()
        until = product.runtime.clock.now() + timedelta(days=85)
        paused = await kim.post("/api/subscription/pause", json={"until": until.isoformat()})
        assert paused.status_code == 200, paused.text
        assert (await subscription_of(kim))["status"] == "paused"
        await product.advance(days=100)
        await sign_in(kim, EMAIL)
        assert (await subscription_of(kim))["status"] == "active"
        assert await usd(kim) == [7500, 7500]
