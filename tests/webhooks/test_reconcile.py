"""Deliveries that never come: what the crawl finds at the gateway, repairs, and writes down."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from quntedge.catalog.toml import packaged
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import running_emulator
from quntedge.gateway.whop.adapter import connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.settings import Settings
from quntedge.webhooks.reconcile import Reconciler
from quntedge.webhooks.worker import drain
from quntedge.wiring import build
from tests.conftest import WEBHOOK_SECRET
from tests.gateway import payloads
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import START, Postbox, Product, _start_web, running_product

ALL = 10**6
EMAIL = "kim@customers.test"


@dataclass
class Shop(Product):
    """The product without a worker: events are applied and crawls are made when the test says so."""

    async def applied(self) -> None:
        """Has everything applied that was delivered."""
        await self.emulator.settle()
        await drain(self.runtime.webhooks)

    async def recent(self) -> int:
        return await self.runtime.reconciler.recent(self.runtime.clock.now())

    async def full(self) -> int:
        return await self.runtime.reconciler.full(self.runtime.clock.now())

    async def buy(self, client: httpx.AsyncClient, plan: str = "quarterly", email: str = EMAIL) -> dict[str, Any]:
        """Signs up and pays. Answers what the emulator made of it."""
        await sign_up(client, email)
        started = await check_out(client, plan)
        paid = await self.emulator.pay(checkout_of(started["purchase_url"]), email=email)
        assert paid["outcome"] == "paid"
        return paid

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call to the gateway as the seller."""
        headers = {"authorization": f"Bearer {self.emulator.config.api_key}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, self.emulator.api_base_url + path, json=body, headers=headers)
        assert answer.is_success, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def mails(self) -> list[str]:
        """But for invoices that wait for the confirmation to take them along."""
        rows = await self.rows("SELECT kind FROM notification WHERE kind <> 'invoice' ORDER BY id")
        return [row["kind"] for row in rows]

    async def found(self) -> list[tuple[str, str, str]]:
        rows = await self.rows("SELECT kind, whop_object_id, outcome FROM gateway_difference ORDER BY kind")
        return [(row["kind"], row["whop_object_id"], row["outcome"]) for row in rows]

    async def books(self) -> dict[str, Any]:
        """How many rows everything has: what a crawl that finds nothing must not change."""
        (counts,) = await self.rows(
            "SELECT (SELECT count(*) FROM subscription) AS subscriptions, (SELECT count(*) FROM invoice) AS invoices,"
            " (SELECT count(*) FROM subscription_event) AS history, (SELECT count(*) FROM notification) AS mails,"
            " (SELECT count(*) FROM payment_transaction) AS payments,"
            " (SELECT count(*) FROM gateway_difference) AS differences, (SELECT sum(version) FROM subscription) AS v"
        )
        return counts


@pytest.fixture
async def shop(settings: Settings, database_url: str) -> AsyncIterator[Shop]:
    """Emulator, intake and pages, one clock."""
    async with AsyncExitStack() as stack:
        config = EmulatorConfig(api_key="test-key", account_id="biz_test", start=START)
        emulator = await stack.enter_async_context(running_emulator(config))
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        changes = {"base_url": url, "whop_base_url": emulator.api_base_url, "clock_url": emulator.control_url}
        runtime = build(settings.model_copy(update=changes), database_url)
        await runtime.start()
        stack.push_async_callback(runtime.close)
        await runtime.catalog.apply(packaged())
        await runtime.catalog.sync_gateway()
        await _start_web(stack, runtime, listener)
        await emulator.register_webhook(f"{url}/api/whop/webhook", WEBHOOK_SECRET)
        yield Shop(url, runtime, emulator, Postbox())


async def _allowed(client: httpx.AsyncClient) -> bool:
    answer = (await client.get("/api/subscription/access/unlimited_accounts")).json()
    return bool(answer["allowed"])


async def test_a_lost_purchase_is_found_and_a_late_delivery_changes_nothing_more(shop: Shop) -> None:
    async with shop.browser() as kim:
        await shop.emulator.faults(drop_next=ALL)
        paid = await shop.buy(kim)
        await shop.applied()
        assert await shop.rows("SELECT 1 FROM webhook_event") == []
        assert await shop.recent() == 0, "its deliveries may still be on the way"

        await shop.emulator.advance(minutes=6)
        assert await shop.recent() == 2
        membership, payment = paid["membership"]["id"], paid["payment"]["id"]
        assert await shop.found() == [("membership", membership, "repaired"), ("payment", payment, "repaired")]
        assert (await subscription_of(kim))["status"] == "active"
        assert await _allowed(kim)
        assert await shop.mails() == ["subscription_confirmed"]
        (row,) = await shop.rows("SELECT DISTINCT cause, user_id FROM subscription_event")
        assert row["cause"].startswith("reconcile:2026-09-")
        users = await shop.rows("SELECT DISTINCT user_id FROM gateway_difference")
        assert users == [{"user_id": row["user_id"]}]

        books = await shop.books()
        assert (await shop.recent(), await shop.full()) == (0, 0)
        for number, (name, path) in enumerate(
            (("membership.activated", f"/memberships/{membership}"), ("payment.succeeded", f"/payments/{payment}"))
        ):
            webhook_id = f"msg_late{number}"
            document = payloads.envelope(
                name, await shop.api("GET", path), webhook_id=webhook_id, account_id="biz_test"
            )
            body = payloads.body_of(document)
            headers = payloads.sign(body, WEBHOOK_SECRET, webhook_id, shop.runtime.clock.now())
            assert (await kim.post("/api/whop/webhook", content=body, headers=headers)).status_code == 200
        await shop.applied()
        outcomes = await shop.rows("SELECT DISTINCT state, outcome FROM webhook_event")
        assert outcomes == [{"state": "processed", "outcome": "unchanged"}]
        assert await shop.books() == books


async def test_what_was_delivered_or_waits_in_the_inbox_is_no_difference(shop: Shop) -> None:
    async with shop.browser() as kim:
        await shop.buy(kim)
        await shop.emulator.settle()
        await shop.emulator.advance(minutes=6)
        assert (await shop.recent(), await shop.full()) == (0, 0)
        assert await shop.rows("SELECT 1 FROM subscription") == []
        await shop.applied()
        assert await _allowed(kim)
        books = await shop.books()
        assert (await shop.recent(), await shop.full()) == (0, 0)
        assert await shop.books() == books
        assert books["differences"] == 0


async def test_a_lost_renewal_moves_the_period_and_bills_once(shop: Shop) -> None:
    async with shop.browser() as kim:
        await shop.buy(kim)
        await shop.applied()
        before = datetime.fromisoformat((await subscription_of(kim))["period_end"])
        await shop.emulator.faults(drop_next=ALL)
        await shop.emulator.advance(days=91)
        await shop.applied()
        await sign_in(kim, EMAIL)

        assert await shop.recent() == 2
        assert {kind for kind, _, _ in await shop.found()} == {"membership", "payment"}
        renewed = await subscription_of(kim)
        assert datetime.fromisoformat(renewed["period_end"]) == before + timedelta(days=90)
        (detail,) = await shop.rows("SELECT detail FROM gateway_difference WHERE kind = 'membership'")
        assert "period_end" in detail["detail"]
        assert await _allowed(kim)
        assert len(await shop.mails()) == 2
        books = await shop.books()
        assert (books["payments"], books["invoices"]) == (2, 2)
        assert (await shop.recent(), await shop.full()) == (0, 0)
        assert await shop.books() == books


async def test_a_lost_cancellation_is_found_by_the_full_crawl_and_ends_access(shop: Shop) -> None:
    async with shop.browser() as kim:
        paid = await shop.buy(kim)
        await shop.applied()
        assert await _allowed(kim)
        membership = paid["membership"]["id"]
        await shop.emulator.faults(drop_next=ALL)
        await shop.api("POST", f"/memberships/{membership}/cancel", {})
        await shop.applied()
        await shop.emulator.advance(minutes=6)

        assert await shop.full() == 1
        assert await shop.found() == [("membership", membership, "repaired")]
        assert (await subscription_of(kim))["status"] == "canceled"
        assert not await _allowed(kim)
        mails = await shop.mails()
        assert len(mails) == len(set(mails)) == 2
        books = await shop.books()
        assert (await shop.recent(), await shop.full()) == (0, 0)
        assert await shop.books() == books


async def test_a_lost_wish_to_cancel_at_the_period_end_is_found_by_the_full_crawl(shop: Shop) -> None:
    async with shop.browser() as kim:
        paid = await shop.buy(kim)
        await shop.applied()
        await shop.emulator.faults(drop_next=ALL)
        await shop.api("POST", f"/memberships/{paid['membership']['id']}/cancel", {"cancel_at_period_end": True})
        await shop.emulator.advance(minutes=6)
        listed = [m async for page in shop.runtime.gateway.memberships_open() for m in page]
        assert [(m.membership_id, m.cancel_at_period_end) for m in listed] == [(paid["membership"]["id"], True)]
        assert await shop.full() == 1
        subscription = await subscription_of(kim)
        assert (subscription["status"], subscription["cancel_at_period_end"]) == ("active", True)
        assert await shop.full() == 0


async def test_a_lost_refund_is_found(shop: Shop) -> None:
    async with shop.browser() as kim:
        paid = await shop.buy(kim)
        await shop.applied()
        await shop.emulator.faults(drop_next=ALL)
        await shop.api("POST", f"/payments/{paid['payment']['id']}/refund", {"partial_amount": 10})
        await shop.emulator.advance(hours=1)
        await shop.applied()
        assert await shop.recent() == 1
        (payment,) = await shop.rows("SELECT status, refunded_minor FROM payment_transaction")
        assert payment == {"status": "partially_refunded", "refunded_minor": 1000}
        assert len(await shop.rows("SELECT 1 FROM refund")) == 1
        assert (await shop.recent(), await shop.full()) == (0, 0)


class _Outage(httpx.AsyncHTTPTransport):
    """A network that cuts the way to single objects, or answers that there is too much asked."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if request.url.path.endswith(("/payments", "/memberships")):
            return await super().handle_async_request(request)
        headers = {"retry-after": "7"} if self.status == 429 else {}
        return httpx.Response(self.status, json={"error": {"type": "x", "message": "away"}}, headers=headers)


@pytest.mark.parametrize("status", [503, 429])
async def test_an_outage_of_the_gateway_changes_nothing(shop: Shop, status: int) -> None:
    async with shop.browser() as kim:
        await shop.emulator.faults(drop_next=ALL)
        await shop.buy(kim)
        await shop.emulator.advance(minutes=6)
        settings = WhopSettings("custom", "test-key", "biz_test", shop.emulator.api_base_url)
        outage = _Outage(status)
        gateway = connect(settings, read_retries=0, transport=outage)
        reconciler = Reconciler(shop.runtime.units, gateway, shop.runtime.reconciler._applier)
        books = await shop.books()
        assert await reconciler.recent(shop.runtime.clock.now()) == 0
        assert outage.requests > 1
        assert await shop.books() == books
        await gateway.close()
        assert await shop.recent() == 2


async def test_a_membership_missing_at_the_gateway_is_reported_once_and_keeps_what_it_gives(shop: Shop) -> None:
    async with shop.browser() as kim:
        paid = await shop.buy(kim)
        await shop.applied()
        await shop.emulator.advance(minutes=6)
        await shop.emulator.reset()
        assert await shop.full() == 1
        assert await shop.found() == [("missing_at_gateway", paid["membership"]["id"], "open")]
        assert await _allowed(kim)
        assert await shop.full() == 0
        assert len(await shop.found()) == 1


async def test_an_object_that_cannot_be_applied_harms_no_other_and_is_closed_when_it_can(shop: Shop) -> None:
    async with shop.browser() as kim, shop.browser() as lou:
        await shop.emulator.faults(drop_next=ALL)
        await shop.buy(kim)
        paid = await shop.buy(lou, "yearly", "lou@customers.test")
        await shop.emulator.advance(minutes=6)
        async with shop.runtime.units() as unit:
            connection = await unit.connection()
            await connection.exec_driver_sql(
                "UPDATE plan_price SET whop_plan_id = whop_plan_id || 'x' WHERE period_days = 365"
            )
            await unit.commit()
        assert await shop.recent() == 3
        assert await shop.recent() == 0, "an open difference is not found anew"
        payment = paid["payment"]["id"]
        opened = await shop.rows("SELECT * FROM gateway_difference WHERE outcome = 'open'")
        assert [(row["kind"], row["whop_object_id"], row["repaired_at"]) for row in opened] == [
            ("payment", payment, None)
        ]
        assert opened[0]["detail"] == "unknown_gateway_plan"
        assert (await subscription_of(kim))["status"] == "active"
        async with shop.runtime.units() as unit:
            connection = await unit.connection()
            await connection.exec_driver_sql("UPDATE plan_price SET whop_plan_id = rtrim(whop_plan_id, 'x')")
            await unit.commit()
        assert await shop.recent() == 1, "its membership; the payment is the open one"
        assert (await subscription_of(lou))["status"] == "active"
        (closed,) = await shop.rows("SELECT * FROM gateway_difference WHERE whop_object_id = :id", id=payment)
        assert (closed["outcome"], closed["id"]) == ("repaired", opened[0]["id"])
        assert closed["repaired_at"] is not None
        assert await shop.mails() == ["subscription_confirmed"] * 2
        assert (await shop.recent(), await shop.full()) == (0, 0)


async def test_two_crawls_at_once_find_a_difference_once(shop: Shop) -> None:
    async with shop.browser() as kim:
        await shop.emulator.faults(drop_next=ALL)
        await shop.buy(kim)
        await shop.emulator.advance(minutes=6)
        assert sum(await asyncio.gather(shop.recent(), shop.full(), shop.recent())) == 2
        assert len(await shop.found()) == 2
        assert await shop.mails() == ["subscription_confirmed"]


async def test_a_worker_crawls_by_itself(settings: Settings, database_url: str) -> None:
    async with running_product(settings, database_url) as product, product.browser() as kim:
        await sign_up(kim, EMAIL)
        started = await check_out(kim, "quarterly")
        await product.emulator.faults(drop_next=ALL)
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL)
        await product.advance(minutes=16)
        async with asyncio.timeout(60):
            while not await product.rows("SELECT 1 FROM gateway_difference"):
                await asyncio.sleep(0.02)
        await product.settled()
        assert (await subscription_of(kim))["status"] == "active"
        assert len(product.post.mails) == 1
