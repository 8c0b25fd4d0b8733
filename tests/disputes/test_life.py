"""From the bank's first word to its ruling, heard of by real deliveries."""

from typing import Any

import pytest

from quntedge.gateway.errors import GatewayRejected
from quntedge.refunds.rules import is_disputed
from tests.disputes.world import World


async def _dispute(world: World) -> dict[str, Any]:
    return await world.row("SELECT * FROM dispute")


async def _payment(world: World) -> dict[str, Any]:
    return await world.row(
        "SELECT id, status, disputed_minor, dispute_status FROM payment_transaction WHERE user_id = :user",
        user=world.user_id,
    )


async def _refundable(world: World) -> bool:
    payment = await _payment(world)
    return not is_disputed(payment["disputed_minor"], payment["dispute_status"])


async def test_a_dispute_that_is_lost_ends_the_subscription(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute(reason="fraudulent")

    row = await _dispute(world)
    assert (row["whop_dispute_id"], row["status"], row["reason"]) == (dispute_id, "needs_response", "fraudulent")
    assert (row["amount_minor"], row["withdrawn_minor"], row["fee_minor"], row["fee_currency"]) == (
        2900,
        2900,
        1500,
        "usd",
    )
    payment = await _payment(world)
    assert payment == {
        "id": row["transaction_id"],
        "status": "paid",
        "disputed_minor": 2900,
        "dispute_status": "needs_response",
    }
    assert await world.allowed() == (True, "subscription_active")
    assert not await _refundable(world)

    await world.rule(dispute_id, "lost")
    row = await _dispute(world)
    assert (row["status"], row["closed_at"] is not None, row["look_at"]) == ("lost", True, None)
    assert await _payment(world) == payment | {"dispute_status": "lost"}
    assert not await _refundable(world)
    assert (await world.runtime.gateway.membership(world.membership_id)).raw_status == "canceled"
    await world.advance(seconds=5)
    assert await world.allowed() == (False, "subscription_ended")
    history = await world.rows(
        "SELECT kind FROM subscription_event WHERE user_id = :user ORDER BY version", user=world.user_id
    )
    assert [one["kind"] for one in history][-3:] == [
        "payment.disputed",
        "payment.dispute_lost",
        "subscription.canceled",
    ]
    assert await world.alarms() == []
    assert [(move.status, move.opened, move.lost, move.won) for move in world.moves] == [
        ("needs_response", True, False, False),
        ("lost", False, True, False),
    ]
    assert [(move.before_withdrawn_minor, move.withdrawn_minor, move.fee_minor) for move in world.moves] == [
        (0, 2900, 1500),
        (2900, 2900, 1500),
    ]


async def test_access_is_held_while_a_dispute_runs_where_the_plan_says_so_and_comes_back_when_it_is_won(
    world: World,
) -> None:
    await world.buy("held")
    assert (await world.allowed())[0]
    dispute_id = await world.dispute()
    assert await world.allowed() == (False, "payment_disputed")
    await world.rule(dispute_id, "under_review")
    assert await world.allowed() == (False, "payment_disputed")

    await world.rule(dispute_id, "won")
    assert await world.allowed() == (True, "subscription_active")
    assert await _refundable(world)
    assert (await _payment(world))["disputed_minor"] == 0
    assert [move.withdrawn_minor - move.before_withdrawn_minor for move in world.moves] == [2900, 0, -2900]
    assert [move.won for move in world.moves] == [False, False, True]


async def test_what_cannot_be_ended_is_held_and_somebody_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise GatewayRejected("Whop answered memberships.cancel with 409.")

    monkeypatch.setattr(world.runtime.gateway, "cancel_membership", refuse)
    await world.buy()
    dispute_id = await world.dispute()
    await world.rule(dispute_id, "lost")
    assert (await world.runtime.gateway.membership(world.membership_id)).raw_status == "active"
    assert await world.allowed() == (False, "payment_disputed")
    assert await world.alarms() == ["policy_failed"]


async def test_a_purchase_that_was_paid_once_ends_too(world: World) -> None:
    await world.buy("forever")
    dispute_id = await world.dispute()
    assert await world.allowed() == (True, "lifetime")
    await world.rule(dispute_id, "lost")
    await world.advance(seconds=5)
    assert not (await world.allowed())[0]


async def test_an_inquiry_moves_no_money_until_it_becomes_a_chargeback(world: World) -> None:
    await world.buy("held")
    dispute_id = await world.dispute(inquiry=True)
    row = await _dispute(world)
    assert (row["status"], row["inquiry"], row["withdrawn_minor"], row["fee_minor"]) == (
        "warning_needs_response",
        True,
        0,
        0,
    )
    assert not await _refundable(world)
    assert (await _payment(world))["disputed_minor"] == 0
    assert await world.allowed() == (True, "subscription_active")

    await world.rule(dispute_id, "needs_response")
    row = await _dispute(world)
    assert (row["status"], row["inquiry"], row["withdrawn_minor"], row["fee_minor"]) == (
        "needs_response",
        False,
        2900,
        1500,
    )
    assert await world.allowed() == (False, "payment_disputed")
    assert [move.opened for move in world.moves] == [True, False]


async def test_an_inquiry_that_is_closed_leaves_nothing_behind(world: World) -> None:
    await world.buy()
    dispute_id = await world.dispute(inquiry=True)
    await world.rule(dispute_id, "warning_closed")
    assert (await _dispute(world))["closed_at"] is not None
    assert await _refundable(world)
    assert await world.allowed() == (True, "subscription_active")
    kinds = [
        row["kind"]
        for row in await world.rows("SELECT kind FROM subscription_event WHERE kind LIKE 'payment.dispute%'")
    ]
    assert kinds == []


async def test_a_refund_that_lands_while_a_dispute_is_lost_is_noticed_once(world: World) -> None:
    """The refund was on its way when the bank took the money as well."""
    await world.buy()
    await world.emulator.next_refund(world.payment_id, "succeeded", after_seconds=7200)
    await world.runtime.gateway.refund_payment(world.payment_id, amount=None, metadata={}, idempotency_key="refund-1")
    opened = await world.emulator.open_dispute(world.payment_id)
    await world.hear()
    await world.rule(str(opened["id"]), "prevented")
    assert await world.alarms() == []

    await world.advance(hours=2)
    refunds = await world.pending()
    await world.take(refunds)
    alarm = await world.row("SELECT kind, amount_minor, currency, transaction_id FROM dispute_alarm")
    payment = await _payment(world)
    assert alarm == {
        "kind": "double_loss",
        "amount_minor": 2900,
        "currency": "usd",
        "transaction_id": payment["id"],
    }
    await world.take(refunds)
    await world.runtime.disputes.discover(world.clock.now())
    assert await world.alarms() == ["double_loss"]


@pytest.mark.parametrize(
    ("kind", "auto_refund", "alarms"),
    [
        ("early_fraud_warning", False, ["alert"]),
        ("dispute_alert", False, ["alert"]),
        ("rapid_dispute_resolution", True, []),
    ],
)
async def test_an_alert_tells_somebody_unless_whop_has_acted(
    world: World, kind: str, auto_refund: bool, alarms: list[str]
) -> None:
    await world.buy()
    await world.emulator.raise_alert(world.payment_id, type=kind, auto_refund=auto_refund)
    deliveries = await world.pending()
    await world.take([*deliveries, *deliveries])
    row = await world.row("SELECT * FROM dispute_alert")
    assert (row["kind"], row["auto_refunded"], row["amount_minor"], row["currency"]) == (kind, auto_refund, 2900, "usd")
    assert row["transaction_id"] == (await _payment(world))["id"]
    assert await world.alarms() == alarms
    assert (await _payment(world))["status"] == ("refunded" if auto_refund else "paid")
