"""Disputes and alerts: opened by the bank, answered with evidence, ruled upon; what they do to their payment."""

from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.dispute_alerts.types import PostDisputeAlertCreatedPayload
from whop_sdk.disputes.types import PostDisputeCreatedPayload, PostDisputeUpdatedPayload
from whop_sdk.types import DisputeAlertLegacy, DisputeLegacy, PaymentLegacy

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import Shop
from tests.emulator.receiver import SECRET, Receiver


async def conflicts(awaitable: Any) -> None:
    with pytest.raises(ApiError) as caught:
        await awaitable
    assert caught.value.status_code == 409, caught.value.body


async def test_a_dispute_is_answered_and_won(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    pay = (await shop.sell())["payment"]["id"]
    opened = await emu.open_dispute(pay, reason="product_not_received")
    dispute = await sdk.disputes.retrieve(opened["id"])
    assert (dispute.status, dispute.amount, dispute.currency, dispute.inquiry) == ("needs_response", 29, "usd", False)
    assert (dispute.evidence_editable, dispute.evidence_locked_reason, dispute.acceptable) == (True, None, True)
    assert dispute.fee is not None
    assert (dispute.fee.amount, dispute.payment.id, dispute.payment.card_last4) == ("15.00", pay, "4242")
    assert dispute.buyer.email == "kim@customer.test"
    payment = await sdk.payments.retrieve(pay)
    assert (payment.status, payment.substatus, payment.refundable) == ("paid", "dispute_needs_response", False)
    assert payment.amount_after_fees.amount == "12.92"
    fees = (await sdk.payments.list_fees(pay)).data
    assert [fee.amount.amount for fee in fees if fee.origin == "dispute_fee"] == ["-15.00"]
    await conflicts(sdk.payments.refund(pay))
    policy, session, history = [await emu.upload(f"{name}.pdf", b"%PDF-1.7") for name in ("one", "two", "three")]
    changed = await sdk.disputes.update(
        opened["id"],
        evidence={
            "notes": "Used every day.",
            "refund_policy_attachment": {"id": policy},
            "documents": [{"document_type": "customer_session", "id": session}],
        },
    )
    assert (changed.evidence.notes, changed.evidence.documents[0].id) == ("Used every day.", session)
    assert changed.evidence.refund_policy_attachment is not None
    replaced = await sdk.disputes.upload_evidence(
        opened["id"], documents=[{"document_type": "subscription", "id": history}]
    )
    assert [one.id for one in replaced.evidence.documents] == [history]
    sent = await sdk.disputes.submit(opened["id"])
    assert (sent.status, sent.evidence_editable, sent.evidence_locked_reason) == ("under_review", False, "submitted")
    assert sent.evidence_submitted_at is not None
    for again in (
        sdk.disputes.submit(opened["id"]),
        sdk.disputes.accept(opened["id"]),
        sdk.disputes.update(opened["id"], evidence={"notes": "late"}),
    ):
        await conflicts(again)
    await emu.rule_dispute(opened["id"], "won", comment="The seller is right.")
    won = await sdk.disputes.retrieve(opened["id"])
    assert (won.status, won.issuer_comments[0].text) == ("won", "The seller is right.")
    after = await sdk.payments.retrieve(pay)
    assert (after.substatus, after.refundable) == ("dispute_won", True)
    assert (await sdk.payments.refund(pay, partial_amount=5)).id == pay
    await emu.settle()
    PostDisputeCreatedPayload.model_validate(hooked.of("dispute.created")[0].event)
    states = [PostDisputeUpdatedPayload.model_validate(one.event).data.status for one in hooked.of("dispute.updated")]
    assert states.count("needs_response") == 2
    assert {"under_review", "won"} <= set(states)


async def test_a_lost_dispute_makes_no_refund_and_ends_no_membership(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    paid = await shop.sell()
    pay = paid["payment"]["id"]
    opened = await emu.open_dispute(pay)
    assert (await sdk.disputes.accept(opened["id"])).status == "lost"
    await emu.settle()
    payment = await sdk.payments.retrieve(pay)
    assert (payment.substatus, payment.refundable, payment.refunded_amount) == ("dispute_lost", False, None)
    assert [r async for r in await sdk.refunds.list(payment_id=pay)] == []
    assert hooked.of("refund.created") == []
    assert (await sdk.memberships.retrieve(paid["membership"]["id"])).status == "active"
    await conflicts(sdk.payments.refund(pay))
    for path, body in ((f"disputes/{opened['id']}", {"status": "won"}), (f"payments/{pay}/dispute", {})):
        assert (await emu.control.post(path, json=body)).status_code == 409


async def test_time_for_evidence_runs_out(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    pay = (await shop.sell())["payment"]["id"]
    opened = await emu.open_dispute(pay, respond_within_days=3, amount=10)
    await emu.advance(days=2)
    assert (await sdk.disputes.retrieve(opened["id"])).status == "needs_response"
    await emu.advance(days=2)
    late = await sdk.disputes.retrieve(opened["id"])
    assert (late.status, late.amount) == ("under_review", 10)
    assert (late.evidence_editable, late.evidence_locked_reason) == (False, "response_window_closed")
    await conflicts(sdk.disputes.update(opened["id"], evidence={"notes": "late"}))


async def test_an_inquiry_moves_no_money_and_may_become_a_chargeback(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator
) -> None:
    pay = (await shop.sell())["payment"]["id"]
    opened = await emu.open_dispute(pay, inquiry=True, reason="documentation_request")
    inquiry = await sdk.disputes.retrieve(opened["id"])
    assert (inquiry.status, inquiry.fee, inquiry.acceptable) == ("warning_needs_response", None, False)
    assert (await sdk.payments.retrieve(pay)).substatus == "dispute_warning_needs_response"
    await conflicts(sdk.disputes.accept(opened["id"]))
    assert (await emu.control.post(f"disputes/{opened['id']}", json={"status": "lost"})).status_code == 409
    grown = await emu.rule_dispute(opened["id"], "needs_response")
    assert (grown["inquiry"], grown["status"], grown["evidence_editable"]) == (False, "needs_response", True)
    other = (await shop.sell("lee@customer.test"))["payment"]["id"]
    closed = await emu.open_dispute(other, inquiry=True)
    await emu.rule_dispute(closed["id"], "warning_closed")
    payment = await sdk.payments.retrieve(other)
    assert (payment.substatus, payment.refundable) == ("dispute_warning_closed", True)


async def test_disputes_are_listed_and_counted(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, api: httpx.AsyncClient
) -> None:
    made = []
    for number, email in enumerate(("a@customer.test", "b@customer.test", "c@customer.test"), 1):
        pay = (await shop.sell(email))["payment"]["id"]
        made.append(await emu.open_dispute(pay, amount=number, inquiry=number == 3))
        await emu.advance(seconds=1)
    await emu.rule_dispute(made[0]["id"], "prevented")
    listed = [d.id async for d in await sdk.disputes.list(status=["needs_response", "warning_needs_response"])]
    assert listed == [made[2]["id"], made[1]["id"]]
    by_amount = [d.amount async for d in await sdk.disputes.list(order="amount", direction="asc", first=1)]
    assert by_amount == [1, 2, 3]
    counts = await sdk.disputes.summary()
    assert counts.groups.status is not None
    assert (counts.total, counts.groups.status.needs_response, counts.groups.status.prevented) == (3, 1, 1)
    assert counts.groups.currency == {"usd": 3}
    only = await sdk.disputes.summary(groups=["status"], status=["prevented"])
    assert (only.total, only.groups.currency) == (1, None)
    for bad in ("disputes?status=closed", "disputes/summary?groups=reason", "dispute_alerts?type=other"):
        assert (await api.get(bad)).status_code == 400
    assert (await api.get("disputes/dspt_x")).status_code == 404
    assert (await api.get("dispute_alerts/dspa_x")).status_code == 404


BAD_EVIDENCE: list[tuple[str, dict[str, Any]]] = [
    ("", {"evidence": {"surprise": "x"}}),
    ("", {"evidence": {"notes": 7}}),
    ("", {"evidence": {"uncategorized_attachment": {}}}),
    ("", {"evidence": {"documents": [{"document_type": "love_letter", "id": "file_1"}]}}),
    ("", {"evidence": {"documents": [{"document_type": "subscription"}]}}),
    ("", {"evidence": {"documents": [{"document_type": "subscription", "id": "f"}] * 11}}),
    ("/submit", {}),
    ("/upload_evidence", {}),
]


async def test_bad_evidence_is_refused(shop: Shop, emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    opened = await emu.open_dispute((await shop.sell())["payment"]["id"])
    for path, body in BAD_EVIDENCE:
        url = f"disputes/{opened['id']}{path}"
        answered = await (api.post(url, json=body) if path else api.patch(url, json=body))
        assert answered.status_code == 400, (body, answered.text)
    assert (await api.get(f"disputes/{opened['id']}")).json()["evidence_editable"] is True


async def test_alerts_and_the_refund_that_follows(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    pay = (await shop.sell())["payment"]["id"]
    warned = await emu.raise_alert(pay, type="early_fraud_warning", fee_charged=False)
    alert = await sdk.dispute_alerts.retrieve(warned["id"])
    assert (alert.type, alert.amount, alert.auto_refunded, alert.fee) == ("early_fraud_warning", 29, False, None)
    assert (await sdk.payments.retrieve(pay)).dispute_alerted_at is not None
    repaid = await emu.raise_alert(pay, type="rapid_dispute_resolution", auto_refund=True)
    assert repaid["fee"]["amount"] == "29.00"
    await emu.advance(seconds=1)
    (refund,) = [r async for r in await sdk.refunds.list(payment_id=pay)]
    assert (refund.status, refund.reason, refund.visa_rdr) == ("succeeded", "dispute_alert", True)
    payment = await sdk.payments.retrieve(pay)
    assert (payment.substatus, payment.auto_refunded) == ("auto_refunded", True)
    assert [a.id async for a in await sdk.dispute_alerts.list(payment_id=pay)] == [repaid["id"], warned["id"]]
    assert [a.id async for a in await sdk.dispute_alerts.list(type="early_fraud_warning")] == [warned["id"]]
    assert (await emu.control.post(f"payments/{pay}/alert", json={"auto_refund": True})).status_code == 409
    for one in hooked.of("dispute_alert.created"):
        PostDisputeAlertCreatedPayload.model_validate(one.event)


async def test_unpinned_endpoints_get_the_old_shapes(shop: Shop, emu: RunningEmulator, receiver: Receiver) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    pay = (await shop.sell())["payment"]["id"]
    await emu.raise_alert(pay)
    opened = await emu.open_dispute(pay)
    await emu.rule_dispute(opened["id"], "prevented")
    await emu.settle()
    shapes: dict[str, type[BaseModel]] = {
        "dispute.created": DisputeLegacy,
        "dispute.updated": DisputeLegacy,
        "dispute_alert.created": DisputeAlertLegacy,
    }
    for event, model in shapes.items():
        (one,) = receiver.of(event)
        model.model_validate(one.data)
        assert one.data["payment"]["id"] == pay
    assert receiver.of("dispute.updated")[0].data["status"] == "closed"
    PaymentLegacy.model_validate(receiver.of("payment.succeeded")[0].data)
