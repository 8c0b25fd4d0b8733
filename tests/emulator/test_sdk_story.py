"""The story of one customer, told by the official SDK alone: checkout, trial, conversion, decline, recovery, another
plan, refund, dispute, cancellation. A receiver that knows nothing but the SDK's verifier checks every delivery."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from whop_sdk import AsyncWhop
from whop_sdk.lib.verify_webhook import WebhookVerificationError, unwrap

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import NO_CERTIFICATES, sdk_for

RENEWAL = ["membership.activated", "membership.updated", "payment.created", "payment.succeeded"]


@dataclass
class Inbox:
    """A seller's endpoint in a thread of its own, made of the standard library and `unwrap`."""

    url: str = ""
    key: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def receive(self, body: bytes, headers: dict[str, str]) -> int:
        """Keeps an event that verifies; returns the status to answer."""
        try:
            self.events.append(unwrap(body, headers=headers, key=self.key))
        except (WebhookVerificationError, ValueError) as error:
            self.refused.append(repr(error))
            return 401
        return 200

    def take(self) -> list[str]:
        """The types of what came since the last time, sorted: Whop promises no order."""
        types = sorted(event["type"] for event in self.events)
        self.events.clear()
        return types


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Serves an inbox on a free loopback port."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(inbox.receive(body, dict(self.headers.items())))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        inbox.url = f"http://127.0.0.1:{server.server_port}/whop"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield inbox
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Shop:
    """A seller with two plans and an endpoint, all made with the SDK."""

    emu: RunningEmulator
    sdk: AsyncWhop
    inbox: Inbox
    basic: str
    pro: str

    async def sells(self, email: str) -> str:
        """A checkout with the SDK, paid by a buyer on the page; returns the membership's id."""
        checkout = await self.sdk.checkout_configurations.create(
            account_id=self.emu.config.account_id, plan_id=self.basic, metadata={"intent_id": "ci_42"}
        )
        paid = await self.emu.pay(checkout.id, email=email)
        await self.emu.settle()
        return str(paid["membership"]["id"])

    async def buyer(self, path: str, **body: Any) -> dict[str, Any]:
        """What a buyer or a bank does, which no API call can."""
        response = await self.emu.control.post(path, json=body)
        assert response.is_success, response.text
        await self.emu.settle()
        answer: dict[str, Any] = response.json()
        return answer

    async def payments(self, membership_id: str) -> list[Any]:
        """The payments of a membership, oldest first."""
        listed = await self.sdk.payments.list(membership_id=membership_id, direction="asc")
        return [payment async for payment in listed]


@asynccontextmanager
async def opened() -> AsyncIterator[Shop]:
    """The receiver's clock does not follow the emulator's, so deliveries are signed with the real time."""
    with open_inbox() as inbox:
        async with (
            running_emulator(EmulatorConfig(real_stamps=True, delivery_timeout_seconds=60)) as emu,
            httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False) as http,
        ):
            sdk, account = sdk_for(emu, http), emu.config.account_id
            product = await sdk.products.create(account_id=account, title="Charts")
            month: dict[str, Any] = {
                "account_id": account,
                "product_id": product.id,
                "plan_type": "renewal",
                "billing_period": 30,
                "initial_price": 0,
                "currency": "usd",
            }
            basic = await sdk.variants.create(**month, title="Basic", renewal_price=29, trial_period_days=7)
            pro = await sdk.variants.create(**month, title="Pro", renewal_price=79)
            hook = await sdk.webhooks.create(
                url=inbox.url, resource_id=account, events=EVENTS, api_version_date="2026-10-15-1"
            )
            inbox.key = str(hook.webhook_secret)
            yield Shop(emu, sdk, inbox, basic.id, pro.id)


EVENTS = [
    *(f"membership.{name}" for name in ("activated", "deactivated", "updated", "trial_ending_soon")),
    *(f"payment.{name}" for name in ("created", "succeeded", "failed", "canceled")),
    *(f"{thing}.{name}" for thing in ("refund", "dispute") for name in ("created", "updated")),
    "member.created",
]


async def test_the_story() -> None:
    async with opened() as shop:
        membership_id = await _trial_and_conversion(shop)
        await _decline_and_recovery(shop, membership_id)
        await _another_plan(shop, membership_id)
        await _refund(shop, membership_id)
        await _dispute(shop, membership_id)
        await _cancellation(shop, membership_id)
        assert shop.inbox.refused == []


async def _trial_and_conversion(shop: Shop) -> str:
    membership_id = await shop.sells("kim@customer.test")
    assert shop.inbox.take() == sorted([*RENEWAL, "member.created"])
    trial = await shop.sdk.memberships.retrieve(membership_id)
    assert (trial.status, trial.plan_id, trial.metadata) == ("trialing", shop.basic, {"intent_id": "ci_42"})
    await shop.emu.advance(days=5)
    assert shop.inbox.take() == ["membership.trial_ending_soon"]
    await shop.emu.advance(days=2)
    assert shop.inbox.take() == RENEWAL
    running = await shop.sdk.memberships.retrieve(membership_id)
    assert (running.status, running.current_period_start) == ("active", trial.current_period_end)
    return membership_id


async def _decline_and_recovery(shop: Shop, membership_id: str) -> None:
    await shop.emu.decline_next(membership_id, decline_code="insufficient_funds")
    await shop.emu.advance(days=30)
    assert shop.inbox.take() == ["membership.deactivated", "membership.updated", "payment.created", "payment.failed"]
    late = await shop.sdk.memberships.retrieve(membership_id)
    failed = (await shop.payments(membership_id))[-1]
    assert (late.status, failed.status, failed.decline_code) == ("past_due", "open", "insufficient_funds")
    assert late.most_recent_action_at == failed.next_payment_attempt_at
    await shop.emu.advance(to=str(failed.next_payment_attempt_at))
    assert shop.inbox.take() == ["membership.activated", "membership.updated", "payment.succeeded"]
    paid = await shop.sdk.payments.retrieve(failed.id)
    assert (paid.status, paid.payments_failed) == ("paid", 1)
    recovered = await shop.sdk.memberships.retrieve(membership_id)
    assert (recovered.status, recovered.current_period_start) == ("active", late.current_period_end)


async def _another_plan(shop: Shop, membership_id: str) -> None:
    await shop.buyer(f"memberships/{membership_id}/switch_plan", plan_id=shop.pro)
    assert shop.inbox.take() == RENEWAL
    switched = await shop.sdk.memberships.retrieve(membership_id)
    payment = (await shop.payments(membership_id))[-1]
    assert (switched.status, switched.plan_id) == ("active", shop.pro)
    assert switched.renewal_price is not None
    assert switched.renewal_price.amount == "79.00"
    assert (payment.billing_reason, payment.total.amount, payment.plan_id) == ("subscription_update", "79.00", shop.pro)


async def _refund(shop: Shop, membership_id: str) -> None:
    payment = (await shop.payments(membership_id))[-1]
    await shop.sdk.payments.refund(
        payment.id,
        partial_amount=10.5,
        request_options={"additional_headers": {"Idempotency-Key": "refund-42"}},
    )
    await shop.emu.advance(seconds=1)
    assert shop.inbox.take() == ["refund.created", "refund.updated"]
    (refund,) = [one async for one in await shop.sdk.refunds.list(payment_id=payment.id)]
    after = await shop.sdk.payments.retrieve(payment.id)
    assert (refund.status, refund.original_amount.amount) == ("succeeded", "10.50")
    assert after.refunded_amount is not None
    assert (after.substatus, after.refunded_amount.amount) == ("partially_refunded", "10.50")


async def _dispute(shop: Shop, membership_id: str) -> None:
    payment = (await shop.payments(membership_id))[1]
    made = await shop.buyer(f"payments/{payment.id}/dispute", reason="unrecognized")
    assert shop.inbox.take() == ["dispute.created"]
    await shop.sdk.disputes.update(made["id"], evidence={"notes": "Signed in every day."})
    await shop.sdk.disputes.submit(made["id"])
    await shop.buyer(f"disputes/{made['id']}", status="lost")
    assert shop.inbox.take() == ["dispute.updated"] * 3
    lost = await shop.sdk.disputes.retrieve(made["id"])
    assert (lost.status, lost.amount, lost.payment.id) == ("lost", 29, payment.id)
    assert (await shop.sdk.payments.retrieve(payment.id)).substatus == "dispute_lost"
    assert [one async for one in await shop.sdk.refunds.list(payment_id=payment.id)] == []


async def _cancellation(shop: Shop, membership_id: str) -> None:
    asked = await shop.sdk.memberships.cancel(membership_id, cancel_at_period_end=True, reason="enough")
    assert (asked.status, asked.cancel_at_period_end) == ("active", True)
    await shop.emu.settle()
    assert shop.inbox.take() == ["membership.updated"]
    end = datetime.fromisoformat(str(asked.current_period_end))
    await shop.emu.advance(to=(end + timedelta(days=90)).isoformat())
    assert shop.inbox.take() == ["membership.deactivated", "membership.updated"]
    ended = await shop.sdk.memberships.retrieve(membership_id)
    assert (ended.status, ended.cancellation_reason) == ("canceled", "enough")
    totals = [(payment.status, payment.total.amount) for payment in await shop.payments(membership_id)]
    assert totals == [("paid", "0.00"), ("paid", "29.00"), ("paid", "29.00"), ("paid", "79.00")]


async def test_the_receiver_really_verifies() -> None:
    """Another secret, or no signature at all: refused."""
    async with opened() as shop, httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False) as http:
        await shop.sells("kim@customer.test")
        good = len(shop.inbox.events)
        assert good
        shop.inbox.key += "x"
        await shop.sells("lee@customer.test")
        assert len(shop.inbox.events) == good
        refused = len(shop.inbox.refused)
        assert refused
        unsigned = await http.post(shop.inbox.url, content=b"{}")
        assert unsigned.status_code == 401
        assert len(shop.inbox.refused) == refused + 1


async def test_without_real_stamps_a_receiver_must_follow_the_clock() -> None:
    with open_inbox() as inbox:
        inbox.key = "ws_0123456789abcdef"
        async with running_emulator(EmulatorConfig(delivery_timeout_seconds=60)) as emu:
            await emu.register_webhook(inbox.url, inbox.key, events=["product.created"])
            head = {"authorization": f"Bearer {emu.config.api_key}"}
            for _ in range(2):
                await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
                await emu.settle()
                await emu.advance(days=1)
    assert len(inbox.events) == 1
    assert "timestamp" in inbox.refused[0]
