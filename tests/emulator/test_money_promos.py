"""Promo codes: at the checkout, in server-side charges, on running memberships."""

from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.types import MembershipLegacy, PaymentLegacy, PromoCode

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import CHALLENGED, DECLINED, FAILS_LATER, NO_CERTIFICATES, Shop
from tests.emulator.receiver import SECRET, Receiver

PASSWORD = "Checkout1!"


async def promo(shop: Shop, **over: Any) -> PromoCode:
    """SPRING: 20 % off for ever, unless told otherwise."""
    values: dict[str, Any] = {
        "code": "SPRING",
        "promo_type": "percentage",
        "amount_off": 0.2,
        "base_currency": "usd",
        "promo_duration_months": 0,
        "new_users_only": False,
    }
    return await shop.sdk.promo_codes.create(account_id=shop.emu.config.account_id, **{**values, **over})


async def buy(shop: Shop, code: str, email: str = "kim@customer.test", card: str = "", **plan: Any) -> dict[str, Any]:
    checkout_id = await shop.checkout(await shop.plan(**plan))
    paid = await shop.emu.pay(checkout_id, card or "4242424242424242", email=email, promo_code=code)
    await shop.emu.settle()
    return paid


async def refusal(shop: Shop, code: str, email: str = "kim@customer.test", **plan: Any) -> str:
    """The message with which a code is refused at the checkout; nothing may have happened."""
    checkout_id = await shop.checkout(await shop.plan(**plan))
    before = (await shop.emu.state())["counts"]
    body = {"checkout_id": checkout_id, "email": email, "promo_code": code}
    answered = await shop.emu.control.post("pay", json=body)
    assert answered.status_code == 400, answered.text
    assert answered.json()["error"]["code"] == "promo_invalid"
    assert (await shop.emu.state())["counts"] == before
    return str(answered.json()["error"]["message"])


def amounts(payments: list[Any]) -> list[str]:
    return [payment.total.amount for payment in payments]


async def test_a_repeating_code_lowers_the_first_charges(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    made = await promo(shop, amount_off=0.145, promo_duration_months=2)
    paid = await buy(shop, " spring ")
    mem = paid["membership"]["id"]
    first = await sdk.payments.retrieve(paid["payment"]["id"])
    assert first.subtotal is not None
    assert first.total is not None
    assert (first.subtotal.amount, first.total.amount, first.promo_code_id) == ("29.00", "24.79", made.id)
    membership = await sdk.memberships.retrieve(mem)
    assert membership.renewal_price is not None
    assert (membership.promo_code_id, membership.renewal_price.amount) == (made.id, "24.79")
    await emu.advance(days=30)
    membership = await sdk.memberships.retrieve(mem)
    assert membership.renewal_price is not None
    assert membership.renewal_price.amount == "29.00"
    await emu.advance(days=30)
    listed = [p async for p in await sdk.payments.list(membership_id=mem, direction="asc")]
    assert amounts(listed) == ["24.79", "24.79", "29.00"]
    assert [p.promo_code_id for p in listed] == [made.id, made.id, None]
    assert (await sdk.promo_codes.retrieve(made.id)).uses == 1
    found = await sdk.memberships.list(account_id=emu.config.account_id, promo_code_ids=[made.id])
    assert [m.id async for m in found] == [mem]


async def test_a_flat_code_for_ever_never_goes_below_zero(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await promo(shop, promo_type="flat_amount", amount_off=50)
    paid = await buy(shop, "SPRING")
    assert paid["payment"]["total"]["amount"] == "0.00"
    await emu.advance(days=60)
    listed = [p async for p in await sdk.payments.list(membership_id=paid["membership"]["id"])]
    assert amounts(listed) == ["0.00"] * 3


async def test_a_trial_that_costs_nothing_uses_up_no_charge(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await promo(shop, amount_off=0.5, promo_duration_months=1)
    paid = await buy(shop, "SPRING", trial_period_days=7)
    await emu.advance(days=40)
    listed = [p async for p in await sdk.payments.list(membership_id=paid["membership"]["id"], direction="asc")]
    assert amounts(listed) == ["0.00", "14.50", "29.00"]


async def test_a_code_survives_a_declined_renewal(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await promo(shop, promo_duration_months=2)
    paid = await buy(shop, "SPRING")
    await emu.decline_next(paid["membership"]["id"], times=2)
    await emu.advance(days=34)
    await emu.advance(days=30)
    listed = [p async for p in await sdk.payments.list(membership_id=paid["membership"]["id"], direction="asc")]
    assert amounts(listed) == ["23.20", "23.20", "29.00"]
    assert [p.payments_failed for p in listed] == [0, 2, 0]


async def test_the_last_use_is_never_sold_twice(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    made = await promo(shop, stock=1)
    await buy(shop, "SPRING", "declined@customer.test", DECLINED)
    assert (await sdk.promo_codes.retrieve(made.id)).uses == 0
    checkout_id = await shop.checkout(await shop.plan())
    waiting = await emu.pay(checkout_id, CHALLENGED, email="a@customer.test", challenge="leave", promo_code="SPRING")
    assert "no uses left" in await refusal(shop, "SPRING", "b@customer.test")
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        url = waiting["payment"]["recovery_url"]
        assert (await browser.post(url, data={"password": "wrong"})).status_code == 402
    assert (await buy(shop, "SPRING", "b@customer.test"))["outcome"] == "paid"
    assert (await sdk.promo_codes.retrieve(made.id)).uses == 1


async def test_who_may_use_a_code(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await promo(shop, code="NEW", new_users_only=True)
    await promo(shop, code="BACK", churned_users_only=True)
    await promo(shop, code="ONCE", one_per_customer=True)
    await promo(shop, code="INSIDE", existing_memberships_only=True)
    await promo(shop, code="SOON", expires_at="2026-09-05T00:00:00Z")
    assert "former customers" in await refusal(shop, "BACK")
    assert "running memberships" in await refusal(shop, "INSIDE")
    assert "no active" in await refusal(shop, "NOBODY")
    bought = await buy(shop, "NEW")
    assert "new customers" in await refusal(shop, "NEW")
    assert "former customers" in await refusal(shop, "BACK")
    await sdk.memberships.cancel(bought["membership"]["id"])
    assert (await buy(shop, "BACK"))["payment"]["total"]["amount"] == "23.20"
    await buy(shop, "ONCE")
    assert "already" in await refusal(shop, "ONCE")
    await buy(shop, "SOON")
    await emu.advance(days=5)
    assert "expired" in await refusal(shop, "SOON", "lee@customer.test")


async def test_what_a_code_is_for(shop: Shop, sdk: AsyncWhop) -> None:
    plan_id = await shop.plan()
    await promo(shop, code="PLAN", plan_ids=[plan_id])
    other = await sdk.products.create(title="Other", account_id=shop.emu.config.account_id)
    await promo(shop, code="PRODUCT", product_id=other.id)
    await promo(shop, code="EURO", promo_type="flat_amount", amount_off=5, base_currency="eur")
    for code in ("PLAN", "PRODUCT"):
        assert "not for this purchase" in await refusal(shop, code)
    assert "another currency" in await refusal(shop, "EURO")
    checkout_id = await shop.checkout(plan_id)
    assert (await shop.emu.pay(checkout_id, email="kim@customer.test", promo_code="PLAN"))["outcome"] == "paid"


async def test_codes_are_switched_off_on_and_archived(shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient) -> None:
    made, account = await promo(shop, plan_ids=[await shop.plan()]), shop.emu.config.account_id
    assert (await sdk.promo_codes.deactivate(made.id)).status == "inactive"
    await refusal(shop, "SPRING")
    assert [p.id async for p in await sdk.promo_codes.list(account_id=account, status="expired")] == [made.id]
    assert (await sdk.promo_codes.activate(made.id)).status == "active"
    assert [p.id async for p in await sdk.promo_codes.list(account_id=account, plan_ids=made_for(made))] == []
    await sdk.promo_codes.delete(made.id)
    for verb in ("activate", "deactivate"):
        assert (await api.post(f"promo_codes/{made.id}/{verb}")).status_code == 409
    assert (await api.get(f"promo_codes?account_id={account}&status=gone")).status_code == 400


def made_for(_: PromoCode) -> list[str]:
    """A plan the code is not for."""
    return ["plan_other"]


async def test_a_running_membership_takes_a_code(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    made = await promo(shop, promo_duration_months=1, existing_memberships_only=True)
    mem = (await shop.sell())["membership"]["id"]
    applied = await sdk.memberships.apply_promo_code(mem, promo_code="spring")
    assert applied.renewal_price is not None
    assert (applied.promo_code_id, applied.renewal_price.amount) == (made.id, "23.20")
    await emu.settle()
    previous = [one.event.get("previous_attributes", {}) for one in hooked.of("membership.updated")]
    assert any(one.get("renewal_price", {}).get("amount") == "29.00" for one in previous)
    await emu.advance(days=60)
    listed = [p async for p in await sdk.payments.list(membership_id=mem, direction="asc")]
    assert amounts(listed) == ["29.00", "23.20", "29.00"]
    with pytest.raises(ApiError) as twice:
        await sdk.memberships.apply_promo_code(mem, promo_code="SPRING")
    assert twice.value.status_code == 409
    unknown = (await shop.sell("lee@customer.test"))["membership"]["id"]
    with pytest.raises(ApiError) as missing:
        await sdk.memberships.apply_promo_code(unknown, promo_code="NOBODY")
    assert (missing.value.status_code, missing.value.body["error"]["code"]) == (400, "promo_invalid")
    await sdk.memberships.cancel(unknown)
    with pytest.raises(ApiError) as ended:
        await sdk.memberships.apply_promo_code(unknown, promo_code="SPRING")
    assert ended.value.status_code == 409


async def test_charges_take_codes_and_give_them_back_when_voided(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator
) -> None:
    made = await promo(shop, stock=1)
    paid = await shop.sell(card=FAILS_LATER)
    who: dict[str, Any] = {
        "account_id": emu.config.account_id,
        "member_id": paid["payment"]["member_id"],
        "payment_method_id": paid["payment"]["payment_method_id"],
    }
    plan_id = await shop.plan()
    charged = await sdk.payments.create(**who, plan_id=plan_id, promo_code_id=made.id)
    assert charged.total is not None
    assert (charged.total.amount, charged.promo_code_id) == ("23.20", made.id)
    await emu.settle()
    with pytest.raises(ApiError) as sold_out:
        await sdk.payments.create(**who, plan_id=plan_id, promo_code="spring")
    assert (sold_out.value.status_code, sold_out.value.body["error"]["code"]) == (400, "promo_invalid")
    await sdk.payments.void(charged.id)
    assert (await sdk.promo_codes.retrieve(made.id)).uses == 0
    blank = await sdk.payments.create(**who, plan_id=plan_id, promo_code="  ")
    assert blank.promo_code_id is None


async def test_the_page_takes_a_code(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await promo(shop)
    checkout = await sdk.checkout_configurations.retrieve(await shop.checkout(await shop.plan()))
    url = str(checkout.purchase_url)
    form = {"email": "kim@customer.test", "card_number": "4242424242424242", "card_expiry": "12/34", "card_cvc": "123"}
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        shown = await browser.get(f"{url}&promo_code=spring")
        assert "$23.20" in shown.text
        again = await browser.post(url, data={"promo_code": "SPRING", "action": "apply"})
        assert "$23.20" in again.text
        wrong = await browser.post(url, data={**form, "promo_code": "WINTER"})
        assert wrong.status_code == 422
        assert "no active promo code" in wrong.text
        paid = await browser.post(url, data={**form, "promo_code": "SPRING"})
    assert paid.status_code == 303
    (payment,) = [p async for p in await sdk.payments.list(account_id=emu.config.account_id)]
    assert amounts([payment]) == ["23.20"]


async def test_legacy_shapes_name_the_code(shop: Shop, emu: RunningEmulator, receiver: Receiver) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    made = await promo(shop, promo_duration_months=3)
    await buy(shop, "SPRING")
    payment, membership = receiver.of("payment.succeeded")[0].data, receiver.of("membership.activated")[0].data
    parsed = PaymentLegacy.model_validate(payment)
    assert parsed.promo_code is not None
    assert (parsed.promo_code.id, parsed.promo_code.number_of_intervals, payment["subtotal"]) == (made.id, 3, 29)
    assert payment["total"] == 23.2
    assert MembershipLegacy.model_validate(membership).promo_code is not None
