"""Charges, retries and refunds against the emulator."""

from datetime import UTC, datetime, timedelta

import pytest

from quntedge.gateway.acts import ChargeRequest, PromoRequest
from quntedge.gateway.errors import GatewayNotFound, GatewayRejected
from quntedge.gateway.port import MembershipStatus, PaymentStatus, RefundStatus
from quntedge.kit.money import Money
from tests.contract.shop import FAILS_LATER, PAYS_TOO, PRICE, Shop

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_a_charge_begins_a_membership_once_it_is_collected(shop: Shop) -> None:
    member_id, method_id = await shop.customer()
    plan_id = await shop.plan()
    request = ChargeRequest(member_id, method_id, plan_id, metadata={"change": "chg_1"})
    made = await shop.gateway.charge(request, idempotency_key="charge")
    assert (made.status, made.membership_id, made.metadata) == (PaymentStatus.OPEN, None, {"change": "chg_1"})
    replayed = await shop.gateway.charge(request, idempotency_key="charge")
    assert replayed.payment_id == made.payment_id
    await shop.emulator.settle()
    paid = await shop.gateway.payment(made.payment_id)
    assert (paid.status, paid.total, paid.member_id) == (PaymentStatus.PAID, PRICE, member_id)
    assert paid.metadata == {"change": "chg_1"}
    membership = await shop.gateway.membership(paid.membership_id or "")
    assert (membership.status, membership.plan_id) == (MembershipStatus.ACTIVE, plan_id)


async def test_a_promo_takes_its_amount_off_the_first_charge_exactly(shop: Shop) -> None:
    member_id, method_id = await shop.customer()
    plan_id = await shop.plan()
    await shop.gateway.create_promo(PromoRequest("CREDIT", Money(1234, "usd"), [plan_id]), idempotency_key="promo")
    request = ChargeRequest(member_id, method_id, plan_id, promo_code="CREDIT")
    made = await shop.gateway.charge(request, idempotency_key="charge")
    await shop.emulator.settle()
    await shop.emulator.advance(days=31)
    membership_id = (await shop.gateway.payment(made.payment_id)).membership_id or ""
    renewal, first = await shop.gateway.payments_of(membership_id)
    assert (first.payment_id, first.total, renewal.total) == (made.payment_id, PRICE - Money(1234, "usd"), PRICE)
    assert first.status is renewal.status is PaymentStatus.PAID


async def test_a_promo_that_covers_everything_leaves_nothing_to_pay_first(shop: Shop) -> None:
    member_id, method_id = await shop.customer()
    plan_id = await shop.plan(Money(60000, "jpy"))
    await shop.gateway.create_promo(PromoRequest("ALL", Money(60000, "jpy"), [plan_id]), idempotency_key="promo")
    made = await shop.gateway.charge(
        ChargeRequest(member_id, method_id, plan_id, promo_code="ALL"), idempotency_key="charge"
    )
    await shop.emulator.settle()
    paid = await shop.gateway.payment(made.payment_id)
    assert (paid.status, paid.total) == (PaymentStatus.PAID, Money(0, "jpy"))


async def test_nothing_is_charged_with_a_promo_that_cannot_be_used(shop: Shop) -> None:
    member_id, method_id = await shop.customer()
    plan_id, other_plan_id = await shop.plan(), await shop.plan(Money(500, "usd"))
    gateway = shop.gateway
    archived = await gateway.create_promo(PromoRequest("OLD", Money(100, "usd"), [plan_id]), idempotency_key="old")
    await gateway.archive_promo(archived.promo_id)
    await gateway.create_promo(PromoRequest("OTHER", Money(100, "usd"), [other_plan_id]), idempotency_key="other")
    for code in ("OLD", "OTHER", "NEVERWAS"):
        with pytest.raises(GatewayRejected) as caught:
            await gateway.charge(
                ChargeRequest(member_id, method_id, plan_id, promo_code=code), idempotency_key=f"charge-{code}"
            )
        assert "promo code" in caught.value.detail
    # Nothing but what made them a customer.
    assert len(await gateway.payments_of_member(member_id, created_after=LONG_AGO)) == 1


async def test_a_promo_serves_as_often_as_it_was_made_for(shop: Shop) -> None:
    member_id, method_id = await shop.customer()
    plan_id = await shop.plan()
    await shop.gateway.create_promo(PromoRequest("TWICE", Money(100, "usd"), [plan_id], uses=2), idempotency_key="p")
    request = ChargeRequest(member_id, method_id, plan_id, promo_code="TWICE")
    for number in range(2):
        await shop.gateway.charge(request, idempotency_key=f"charge-{number}")
    with pytest.raises(GatewayRejected):
        await shop.gateway.charge(request, idempotency_key="charge-2")


async def test_somebody_elses_method_is_not_charged(shop: Shop) -> None:
    member_id, _ = await shop.customer()
    foreign = await shop.save_card(PAYS_TOO, email="lee@customer.test")
    plan_id = await shop.plan()
    with pytest.raises(GatewayNotFound):
        await shop.gateway.charge(ChargeRequest(member_id, foreign, plan_id), idempotency_key="charge")
    assert len(await shop.gateway.payments_of_member(member_id, created_after=LONG_AGO)) == 1


async def test_a_declined_charge_can_be_retried_until_it_is_paid(shop: Shop) -> None:
    member_id, method_id = await shop.customer(FAILS_LATER)
    plan_id = await shop.plan()
    made = await shop.gateway.charge(ChargeRequest(member_id, method_id, plan_id), idempotency_key="charge")
    await shop.emulator.settle()
    failed = await shop.gateway.payment(made.payment_id)
    assert (failed.status, failed.attempt_failed, failed.retryable) == (PaymentStatus.OPEN, True, True)
    assert failed.decline_code == "insufficient_funds"
    await shop.gateway.retry_payment(made.payment_id, idempotency_key="in-vain")
    await shop.emulator.settle()
    assert (await shop.gateway.payment(made.payment_id)).payments_failed == 2
    await shop.emulator.change_card(method_id, "succeeds")
    await shop.gateway.retry_payment(made.payment_id, idempotency_key="retry")
    await shop.emulator.settle()
    paid = await shop.gateway.payment(made.payment_id)
    assert (paid.status, paid.retryable) == (PaymentStatus.PAID, False)
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.retry_payment(made.payment_id, idempotency_key="retry-a-paid-one")
    assert caught.value.extra["gateway_status"] == 409
    assert "cannot be retried" in caught.value.detail


async def test_a_payment_is_refunded_in_parts_and_then_the_rest(shop: Shop) -> None:
    _, payment = await shop.buy()
    found, gateway = payment.payment_id, shop.gateway
    for amount, refund_id in ((Money(499, "usd"), "ref_1"), (Money(1, "usd"), "ref_2"), (None, "ref_3")):
        answer = await gateway.refund_payment(
            found, amount=amount, metadata={"refund": refund_id}, idempotency_key=refund_id
        )
        assert answer.payment_id == found
        await shop.emulator.advance(seconds=5)
    refunds = {refund.metadata["refund"]: refund for refund in await gateway.refunds_of(found)}
    assert {key: refund.amount for key, refund in refunds.items()} == {
        "ref_1": Money(499, "usd"),
        "ref_2": Money(1, "usd"),
        "ref_3": Money(2499, "usd"),
    }
    assert {refund.status for refund in refunds.values()} == {RefundStatus.SUCCEEDED}
    assert (await gateway.payment(found)).refunded == PRICE
    with pytest.raises(GatewayRejected) as caught:
        await gateway.refund_payment(found, amount=None, metadata={}, idempotency_key="again")
    assert "already been refunded" in caught.value.detail


async def test_no_more_is_refunded_than_was_paid(shop: Shop) -> None:
    _, payment = await shop.buy(Money(60000, "jpy"))
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.refund_payment(
            payment.payment_id, amount=Money(60001, "jpy"), metadata={}, idempotency_key="too-much"
        )
    assert caught.value.extra["gateway_status"] == 400
    assert await shop.gateway.refunds_of(payment.payment_id) == []


async def test_a_refund_under_one_key_happens_once(shop: Shop) -> None:
    _, payment = await shop.buy()
    for _ in range(2):
        await shop.gateway.refund_payment(
            payment.payment_id, amount=Money(100, "usd"), metadata={}, idempotency_key="once"
        )
    assert len(await shop.gateway.refunds_of(payment.payment_id)) == 1


async def test_a_disputed_payment_is_not_refunded(shop: Shop) -> None:
    _, payment = await shop.buy()
    await shop.emulator.open_dispute(payment.payment_id)
    with pytest.raises(GatewayRejected):
        await shop.gateway.refund_payment(payment.payment_id, amount=None, metadata={}, idempotency_key="refund")


async def test_a_members_payments_are_found_by_their_time(shop: Shop) -> None:
    membership, first = await shop.buy()
    await shop.buy(Money(700, "usd"), email="lee@customer.test")
    await shop.emulator.advance(days=31)
    member_id = membership.member_id or ""
    everything = await shop.gateway.payments_of_member(member_id, created_after=LONG_AGO)
    assert [payment.billing_reason for payment in everything] == ["subscription_cycle", "subscription_create"]
    assert everything[1].payment_id == first.payment_id
    assert first.created_at is not None
    later = await shop.gateway.payments_of_member(member_id, created_after=first.created_at + timedelta(days=1))
    assert [payment.payment_id for payment in later] == [everything[0].payment_id]


async def test_what_does_not_exist_is_not_found(shop: Shop) -> None:
    gateway = shop.gateway
    member_id, method_id = await shop.customer()
    for call in (
        gateway.retry_payment("pay_x", idempotency_key="a"),
        gateway.refund_payment("pay_x", amount=None, metadata={}, idempotency_key="b"),
        gateway.charge(ChargeRequest("mber_x", method_id, await shop.plan()), idempotency_key="c"),
        gateway.charge(ChargeRequest(member_id, method_id, "plan_x"), idempotency_key="d"),
    ):
        with pytest.raises(GatewayNotFound):
            await call
