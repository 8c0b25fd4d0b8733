"""What the official SDK reads is what was written: values of objects over their lives."""

from datetime import datetime

from whop_sdk import AsyncWhop

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import FAILS_LATER, Shop


def at(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text)


async def test_products(emu: RunningEmulator, sdk: AsyncWhop) -> None:
    made = await sdk.products.create(title="Charts", account_id=emu.config.account_id, metadata={"tier": "pro"})
    changed = await sdk.products.update(made.id, headline="Better charts", visibility="hidden")
    assert (changed.headline, changed.visibility, changed.title) == ("Better charts", "hidden", "Charts")
    assert (await sdk.products.retrieve(made.id)).metadata == {"tier": "pro"}
    assert [p.id async for p in await sdk.products.list(account_id=emu.config.account_id)] == [made.id]
    assert at(changed.updated_at) > at(made.updated_at)


async def test_an_inline_plan_is_reused_unless_a_new_one_is_forced(sdk: AsyncWhop, shop: Shop) -> None:
    inline = {
        "product_id": shop.product_id,
        "plan_type": "renewal",
        "billing_period": 30,
        "initial_price": 0,
        "renewal_price": 10,
        "currency": "usd",
    }
    account = shop.emu.config.account_id
    made = [
        await sdk.checkout_configurations.create(account_id=account, plan=plan)
        for plan in (inline, inline, {**inline, "force_create_new_plan": True})
    ]
    first, second, forced = (checkout.plan.id for checkout in made if checkout.plan is not None)
    assert first == second != forced


async def test_memberships(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    paid = await shop.sell()
    mem = paid["membership"]["id"]
    read = await sdk.memberships.retrieve(mem)
    assert (read.status, read.metadata, read.member_id) == (
        "active",
        {"intent_id": "chk_1"},
        paid["payment"]["member_id"],
    )
    assert (await sdk.memberships.retrieve(str(read.license_key))).id == mem
    assert [m.id async for m in await sdk.memberships.list(account_id=emu.config.account_id, status="active")] == [mem]
    flagged = await sdk.memberships.update(mem, cancel_at_period_end=True)
    assert flagged.cancel_at_period_end
    assert flagged.canceled_at is not None
    kept = await sdk.memberships.update(mem, cancel_at_period_end=False, metadata={"more": "yes"})
    assert not kept.cancel_at_period_end
    assert kept.canceled_at is None
    assert kept.metadata == {"intent_id": "chk_1", "more": "yes"}
    assert (await sdk.memberships.update(mem, metadata={})).metadata == {}
    paused = await sdk.memberships.pause(mem)
    assert (paused.status, paused.most_recent_action) == ("active", "paused_at")
    assert (await sdk.memberships.resume(mem)).most_recent_action == "renewing_on"
    extended = await sdk.memberships.extend(mem, days=10)
    assert (at(extended.current_period_end) - at(kept.current_period_end)).days == 10
    assert (await sdk.memberships.cancel(mem, cancel_at_period_end=True)).status == "active"
    ended = await sdk.memberships.cancel(mem)
    assert (ended.status, ended.most_recent_action) == ("canceled", "canceled_on")
    times = [at(m.updated_at) for m in (read, flagged, kept, paused, extended, ended)]
    assert times == sorted(set(times))


async def test_payments_and_refunds(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    paid = await shop.sell()
    pay = paid["payment"]["id"]
    read = await sdk.payments.retrieve(pay)
    assert read.total is not None
    assert (read.status, read.substatus, read.total.amount, read.refundable) == ("paid", "succeeded", "29.00", True)
    assert read.customer_email == "kim@customer.test"
    assert read.payment_instrument is not None
    assert read.payment_instrument.card is not None
    assert read.payment_instrument.card.last4 == "4242"
    assert (await sdk.payments.retrieve_status(pay)).status == "succeeded"
    fees = (await sdk.payments.list_fees(pay)).data
    assert [fee.amount.amount for fee in fees] == ["-0.78", "-0.30"]
    assert read.amount_after_fees.amount == "27.92"
    listed = await sdk.payments.list(account_id=emu.config.account_id, membership_id=paid["membership"]["id"])
    assert [p.id async for p in listed] == [pay]
    assert (await sdk.payments.refund(pay, partial_amount=9.5, metadata={"our": "ref_1"})).id == pay
    await emu.advance(seconds=1)
    refunds = [r async for r in await sdk.refunds.list(payment_id=pay)]
    assert [(r.status, r.original_amount.amount, r.metadata) for r in refunds] == [
        ("succeeded", "9.50", {"our": "ref_1"})
    ]
    assert (await sdk.refunds.retrieve(refunds[0].id)).payment_id == pay
    after = await sdk.payments.retrieve(pay)
    assert after.refunded_amount is not None
    assert (after.substatus, after.refunded_amount.amount) == ("partially_refunded", "9.50")


async def test_failed_payments_can_be_retried(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    paid = await shop.sell(card=FAILS_LATER)
    await emu.advance(days=30)
    listed = await sdk.payments.list(membership_id=paid["membership"]["id"], status="open")
    (failed,) = [p async for p in listed]
    assert (failed.substatus, failed.payments_failed, failed.retryable) == ("past_due", 1, True)
    assert (await sdk.payments.retrieve_status(failed.id)).last_payment_error is not None
    assert (await sdk.payments.retry(failed.id)).payments_failed == 2


async def test_members_payment_methods_and_invoices(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    paid = await shop.sell()
    member_id = paid["payment"]["member_id"]
    member = await sdk.members.retrieve(member_id)
    assert (member.email, member.usd_total_spent.amount, member.access_level) == (
        "kim@customer.test",
        "29.00",
        "customer",
    )
    assert [m.id async for m in await sdk.members.list(account_id=emu.config.account_id)] == [member_id]
    (method,) = [m async for m in await sdk.payment_methods.list(member_id=member_id)]
    assert (await sdk.payment_methods.retrieve(method.id)).id == method.id
    assert method.card.exp_year is not None
    assert method.card.exp_year < 100
    assert [i async for i in await sdk.invoices.list(account_id=emu.config.account_id)] == []
    made = (await emu.control.post("invoices", json={"plan_id": paid["payment"]["plan_id"]})).json()
    assert (await sdk.invoices.retrieve(made["id"])).line_items[0].total == 29
    assert [i.id async for i in await sdk.invoices.list(account_id=emu.config.account_id)] == [made["id"]]
