"""Complaints inside Whop's resolution center, and what else only a small stand-in of Whop can say."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from quntedge.settings import Settings
from tests.gateway import payloads
from tests.gateway.test_disputes import dispute
from tests.webhooks.world import World, open_world, ours

AT = "2026-09-29T10:15:30Z"


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """A customer with an open checkout, of whose payment only Whop knows."""
    async with open_world(settings, database_url) as opened:
        opened.whop.put("memberships", payloads.native_membership(**ours()))
        opened.whop.put("payments", payloads.native_payment(**ours()))
        yield opened


def _case(**over: Any) -> dict[str, Any]:
    return {
        "id": "reso_1",
        "status": "awaiting_merchant",
        "amount": Decimal("31.61"),
        "currency": "usd",
        "payment": {"id": payloads.PAYMENT_ID},
        "reason": "product_not_received",
        "escalated": False,
        "response_due_at": "2026-10-02T10:00:00Z",
        "created_at": AT,
        "updated_at": AT,
    } | over


async def test_a_complaint_is_kept_and_told_of_until_it_is_closed(world: World) -> None:
    case = world.whop.put("resolution_center_cases", _case())
    await world.event("resolution_center_case.created", case, "msg_1")
    await world.event("resolution_center_case.created", case, "msg_2")
    await world.work()
    row = await world.row("SELECT * FROM resolution_case")
    assert (row["status"], row["amount_minor"], row["currency"]) == ("awaiting_merchant", 3161, "usd")
    alarm = await world.row("SELECT kind, subject_id FROM dispute_alarm")
    assert alarm == {"kind": "complaint", "subject_id": row["id"]}

    closed = _case(status="closed", outcome="customer_won", refund="merchant", updated_at="2026-09-29T10:15:35Z")
    await world.event("resolution_center_case.decided", closed, "msg_3")
    # An older word that comes late takes nothing back.
    await world.event("resolution_center_case.updated", case, "msg_4")
    await world.work()
    row = await world.row("SELECT status, outcome, refund FROM resolution_case")
    assert row == {"status": "closed", "outcome": "customer_won", "refund": "merchant"}
    assert len(await world.rows("SELECT id FROM dispute_alarm")) == 1


async def test_a_status_nobody_knows_changes_nothing_and_is_shown(world: World) -> None:
    world.whop.put("disputes", dispute(status="escalated_to_mars", payment={"id": payloads.PAYMENT_ID}))
    await world.event("dispute.updated", world.whop.objects["disputes"]["dspt_1"], "msg_1")
    await world.work()
    assert (await world.states())["msg_1"][0] == "processed"
    row = await world.row("SELECT status, raw_status, withdrawn_minor FROM dispute")
    assert row == {"status": "unknown", "raw_status": "escalated_to_mars", "withdrawn_minor": 0}
    assert (await world.row("SELECT kind FROM dispute_alarm"))["kind"] == "unknown_status"
    assert (await world.row("SELECT status FROM subscription"))["status"] == "active"


async def test_an_alert_about_no_payment_of_ours_is_kept(world: World) -> None:
    alert = {
        "id": "dspa_1",
        "type": "early_fraud_warning",
        "amount": Decimal("31.61"),
        "currency": "usd",
        "payment_id": None,
        "auto_refunded": False,
        "fee_charged": False,
        "reported_at": AT,
        "created_at": AT,
        "updated_at": AT,
    }
    world.whop.put("dispute_alerts", alert)
    await world.event("dispute_alert.created", alert, "msg_1")
    await world.work()
    row = await world.row("SELECT transaction_id, user_id, amount_minor FROM dispute_alert")
    assert row == {"transaction_id": None, "user_id": None, "amount_minor": 3161}
    assert (await world.row("SELECT kind FROM dispute_alarm"))["kind"] == "alert"


async def test_a_dispute_whose_payment_whop_does_not_give_us_waits_and_is_not_lost(world: World) -> None:
    world.whop.put("disputes", dispute(payment={"id": "pay_unknown"}))
    await world.event("dispute.created", world.whop.objects["disputes"]["dspt_1"], "msg_1")
    await world.work()
    assert (await world.states())["msg_1"] == ("retrying", "gateway_not_found")
    assert await world.rows("SELECT id FROM dispute") == []
