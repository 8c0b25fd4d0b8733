"""Asking for refunds, agreeing to them, and everything that is denied."""

from typing import Any

import pytest

from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import Money
from quntedge.refunds.errors import (
    AboveWhatIsLeft,
    ApprovalByRequester,
    InvalidRefund,
    NothingLeftToRefund,
    PaymentDisputed,
    PaymentNotFound,
    PaymentNotRefundable,
    RefundCurrencyMismatch,
    RefundNotFound,
    RefundNotWaiting,
)
from tests.refunds.world import KIM, LOU, World

USD = Money(1000, "usd")


async def test_a_refund_is_sent_once_and_followed_to_its_end(world: World) -> None:
    payer = await world.buy()
    row = await world.ask(payer, USD, reason="goodwill", note="Called us, very kind.")
    assert (row.status, row.amount_minor, row.reason, row.approved_by) == ("pending", 1000, "goodwill", None)
    assert await world.made(payer) == [(1000, row.id)]
    assert await world.payment(payer) == ("paid", 0, True)
    await world.settles(payer)
    assert (await world.refund(row.id)).status == "succeeded"
    assert await world.payment(payer) == ("partially_refunded", 1000, False)
    assert await world.history(row.id) == [
        ("approved", KIM),
        ("sending", "system"),
        ("pending", "whop"),
        ("succeeded", "whop"),
    ]
    async with world.runtime.units() as unit:
        assert await world.desk.notes(unit, await world.refund(row.id)) == ("Called us, very kind.", None)
    (stored,) = await world.rows("SELECT note FROM refund")
    assert b"kind" not in bytes(stored["note"])


async def test_an_end_that_nobody_told_of_is_looked_for(world: World) -> None:
    payer = await world.buy()
    row = await world.ask(payer, USD)
    await world.emulator.advance(hours=1)
    await world.pass_by(hours=1)
    assert (await world.refund(row.id)).status == "succeeded"
    assert await world.payment(payer) == ("partially_refunded", 1000, False)
    (process,) = await world.rows("SELECT state FROM process WHERE kind = 'refund'")
    assert process["state"] == "done"


async def test_without_an_amount_all_that_is_left_goes_back(world: World) -> None:
    payer = await world.buy()
    await world.give(payer, USD)
    row = await world.give(payer)
    assert (row.status, row.amount_minor) == ("succeeded", 6500)
    assert await world.payment(payer) == ("refunded", 7500, False)
    with pytest.raises(NothingLeftToRefund):
        await world.ask(payer)
    with pytest.raises(NothingLeftToRefund):
        await world.ask(payer, Money(1, "usd"))


async def test_one_minor_unit_too_much_is_too_much_and_exactly_all_is_not(world: World) -> None:
    payer = await world.buy()
    await world.ask(payer, USD)
    with pytest.raises(AboveWhatIsLeft) as refusal:
        await world.ask(payer, Money(6501, "usd"))
    assert refusal.value.extra["left"] == {"amount_minor": 6500, "currency": "usd"}
    assert (await world.ask(payer, Money(6500, "usd"))).status == "pending"
    assert await world.denied() == [("refund_above_what_is_left", KIM)]


WRONG: list[tuple[dict[str, Any], type[QuntedgeError]]] = [
    ({"amount": Money(-1, "usd")}, InvalidRefund),
    ({"amount": Money(0, "usd")}, InvalidRefund),
    ({"amount": Money(1000, "eur")}, RefundCurrencyMismatch),
    ({"amount": Money(10**18, "usd")}, AboveWhatIsLeft),
    ({"reason": "withdrawal"}, InvalidRefund),
    ({"reason": "because"}, InvalidRefund),
    ({"note": "x" * 1001}, InvalidRefund),
]


async def test_what_cannot_be_changes_nothing(world: World) -> None:
    payer = await world.buy()
    for wish, error in WRONG:
        with pytest.raises(error):
            await world.ask(payer, **wish)
    assert await world.rows("SELECT id FROM refund") == []
    assert await world.made(payer) == []


async def test_only_payments_that_exist_and_were_collected_can_go_back(world: World) -> None:
    payer = await world.buy("monthly")
    with pytest.raises(PaymentNotRefundable):
        await world.ask(payer)  # the trial's payment of nothing
    key = world.desk.new_refund_id()
    for unknown in ("txn_unknown", f"txn_{key[4:]}", "pay_1", ""):
        with pytest.raises(PaymentNotFound):
            await world.desk.request(unknown, key=key, actor=KIM)
    async with world.runtime.units() as unit:
        connection = await unit.driver_connection()
        await connection.execute("UPDATE payment_transaction SET status = 'open', paid_at = NULL")
        await unit.commit()
    with pytest.raises(PaymentNotRefundable):
        await world.ask(payer)


async def test_a_disputed_payment_is_left_to_the_bank(world: World) -> None:
    payer = await world.buy()
    waiting = await world.desk.request(
        payer.payment, key=world.desk.new_refund_id(), actor=KIM, amount=Money(7400, "usd")
    )
    async with world.runtime.units() as unit:
        connection = await unit.driver_connection()
        await connection.execute("UPDATE payment_transaction SET dispute_status = 'needs_response'")
        await unit.commit()
    with pytest.raises(PaymentDisputed):
        await world.ask(payer, Money(100, "usd"))
    assert waiting.status == "pending"


async def test_a_second_person_agrees_above_the_limit(world: World) -> None:
    payer = await world.buy("yearly")
    row = await world.ask(payer)
    assert (row.status, row.approval_required, row.approved_by) == ("requested", True, None)
    assert await world.made(payer) == []
    with pytest.raises(ApprovalByRequester):
        await world.desk.approve(row.id, actor=KIM)
    done = await world.desk.approve(row.id, actor=LOU, note="Seen the ticket.")
    assert (done.status, done.approved_by) == ("pending", LOU)
    assert await world.made(payer) == [(row.amount_minor, row.id)]
    with pytest.raises(RefundNotWaiting):
        await world.desk.approve(row.id, actor=LOU)
    with pytest.raises(RefundNotWaiting):
        await world.desk.reject(row.id, actor=LOU)
    assert await world.denied() == [
        ("approval_by_requester", KIM),
        ("refund_not_waiting", LOU),
        ("refund_not_waiting", LOU),
    ]
    with pytest.raises(RefundNotFound):
        await world.desk.approve("ref_unknown", actor=LOU)


async def test_what_waits_holds_its_amount_until_it_is_rejected(world: World) -> None:
    payer = await world.buy("yearly")
    row = await world.ask(payer)
    with pytest.raises(NothingLeftToRefund):
        await world.ask(payer, Money(1, "usd"))
    rejected = await world.desk.reject(row.id, actor=KIM)
    assert (rejected.status, await world.held(payer)) == ("rejected", 0)
    assert (await world.ask(payer, Money(1, "usd"))).status == "pending"


async def test_slices_do_not_get_around_the_limit(world: World) -> None:
    payer = await world.buy("yearly")
    slices = [(await world.ask(payer, Money(6000, "usd"))).status for _ in range(3)]
    assert slices == ["pending", "requested", "requested"]


async def test_a_dispute_between_request_and_approval_stops_it(world: World) -> None:
    payer = await world.buy("yearly")
    row = await world.ask(payer)
    async with world.runtime.units() as unit:
        connection = await unit.driver_connection()
        await connection.execute("UPDATE payment_transaction SET disputed_minor = total_minor")
        await unit.commit()
    with pytest.raises(PaymentDisputed):
        await world.desk.approve(row.id, actor=LOU)
    assert (await world.refund(row.id)).status == "requested"


async def test_what_the_gateway_refuses_is_failed_and_holds_nothing(world: World) -> None:
    payer = await world.buy()
    await world.emulator.open_dispute(payer.payment_id)  # and we have not heard of it yet
    row = await world.ask(payer, USD)
    assert (row.status, row.failure_reason) == ("failed", "refused_by_gateway")
    assert "disputed" in (row.failure_detail or "")
    assert await world.held(payer) == 0


async def test_a_refund_that_fails_at_the_bank_gives_its_amount_free(world: World) -> None:
    payer = await world.buy()
    await world.emulator.next_refund(payer.payment_id, "failed", failure_reason="expired_or_canceled_card")
    row = await world.give(payer)
    assert (row.status, row.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (await world.payment(payer), await world.held(payer)) == (("paid", 0, False), 0)
    assert (await world.give(payer)).status == "succeeded"


async def test_the_same_key_is_the_same_refund(world: World) -> None:
    payer = await world.buy()
    key = world.desk.new_refund_id()
    rows = [await world.desk.request(payer.payment, key=key, actor=KIM, amount=USD) for _ in range(2)]
    assert rows[0].id == rows[1].id
    assert await world.made(payer) == [(1000, key)]


async def test_refunds_made_in_the_dashboard_count_as_well(world: World) -> None:
    payer = await world.buy()
    await world.runtime.gateway.refund_payment(
        payer.payment_id, amount=Money(5000, "usd"), metadata={}, idempotency_key="dashboard"
    )
    await world.hear(payer.membership_id)
    with pytest.raises(AboveWhatIsLeft):
        await world.ask(payer, Money(2501, "usd"))
    (row,) = await world.rows("SELECT requested_by, whop_refund_id IS NOT NULL AS known FROM refund")
    assert row == {"requested_by": None, "known": True}


async def test_what_the_dashboard_gave_back_meanwhile_is_not_approved_again(world: World) -> None:
    payer = await world.buy("yearly")
    row = await world.ask(payer, payer.total - Money(2000, "usd"))
    assert row.status == "requested"
    await world.runtime.gateway.refund_payment(
        payer.payment_id, amount=Money(5000, "usd"), metadata={}, idempotency_key="dashboard"
    )
    await world.hear(payer.membership_id)
    with pytest.raises(AboveWhatIsLeft) as refused:
        await world.desk.approve(row.id, actor=LOU)
    assert refused.value.extra["left"] == (payer.total - Money(5000, "usd")).to_json()
    assert await world.denied() == [("refund_above_what_is_left", LOU)]
    assert [made for made, _ in await world.made(payer)] == [5000], "nothing was sent"
    await world.desk.reject(row.id, actor=LOU)
    rest = await world.ask(payer)
    assert rest.amount_minor == payer.total.amount_minor - 5000
    assert (await world.desk.approve(rest.id, actor=LOU)).status == "pending"
