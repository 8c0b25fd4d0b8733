"""The official SDK parses every answer of every operation the emulator has."""

from datetime import UTC, datetime

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import FAILS_LATER, Shop
from tests.emulator.receiver import SECRET, Receiver


def at(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text)


async def test_account(emu: RunningEmulator, sdk: AsyncWhop) -> None:
    assert (await sdk.accounts.me()).id == emu.config.account_id
    assert (await sdk.accounts.retrieve(emu.config.account_id)).id == emu.config.account_id


async def test_products(emu: RunningEmulator, sdk: AsyncWhop) -> None:
    made = await sdk.products.create(title="Charts", account_id=emu.config.account_id, metadata={"tier": "pro"})
    changed = await sdk.products.update(made.id, headline="Better charts", visibility="hidden")
    assert (changed.headline, changed.visibility, changed.title) == ("Better charts", "hidden", "Charts")
    assert (await sdk.products.retrieve(made.id)).metadata == {"tier": "pro"}
    assert [p.id async for p in await sdk.products.list(account_id=emu.config.account_id)] == [made.id]
    assert at(changed.updated_at) > at(made.updated_at)


@pytest.mark.parametrize("module", ["variants", "plans"])
async def test_plans(module: str, emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    plans = getattr(sdk, module)
    made = await plans.create(
        account_id=emu.config.account_id,
        product_id=shop.product_id,
        plan_type="renewal",
        billing_period=30,
        initial_price=0,
        renewal_price=29.99,
        trial_period_days=7,
        currency="usd",
        title="Monthly",
        metadata={"code": "monthly"},
    )
    assert (made.renewal_price, made.billing_period, made.trial_period_days) == (29.99, 30, 7)
    assert made.initial_price_due.amount == "0.00"
    changed = await plans.update(made.id, title="Every month", renewal_price=31)
    assert (changed.title, changed.renewal_price) == ("Every month", 31)
    assert (await plans.retrieve(made.id)).metadata == {"code": "monthly"}
    listed = [p.id async for p in await plans.list(account_id=emu.config.account_id, product_ids=[shop.product_id])]
    assert listed == [made.id]
    assert (await plans.delete(made.id)).deleted is True
    assert (await plans.retrieve(made.id)).visibility == "archived"


async def test_checkout_configurations(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    plan_id = await shop.plan()
    made = await sdk.checkout_configurations.create(
        account_id=emu.config.account_id,
        plan_id=plan_id,
        redirect_url="https://app.example.com/return",
        metadata={"intent_id": "chk_9"},
    )
    assert made.purchase_url == f"{emu.url}/checkout/{plan_id}?session={made.id}"
    assert (await sdk.checkout_configurations.retrieve(made.id)).metadata == {"intent_id": "chk_9"}
    listed = await sdk.checkout_configurations.list(account_id=emu.config.account_id)
    assert [c.id async for c in listed] == [made.id]
    assert (await sdk.checkout_configurations.delete(made.id)).deleted is True
    with pytest.raises(ApiError) as gone:
        await sdk.checkout_configurations.retrieve(made.id)
    assert gone.value.status_code == 404


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


async def test_promo_codes(emu: RunningEmulator, sdk: AsyncWhop) -> None:
    account = emu.config.account_id
    made = await sdk.promo_codes.create(
        account_id=account,
        code="SPRING",
        promo_type="percentage",
        amount_off=0.2,
        base_currency="usd",
        promo_duration_months=3,
        new_users_only=False,
    )
    assert (made.amount_off, made.duration) == (0.2, "repeating")
    assert [p.id async for p in await sdk.promo_codes.list(account_id=account)] == [made.id]
    assert (await sdk.promo_codes.delete(made.id)).deleted
    assert (await sdk.promo_codes.retrieve(made.id)).status == "archived"


async def test_webhooks(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop, receiver: Receiver) -> None:
    account = emu.config.account_id
    made = await sdk.webhooks.create(
        url=receiver.url, resource_id=account, events=["payment.succeeded"], api_version_date="2026-10-15-1"
    )
    assert str(made.webhook_secret).startswith("ws_")
    assert (await sdk.webhooks.retrieve(made.id)).webhook_secret is None
    assert [w.id async for w in await sdk.webhooks.list(account_id=account)] == [made.id]
    await shop.sell()
    assert receiver.types == ["payment.succeeded"]
    (delivery,) = [d async for d in await sdk.webhooks.list_deliveries(made.id)]
    assert (delivery.success, delivery.response_code, delivery.event) == (True, 200, "payment.succeeded")
    replayed = await sdk.webhooks.replay_delivery(made.id, delivery.id)
    assert (replayed.success, replayed.status) == (True, 200)
    await sdk.webhooks.replay_delivery(made.id, delivery.id, regenerate_id=True)
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert ids[0] == ids[1] != ids[2]
    assert receiver.received[2].event["id"] == ids[2]
    assert (await sdk.webhooks.test(made.id, event="membership.activated")).success
    with pytest.raises(ApiError) as unknown:
        await sdk.memberships.retrieve(receiver.received[3].data["id"])
    assert unknown.value.status_code == 404
    assert (await sdk.webhooks.update(made.id, enabled=False)).enabled is False
    await shop.sell("lee@customer.test")
    assert len(receiver.received) == 4
    assert (await sdk.webhooks.delete(made.id)).deleted


async def test_pages_are_walked_by_cursor(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    made = [(await emu.pay(checkout_id, email=f"c{n}@customer.test"))["payment"]["id"] for n in range(7)]
    pager = await sdk.payments.list(account_id=emu.config.account_id, first=3)
    assert [p.id async for p in pager] == made[::-1]
    ascending = await sdk.payments.list(account_id=emu.config.account_id, first=3, direction="asc")
    assert [p.id async for p in ascending] == made


async def test_pages_backwards(emu: RunningEmulator, api: httpx.AsyncClient, shop: Shop) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    made = [(await emu.pay(checkout_id, email=f"c{n}@customer.test"))["payment"]["id"] for n in range(5)][::-1]
    first = (await api.get("payments", params={"first": 4})).json()
    info = first["page_info"]
    assert (info["has_next_page"], info["has_previous_page"]) == (True, False)
    back = (await api.get("payments", params={"before": info["end_cursor"], "last": 2})).json()
    assert [p["id"] for p in back["data"]] == made[1:3]
    assert (back["page_info"]["has_next_page"], back["page_info"]["has_previous_page"]) == (True, True)


async def test_created_filters(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    old = await shop.sell("old@customer.test")
    await emu.advance(days=1)
    border = datetime.fromisoformat((await emu.state())["now"]).astimezone(UTC)
    new = await shop.sell("new@customer.test")
    after = await sdk.payments.list(created_after=border)
    before = await sdk.payments.list(created_before=border)
    assert [p.id async for p in after] == [new["payment"]["id"]]
    assert [p.id async for p in before] == [old["payment"]["id"]]


async def test_secret_of_the_control_endpoint(emu: RunningEmulator, receiver: Receiver, shop: Shop) -> None:
    await emu.register_webhook(receiver.url, SECRET, events=["member.created"])
    await shop.sell()
    assert [(one.type, one.signature_is_right()) for one in receiver.received] == [("member.created", True)]
