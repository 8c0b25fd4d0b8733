"""What money does, played with the official SDK: payments, taxes, charges of stored cards, dunning, refunds."""

from typing import Any

from tests.emulator.contract.stage import (
    ALWAYS_CHALLENGED,
    CHALLENGED,
    DECLINED,
    FAILS_LATER,
    PENDS,
    PENDS_AND_FAILS,
    Stage,
)

FAILURES = (
    "bank_declined",
    "expired_or_canceled_card",
    "lost_or_stolen_card",
    "insufficient_funds",
    "charge_disputed",
    "not_refundable",
    "merchant_request",
    "unknown",
)


async def _statuses(stage: Stage, payment_id: str) -> tuple[str, str]:
    payment = await stage.sdk.payments.retrieve(payment_id)
    return payment.status, (await stage.sdk.payments.retrieve_status(payment_id)).status


async def payments(stage: Stage) -> None:
    """Payments of the checkout page in every state a buyer can bring them to."""
    sdk = stage.sdk
    paid = (await stage.buy("paid@customer.test"))["payment"]["id"]
    assert await _statuses(stage, paid) == ("paid", "succeeded")
    declined = (await stage.buy("declined@customer.test", DECLINED))["payment"]["id"]
    assert (await sdk.payments.retrieve(declined)).decline_code == "generic_decline"
    assert (await sdk.payments.retrieve_status(declined)).last_payment_error is not None
    waiting = (await stage.buy("waiting@customer.test", CHALLENGED, challenge="leave"))["payment"]["id"]
    assert await _statuses(stage, waiting) == ("open", "requires_action")
    failed = (await stage.buy("failed@customer.test", CHALLENGED, challenge="fail"))["payment"]["id"]
    assert (await sdk.payments.retrieve(failed)).decline_code == "three_d_secure_failed"
    slow, never = [
        (await stage.buy(f"slow{number}@customer.test", card))["payment"]["id"]
        for number, card in enumerate((PENDS, PENDS_AND_FAILS))
    ]
    assert await _statuses(stage, slow) == ("pending", "processing")
    await stage.emu.advance(days=10)
    assert await _statuses(stage, slow) == ("paid", "succeeded")
    assert (await sdk.payments.retrieve(never)).decline_code == "bank_insufficient_funds"
    await stage.buy("once@customer.test", plan_type="one_time", billing_period=None, initial_price=20, renewal_price=0)
    await stage.buy("yen@customer.test", currency="jpy", renewal_price=2900)
    assert (await sdk.payments.list_fees(paid)).data
    assert (await sdk.payments.generate_pdf(paid)).url.startswith("http")
    assert paid in await stage.walk(sdk.payments.list, account_id=stage.account)
    await stage.refused(409, sdk.payments.retry(paid))
    await stage.refused(409, sdk.payments.void(paid))
    await stage.refused(403, sdk.payments.resume(waiting))


async def taxes(stage: Stage) -> None:
    """Prices with the tax inside and with the tax on top, for a buyer whose country has one."""
    await stage.control("taxes", rates={"de": 1900}, behavior="exclusive")
    for number, (behavior, total) in enumerate((("exclusive", "34.51"), ("inclusive", "29.00"))):
        plan_id = await stage.plan(override_tax_type=behavior)
        for module in (stage.sdk.variants, stage.sdk.plans):
            assert (await module.retrieve(plan_id)).tax_type == behavior
        checkout = await stage.sdk.checkout_configurations.create(account_id=stage.account, plan_id=plan_id)
        paid = await stage.control(
            "pay", checkout_id=checkout.id, email=f"tax{number}@customer.test", name="Kim Tax", country="de"
        )
        payment = await stage.sdk.payments.retrieve(paid["payment"]["id"])
        assert payment.total is not None
        assert (payment.tax_behavior, payment.total.amount) == (behavior, total)
        await stage.sdk.payments.refund(payment.id)
    await _previews(stage)
    await stage.control("taxes", rates={})


async def _previews(stage: Stage) -> None:
    """What a buyer's country would add, and a price that is promised for a while and then paid."""
    sdk, plan_id = stage.sdk, await stage.plan(override_tax_type="exclusive")
    address = {"country": "DE", "line1": "Weg 1", "city": "Berlin", "postal_code": "10115"}
    for module in (sdk.variants, sdk.plans):
        tax = await module.calculate_tax(plan_id, address=address)
        assert (tax.subtotal, tax.tax_amount, tax.total) == (2900, 551, 3451)
    quote = await sdk.payment_quotes.create(
        account_id=stage.account, plan_id=plan_id, address=address, promo_code="FIVE"
    )
    assert (quote.total.amount, quote.tax_status) == ("28.56", "calculated")
    page = await sdk.checkout_configurations.create(account_id=stage.account, plan_id=plan_id)
    bought = await stage.control("pay", checkout_id=page.id, email="quoted@customer.test", country="de")
    paid = await sdk.payments.create(
        account_id=stage.account,
        member_id=bought["payment"]["member_id"],
        payment_method_id=bought["payment"]["payment_method_id"],
        quote_id=quote.id,
    )
    await stage.emu.advance(seconds=5)
    assert (await sdk.payments.retrieve(paid.id)).quote_id == quote.id
    assert (await sdk.payment_quotes.retrieve(quote.id)).payment_id == paid.id
    await stage.control("taxes", rates={})
    assert (await sdk.variants.calculate_tax(plan_id, address=address)).status == "not_calculated"
    untaxed = await sdk.payment_quotes.create(account_id=stage.account, plan_id=plan_id)
    assert untaxed.tax_status == "not_applicable"


async def charges(stage: Stage) -> None:
    """Charges of a stored card by the seller: at once, challenged, reserved and captured, reserved and released."""
    sdk = stage.sdk
    bought = await stage.buy("stored@customer.test")
    who = {
        "account_id": stage.account,
        "member_id": bought["payment"]["member_id"],
        "payment_method_id": bought["payment"]["payment_method_id"],
    }
    once = {"plan_type": "one_time", "initial_price": 12, "currency": "usd", "product_id": stage.product_id}
    made = await sdk.payments.create(**who, plan=once, metadata={"why": "extra"}, promo_code="FIVE")
    await stage.emu.advance(seconds=5)
    assert await _statuses(stage, made.id) == ("paid", "succeeded")
    held = [
        await sdk.payments.create(**who, plan=once, capture=False, auto_capture_after_minutes=minutes)
        for minutes in (60, 5760, 5760)
    ]
    await stage.emu.advance(seconds=5)
    assert await _statuses(stage, held[0].id) == ("authorized", "requires_capture")
    await sdk.payments.capture(held[1].id)
    assert (await sdk.payments.void(held[2].id)).status == "void"
    assert await _statuses(stage, held[2].id) == ("void", "canceled")
    await stage.emu.advance(hours=2)
    for one in held[:2]:
        assert (await sdk.payments.retrieve(one.id)).status == "paid"
    await _challenged_charge(stage, once)
    await stage.refused(400, sdk.payments.create(**who, plan=once, capture=True, auto_capture_after_minutes=60))


async def _challenged_charge(stage: Stage, once: dict[str, Any]) -> None:
    sdk = stage.sdk
    bought = await stage.buy("bank@customer.test", ALWAYS_CHALLENGED)
    made = await sdk.payments.create(
        account_id=stage.account,
        member_id=bought["payment"]["member_id"],
        payment_method_id=bought["payment"]["payment_method_id"],
        plan=once,
        return_url="https://app.example.com/back",
        off_session=False,
    )
    await stage.emu.advance(seconds=5)
    status = await sdk.payments.retrieve_status(made.id)
    assert (status.status, status.return_url) == ("requires_action", "https://app.example.com/back")
    assert status.next_action is not None
    assert (await sdk.payments.update_return_url(made.id, return_url="https://app.example.com/two")).return_url
    assert (await sdk.payments.update(made.id, return_url="https://app.example.com/three")).id == made.id


async def dunning(stage: Stage) -> None:
    """Renewals that fail: tried again by hand and by themselves, recovered, given up."""
    sdk = stage.sdk
    stuck = await stage.buy("stuck@customer.test", FAILS_LATER)
    saved = await stage.buy("saved@customer.test")
    gone = await stage.buy("gone@customer.test", FAILS_LATER)
    await stage.emu.decline_next(saved["membership"]["id"], decline_code="expired_card")
    await stage.emu.advance(days=30)
    (late,) = [p async for p in await sdk.payments.list(membership_id=stuck["membership"]["id"], status="open")]
    assert (late.substatus, late.retryable) == ("past_due", True)
    assert (await sdk.payments.retry(late.id)).payments_failed == 2
    assert (await sdk.payments.retrieve_status(late.id)).last_payment_error is not None
    await sdk.memberships.cancel(gone["membership"]["id"])
    await stage.emu.advance(days=6)
    assert (await sdk.payments.retrieve(late.id)).status == "uncollectible"
    assert (await sdk.memberships.retrieve(stuck["membership"]["id"])).status == "canceled"
    assert (await sdk.memberships.retrieve(saved["membership"]["id"])).status == "active"


async def refunds(stage: Stage) -> None:
    """Refunds in part and in full, through every status, for every reason to fail, and one that is too much."""
    sdk = stage.sdk
    bought = [(await stage.buy(f"refund{number}@customer.test"))["payment"]["id"] for number in range(3)]
    part, full, slow = bought
    await sdk.payments.refund(part, partial_amount=9.5, metadata={"our": "ref_1"})
    await sdk.payments.refund(full)
    await stage.control(f"payments/{slow}/next_refund", status="succeeded", after_seconds=3600)
    await sdk.payments.refund(slow)
    await stage.emu.advance(seconds=5)
    assert (await sdk.payments.retrieve(part)).substatus == "partially_refunded"
    assert (await sdk.payments.retrieve(full)).substatus == "refunded"
    (pending,) = [r async for r in await sdk.refunds.list(payment_id=slow)]
    assert (pending.status, pending.reference_status) == ("pending", "pending")
    await stage.control(f"refunds/{pending.id}", status="requires_action")
    assert (await sdk.refunds.retrieve(pending.id)).status == "requires_action"
    await stage.control(f"refunds/{pending.id}", status="canceled")
    for reason in FAILURES:
        await stage.control(f"payments/{slow}/next_refund", status="failed", failure_reason=reason)
        await sdk.payments.refund(slow)
        await stage.emu.advance(seconds=5)
    ended = [r async for r in await sdk.refunds.list(payment_id=slow)]
    assert [r.status for r in ended] == ["failed"] * len(FAILURES) + ["canceled"]
    await stage.walk(sdk.refunds.list, account_id=stage.account)
    await stage.refused(400, sdk.payments.refund(part, partial_amount=100))
    await stage.refused(409, sdk.payments.refund(full))


MONEY = (payments, taxes, charges, dunning, refunds)
