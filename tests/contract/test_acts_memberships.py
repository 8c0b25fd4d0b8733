"""What we have done to memberships, against the emulator: each act does what it says, or is refused."""

from datetime import timedelta

import pytest

from quntedge.gateway.acts import PromoRequest
from quntedge.gateway.errors import GatewayError, GatewayNotFound, GatewayRejected
from quntedge.gateway.port import MembershipStatus, PaymentStatus
from quntedge.kit.money import Money
from tests.contract.shop import FAILS_LATER, PAYS_TOO, PRICE, Shop


def said(error: GatewayError, status: int) -> str:
    """What the gateway said when it refused, as it can be logged."""
    assert error.extra["gateway_status"] == status
    return error.detail


async def test_a_cancellation_at_the_periods_end_can_be_withdrawn(shop: Shop) -> None:
    membership, _ = await shop.buy()
    found, gateway = membership.membership_id, shop.gateway
    ending = await gateway.cancel_membership(found, at_period_end=True, reason="too dear", idempotency_key="cancel")
    assert (ending.status, ending.cancel_at_period_end) == (MembershipStatus.ACTIVE, True)
    assert ending.canceled_at is not None
    assert ending == await gateway.membership(found)
    assert (await shop.api("GET", f"/memberships/{found}"))["cancellation_reason"] == "too dear"
    again = await gateway.cancel_membership(found, at_period_end=True, idempotency_key="again")
    assert again.canceled_at == ending.canceled_at
    kept = await gateway.keep_membership(found)
    assert (kept.status, kept.cancel_at_period_end, kept.canceled_at) == (MembershipStatus.ACTIVE, False, None)
    assert await gateway.keep_membership(found) == kept
    await shop.emulator.advance(days=31)
    assert (await gateway.membership(found)).status is MembershipStatus.ACTIVE


async def test_what_is_set_to_cancel_runs_out(shop: Shop) -> None:
    membership, _ = await shop.buy()
    await shop.gateway.cancel_membership(membership.membership_id, at_period_end=True, idempotency_key="cancel")
    await shop.emulator.advance(days=31)
    assert (await shop.gateway.membership(membership.membership_id)).status is MembershipStatus.CANCELED
    with pytest.raises(GatewayRejected):
        await shop.gateway.keep_membership(membership.membership_id)


async def test_a_cancellation_at_once_ends_the_membership_and_refunds_nothing(shop: Shop) -> None:
    membership, payment = await shop.buy()
    found = membership.membership_id
    ended = await shop.gateway.cancel_membership(found, at_period_end=False, idempotency_key="cancel")
    assert ended.status is MembershipStatus.CANCELED
    assert await shop.gateway.refunds_of(payment.payment_id) == []
    replayed = await shop.gateway.cancel_membership(found, at_period_end=False, idempotency_key="cancel")
    assert replayed == ended
    for at_period_end in (False, True):
        with pytest.raises(GatewayRejected) as caught:
            await shop.gateway.cancel_membership(found, at_period_end=at_period_end, idempotency_key=f"{at_period_end}")
        assert "already ended" in said(caught.value, 409)


async def test_what_was_bought_once_has_no_period_to_run_out(shop: Shop) -> None:
    membership, _ = await shop.buy(period_days=None)
    with pytest.raises(GatewayRejected):
        await shop.gateway.cancel_membership(membership.membership_id, at_period_end=True, idempotency_key="cancel")


async def test_a_paused_membership_is_not_charged_until_it_is_resumed(shop: Shop) -> None:
    membership, payment = await shop.buy()
    found, member_id = membership.membership_id, membership.member_id or ""
    assert not await shop.gateway.is_paused(found, member_id)
    paused = await shop.gateway.pause_membership(found, until=None, idempotency_key="pause")
    assert (paused.status, paused.paused) == (MembershipStatus.ACTIVE, True)
    assert await shop.gateway.is_paused(found, member_id)
    # Once more: another end, or none.
    await shop.gateway.pause_membership(found, until=None, idempotency_key="pause-again")
    assert await shop.gateway.is_paused(found, member_id)
    await shop.emulator.advance(days=45)
    assert [one.payment_id for one in await shop.gateway.payments_of(found)] == [payment.payment_id]
    await shop.gateway.resume_membership(found, idempotency_key="resume")
    assert not await shop.gateway.is_paused(found, member_id)
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.resume_membership(found, idempotency_key="resume-again")
    assert "not paused" in said(caught.value, 409)
    await shop.emulator.advance(seconds=5)
    assert len(await shop.gateway.payments_of(found)) == 2


async def test_a_pause_may_have_an_end(shop: Shop) -> None:
    membership, _ = await shop.buy()
    found, member_id = membership.membership_id, membership.member_id or ""
    assert membership.period_start is not None
    with pytest.raises(GatewayRejected):
        await shop.gateway.pause_membership(
            found, until=membership.period_start - timedelta(days=1), idempotency_key="past"
        )
    until = membership.period_start + timedelta(days=10)
    await shop.gateway.pause_membership(found, until=until, idempotency_key="pause")
    await shop.emulator.advance(days=9)
    assert await shop.gateway.is_paused(found, member_id)
    await shop.emulator.advance(days=2)
    assert not await shop.gateway.is_paused(found, member_id)


async def test_paused_is_told_of_the_one_that_is(shop: Shop) -> None:
    one, _ = await shop.buy()
    other, _ = await shop.buy(Money(500, "usd"))
    assert one.member_id == other.member_id
    member_id = one.member_id or ""
    await shop.gateway.pause_membership(one.membership_id, until=None, idempotency_key="pause")
    assert await shop.gateway.is_paused(one.membership_id, member_id)
    assert not await shop.gateway.is_paused(other.membership_id, member_id)


async def test_what_has_ended_can_neither_be_paused_nor_extended_nor_given_a_method(shop: Shop) -> None:
    membership, _ = await shop.buy()
    found, gateway = membership.membership_id, shop.gateway
    [method] = await gateway.methods_of(membership.member_id or "")
    await gateway.cancel_membership(found, at_period_end=False, idempotency_key="cancel")
    with pytest.raises(GatewayRejected):
        await gateway.pause_membership(found, until=None, idempotency_key="pause")
    with pytest.raises(GatewayRejected):
        await gateway.extend_membership(found, days=3, idempotency_key="extend")
    with pytest.raises(GatewayRejected):
        await gateway.use_method(found, method.method_id)


async def test_free_days_come_at_the_end_of_the_period_and_of_the_trial(shop: Shop) -> None:
    running, _ = await shop.buy()
    trial, _ = await shop.buy(Money(900, "usd"), trial_days=7)
    assert trial.status is MembershipStatus.TRIALING
    for before in (running, trial):
        extended = await shop.gateway.extend_membership(
            before.membership_id, days=10, idempotency_key=before.membership_id
        )
        assert before.period_end is not None
        assert extended.period_end == before.period_end + timedelta(days=10)
        assert extended.status is before.status
    for days in (0, 1096):
        with pytest.raises(GatewayRejected):
            await shop.gateway.extend_membership(running.membership_id, days=days, idempotency_key=f"{days}")


async def test_a_promo_lowers_the_next_charge_and_only_that(shop: Shop) -> None:
    membership, _ = await shop.buy()
    found = membership.membership_id
    await shop.gateway.create_promo(
        PromoRequest("TENNER", Money(1001, "usd"), [membership.plan_id]), idempotency_key="promo"
    )
    lowered = await shop.gateway.apply_promo(found, "TENNER", idempotency_key="apply")
    assert lowered.renewal_price == Money(1998, "usd")
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.apply_promo(found, "TENNER", idempotency_key="again")
    assert "promo code already" in said(caught.value, 409)
    await shop.emulator.advance(days=31)
    await shop.emulator.advance(days=30)
    totals = [payment.total for payment in await shop.gateway.payments_of(found)]
    assert totals == [PRICE, Money(1998, "usd"), PRICE]


async def test_another_method_pays_what_is_overdue_at_once(shop: Shop) -> None:
    membership, _ = await shop.buy(card=FAILS_LATER)
    found = membership.membership_id
    good = await shop.save_card(PAYS_TOO)
    await shop.emulator.advance(hours=30 * 24 + 1)
    assert (await shop.gateway.membership(found)).status is MembershipStatus.PAST_DUE
    overdue = (await shop.gateway.payments_of(found))[0]
    assert (overdue.status, overdue.attempt_failed) == (PaymentStatus.OPEN, True)
    used = await shop.gateway.use_method(found, good)
    assert used.status is MembershipStatus.ACTIVE
    paid = await shop.gateway.payment(overdue.payment_id)
    assert (paid.status, paid.total) == (PaymentStatus.PAID, PRICE)
    assert paid.method is not None
    assert paid.method.last4 == PAYS_TOO[-4:]
    assert len(await shop.gateway.payments_of(found)) == 2
    assert (await shop.gateway.use_method(found, good)).status is MembershipStatus.ACTIVE
    assert len(await shop.gateway.payments_of(found)) == 2


async def test_nobody_elses_method_can_be_used(shop: Shop) -> None:
    membership, _ = await shop.buy()
    foreign = await shop.save_card(PAYS_TOO, email="lee@customer.test")
    with pytest.raises(GatewayNotFound):
        await shop.gateway.use_method(membership.membership_id, foreign)


async def test_all_memberships_of_a_member_are_found_ended_ones_too(shop: Shop) -> None:
    first, _ = await shop.buy()
    await shop.emulator.advance(seconds=5)
    second, _ = await shop.buy(Money(500, "usd"))
    await shop.buy(Money(700, "usd"), email="lee@customer.test")
    await shop.gateway.cancel_membership(first.membership_id, at_period_end=False, idempotency_key="now")
    await shop.gateway.cancel_membership(second.membership_id, at_period_end=True, idempotency_key="later")
    found = await shop.gateway.memberships_of(first.member_id or "")
    assert [(one.membership_id, one.status) for one in found] == [
        (second.membership_id, MembershipStatus.ACTIVE),
        (first.membership_id, MembershipStatus.CANCELED),
    ]
    assert await shop.gateway.memberships_of("mber_nobody") == []


async def test_a_membership_that_is_not_there_is_not_found(shop: Shop) -> None:
    gateway = shop.gateway
    for call in (
        gateway.cancel_membership("mem_x", at_period_end=True, idempotency_key="a"),
        gateway.keep_membership("mem_x"),
        gateway.pause_membership("mem_x", until=None, idempotency_key="b"),
        gateway.resume_membership("mem_x", idempotency_key="c"),
        gateway.extend_membership("mem_x", days=1, idempotency_key="d"),
        gateway.apply_promo("mem_x", "CODE", idempotency_key="e"),
        gateway.use_method("mem_x", "payt_x"),
    ):
        with pytest.raises(GatewayNotFound):
            await call
