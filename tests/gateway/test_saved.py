"""Saved methods and receipts: what deliveries and answers look like, and what is made of odd ones."""

from typing import Any

import httpx
import pytest

from quntedge.gateway.errors import GatewayInvalidAnswer, GatewayOutcomeUnknown
from quntedge.gateway.port import EventKind, GatewayEvent, UnusableEvent
from quntedge.gateway.saved import SetupSnapshot
from quntedge.gateway.whop.events import SUBSCRIBED_EVENTS
from quntedge.gateway.whop.normalise import envelope, normalise
from quntedge.gateway.whop.shapes_setup import setup_snapshot
from tests.gateway.scripted import answering, using

SETUP: dict[str, Any] = {
    "id": "sint_1",
    "account_id": "biz_test",
    "checkout_configuration_id": "ch_1",
    "created_at": "2026-09-29T10:15:20Z",
    "updated_at": "2026-09-29T10:15:30Z",
    "member_id": "mber_9",
    "metadata": {"method_setup": "mst_1"},
    "payment_method_id": "payt_1",
    "status": "succeeded",
}
LEGACY: dict[str, Any] = {
    "id": "sint_1",
    "company": {"id": "biz_test"},
    "checkout_configuration": {"id": "ch_1"},
    "member": {"id": "mber_9"},
    "metadata": {"method_setup": "mst_1"},
    "payment_method": {"id": "payt_1"},
    "status": "succeeded",
}


def test_both_shapes_say_the_same() -> None:
    native, legacy = setup_snapshot(SETUP), setup_snapshot(LEGACY)
    assert (native.shape, legacy.shape) == ("native", "legacy")
    for one in (native, legacy):
        assert (one.setup_id, one.raw_status, one.member_id, one.method_id) == (
            "sint_1",
            "succeeded",
            "mber_9",
            "payt_1",
        )
        assert (one.checkout_id, one.metadata) == ("ch_1", {"method_setup": "mst_1"})


@pytest.mark.parametrize("broken", [{"id": None}, {"id": 7}, {"status": None}, {"status": {}}])
def test_one_without_id_or_status_is_unusable(broken: dict[str, Any]) -> None:
    with pytest.raises(UnusableEvent):
        setup_snapshot(SETUP | broken)


def test_a_delivery_becomes_an_event_of_its_own() -> None:
    document = {"type": "setup_intent.succeeded", "account_id": "biz_test", "data": SETUP}
    assert "setup_intent.succeeded" in SUBSCRIBED_EVENTS
    assert envelope(document).ordering_key == "setup_intent:sint_1"
    event = normalise(document)
    assert isinstance(event, GatewayEvent)
    assert isinstance(event.snapshot, SetupSnapshot)
    assert (event.kind, event.trusted, event.account_id) == (EventKind.METHOD_SAVED, True, "biz_test")


async def test_a_method_is_deleted_as_its_member_and_without_a_key() -> None:
    script = answering(httpx.Response(200, json=True))
    await using(script, lambda gateway: gateway.delete_method("payt_1", member_id="mber_9"))
    [request] = script.requests
    assert (request.method, request.url.path) == ("DELETE", "/api/v1/payment_methods/payt_1")
    assert request.url.params["member_id"] == "mber_9"
    assert "idempotency-key" not in request.headers


@pytest.mark.parametrize("url", [None, "", "javascript:alert(1)", "/receipts/1.pdf", "https://"])
async def test_a_receipt_leads_to_a_web_address_or_nowhere(url: str | None) -> None:
    script = answering(httpx.Response(200, json={"url": url, "expires_at": "2026-09-29T11:15:30Z"}))
    with pytest.raises(GatewayInvalidAnswer):
        await using(script, lambda gateway: gateway.receipt("pay_1"))


async def test_a_receipt_is_asked_for_once() -> None:
    script = answering(httpx.Response(503))
    with pytest.raises(GatewayOutcomeUnknown):
        await using(script, lambda gateway: gateway.receipt("pay_1"), read_retries=2)
    [request] = script.requests
    assert (request.method, request.url.path) == ("POST", "/api/v1/payments/pay_1/generate_pdf")
