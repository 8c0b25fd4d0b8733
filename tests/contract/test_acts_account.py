"""Saved methods, promo codes and settings of the account against the emulator."""

from datetime import timedelta

import pytest

from quntedge.gateway.acts import ChargeRequest, FailureBehavior, PromoRequest, StoredMethod
from quntedge.gateway.errors import GatewayRejected
from quntedge.gateway.port import MembershipStatus
from quntedge.kit.money import Money
from tests.contract.shop import PAYS_TOO, PRICE, Shop


async def test_saved_methods_are_listed_newest_first_with_years_of_four_digits(shop: Shop) -> None:
    membership, payment = await shop.buy()
    member_id = membership.member_id or ""
    await shop.emulator.advance(seconds=5)
    newer = await shop.save_card(PAYS_TOO)
    await shop.save_card(PAYS_TOO, email="lee@customer.test")
    second, first = await shop.gateway.methods_of(member_id)
    assert (second.method_id, second.brand, second.last4) == (newer, "mastercard", "4444")
    assert payment.method is not None
    assert first == StoredMethod(
        first.method_id,
        "card",
        "visa",
        "4242",
        payment.method.exp_month,
        payment.method.exp_year,
        fingerprint=first.fingerprint,
        created_at=first.created_at,
    )
    assert None not in (first.exp_year, first.fingerprint, first.created_at)
    assert first.fingerprint != second.fingerprint
    years = (first.exp_year or 0) - shop.emulator.runtime.world.now().year
    await shop.emulator.advance(days=366 * (years + 1))
    assert [method.expired for method in await shop.gateway.methods_of(member_id)] == [True, True]
    assert await shop.gateway.methods_of("mber_nobody") == []


async def test_promos_are_listed_by_plan_archived_ones_too(shop: Shop) -> None:
    gateway = shop.gateway
    plan_id, other_plan_id = await shop.plan(), await shop.plan(Money(500, "usd"))
    one = await gateway.create_promo(PromoRequest("ONE", Money(250, "usd"), [plan_id]), idempotency_key="1")
    two = await gateway.create_promo(PromoRequest("TWO", Money(250, "usd"), [other_plan_id]), idempotency_key="2")
    assert (one.code, one.archived, one.uses) == ("ONE", False, 0)
    await gateway.archive_promo(two.promo_id)
    await gateway.archive_promo(two.promo_id)
    await gateway.archive_promo("promo_never_was")
    assert {promo.code: promo.archived for promo in await gateway.promos()} == {"ONE": False, "TWO": True}
    assert [promo.code for promo in await gateway.promos(plan_id=plan_id)] == ["ONE"]
    assert [promo.code for promo in await gateway.promos(plan_id=other_plan_id)] == ["TWO"]


async def test_more_promos_than_a_page_holds_are_all_listed(shop: Shop) -> None:
    plan_id = await shop.plan()
    for number in range(102):
        request = PromoRequest(f"CODE{number}", Money(100, "usd"), [plan_id])
        await shop.gateway.create_promo(request, idempotency_key=f"promo-{number}")
    assert len(await shop.gateway.promos()) == 102


async def test_a_code_exists_once_until_it_is_archived(shop: Shop) -> None:
    plan_id = await shop.plan()
    request = PromoRequest("SAME", Money(250, "usd"), [plan_id])
    first = await shop.gateway.create_promo(request, idempotency_key="first")
    assert await shop.gateway.create_promo(request, idempotency_key="first") == first
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.create_promo(request, idempotency_key="second")
    assert "already is a promo code" in caught.value.detail
    await shop.gateway.archive_promo(first.promo_id)
    again = await shop.gateway.create_promo(request, idempotency_key="third")
    assert again.promo_id != first.promo_id


async def test_a_promo_counts_its_uses_and_ends_with_its_time(shop: Shop) -> None:
    member_id, method_id = await shop.customer()
    plan_id = await shop.plan()
    expires_at = shop.emulator.runtime.world.now() + timedelta(days=2)
    promo = await shop.gateway.create_promo(
        PromoRequest("SOON", Money(999, "usd"), [plan_id], uses=5, expires_at=expires_at), idempotency_key="promo"
    )
    request = ChargeRequest(member_id, method_id, plan_id, promo_code="SOON")
    made = await shop.gateway.charge(request, idempotency_key="in-time")
    await shop.emulator.settle()
    assert (await shop.gateway.payment(made.payment_id)).total == PRICE - Money(999, "usd")
    assert [(one.promo_id, one.uses) for one in await shop.gateway.promos()] == [(promo.promo_id, 1)]
    await shop.emulator.advance(days=3)
    with pytest.raises(GatewayRejected) as caught:
        await shop.gateway.charge(request, idempotency_key="too-late")
    assert "expired" in caught.value.detail


async def test_the_account_says_what_becomes_of_failed_renewals(shop: Shop) -> None:
    assert await shop.gateway.failure_behavior() is FailureBehavior.CANCEL
    path = f"/accounts/{shop.emulator.config.account_id}/preferences"
    await shop.api("PATCH", path, {"subscription_failure_behavior": "none"})
    assert await shop.gateway.failure_behavior() is FailureBehavior.NONE


async def test_an_archived_plan_goes_on_for_those_who_have_it(shop: Shop) -> None:
    membership, _ = await shop.buy()
    await shop.gateway.archive_plan(membership.plan_id)
    await shop.gateway.archive_plan(membership.plan_id)
    await shop.gateway.archive_plan("plan_never_was")
    assert {plan.plan_id: plan.archived for plan in await shop.gateway.plans()} == {membership.plan_id: True}
    await shop.emulator.advance(days=31)
    assert (await shop.gateway.membership(membership.membership_id)).status is MembershipStatus.ACTIVE
    assert len(await shop.gateway.payments_of(membership.membership_id)) == 2
