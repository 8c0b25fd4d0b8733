"""Charges a server asks for: stored cards, reservations, retries, receipts, and the buyer's bank in between."""

from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.types import Payment

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import CHALLENGED, FAILS_LATER, NO_CERTIFICATES, Shop
from tests.emulator.receiver import Receiver

ALWAYS_CHALLENGED = "4000002760003184"
PASSWORD = "Checkout1!"


async def customer(shop: Shop, card: str = "4242424242424242", email: str = "kim@customer.test") -> dict[str, Any]:
    """Somebody with a stored card: what names them in POST /payments."""
    paid = await shop.sell(email, card, plan_type="one_time", billing_period=None, initial_price=1, renewal_price=0)
    return {
        "account_id": shop.emu.config.account_id,
        "member_id": paid["payment"]["member_id"],
        "payment_method_id": paid["payment"]["payment_method_id"],
    }


async def refused(awaitable: Any, status: int, code: str | None = None) -> str:
    with pytest.raises(ApiError) as caught:
        await awaitable
    assert caught.value.status_code == status, caught.value.body
    error = caught.value.body["error"]
    assert error.get("code") == code
    return str(error["message"])


async def test_a_charge_is_collected_in_the_background(shop: Shop, sdk: AsyncWhop, hooked: Receiver) -> None:
    who, plan_id = await customer(shop), await shop.plan()
    await shop.emu.settle()
    hooked.clear()
    made = await sdk.payments.create(**who, plan_id=plan_id, metadata={"order": "7"})
    assert (made.status, made.substatus, made.membership_id, made.metadata) == ("open", "pending", None, {"order": "7"})
    await shop.emu.settle()
    paid = await sdk.payments.retrieve(made.id)
    assert (paid.status, paid.billing_reason) == ("paid", "subscription_create")
    assert paid.membership_id is not None
    membership = await sdk.memberships.retrieve(paid.membership_id)
    assert (membership.status, membership.metadata) == ("active", {})
    assert set(hooked.types) == {
        "payment.created",
        "payment.succeeded",
        "membership.activated",
        "membership.updated",
    }
    await shop.emu.advance(days=31)
    assert (await sdk.memberships.retrieve(paid.membership_id)).status == "active"


async def test_a_declined_charge_can_be_retried_with_a_card_that_works_again(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    who, plan_id = await customer(shop, FAILS_LATER), await shop.plan()
    made = await sdk.payments.create(**who, plan_id=plan_id)
    await emu.settle()
    failed = await sdk.payments.retrieve(made.id)
    assert (failed.status, failed.substatus, failed.decline_code) == ("open", "failed", "insufficient_funds")
    assert (failed.retryable, failed.voidable, failed.payments_failed) == (True, True, 1)
    status = await sdk.payments.retrieve_status(made.id)
    assert status.last_payment_error is not None
    assert (status.status, status.last_payment_error.decline_code) == ("requires_confirmation", "insufficient_funds")
    await emu.change_card(who["payment_method_id"], "succeeds")
    retried = await sdk.payments.retry(made.id)
    assert (retried.status, retried.decline_code, retried.payments_failed) == ("paid", None, 1)
    assert retried.membership_id is not None
    await refused(sdk.payments.retry(made.id), 409)
    await refused(sdk.payments.void(made.id), 409)
    await emu.settle()
    assert len(hooked.of("payment.failed")) == 1


async def test_voiding_an_unpaid_charge(shop: Shop, sdk: AsyncWhop, hooked: Receiver) -> None:
    who = await customer(shop, FAILS_LATER)
    made = await sdk.payments.create(**who, plan_id=await shop.plan())
    await shop.emu.settle()
    voided = await sdk.payments.void(made.id)
    assert (voided.status, voided.substatus, voided.voidable, voided.retryable) == ("void", "canceled", False, False)
    assert (await sdk.payments.retrieve_status(made.id)).status == "canceled"
    await shop.emu.settle()
    assert [one.data["id"] for one in hooked.of("payment.canceled")] == [made.id]


async def test_a_reservation_is_captured(shop: Shop, sdk: AsyncWhop, hooked: Receiver) -> None:
    made = await sdk.payments.create(**await customer(shop), plan_id=await shop.plan(), capture=False)
    await shop.emu.settle()
    held = await sdk.payments.retrieve(made.id)
    assert (held.status, held.substatus, held.voidable) == ("authorized", "requires_capture", True)
    assert held.membership_id is None
    status = await sdk.payments.retrieve_status(made.id)
    assert (status.status, status.auto_capture_at) == ("requires_capture", None)
    assert status.capture_expires_at is not None
    assert (await sdk.payments.capture(made.id)).status == "succeeded"
    assert (await sdk.payments.retrieve(made.id)).membership_id is not None
    await refused(sdk.payments.capture(made.id), 409)
    await shop.emu.advance(days=6)
    assert (await sdk.payments.retrieve(made.id)).status == "paid"
    assert [one.data["id"] for one in hooked.of("payment.authorized")] == [made.id]


async def test_a_reservation_lapses_or_captures_itself(shop: Shop, sdk: AsyncWhop) -> None:
    who, plan_id = await customer(shop), await shop.plan()
    lapsing = await sdk.payments.create(**who, plan_id=plan_id, capture=False)
    by_itself = await sdk.payments.create(**who, plan_id=plan_id, capture=False, auto_capture_after_minutes=60)
    await shop.emu.advance(hours=2)
    assert (await sdk.payments.retrieve(by_itself.id)).status == "paid"
    assert (await sdk.payments.retrieve(lapsing.id)).status == "authorized"
    await shop.emu.advance(days=5)
    assert (await sdk.payments.retrieve(lapsing.id)).status == "void"


async def test_a_present_buyer_is_sent_to_the_bank(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    who, plan_id = await customer(shop, CHALLENGED), await shop.plan()
    back = "https://app.example.com/back"
    made = await sdk.payments.create(**who, plan_id=plan_id, return_url=back)
    await emu.settle()
    status = await sdk.payments.retrieve_status(made.id)
    assert (status.status, status.return_url) == ("requires_action", back)
    assert status.next_action is not None
    url = status.next_action.data.url
    assert url == (await sdk.payments.retrieve(made.id)).recovery_url
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        assert (await browser.get(url)).status_code == 200
        answered = await browser.post(url, data={"password": PASSWORD})
    assert answered.status_code == 303
    assert answered.headers["location"].startswith(f"{back}?payment_id={made.id}")
    paid = await sdk.payments.retrieve(made.id)
    assert (paid.status, paid.three_ds_verified) == ("paid", True)
    absent = await sdk.payments.create(**who, plan_id=plan_id, off_session=True)
    await emu.settle()
    assert (await sdk.payments.retrieve(absent.id)).status == "paid"


async def test_a_bank_that_always_asks_makes_a_renewal_wait_for_its_owner(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    paid = await shop.sell(card=ALWAYS_CHALLENGED)
    assert paid["outcome"] == "paid"
    await emu.advance(days=30)
    mem = paid["membership"]["id"]
    (asked,) = [p async for p in await sdk.payments.list(membership_id=mem, status="open")]
    assert (asked.substatus, asked.decline_code, asked.recovery_url) == ("incomplete", "authentication_required", None)
    assert (await sdk.memberships.retrieve(mem)).status == "past_due"
    assert [one.data["id"] for one in hooked.of("payment.requires_action")] == [asked.id]
    assert hooked.of("payment.failed") == []
    url = (await sdk.payments.retrieve(asked.id)).recovery_url
    assert url is not None
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        assert (await browser.post(url, data={"password": PASSWORD})).status_code == 200
    renewed = await sdk.payments.retrieve(asked.id)
    assert (renewed.status, renewed.three_ds_verified, renewed.next_payment_attempt_at) == ("paid", True, None)
    assert (await sdk.memberships.retrieve(mem)).status == "active"


IMPOSSIBLE: list[dict[str, Any]] = [
    {"member_id": None},
    {"payment_method_id": None},
    {"plan_id": None},
    {"auto_capture_after_minutes": 60},
    {"capture": False, "auto_capture_after_minutes": 4},
    {"off_session": False},
    {"return_url": "http://shop.example.com/"},
    {"statement_descriptor": "SHOP"},
    {"statement_descriptor": "WHOP*"},
    {"promo_code": "A", "promo_code_id": "promo_x"},
    {"confirmation_token": "ctoken_x"},
    {"line_items": []},
    {"line_items": [{"plan_id": "plan_x"}]},
    {"surprise": 1},
]


async def test_impossible_charges_are_refused(shop: Shop, api: httpx.AsyncClient) -> None:
    body = {**await customer(shop), "plan_id": await shop.plan()}
    for over in IMPOSSIBLE:
        answered = await api.post("payments", json={**body, **over})
        assert answered.status_code == 400, (over, answered.text)
        assert "message" in answered.json()["error"]
    assert len((await api.get("payments")).json()["data"]) == 1


async def test_foreign_ids_are_not_found(shop: Shop, api: httpx.AsyncClient) -> None:
    who, other = await customer(shop), await customer(shop, email="lee@customer.test")
    body = {**who, "plan_id": await shop.plan()}
    for over in (
        {"account_id": "biz_other"},
        {"member_id": "mber_x"},
        {"payment_method_id": other["payment_method_id"]},
        {"plan_id": "plan_x"},
    ):
        assert (await api.post("payments", json={**body, **over})).status_code == 404


async def test_inline_plans_and_single_line_items_are_charged(
    shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient
) -> None:
    who = await customer(shop)
    inline = {"product_id": shop.product_id, "plan_type": "one_time", "initial_price": 12.5, "currency": "usd"}
    for purchase in ({"plan": inline}, {"line_items": [{"plan": inline, "quantity": 1}]}):
        answered = await api.post("payments", json={**who, **purchase})
        assert answered.status_code == 201, answered.text
        made = Payment.model_validate(answered.json())
        await shop.emu.settle()
        paid = await sdk.payments.retrieve(made.id)
        assert paid.total is not None
        assert (paid.status, paid.billing_reason, paid.total.amount) == ("paid", "one_time", "12.50")


async def test_receipts_are_real_pdfs_for_an_hour(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    paid = await shop.sell()
    link = await sdk.payments.generate_pdf(paid["payment"]["id"])
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        got = await browser.get(link.url)
        assert (got.status_code, got.headers["content-type"]) == (200, "application/pdf")
        assert got.content.startswith(b"%PDF-1.4\n")
        assert b"29.00 USD" in got.content
        place = int(got.content.rpartition(b"startxref\n")[2].split()[0])
        assert got.content[place:].startswith(b"xref\n")
        forged = link.url[:-1] + ("0" if link.url[-1] != "0" else "1")
        assert (await browser.get(forged)).status_code == 404
        await emu.advance(hours=2)
        assert (await browser.get(link.url)).status_code == 404


async def test_payments_are_found_by_text_and_listed_by_time_of_payment(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, api: httpx.AsyncClient
) -> None:
    first = await shop.sell("kim@customer.test", FAILS_LATER)
    await emu.advance(days=30)
    second = await shop.sell("lee@customer.test")
    await emu.change_card(first["payment"]["payment_method_id"], "succeeds")
    await emu.advance(days=2)
    found = [p.id async for p in await sdk.payments.list(query="LEE@")]
    assert found == [second["payment"]["id"]]
    by_paid = [p async for p in await sdk.payments.list(order="paid_at", direction="asc")]
    times = [p.paid_at for p in by_paid if p.paid_at is not None]
    assert len(times) == 3
    assert times == sorted(times)
    assert by_paid[-1].membership_id == first["membership"]["id"]
    for bad in ("status=late", "order=amount", "updated_after=2026-01-01T00:00:00Z", "statuses=paid"):
        assert (await api.get(f"payments?{bad}")).status_code == 400


async def test_money_that_takes_days_to_arrive(shop: Shop, sdk: AsyncWhop, hooked: Receiver) -> None:
    arriving = await shop.sell("a@customer.test", "4000000000000077")
    failing = await shop.sell("b@customer.test", "4000000000000085")
    assert (arriving["outcome"], arriving["membership"], failing["outcome"]) == ("pending", None, "pending")
    assert "checkout_status=processing" in arriving["redirect_url"]
    good, bad = arriving["payment"]["id"], failing["payment"]["id"]
    status = await sdk.payments.retrieve_status(good)
    assert status.processing_details is not None
    assert (status.status, (status.processing_details.expected_by or "")[:10]) == ("processing", "2026-09-04")
    await refused(sdk.payments.refund(good), 409)
    await refused(sdk.payments.void(good), 409)
    await shop.emu.advance(days=4)
    paid = await sdk.payments.retrieve(good)
    assert (paid.status, (paid.paid_at or "")[:10]) == ("paid", "2026-09-04")
    failed = await sdk.payments.retrieve(bad)
    assert (failed.status, failed.decline_code, failed.membership_id) == ("open", "bank_insufficient_funds", None)
    assert {one.data["id"] for one in hooked.of("payment.pending")} == {good, bad}
    assert [one.data["id"] for one in hooked.of("payment.failed")] == [bad]


async def test_a_checkout_can_send_every_card_to_the_bank(shop: Shop, emu: RunningEmulator) -> None:
    checkout_id = await shop.checkout(await shop.plan(), three_ds_level="mandate_challenge")
    left = await emu.pay(checkout_id, email="kim@customer.test", challenge="leave")
    assert (left["outcome"], left["payment"]["substatus"]) == ("challenge", "incomplete")
    passed = await emu.pay(checkout_id, email="kim@customer.test")
    assert (passed["outcome"], passed["payment"]["three_ds_verified"]) == ("paid", True)


async def test_only_the_buyer_resumes(shop: Shop, sdk: AsyncWhop) -> None:
    paid = await shop.sell()
    await refused(sdk.payments.resume(paid["payment"]["id"]), 403)
    await refused(sdk.payments.update_return_url(paid["payment"]["id"], return_url="https://x.example.com/"), 409)
