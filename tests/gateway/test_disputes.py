"""Disputes, alerts and complaints: what Whop writes about them, read; and what we have it do, sent."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from quntedge.gateway.disputed import AlertKind, CaseStatus, DisputeStatus, EvidenceTexts
from quntedge.gateway.errors import GatewayOutcomeUnknown, GatewayRejected
from quntedge.gateway.port import EventKind, GatewayEvent, UnusableEvent
from quntedge.gateway.whop.normalise import envelope as envelope_of
from quntedge.gateway.whop.normalise import normalise
from quntedge.gateway.whop.shapes_dispute import alert_snapshot, case_snapshot, dispute_snapshot
from quntedge.kit.money import Money
from tests.gateway.payloads import envelope
from tests.gateway.scripted import answering, error_body, using

AT = "2026-09-29T10:15:30Z"


def dispute(**over: Any) -> dict[str, Any]:
    return {
        "id": "dspt_1",
        "status": "needs_response",
        "amount": Decimal("29.00"),
        "currency": "usd",
        "inquiry": False,
        "reason": "fraudulent",
        "reason_code": "10.4",
        "fee": {"amount": "15.00", "currency": "usd", "decimals": 2, "display_decimals": 2},
        "payment": {"id": "pay_A1", "amount": Decimal("29.00"), "currency": "usd"},
        "evidence_due_at": "2026-10-06T10:15:30Z",
        "evidence_editable": True,
        "evidence_locked_reason": None,
        "evidence_submitted_at": None,
        "acceptable": True,
        "created_at": AT,
        "updated_at": AT,
    } | over


def legacy_dispute(**over: Any) -> dict[str, Any]:
    return {
        "id": "dspt_1",
        "status": "needs_response",
        "amount": Decimal("29.0"),
        "currency": "usd",
        "editable": True,
        "needs_response_by": "2026-10-06T10:15:30Z",
        "payment": {"id": "pay_A1", "membership": {"id": "mem_1", "status": "active"}},
        "reason": "fraudulent",
        "visa_rdr": False,
        "created_at": AT,
    } | over


def test_a_native_dispute() -> None:
    found = dispute_snapshot(dispute())
    assert (found.status, found.raw_status, found.shape) == (DisputeStatus.NEEDS_RESPONSE, "needs_response", "native")
    assert (found.amount, found.fee) == (Money(2900, "usd"), Money(1500, "usd"))
    assert (found.payment_id, found.reason, found.reason_code) == ("pay_A1", "fraudulent", "10.4")
    assert (found.inquiry, found.editable, found.acceptable) == (False, True, True)
    assert found.evidence_due_at is not None
    assert found.updated_at is not None


def test_a_legacy_dispute_tells_less() -> None:
    found = dispute_snapshot(legacy_dispute(status="warning_under_review"))
    assert (found.shape, found.payment_id, found.inquiry, found.fee) == ("legacy", "pay_A1", True, None)
    assert found.evidence_due_at is not None
    assert found.updated_at is None
    assert dispute_snapshot(legacy_dispute(status="closed")).status is DisputeStatus.UNKNOWN


def test_amounts_follow_their_currency() -> None:
    assert dispute_snapshot(dispute(amount=2900, currency="jpy")).amount == Money(2900, "jpy")
    assert dispute_snapshot(dispute(amount=Decimal("1.234"), currency="kwd")).amount == Money(1234, "kwd")


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"status": 3},
        {"amount": None},
        {"amount": Decimal("-1")},
        {"amount": Decimal("1.005")},
        {"amount": 29.0},
        {"currency": "zzz"},
    ],
)
def test_what_cannot_be_held_exactly_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(UnusableEvent):
        dispute_snapshot(dispute(**broken))


def test_alerts_of_both_shapes() -> None:
    native = alert_snapshot(
        {
            "id": "dspa_1",
            "type": "rapid_dispute_resolution",
            "amount": Decimal("29"),
            "currency": "usd",
            "payment_id": "pay_A1",
            "auto_refunded": True,
            "fee_charged": True,
            "fee": {"amount": "29.00", "currency": "usd"},
            "reported_at": AT,
            "created_at": AT,
            "updated_at": AT,
        }
    )
    assert (native.kind, native.auto_refunded, native.fee) == (AlertKind.RAPID_RESOLUTION, True, Money(2900, "usd"))
    old = {"id": "dspa_1", "alert_type": "fraud", "amount": 29, "currency": "usd", "charge_for_alert": False}
    legacy = alert_snapshot(old | {"payment": {"id": "pay_A1"}, "created_at": AT})
    assert (legacy.kind, legacy.payment_id, legacy.auto_refunded) == (AlertKind.FRAUD_WARNING, "pay_A1", None)
    assert alert_snapshot(old | {"alert_type": "omen"}).kind is AlertKind.UNKNOWN


def test_complaints_of_both_shapes() -> None:
    native = {"id": "reso_1", "status": "awaiting_merchant", "amount": Decimal("29.00"), "currency": "usd"}
    found = case_snapshot(native | {"payment": {"id": "pay_A1"}, "reason": "other", "response_due_at": AT})
    assert (found.status, found.amount, found.payment_id) == (CaseStatus.AWAITING_SELLER, Money(2900, "usd"), "pay_A1")
    old = {"id": "reso_1", "status": "customer_won", "issue": "item_not_received", "payment": {"id": "pay_A1"}}
    legacy = case_snapshot(old)
    assert (legacy.status, legacy.outcome, legacy.reason) == (CaseStatus.CLOSED, "customer_won", "item_not_received")


@pytest.mark.parametrize(
    ("name", "data", "kind", "trusted"),
    [
        ("dispute.created", dispute(), EventKind.DISPUTE_UPDATED, True),
        ("dispute.updated", dispute(status="settled"), EventKind.DISPUTE_UPDATED, False),
        ("dispute.updated", legacy_dispute(), EventKind.DISPUTE_UPDATED, False),
        (
            "dispute_alert.created",
            {"id": "dspa_1", "type": "dispute_alert", "amount": 29, "currency": "usd", "updated_at": AT},
            EventKind.DISPUTE_ALERTED,
            True,
        ),
        (
            "resolution_center_case.decided",
            {"id": "reso_1", "status": "closed", "updated_at": AT},
            EventKind.CASE_UPDATED,
            True,
        ),
    ],
)
def test_deliveries_become_events(name: str, data: dict[str, Any], kind: EventKind, trusted: bool) -> None:
    event = normalise(envelope(name, data))
    assert isinstance(event, GatewayEvent)
    assert (event.kind, event.trusted) == (kind, trusted)


def test_a_dispute_waits_behind_the_news_of_its_membership_where_it_names_one() -> None:
    assert envelope_of(envelope("dispute.created", dispute())).ordering_key == "dispute:dspt_1"
    assert envelope_of(envelope("dispute.created", legacy_dispute())).ordering_key == "mem_1"
    with pytest.raises(UnusableEvent):
        envelope_of(envelope("dispute.created", dispute(id=None)))


async def test_evidence_is_filled_in_and_sent() -> None:
    answer = json.loads(json.dumps(dispute(status="under_review", evidence_submitted_at=AT), default=str))
    answer["amount"], answer["payment"]["amount"] = 29.0, 29.0
    script = answering(httpx.Response(200, json=answer))
    texts = EvidenceTexts(customer_name="Kim", notes="")
    found = await using(script, lambda gateway: gateway.fill_evidence("dspt_1", texts))
    assert found.status is DisputeStatus.UNDER_REVIEW
    sent = await using(script, lambda gateway: gateway.submit_evidence("dspt_1", idempotency_key="prc_1-2"))
    assert sent.evidence_submitted_at is not None
    fill, submit = script.requests
    assert (fill.method, fill.url.path, json.loads(fill.content)) == (
        "PATCH",
        "/api/v1/disputes/dspt_1",
        # Only what is given: a null would clear what somebody filled in by hand.
        {"evidence": {"customer_name": "Kim"}},
    )
    assert (submit.method, submit.url.path) == ("POST", "/api/v1/disputes/dspt_1/submit")
    assert submit.headers["idempotency-key"] == "prc_1-2"


@pytest.mark.parametrize(
    ("status", "error"), [(409, GatewayRejected), (400, GatewayRejected), (500, GatewayOutcomeUnknown)]
)
async def test_conceding_says_how_it_failed(status: int, error: type[Exception]) -> None:
    script = answering(httpx.Response(status, json=error_body("conflict", "Not now.")))
    with pytest.raises(error):
        await using(script, lambda gateway: gateway.accept_dispute("dspt_1", idempotency_key="prc_1-1"))
    assert len(script.requests) == 1
