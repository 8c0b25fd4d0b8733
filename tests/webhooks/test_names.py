"""Each of the eleven names, native and legacy, posted as Whop would post it, and what the tables say afterwards."""

from typing import Any

import pytest

from tests.gateway import payloads
from tests.gateway.payloads import legacy_refund, money, native_membership, native_payment, native_refund
from tests.webhooks.world import World, ours

LATER = "2026-09-29T10:15:32.000Z"

# What the tables must say after the event, as (query, row) pairs; the purchase itself came before.
SUBSCRIPTION = "SELECT status, cancel_at_period_end FROM subscription"
TRANSACTION = "SELECT status, refunded_minor, attempts_failed FROM payment_transaction WHERE whop_payment_id = 'pay_A1'"
REFUND = "SELECT status, amount_minor, currency FROM refund"
INVOICE = "SELECT status, total_minor FROM invoice WHERE whop_payment_id = 'pay_A1'"
EXPLICIT = "SELECT status, total_minor, whop_payment_id FROM invoice WHERE whop_invoice_id = 'inv_1'"

EXPECTED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "membership.activated": [(SUBSCRIPTION, {"status": "active", "cancel_at_period_end": False})],
    "membership.deactivated": [(SUBSCRIPTION, {"status": "canceled", "cancel_at_period_end": False})],
    "membership.updated": [(SUBSCRIPTION, {"status": "active", "cancel_at_period_end": True})],
    "membership.trialing": [(SUBSCRIPTION, {"status": "trialing", "cancel_at_period_end": False})],
    "payment.succeeded": [
        (TRANSACTION, {"status": "paid", "refunded_minor": 0, "attempts_failed": 0}),
        (INVOICE, {"status": "paid", "total_minor": 3161}),
    ],
    "payment.failed": [
        (TRANSACTION, {"status": "failed", "refunded_minor": 0, "attempts_failed": 1}),
        (INVOICE, {"status": "payment_failed", "total_minor": 3161}),
        ("SELECT number, decline_class FROM payment_attempt", {"number": 1, "decline_class": "soft"}),
    ],
    "payment.refunded": [
        (TRANSACTION, {"status": "refunded", "refunded_minor": 3161, "attempts_failed": 0}),
        (REFUND, {"status": "succeeded", "amount_minor": 3161, "currency": "usd"}),
        (INVOICE, {"status": "refunded", "total_minor": 3161}),
    ],
    "payment.partially_refunded": [
        (TRANSACTION, {"status": "partially_refunded", "refunded_minor": 500, "attempts_failed": 0}),
        (REFUND, {"status": "succeeded", "amount_minor": 500, "currency": "usd"}),
        (INVOICE, {"status": "partially_refunded", "total_minor": 3161}),
    ],
    "invoice.created": [(EXPLICIT, {"status": "open", "total_minor": 2900, "whop_payment_id": None})],
    "invoice.paid": [(EXPLICIT, {"status": "paid", "total_minor": 3161, "whop_payment_id": "pay_A1"})],
    "invoice.payment_failed": [(EXPLICIT, {"status": "payment_failed", "total_minor": 2900, "whop_payment_id": None})],
}

NEEDS_PAYMENT = {"payment.refunded", "payment.partially_refunded", "invoice.paid"}


def test_the_names_are_the_eleven() -> None:
    assert tuple(EXPECTED) == payloads.MODERN_EVENTS


@pytest.mark.parametrize("shape", ["native", "legacy"])
@pytest.mark.parametrize("name", payloads.MODERN_EVENTS)
async def test_a_hand_written_delivery_reaches_the_tables(world: World, name: str, shape: str) -> None:
    await _purchase(world, with_payment=name in NEEDS_PAYMENT)
    data = payloads.native_data(name) if shape == "native" else payloads.legacy_data(name)
    if not name.startswith("invoice."):
        data |= {"updated_at": LATER}
    _let_whop_agree(world, name)
    await world.event(name, data, "msg_under_test", pinned=shape == "native")
    await world.work()

    assert (await world.states())["msg_under_test"] == ("processed", "applied")
    for query, expected in EXPECTED[name]:
        assert await world.row(query) == expected, query
    # Neither refunds nor trouble with an invoice decide about access.
    if not name.startswith("membership."):
        assert (await world.row(SUBSCRIPTION))["status"] == "active"


async def _purchase(world: World, *, with_payment: bool) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_before_1")
    if with_payment:
        await world.event("payment.succeeded", native_payment(**ours()), "msg_before_2")
    await world.work()


def _let_whop_agree(world: World, name: str) -> None:
    """Legacy objects and refunds are read again: Whop's own answer is native and says the same."""
    current = payloads.native_data(name) | ({} if name.startswith("invoice.") else {"updated_at": LATER})
    kind = name.partition(".")[0] + "s"
    world.whop.put(kind, current)
    if kind == "invoices":
        world.whop.put("payments", native_payment(**ours()))
    if kind != "memberships":
        world.whop.put("memberships", native_membership(**ours()))
    if name == "payment.refunded":
        world.whop.put("refunds", native_refund(amount=money("31.61"), original_amount=money("31.61")))
    if name == "payment.partially_refunded":
        world.whop.put("refunds", native_refund())


@pytest.mark.parametrize(
    ("name", "status"),
    [("membership.went_valid", "active"), ("membership.went_invalid", "canceled"), ("membership_went_valid", "active")],
)
async def test_old_names_are_understood(world: World, name: str, status: str) -> None:
    current = world.whop.put("memberships", native_membership(**ours(status=status, updated_at=LATER)))
    await world.event(
        name, payloads.legacy_membership(**ours(status=status, updated_at=current["updated_at"])), "msg_1"
    )
    await world.work()
    assert (await world.row(SUBSCRIPTION))["status"] == status


async def test_whops_own_refund_event_carries_a_refund_and_is_read_again(world: World) -> None:
    await _purchase(world, with_payment=True)
    refunded = {"substatus": "partially_refunded", "refunded_amount": money("5.00"), "updated_at": LATER}
    world.whop.put("payments", native_payment(**ours(**refunded)))
    world.whop.put("memberships", native_membership(**ours()))
    world.whop.put("refunds", native_refund())
    await world.event("refund.created", legacy_refund(), "msg_1")
    await world.work()
    assert await world.row(REFUND) == {"status": "succeeded", "amount_minor": 500, "currency": "usd"}
    assert (await world.row(TRANSACTION))["status"] == "partially_refunded"
    world.whop.put("refunds", native_refund(status="failed", updated_at="2026-10-02T00:00:00.000Z"))
    world.whop.put(
        "payments", native_payment(**ours(refunded_amount=money("0.00"), updated_at="2026-10-02T00:00:00.000Z"))
    )
    await world.event("refund.updated", legacy_refund(status="failed"), "msg_2")
    await world.work()
    assert await world.row(TRANSACTION) == {"status": "paid", "refunded_minor": 0, "attempts_failed": 0}
    assert (await world.row(INVOICE))["status"] == "paid"


async def test_unknown_types_are_kept_and_change_nothing(world: World) -> None:
    await _purchase(world, with_payment=False)
    await world.event("membership.levitated", native_membership(status="canceled"), "msg_1")
    await world.event("course_lesson_interaction.completed", {"id": "x"}, "msg_2")
    await world.work()
    states = await world.states()
    assert states["msg_1"] == ("ignored", "unknown_type")
    assert states["msg_2"] == ("ignored", "not_needed")
    assert (await world.row(SUBSCRIPTION))["status"] == "active"
