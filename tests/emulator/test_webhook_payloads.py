"""Every webhook verifies with the official SDK and has the shape the SDK's classes describe."""

from typing import Any, get_args

import httpx
from pydantic import BaseModel
from whop_sdk.invoices.types import PostInvoiceCreatedPayload, PostInvoicePaidPayload
from whop_sdk.members.types import PostMemberCreatedPayload
from whop_sdk.memberships.types import (
    PostMembershipActivatedPayload,
    PostMembershipTrialEndingSoonPayload,
    PostMembershipUpdatedPayload,
)
from whop_sdk.payments.types import (
    PostPaymentCanceledPayload,
    PostPaymentCreatedPayload,
    PostPaymentFailedPayload,
    PostPaymentSucceededPayload,
)
from whop_sdk.products.types import PostProductCreatedPayload
from whop_sdk.refunds.types import PostRefundCreatedPayload, PostRefundUpdatedPayload
from whop_sdk.types import MemberLegacy, Membership, MembershipLegacy, PaymentLegacy, RefundLegacy
from whop_sdk.types.webhook_events_item import WebhookEventsItem
from whop_sdk.variants.types import PostPlanCreatedPayload

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.deliveries import sign
from quntedge.gateway.emulator.event_names import ACCEPTED, SENT, TESTABLE
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import DECLINED, FAILS_LATER, Shop, sdk_for
from tests.emulator.receiver import SECRET, Receiver

PAYLOADS: dict[str, type[BaseModel]] = {
    "membership.activated": PostMembershipActivatedPayload,
    "membership.updated": PostMembershipUpdatedPayload,
    "membership.trial_ending_soon": PostMembershipTrialEndingSoonPayload,
    "payment.created": PostPaymentCreatedPayload,
    "payment.succeeded": PostPaymentSucceededPayload,
    "payment.failed": PostPaymentFailedPayload,
    "payment.canceled": PostPaymentCanceledPayload,
    "refund.created": PostRefundCreatedPayload,
    "refund.updated": PostRefundUpdatedPayload,
    "member.created": PostMemberCreatedPayload,
    "plan.created": PostPlanCreatedPayload,
    "product.created": PostProductCreatedPayload,
    "invoice.created": PostInvoiceCreatedPayload,
    "invoice.paid": PostInvoicePaidPayload,
}
WITHOUT_CLASS: dict[str, type[BaseModel]] = {
    "membership.deactivated": Membership,
    "membership.cancel_at_period_end_changed": Membership,
}
LEGACY: dict[str, type[BaseModel]] = {
    "membership": MembershipLegacy,
    "payment": PaymentLegacy,
    "refund": RefundLegacy,
    "member": MemberLegacy,
}


async def _everything(emu: RunningEmulator, shop: Shop) -> None:
    """Causes every kind of event the emulator sends."""
    paid = await shop.sell("one@customer.test")
    await shop.sell("no@customer.test", DECLINED)
    await shop.sell("later@customer.test", FAILS_LATER)
    await shop.sell("trial@customer.test", trial_period_days=7)
    await shop.sdk.memberships.update(paid["membership"]["id"], cancel_at_period_end=True)
    await shop.sdk.payments.refund(paid["payment"]["id"])
    invoice = (await emu.control.post("invoices", json={"plan_id": paid["payment"]["plan_id"]})).json()
    await emu.control.post(f"invoices/{invoice['id']}", json={"status": "paid"})
    await emu.advance(days=40)


async def test_native_payloads(emu: RunningEmulator, shop: Shop, hooked: Receiver) -> None:
    product = await shop.sdk.products.create(title="Another", account_id=emu.config.account_id)
    assert product.title == "Another"
    await _everything(emu, shop)
    assert set(hooked.types) == set(PAYLOADS) | set(WITHOUT_CLASS)
    for one in hooked.received:
        assert one.signature_is_right()
        event = one.event
        assert event["id"] == one.headers["webhook-id"]
        assert (event["api_version"], event["account_id"]) == ("v1", emu.config.account_id)
        assert "company_id" not in event
        if one.type in PAYLOADS:
            PAYLOADS[one.type].model_validate(event)
        else:
            WITHOUT_CLASS[one.type].model_validate(event["data"])


async def test_legacy_payloads(emu: RunningEmulator, shop: Shop, receiver: Receiver) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    await _everything(emu, shop)
    seen = set()
    for one in receiver.received:
        assert one.signature_is_right()
        assert one.event["company_id"] == emu.config.account_id
        assert "account_id" not in one.event
        assert one.event["api_version_date"] is None
        kind = one.type.partition(".")[0]
        if kind in LEGACY:
            LEGACY[kind].model_validate(one.data)
            seen.add(kind)
    assert seen == set(LEGACY)


async def test_refunds_are_legacy_on_every_endpoint(emu: RunningEmulator, shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell()
    await shop.sdk.payments.refund(paid["payment"]["id"], partial_amount=5)
    await emu.advance(seconds=1)
    created, updated = hooked.of("refund.created"), hooked.of("refund.updated")
    assert [one.data["status"] for one in (*created, *updated)] == ["pending", "succeeded"]
    data = updated[0].data
    assert (data["amount"], data["currency"], data["payment"]["id"]) == (5, "usd", paid["payment"]["id"])
    assert "updated_at" not in data
    assert "reason" not in data


async def test_shape_follows_the_pin(emu: RunningEmulator, shop: Shop, receiver: Receiver) -> None:
    """A pin between the two changes: memberships are native already, payments and the envelope are not."""
    body = {"url": receiver.url, "secret": SECRET, "api_version_date": "2026-08-01"}
    assert (await emu.control.post("webhooks", json=body)).status_code == 201
    await shop.sell()
    membership, payment = receiver.of("membership.activated")[0], receiver.of("payment.succeeded")[0]
    assert "company_id" in membership.event
    assert "user_id" in membership.data
    assert payment.data["total"] == 29


async def test_live_deliveries_pass_the_sdk_verifier(receiver: Receiver) -> None:
    """The clock starts at the real time, so that the verifier's tolerance of five minutes applies."""
    async with running_emulator(EmulatorConfig()) as emu, httpx.AsyncClient() as http:
        await emu.register_webhook(receiver.url, SECRET)
        sdk = sdk_for(emu, http)
        product = await sdk.products.create(title="QuntEdge", account_id=emu.config.account_id)
        await Shop(emu, sdk, product.id).sell()
        assert len(receiver.received) == 7
        assert {one.unwrapped()["type"] for one in receiver.received} >= {"payment.succeeded", "membership.activated"}


async def test_samples(emu: RunningEmulator, shop: Shop, receiver: Receiver) -> None:
    endpoint = await emu.register_webhook(receiver.url, SECRET)
    for event in sorted(TESTABLE):
        receiver.clear()
        result = await shop.sdk.webhooks.test(endpoint["id"], event=event)
        assert result.success
        (one,) = receiver.received
        assert one.type == event
        assert one.signature_is_right()
        if event in PAYLOADS:
            PAYLOADS[event].model_validate(one.event)


def test_event_names_are_the_sdks_without_those_for_old_endpoints() -> None:
    named = set(get_args(get_args(WebhookEventsItem)[0]))
    old = {name for name in named if name.startswith(("withdrawal.", "app_", "resolution."))}
    old |= {f"membership.{name}" for name in ("went_valid", "went_invalid", "metadata_updated", "experience_claimed")}
    assert named - old - {"payment.affiliate_reward_created"} == ACCEPTED
    assert set(SENT) >= set(PAYLOADS) | set(WITHOUT_CLASS)


def test_signature_matches_the_published_vector() -> None:
    body = b'{"type":"payment.succeeded"}'
    expected = "v1,pxMI/1z8wC64m1bypCtgrsQUdz3ydEdpabIJZN4KvKc="
    assert sign("ws_0123456789abcdef", "msg_test", 1786381404, body) == expected


async def test_floats_on_the_wire_keep_their_cents(emu: RunningEmulator, shop: Shop, receiver: Receiver) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    await shop.sell(renewal_price=29.99)
    raw: Any = receiver.of("payment.succeeded")[0].body
    assert b'"total":29.99,' in raw
