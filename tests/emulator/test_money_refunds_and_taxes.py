"""Refunds that take their time or fail, taxes inside and on top of prices, cards with decline codes, trials."""

from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.rules.billing import processing_fees
from quntedge.gateway.emulator.rules.taxes import share_of, tax_on
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.kit.money import Money
from tests.emulator.conftest import NO_CERTIFICATES, Shop
from tests.emulator.receiver import SECRET, Receiver

CODES = {
    "4000000000009995": "insufficient_funds",
    "4000000000000101": "card_declined_by_issuer",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000000069": "expired_card",
    "4000000000000127": "invalid_cvc",
    "4000000000000119": "processing_error",
    "4000000000006975": "card_velocity_exceeded",
    "4100000000000019": "suspected_fraud",
}
LATER = {
    "4000000000001341": "expired_card",
    "4000000000002341": "lost_card",
    "4000000000003341": "card_declined_by_issuer",
    "4000000000004341": "processing_error",
}


async def refunds(sdk: AsyncWhop, pay: str) -> list[Any]:
    return [one async for one in await sdk.refunds.list(payment_id=pay, direction="asc")]


async def test_a_refund_fails_later_and_can_be_made_again(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    pay = (await shop.sell())["payment"]["id"]
    await emu.next_refund(pay, "failed", failure_reason="expired_or_canceled_card", after_seconds=3 * 86_400)
    await sdk.payments.refund(pay)
    await emu.advance(days=2)
    (pending,) = await refunds(sdk, pay)
    assert (pending.status, pending.failure_reason, pending.reference_status) == ("pending", None, "pending")
    assert (await sdk.payments.retrieve(pay)).refunded_amount is None
    with pytest.raises(ApiError) as too_much:
        await sdk.payments.refund(pay, partial_amount=1)
    assert too_much.value.status_code == 409
    await emu.advance(days=2)
    (failed,) = await refunds(sdk, pay)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert failed.failure_message
    payment = await sdk.payments.retrieve(pay)
    assert (payment.substatus, payment.refundable, payment.refunded_amount) == ("succeeded", True, None)
    await sdk.payments.refund(pay)
    await emu.settle()
    assert [one.status for one in await refunds(sdk, pay)] == ["failed", "succeeded"]
    assert (await sdk.payments.retrieve(pay)).substatus == "refunded"
    assert [one.data["status"] for one in hooked.of("refund.updated")] == ["failed", "succeeded"]


async def test_a_waiting_refund_is_ended_by_hand(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    pay = (await shop.sell())["payment"]["id"]
    await emu.next_refund(pay, "requires_action")
    await sdk.payments.refund(pay, partial_amount=9.5)
    await emu.settle()
    (waiting,) = await refunds(sdk, pay)
    assert waiting.status == "requires_action"
    ended = await emu.control.post(f"refunds/{waiting.id}", json={"status": "succeeded"})
    assert ended.json()["reference_type"] == "acquirer_reference_number"
    again = await emu.control.post(f"refunds/{waiting.id}", json={"status": "failed"})
    assert again.status_code == 409
    payment = await sdk.payments.retrieve(pay)
    assert payment.refunded_amount is not None
    assert (payment.substatus, payment.refunded_amount.amount) == ("partially_refunded", "9.50")


async def test_impossible_refunds(shop: Shop, api: httpx.AsyncClient) -> None:
    pay = (await shop.sell())["payment"]["id"]
    for amount in (0, -1, 29.01, 0.001, 1e20):
        answered = await api.post(f"payments/{pay}/refund", json={"partial_amount": amount})
        assert answered.status_code == 400, amount
    assert (await api.get(f"refunds?payment_id={pay}")).json()["data"] == []


def test_taxes_are_exact() -> None:
    inside = tax_on(Money.parse("29.00", "usd"), "inclusive", 1900)
    assert (inside.amount, inside.total(Money.parse(29, "usd"))) == (Money.parse("4.63", "usd"), Money.parse(29, "usd"))
    on_top = tax_on(Money.parse("29.00", "usd"), "exclusive", 1900)
    assert (on_top.amount, on_top.total(Money.parse(29, "usd"))) == (
        Money.parse("5.51", "usd"),
        Money.parse("34.51", "usd"),
    )
    assert tax_on(Money(100, "jpy"), "inclusive", 1000).amount == Money(9, "jpy")
    assert share_of(on_top.amount, Money.parse("34.51", "usd"), Money.parse("34.51", "usd")) == on_top.amount
    assert share_of(on_top.amount, Money.zero("usd"), Money.zero("usd")) == Money.zero("usd")


async def test_exclusive_tax_is_added_refunded_in_proportion_and_charged_at_renewals(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator
) -> None:
    await emu.set_taxes({"de": 1900})
    checkout_id = await shop.checkout(await shop.plan())
    paid = await emu.pay(checkout_id, email="kim@customer.test", country="DE")
    payment = await sdk.payments.retrieve(paid["payment"]["id"])
    assert payment.subtotal is not None
    assert payment.total is not None
    assert payment.tax_amount is not None
    assert payment.billing_address is not None
    assert (payment.subtotal.amount, payment.tax_amount.amount, payment.total.amount) == ("29.00", "5.51", "34.51")
    assert (payment.tax_behavior, payment.billing_address.country) == ("exclusive", "DE")
    percentage, fixed = processing_fees(Money.parse("34.51", "usd"))
    net = Money.parse("34.51", "usd") - percentage - fixed - Money.parse("5.51", "usd")
    assert payment.amount_after_fees.amount == net.to_major_text()
    assert "sales_tax_remittance" in [fee.origin for fee in (await sdk.payments.list_fees(payment.id)).data]
    await sdk.payments.refund(payment.id, partial_amount=10)
    await emu.settle()
    assert (await sdk.payments.retrieve(payment.id)).tax_refunded_amount.amount == "1.60"
    await sdk.payments.refund(payment.id)
    await emu.settle()
    assert (await sdk.payments.retrieve(payment.id)).tax_refunded_amount.amount == "5.51"
    await emu.advance(days=30)
    newest, _ = [p async for p in await sdk.payments.list(membership_id=paid["membership"]["id"])]
    assert newest.total is not None
    assert (newest.total.amount, newest.tax_behavior) == ("34.51", "exclusive")


async def test_inclusive_tax_stays_inside_the_price(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, receiver: Receiver
) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    await emu.set_taxes({"de": 1900})
    plan_id = await shop.plan(override_tax_type="inclusive")
    plan = await sdk.variants.retrieve(plan_id)
    assert (plan.tax_type, plan.collect_tax) == ("inclusive", True)
    paid = await emu.pay(await shop.checkout(plan_id), email="kim@customer.test", country="de")
    payment = await sdk.payments.retrieve(paid["payment"]["id"])
    assert payment.total is not None
    assert payment.tax_amount is not None
    assert (payment.total.amount, payment.tax_amount.amount, payment.tax_behavior) == ("29.00", "4.63", "inclusive")
    untaxed = await emu.pay(await shop.checkout(plan_id), email="lee@customer.test")
    assert (untaxed["payment"]["tax_amount"], untaxed["payment"]["tax_behavior"]) == (None, None)
    await emu.settle()
    assert sorted(one.data["tax_amount"] or 0 for one in receiver.of("payment.succeeded")) == [0, 4.63]


async def test_the_page_shows_the_tax_of_the_country(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await emu.set_taxes({"de": 1900, "fr": 2000})
    checkout = await sdk.checkout_configurations.retrieve(await shop.checkout(await shop.plan()))
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        shown = await browser.get(f"{checkout.purchase_url}&country=fr")
    assert "$5.80 (added)" in shown.text
    assert "$34.80" in shown.text


async def test_bad_tax_rates(emu: RunningEmulator) -> None:
    for rates in ({"germany": 1900}, {"de": 10_001}, {"de": -1}, {"de": None}, {"de": 0.5}):
        assert (await emu.control.post("taxes", json={"rates": rates})).status_code == 400, rates


async def test_cards_that_are_declined_with_a_code(shop: Shop, sdk: AsyncWhop) -> None:
    for card, code in CODES.items():
        paid = await shop.sell(card=card)
        assert paid["outcome"] == "declined"
        payment = await sdk.payments.retrieve(paid["payment"]["id"])
        assert (payment.decline_code, payment.substatus, payment.retryable) == (code, "failed", False)


async def test_cards_whose_renewals_are_declined_with_a_code(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    sold = {code: (await shop.sell(f"{code}@customer.test", card))["membership"]["id"] for card, code in LATER.items()}
    await emu.advance(days=30)
    for code, mem in sold.items():
        (failed,) = [p async for p in await sdk.payments.list(membership_id=mem, status="open")]
        assert (failed.decline_code, failed.payments_failed) == (code, 1)


async def test_whops_dunning_ends_or_goes_on(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    mem = (await shop.sell(card="4000000000000341"))["membership"]["id"]
    await emu.advance(days=30)
    states = []
    for _ in range(6):
        payment, _ = [p async for p in await sdk.payments.list(membership_id=mem)]
        states.append((payment.payments_failed, payment.status, (await sdk.memberships.retrieve(mem)).status))
        await emu.advance(days=1)
    assert states == [
        (1, "open", "past_due"),
        (2, "open", "past_due"),
        (2, "open", "past_due"),
        (3, "open", "past_due"),
        (3, "open", "past_due"),
        (4, "uncollectible", "canceled"),
    ]
    await sdk.accounts.preferences.update(emu.config.account_id, subscription_failure_behavior="none")
    stays = (await shop.sell("lee@customer.test", "4000000000000341"))["membership"]["id"]
    await emu.advance(days=37)
    assert (await sdk.memberships.retrieve(stays)).status == "past_due"
    (payment,) = [p async for p in await sdk.payments.list(membership_id=stays, status="open")]
    assert payment.next_payment_attempt_at is not None


async def test_a_second_trial_costs_the_full_price_also_under_a_plus_address(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator
) -> None:
    plan_id = await shop.plan(trial_period_days=7)
    outcomes = []
    for email in ("kim+1@customer.test", "kim@customer.test", "Kim+2@customer.test", "lee@customer.test"):
        paid = await emu.pay(await shop.checkout(plan_id), email=email)
        outcomes.append((paid["membership"]["status"], paid["payment"]["total"]["amount"]))
    assert outcomes == [("trialing", "0.00"), ("active", "29.00"), ("active", "29.00"), ("trialing", "0.00")]
