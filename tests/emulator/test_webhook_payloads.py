"""Webhooks one by one: pins, samples, signatures, names. All events in all shapes are looked at by the contract."""

from typing import Any, get_args

import httpx
import pytest
from whop_sdk.types.webhook_events_item import WebhookEventsItem

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.delivery.dispatcher import sign
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.emulator.wire.event_names import ACCEPTED, SENT, TESTABLE
from tests.emulator.conftest import Shop, sdk_for
from tests.emulator.contract.webhooks import WITHOUT_CLASS, legacy_findings, native_findings, payload_classes
from tests.emulator.receiver import SECRET, Receiver


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


@pytest.mark.parametrize("legacy", [False, True])
async def test_samples(legacy: bool, receiver: Receiver) -> None:
    async with running_emulator(EmulatorConfig(real_stamps=True)) as emu, httpx.AsyncClient() as http:
        endpoint = await emu.register_webhook(receiver.url, SECRET, legacy=legacy)
        sdk = sdk_for(emu, http)
        for event in sorted(TESTABLE):
            receiver.clear()
            result = await sdk.webhooks.test(endpoint["id"], event=event)
            assert result.success
            (one,) = receiver.received
            assert one.type == event
            assert (legacy_findings if legacy else native_findings)(one) == []


def test_event_names_are_the_sdks_without_those_for_old_endpoints() -> None:
    named = set(get_args(get_args(WebhookEventsItem)[0]))
    old = {name for name in named if name.startswith(("withdrawal.", "app_", "resolution."))}
    old |= {f"membership.{name}" for name in ("went_valid", "went_invalid", "metadata_updated", "experience_claimed")}
    assert named - old - {"payment.affiliate_reward_created"} == ACCEPTED


def test_everything_that_is_sent_has_a_class_or_is_known_to_have_none() -> None:
    assert set(SENT) | TESTABLE <= payload_classes().keys() | WITHOUT_CLASS.keys()


def test_signature_matches_the_published_vector() -> None:
    body = b'{"type":"payment.succeeded"}'
    expected = "v1,pxMI/1z8wC64m1bypCtgrsQUdz3ydEdpabIJZN4KvKc="
    assert sign("ws_0123456789abcdef", "msg_test", 1786381404, body) == expected


async def test_floats_on_the_wire_keep_their_cents(emu: RunningEmulator, shop: Shop, receiver: Receiver) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    await shop.sell(renewal_price=29.99)
    raw: Any = receiver.of("payment.succeeded")[0].body
    assert b'"total":29.99,' in raw
