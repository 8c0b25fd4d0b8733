"""What happens to a membership over time, as a receiver of webhooks and a reader of the API see it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import running_emulator
from tests.emulator.conftest import CHALLENGED, DECLINED, FAILS_LATER, GOOD, START, Shop
from tests.emulator.receiver import Receiver


def at(text: Any) -> datetime:
    return datetime.fromisoformat(text)


async def membership(shop: Shop, paid: dict[str, Any]) -> Any:
    return await shop.sdk.memberships.retrieve(paid["membership"]["id"])


async def payments(shop: Shop, paid: dict[str, Any]) -> list[Any]:
    """Oldest first."""
    listed = await shop.sdk.payments.list(membership_id=paid["membership"]["id"], direction="asc")
    return [payment async for payment in listed]


async def test_purchase(shop: Shop, hooked: Receiver) -> None:
    plan_id = await shop.plan()
    checkout_id = await shop.checkout(plan_id)
    await shop.emu.settle()
    hooked.clear()
    paid = await shop.emu.pay(checkout_id, email="Kim@Customer.test ", name="Kim")
    await shop.emu.settle()
    assert sorted(hooked.types) == [
        "member.created",
        "membership.activated",
        "membership.updated",
        "payment.created",
        "payment.succeeded",
    ]
    (created,), (succeeded,) = hooked.of("payment.created"), hooked.of("payment.succeeded")
    assert (created.data["status"], created.data["membership_id"]) == ("open", None)
    assert (succeeded.data["status"], succeeded.data["membership_id"]) == ("paid", paid["membership"]["id"])
    assert created.data["id"] == succeeded.data["id"]
    assert succeeded.data["billing_reason"] == "subscription_create"
    assert succeeded.data["metadata"] == {"intent_id": "chk_1"}
    assert succeeded.data["checkout_configuration_id"] == checkout_id
    assert at(created.data["updated_at"]) < at(succeeded.data["updated_at"])
    (updated,) = hooked.of("membership.updated")
    assert updated.event["previous_attributes"]["status"] == "drafted"
    bought = updated.data
    assert bought["metadata"] == {"intent_id": "chk_1"}
    assert at(bought["current_period_end"]) - at(bought["current_period_start"]) == timedelta(days=30)
    assert paid["redirect_url"].endswith(
        f"/return?payment_id={created.data['id']}&receipt_id={created.data['id']}&status=success&checkout_status=success"
    )


async def test_the_same_address_is_the_same_customer(shop: Shop) -> None:
    first = await shop.sell("kim@customer.test")
    second = await shop.sell("KIM@customer.test")
    other = await shop.sell("lee@customer.test")
    assert first["membership"]["id"] != second["membership"]["id"]
    for name in ("user_id", "member_id"):
        assert first["membership"][name] == second["membership"][name] != other["membership"][name]


async def test_initial_and_renewal_price_are_both_due_at_checkout(shop: Shop) -> None:
    paid = await shop.sell(initial_price=10, renewal_price=29)
    assert paid["payment"]["total"]["amount"] == "39.00"
    await shop.emu.advance(days=30)
    assert [p.total.amount for p in await payments(shop, paid)] == ["39.00", "29.00"]


async def test_renewal(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell()
    before = await membership(shop, paid)
    hooked.clear()
    await shop.emu.advance(days=29)
    assert hooked.types == []
    reached = await shop.emu.advance(days=1)
    assert reached["deliveries"] == 4
    assert sorted(hooked.types) == [
        "membership.activated",
        "membership.updated",
        "payment.created",
        "payment.succeeded",
    ]
    after = await membership(shop, paid)
    assert after.current_period_start == before.current_period_end
    assert at(after.current_period_end) - at(after.current_period_start) == timedelta(days=30)
    renewal = (await payments(shop, paid))[-1]
    assert (renewal.billing_reason, renewal.status) == ("subscription_cycle", "paid")
    assert renewal.metadata == {}
    assert renewal.paid_at == before.current_period_end
    assert "current_period_end" in hooked.of("membership.updated")[0].event["previous_attributes"]


async def test_a_year_of_renewals_keeps_the_phase(shop: Shop) -> None:
    paid = await shop.sell(billing_period=30)
    start = at(paid["membership"]["current_period_start"])
    await shop.emu.advance(days=365)
    made = await payments(shop, paid)
    assert [at(p.paid_at) for p in made[1:]] == [start + timedelta(days=30 * n) for n in range(1, 13)]


async def test_trial_converts(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell(trial_period_days=7)
    assert (paid["membership"]["status"], paid["payment"]["total"]["amount"]) == ("trialing", "0.00")
    assert paid["payment"]["status"] == "paid"
    hooked.clear()
    await shop.emu.advance(days=5)
    assert hooked.types == ["membership.trial_ending_soon"]
    await shop.emu.advance(days=2)
    after = await membership(shop, paid)
    assert (after.status, after.current_period_start) == ("active", paid["membership"]["current_period_end"])
    (updated,) = hooked.of("membership.updated")
    assert updated.event["previous_attributes"]["status"] == "trialing"
    first, conversion = await payments(shop, paid)
    assert (first.total.amount, conversion.total.amount, conversion.billing_reason) == (
        "0.00",
        "29.00",
        "subscription_cycle",
    )


async def test_second_trial_is_charged_in_full(shop: Shop) -> None:
    checkout_id = await shop.checkout(await shop.plan(trial_period_days=7))
    first = await shop.emu.pay(checkout_id, email="kim@customer.test")
    await shop.sdk.memberships.cancel(first["membership"]["id"])
    second = await shop.emu.pay(checkout_id, email="kim@customer.test")
    assert (second["membership"]["status"], second["payment"]["total"]["amount"]) == ("active", "29.00")


async def test_a_trial_that_was_never_paid_for_is_not_used_up(shop: Shop) -> None:
    checkout_id = await shop.checkout(await shop.plan(trial_period_days=7))
    assert (await shop.emu.pay(checkout_id, DECLINED, email="kim@customer.test"))["outcome"] == "declined"
    assert (await shop.emu.pay(checkout_id, email="kim@customer.test"))["membership"]["status"] == "trialing"


async def test_canceled_trial_ends_without_a_charge(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell(trial_period_days=7)
    canceled = await shop.sdk.memberships.cancel(paid["membership"]["id"], cancel_at_period_end=True)
    assert (canceled.status, canceled.most_recent_action) == ("trialing", "trial_canceling_on")
    hooked.clear()
    await shop.emu.advance(days=8)
    assert (await membership(shop, paid)).status == "canceled"
    assert len(await payments(shop, paid)) == 1
    assert not [one for one in hooked.types if one.startswith("payment")]


async def test_declined_at_checkout_then_tried_again(shop: Shop, hooked: Receiver) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    declined = await shop.emu.pay(checkout_id, DECLINED, email="kim@customer.test")
    await shop.emu.settle()
    assert (declined["outcome"], declined["membership"]) == ("declined", None)
    failed = hooked.of("payment.failed")[0].data
    assert (failed["status"], failed["substatus"], failed["decline_code"]) == ("open", "failed", "generic_decline")
    assert failed["payments_failed"] == 1
    assert not hooked.of("membership.activated")
    assert (await shop.emu.pay(checkout_id, GOOD, email="kim@customer.test"))["outcome"] == "paid"


async def test_declined_renewal_recovers_by_itself(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell()
    mem = paid["membership"]["id"]
    await shop.emu.decline_next(mem, decline_code="expired_card")
    hooked.clear()
    await shop.emu.advance(days=30)
    late = await membership(shop, paid)
    assert (late.status, late.most_recent_action) == ("past_due", "next_payment_attempt")
    assert late.current_period_end == paid["membership"]["current_period_end"]
    (failed,) = hooked.of("payment.failed")
    assert (failed.data["decline_code"], failed.data["retryable"]) == ("expired_card", True)
    assert at(failed.data["next_payment_attempt_at"]) - at(failed.data["last_payment_attempt_at"]) == timedelta(days=1)
    assert [one.data["status"] for one in hooked.of("membership.deactivated")] == ["past_due"]
    hooked.clear()
    await shop.emu.advance(days=1)
    (succeeded,) = hooked.of("payment.succeeded")
    assert (succeeded.data["id"], succeeded.data["payments_failed"]) == (failed.data["id"], 1)
    recovered = await membership(shop, paid)
    assert recovered.status == "active"
    assert recovered.current_period_start == paid["membership"]["current_period_end"]
    assert hooked.of("membership.activated")


async def test_retries_used_up_cancel(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell(card=FAILS_LATER)
    hooked.clear()
    await shop.emu.advance(days=30)
    await shop.emu.advance(days=4)
    assert (await membership(shop, paid)).status == "past_due"
    await shop.emu.advance(days=1)
    assert (await membership(shop, paid)).status == "canceled"
    assert [one.data["payments_failed"] for one in hooked.of("payment.failed")] == [1, 2, 3, 4]
    assert len({one.data["id"] for one in hooked.received if one.type.startswith("payment")}) == 1
    (given_up,) = hooked.of("payment.canceled")
    assert (given_up.data["status"], given_up.data["next_payment_attempt_at"]) == ("uncollectible", None)
    hooked.clear()
    await shop.emu.advance(days=90)
    assert hooked.types == []


async def test_without_cancellation_billing_goes_on(receiver: Receiver) -> None:
    config = EmulatorConfig(start=START, subscription_failure_behavior="none")
    async with running_emulator(config) as emu:
        head = {"authorization": f"Bearer {config.api_key}"}
        product = await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
        plan = await emu.control.post(
            f"{emu.api_base_url}/plans",
            json={"product_id": product.json()["id"], "billing_period": 30, "renewal_price": 5},
            headers=head,
        )
        checkout = await emu.control.post(
            f"{emu.api_base_url}/checkout_configurations", json={"plan_id": plan.json()["id"]}, headers=head
        )
        paid = await emu.pay(checkout.json()["id"], FAILS_LATER, email="kim@customer.test")
        await emu.advance(days=120)
        read = await emu.control.get(f"{emu.api_base_url}/memberships/{paid['membership']['id']}", headers=head)
        assert read.json()["status"] == "past_due"


async def test_another_card_pays_what_is_overdue(shop: Shop) -> None:
    paid = await shop.sell(card=FAILS_LATER)
    await shop.emu.advance(days=30)
    assert (await membership(shop, paid)).status == "past_due"
    other = await shop.sell(card=GOOD)
    changed = await shop.sdk.memberships.update(
        paid["membership"]["id"], payment_method_id=other["payment"]["payment_method_id"]
    )
    assert changed.status == "active"
    stranger = await shop.sell("lee@customer.test")
    with pytest.raises(ApiError) as refused:
        await shop.sdk.memberships.update(
            paid["membership"]["id"], payment_method_id=stranger["payment"]["payment_method_id"]
        )
    assert refused.value.status_code == 404


async def test_challenge(shop: Shop, hooked: Receiver) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    left = await shop.emu.pay(checkout_id, CHALLENGED, email="kim@customer.test", challenge="leave")
    assert (left["outcome"], left["payment"]["status"], left["membership"]) == ("challenge", "open", None)
    assert (await shop.sdk.payments.retrieve_status(left["payment"]["id"])).status == "requires_action"
    failed = await shop.emu.pay(checkout_id, CHALLENGED, email="kim@customer.test", challenge="fail")
    assert failed["payment"]["decline_code"] == "three_d_secure_failed"
    passed = await shop.emu.pay(checkout_id, CHALLENGED, email="kim@customer.test")
    assert (passed["outcome"], passed["payment"]["three_ds_verified"]) == ("paid", True)
    await shop.emu.advance(days=30)
    assert [p.status for p in await payments(shop, passed)] == ["paid", "paid"]


async def test_cancel_at_period_end(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell()
    hooked.clear()
    await shop.sdk.memberships.cancel(paid["membership"]["id"], cancel_at_period_end=True, reason="too dear")
    await shop.emu.settle()
    assert sorted(hooked.types) == ["membership.cancel_at_period_end_changed", "membership.updated"]
    running = await membership(shop, paid)
    assert (running.status, running.cancellation_reason) == ("active", "too dear")
    hooked.clear()
    await shop.emu.advance(days=31)
    assert sorted(hooked.types) == ["membership.deactivated", "membership.updated"]
    ended = await membership(shop, paid)
    assert (ended.status, ended.canceled_at) == ("canceled", running.canceled_at)


async def test_cancel_is_immediate_by_default(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell(card=FAILS_LATER)
    await shop.emu.advance(days=30)
    hooked.clear()
    assert (await shop.sdk.memberships.cancel(paid["membership"]["id"])).status == "canceled"
    await shop.emu.settle()
    assert [one.data["status"] for one in hooked.of("payment.canceled")] == ["void"]
    with pytest.raises(ApiError) as again:
        await shop.sdk.memberships.cancel(paid["membership"]["id"])
    assert again.value.status_code == 409
    hooked.clear()
    await shop.emu.advance(days=30)
    assert hooked.types == []


async def test_lifetime_is_completed_for_ever(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell(plan_type="one_time", billing_period=None, initial_price=499, renewal_price=0)
    assert (paid["membership"]["status"], paid["membership"]["current_period_end"]) == ("completed", None)
    assert (paid["payment"]["total"]["amount"], paid["payment"]["billing_reason"]) == ("499.00", "one_time")
    hooked.clear()
    await shop.emu.advance(months=24)
    assert hooked.types == []


async def test_access_with_an_expiry_expires(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell(
        plan_type="one_time", billing_period=None, initial_price=20, renewal_price=0, expiration_days=10
    )
    await shop.sdk.memberships.extend(paid["membership"]["id"], days=5)
    await shop.emu.advance(days=14)
    assert (await membership(shop, paid)).status == "completed"
    await shop.emu.advance(days=1)
    assert (await membership(shop, paid)).status == "expired"


async def test_pause_stops_collection_until_resumed(shop: Shop) -> None:
    paid = await shop.sell()
    mem = paid["membership"]["id"]
    await shop.sdk.memberships.pause(mem)
    await shop.emu.advance(days=45)
    assert len(await payments(shop, paid)) == 1
    assert (await membership(shop, paid)).status == "active"
    await shop.sdk.memberships.resume(mem)
    await shop.emu.advance(seconds=1)
    made = await payments(shop, paid)
    assert len(made) == 2
    resumed = await membership(shop, paid)
    assert resumed.current_period_start == made[-1].paid_at


async def test_pause_until_resumes_by_itself(shop: Shop) -> None:
    paid = await shop.sell()
    until = at(paid["membership"]["current_period_end"]) + timedelta(days=10)
    await shop.sdk.memberships.pause(paid["membership"]["id"], until=until)
    await shop.emu.advance(days=39)
    assert len(await payments(shop, paid)) == 1
    await shop.emu.advance(days=1)
    assert at((await payments(shop, paid))[-1].paid_at) == until


async def test_status_filters_are_as_odd_as_at_whop(shop: Shop) -> None:
    plans: dict[str, dict[str, Any]] = {"a": {}, "b": {}, "c": {"trial_period_days": 7}, "d": {}}
    running, canceling, trialing, ended = [
        (await shop.sell(f"{name}@customer.test", **plan))["membership"]["id"] for name, plan in plans.items()
    ]
    lifetime = (
        await shop.sell("e@customer.test", plan_type="one_time", billing_period=None, initial_price=5, renewal_price=0)
    )["membership"]["id"]
    await shop.sdk.memberships.update(canceling, cancel_at_period_end=True)
    await shop.sdk.memberships.pause(running)
    await shop.sdk.memberships.cancel(ended)

    async def found(**filters: Any) -> set[str]:
        return {m.id async for m in await shop.sdk.memberships.list(**filters)}

    assert await found(status="active") == {running}
    assert await found(status="canceling") == {canceling}
    assert await found(status="paused") == {running}
    assert await found(status="canceled") == {ended}
    assert await found(status="one_time") == {lifetime}
    assert await found(statuses=["trialing", "canceling"]) == {trialing, canceling}
    assert await found() == {running, canceling, trialing, ended, lifetime}


async def test_refunds_never_exceed_the_payment(shop: Shop, hooked: Receiver) -> None:
    paid = await shop.sell()
    pay = paid["payment"]["id"]
    await shop.sdk.payments.refund(pay, partial_amount=20)
    for amount, status in ((9.01, 400), (0, 400), (-1, 400)):
        with pytest.raises(ApiError) as refused:
            await shop.sdk.payments.refund(pay, partial_amount=amount)
        assert refused.value.status_code == status
    await shop.sdk.payments.refund(pay)
    with pytest.raises(ApiError) as nothing_left:
        await shop.sdk.payments.refund(pay)
    assert nothing_left.value.status_code == 409
    await shop.emu.advance(seconds=1)
    after = await shop.sdk.payments.retrieve(pay)
    assert after.refunded_amount is not None
    assert (after.substatus, after.refunded_amount.amount, after.refundable) == ("refunded", "29.00", False)
    assert (await membership(shop, paid)).status == "active"


async def test_a_refund_can_stay_pending(receiver: Receiver) -> None:
    async with running_emulator(EmulatorConfig(start=START, refund_settle_seconds=3600)) as emu:
        head = {"authorization": f"Bearer {emu.config.api_key}"}
        base = emu.api_base_url
        product = (await emu.control.post(f"{base}/products", json={"title": "T"}, headers=head)).json()
        plan_body = {"product_id": product["id"], "plan_type": "one_time", "initial_price": 5}
        plan = (await emu.control.post(f"{base}/plans", json=plan_body, headers=head)).json()
        checkout = (
            await emu.control.post(f"{base}/checkout_configurations", json={"plan_id": plan["id"]}, headers=head)
        ).json()
        pay = (await emu.pay(checkout["id"], email="kim@customer.test"))["payment"]["id"]
        await emu.control.post(f"{base}/payments/{pay}/refund", headers=head)
        for minutes, status in ((59, "pending"), (1, "succeeded")):
            await emu.advance(minutes=minutes)
            refunds = (await emu.control.get(f"{base}/refunds", headers=head)).json()["data"]
            assert [r["status"] for r in refunds] == [status]


async def test_currencies_keep_their_own_decimals(shop: Shop) -> None:
    paid = await shop.sell(currency="jpy", renewal_price=2900)
    assert paid["payment"]["total"] == {"amount": "2900", "currency": "jpy", "decimals": 0, "display_decimals": 0}
    with pytest.raises(ApiError) as too_fine:
        await shop.plan(currency="jpy", renewal_price=2900.5)
    assert too_fine.value.status_code == 400
