"""Adapter and normaliser against the emulator: what is asked for happens, and what is delivered is understood."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from quntedge.gateway.errors import GatewayNotFound, GatewayRejected, GatewayUnauthorized, GatewayUnavailable
from quntedge.gateway.port import (
    CheckoutRequest,
    GatewayEvent,
    IgnoredEvent,
    InvoiceStatus,
    MembershipSnapshot,
    MembershipStatus,
    MethodSnapshot,
    PaymentSnapshot,
    PaymentStatus,
    PlanRequest,
    RefundSnapshot,
    RefundStatus,
)
from quntedge.gateway.whop.adapter import connect
from quntedge.gateway.whop.documents import load_json
from quntedge.gateway.whop.normalise import envelope, normalise
from quntedge.gateway.whop.signature import verify
from quntedge.kit.money import Money
from tests.contract.receiver import Delivery, receiving
from tests.contract.shop import Shop, settings_for

SECRET = "ws_contract_0123456789"
DECLINED = "4000000000000002"
CHARGES_FAIL = "4000000000000341"


async def test_account_products_and_plans(shop: Shop) -> None:
    gateway = shop.gateway
    assert await gateway.account_id() == shop.emulator.config.account_id
    assert [(item.product_id, item.title, item.metadata) for item in await gateway.products()] == [
        (shop.product_id, "QuntEdge", {"key": "app"})
    ]
    monthly = await gateway.create_plan(
        PlanRequest(shop.product_id, "Monthly", Money(2999, "usd"), 30, 7, "All of it", {"plan": "monthly"}),
        idempotency_key="monthly",
    )
    lifetime = await gateway.create_plan(
        PlanRequest(shop.product_id, "Lifetime", Money(60000, "jpy"), None), idempotency_key="lifetime"
    )
    assert (monthly.price, monthly.period_days, monthly.trial_days) == (Money(2999, "usd"), 30, 7)
    assert (monthly.product_id, monthly.title, monthly.metadata) == (shop.product_id, "Monthly", {"plan": "monthly"})
    assert (lifetime.price, lifetime.period_days, lifetime.archived) == (Money(60000, "jpy"), None, False)
    listed = {plan.plan_id: plan for plan in await gateway.plans()}
    assert listed == {monthly.plan_id: monthly, lifetime.plan_id: lifetime}


async def test_a_list_longer_than_a_page_is_read_to_its_end(shop: Shop) -> None:
    for number in range(105):
        await shop.gateway.create_product(f"Product {number}", metadata={}, idempotency_key=f"p{number}")
    assert len({product.product_id for product in await shop.gateway.products()}) == 106


async def test_a_write_sent_twice_under_one_key_happens_once(shop: Shop) -> None:
    request = PlanRequest(shop.product_id, "Monthly", Money(2900, "usd"), 30)
    first, second = [await shop.gateway.create_plan(request, idempotency_key="once") for _ in range(2)]
    assert first == second
    assert len(await shop.gateway.plans()) == 1
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.create_plan(replace(request, title="Other"), idempotency_key="once")
    assert caught.value.extra["gateway_error"] == "idempotency_key_mismatch"


async def test_a_purchase_can_be_read_back(shop: Shop) -> None:
    plan_id, checkout_id = await shop.checkout(Money(2999, "usd"), 30)
    bought = await shop.emulator.pay(checkout_id, email="kim@customer.test", name="Kim")
    membership = await shop.gateway.membership(bought["membership"]["id"])
    payment = await shop.gateway.payment(bought["payment"]["id"])
    assert (membership.status, membership.plan_id, membership.shape) == (MembershipStatus.ACTIVE, plan_id, "native")
    assert membership.metadata == {"intent_id": "chk_42"}
    assert membership.renewal_price == Money(2999, "usd")
    assert membership.period_start is not None
    assert membership.period_end is not None
    assert (membership.period_end - membership.period_start).days == 30
    assert (payment.status, payment.total, payment.currency) == (PaymentStatus.PAID, Money(2999, "usd"), "usd")
    assert (payment.membership_id, payment.member_id) == (membership.membership_id, membership.member_id)
    assert (payment.checkout_id, payment.customer_email) == (checkout_id, "kim@customer.test")
    assert payment.method is not None
    assert replace(payment.method, exp_month=None, exp_year=None) == MethodSnapshot("card", "visa", "4242")
    assert payment.billing_reason == "subscription_create"
    assert membership.warnings == payment.warnings == ()


async def test_a_retired_checkout_cannot_be_paid_and_retiring_again_does_no_harm(shop: Shop) -> None:
    _, checkout_id = await shop.checkout(Money(2900, "usd"), 30)
    await shop.gateway.retire_checkout(checkout_id)
    with pytest.raises(RuntimeError, match="not found"):
        await shop.emulator.pay(checkout_id, email="kim@customer.test")
    await shop.gateway.retire_checkout(checkout_id)
    await shop.gateway.retire_checkout("ch_never_was")


async def test_the_purchase_address_opens(shop: Shop) -> None:
    plan = await shop.gateway.create_plan(
        PlanRequest(shop.product_id, "Monthly", Money(2900, "usd"), 30), idempotency_key="p"
    )
    request = CheckoutRequest(plan.plan_id, "http://127.0.0.1/return", {})
    checkout = await shop.gateway.create_checkout(request, idempotency_key="c")
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(checkout.purchase_url)).status_code == 200


async def test_refunds_are_found_by_their_payment_and_by_their_id(shop: Shop) -> None:
    _, checkout_id = await shop.checkout(Money(2999, "usd"), None)
    bought = await shop.emulator.pay(checkout_id, email="kim@customer.test")
    payment_id = bought["payment"]["id"]
    assert await shop.gateway.refunds_of(payment_id) == []
    await shop.api("POST", f"/payments/{payment_id}/refund", {"partial_amount": 4.99, "metadata": {"refund": "ref_7"}})
    await shop.emulator.advance(seconds=5)
    [refund] = await shop.gateway.refunds_of(payment_id)
    assert (refund.status, refund.amount, refund.payment_id) == (RefundStatus.SUCCEEDED, Money(499, "usd"), payment_id)
    assert refund.metadata == {"refund": "ref_7"}
    assert await shop.gateway.refund(refund.refund_id) == refund
    payment = await shop.gateway.payment(payment_id)
    assert (payment.refunded, payment.substatus) == (Money(499, "usd"), "partially_refunded")


async def test_an_explicit_invoice_can_be_read(shop: Shop) -> None:
    plan_id, _ = await shop.checkout(Money(2999, "usd"), 30)
    answer = await shop.emulator.control.post("invoices", json={"plan_id": plan_id, "email": "kim@customer.test"})
    invoice = await shop.gateway.invoice(answer.json()["id"])
    assert (invoice.status, invoice.total, invoice.plan_id) == (InvoiceStatus.OPEN, Money(2999, "usd"), plan_id)
    assert invoice.warnings == ()


async def test_what_does_not_exist_is_not_found(shop: Shop) -> None:
    gateway = shop.gateway
    for call in (
        gateway.membership("mem_x"),
        gateway.payment("pay_x"),
        gateway.refund("rf_x"),
        gateway.invoice("inv_x"),
    ):
        with pytest.raises(GatewayNotFound):
            await call
    request = CheckoutRequest("plan_x", "http://127.0.0.1/return", {})
    with pytest.raises((GatewayNotFound, GatewayRejected)):
        await gateway.create_checkout(request, idempotency_key="k")


async def test_a_wrong_key_and_a_dead_server_are_told_apart(shop: Shop) -> None:
    settings = settings_for(shop.emulator)
    stranger = connect(replace(settings, api_key="wrong"), read_retries=0)
    with pytest.raises(GatewayUnauthorized):
        await stranger.account_id()
    await stranger.close()
    nobody = connect(replace(settings, base_url="http://127.0.0.1:1/api/v1"), read_retries=0)
    with pytest.raises(GatewayUnavailable):
        await nobody.account_id()
    with pytest.raises(GatewayUnavailable):
        await nobody.create_product("X", metadata={}, idempotency_key="k")
    await nobody.close()


def understood(deliveries: list[Delivery]) -> list[GatewayEvent | IgnoredEvent]:
    """Every delivery, verified against its own time (the emulator's clock moves) and normalised."""
    events = []
    for delivery in deliveries:
        stamped = datetime.fromtimestamp(int(dict(delivery.headers)[b"webhook-timestamp"]), UTC)
        verified = verify(delivery.headers, delivery.body, [SECRET.encode()], stamped)
        document = load_json(delivery.body)
        assert isinstance(document, dict)
        assert document["id"] == verified.webhook_id
        assert envelope(document).ordering_key
        events.append(normalise(document))
    return events


@pytest.mark.parametrize("legacy", [False, True])
async def test_a_year_of_webhooks_is_understood_in_both_shapes(shop: Shop, legacy: bool) -> None:
    async with receiving() as receiver:
        await shop.emulator.register_webhook(receiver.url, SECRET, legacy=legacy)
        _, checkout_id = await shop.checkout(Money(2999, "usd"), 30, trial_days=7)
        bought = await shop.emulator.pay(checkout_id, email="kim@customer.test", name="Kim")
        membership_id = bought["membership"]["id"]
        await shop.emulator.advance(days=8)
        await shop.emulator.advance(days=30)
        await shop.emulator.decline_next(membership_id, times=1)
        await shop.emulator.advance(days=32)
        paid = (await shop.api("GET", f"/payments?membership_id={membership_id}&status=paid"))["data"]
        charged = next(payment for payment in paid if payment["total"]["amount"] != "0.00")
        await shop.api("POST", f"/payments/{charged['id']}/refund", {})
        await shop.api("POST", f"/memberships/{membership_id}/cancel", {"cancel_at_period_end": True})
        await shop.emulator.advance(days=40)
        await shop.emulator.settle()

        events = [event for event in understood(receiver.deliveries) if isinstance(event, GatewayEvent)]
        kinds = {event.kind.value for event in events}
        assert {
            "membership.trialing",
            "membership.activated",
            "membership.updated",
            "membership.deactivated",
            "payment.succeeded",
            "payment.failed",
            "payment.refunded",
        } <= kinds
        for event in events:
            assert event.account_id == shop.emulator.config.account_id
            assert event.snapshot.warnings == ()
            expected = "legacy" if legacy or isinstance(event.snapshot, RefundSnapshot) else "native"
            assert event.snapshot.shape == expected
            assert event.trusted is (expected == "native")
        last = [event.snapshot for event in events if isinstance(event.snapshot, MembershipSnapshot)]
        newest = max(last, key=lambda snapshot: snapshot.updated_at or datetime.min.replace(tzinfo=UTC))
        read = await shop.gateway.membership(membership_id)
        assert newest.status is read.status is MembershipStatus.CANCELED
        assert newest.updated_at == read.updated_at
        if not legacy:
            assert newest == read


@pytest.mark.parametrize("card", [DECLINED, CHARGES_FAIL])
async def test_failed_charges_say_why(shop: Shop, card: str) -> None:
    async with receiving() as receiver:
        await shop.emulator.register_webhook(receiver.url, SECRET)
        _, checkout_id = await shop.checkout(Money(2999, "usd"), 30)
        await shop.emulator.pay(checkout_id, card, email="kim@customer.test")
        await shop.emulator.advance(days=31)
        await shop.emulator.settle()
        failed = [
            event
            for event in understood(receiver.deliveries)
            if isinstance(event, GatewayEvent) and event.kind.value == "payment.failed"
        ]
        assert failed
        for event in failed:
            assert isinstance(event.snapshot, PaymentSnapshot)
            assert event.snapshot.attempt_failed
            assert event.snapshot.decline_code is not None
            assert event.snapshot.failure_message is not None


async def test_many_reads_at_once(shop: Shop) -> None:
    _, checkout_id = await shop.checkout(Money(2999, "usd"), 30)
    bought = await shop.emulator.pay(checkout_id, email="kim@customer.test")
    membership_id = bought["membership"]["id"]
    found = await asyncio.gather(*(shop.gateway.membership(membership_id) for _ in range(30)))
    assert {snapshot.membership_id for snapshot in found} == {membership_id}
