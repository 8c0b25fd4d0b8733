"""A trial that is cancelled, a second one that is refused, and somebody who looks like the same person."""

from collections.abc import AsyncIterator

import httpx
import pytest

from quntedge.promotions.rules import PromotionSpec
from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_up, subscription_of
from tests.journeys.world import Product, running_product


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    async with running_product(settings, database_url) as running:
        yield running


async def buy(product: Product, client: httpx.AsyncClient, email: str, key: str) -> str:
    """Takes the monthly plan; the membership's id."""
    started = await check_out(client, "monthly", key)
    paid = await product.emulator.pay(checkout_of(started["purchase_url"]), email=email)
    await product.settled()
    membership: str = paid["membership"]["id"]
    return membership


async def cancel_at_period_end(product: Product, membership_id: str) -> None:
    headers = {"authorization": f"Bearer {product.emulator.config.api_key}"}
    async with httpx.AsyncClient(base_url=product.emulator.api_base_url, headers=headers, trust_env=False) as api:
        answer = await api.post(f"/memberships/{membership_id}/cancel", json={"cancel_at_period_end": True})
        assert answer.status_code == 200, answer.text


def newest(product: Product) -> str:
    """The text of the newest mail, in one line."""
    body = product.post.mails[-1].get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


async def test_a_cancelled_trial_costs_nothing_and_a_second_one_costs_the_full_price(product: Product) -> None:
    async with product.browser() as kim, product.browser() as lou:
        await sign_up(kim, "kim@customers.test")
        first = await buy(product, kim, "kim@customers.test", "first")
        await cancel_at_period_end(product, first)
        await product.settled()
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is True
        await product.advance(days=8)
        assert (await subscription_of(kim))["status"] == "canceled"
        assert (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"] is False
        assert "Your free trial of the Monthly plan has ended" in newest(product)
        assert not any("ends soon" in subject for subject in product.post.subjects)
        # The nothing that was paid at the beginning has no invoice, and no number is lost to it.
        assert await product.rows("SELECT id FROM payment_transaction WHERE total_minor = 0 AND status = 'paid'")
        assert await product.rows("SELECT id FROM invoice") == []
        assert await product.rows("SELECT last_number FROM invoice_counter") == []

        # Whoever has tried the plan is shown what is charged at once.
        async with product.runtime.units() as unit:
            again = PromotionSpec("again", "Again", percent_bp=2000)
            await product.runtime.services.promotions.service.save(unit, again, by="cli:test", codes=("AGAIN",))
            await unit.commit()
        page = (await kim.get("/pricing?code=AGAIN")).text
        assert ("Choose Monthly" in page, "Start free trial" in page) == (True, False)
        assert "Nothing is charged before" not in page
        validated = await kim.post(
            "/api/payment/promotions/validate", json={"plan": "monthly", "promotion_code": "AGAIN"}
        )
        assert validated.json()["today"]["total"] == {"amount_minor": 2320, "currency": "usd"}

        await buy(product, kim, "kim@customers.test", "second")
        assert (await subscription_of(kim))["status"] == "active"
        assert "No free trial applied to this purchase" in newest(product)
        assert "$29.00" in newest(product)
        (invoice,) = (await kim.get("/api/payment/invoices")).json()["data"]
        assert invoice["number"] == "INV-2026-000001"

        # The gateway takes both addresses for one buyer; we keep what speaks for it.
        await sign_up(lou, "kim+two@customers.test", "Lou Meadow")
        assert "Start free trial" not in (await lou.get("/pricing")).text
        await buy(product, lou, "kim+two@customers.test", "first")
        assert (await subscription_of(lou))["status"] == "active"
        signals = await product.rows(
            "SELECT DISTINCT s.kind, s.user_id, s.other_user_id FROM trial_signal s ORDER BY s.kind"
        )
        me, other = await user_of(lou), await user_of(kim)
        assert [(row["kind"], row["user_id"], row["other_user_id"]) for row in signals] == [
            ("same_card", me, other),
            ("same_email_normalised", me, other),
        ]
        (cards,) = await product.rows("SELECT count(*), count(DISTINCT digest) AS cards FROM card_fingerprint")
        assert cards == {"count": 2, "cards": 1}


async def user_of(client: httpx.AsyncClient) -> str:
    user: str = (await client.get("/api/subscription")).json()["user"]
    return user
