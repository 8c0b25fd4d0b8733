"""Saving a card without buying: checkouts in mode `setup`, setup intents, stored payment methods."""

from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.setup_intents.types import (
    PostSetupIntentCanceledPayload,
    PostSetupIntentRequiresActionPayload,
    PostSetupIntentSucceededPayload,
)
from whop_sdk.types import CheckoutConfiguration, SetupIntentLegacy

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import CHALLENGED, DECLINED, GOOD, NO_CERTIFICATES, Shop
from tests.emulator.receiver import SECRET, Receiver

PASSWORD = "Checkout1!"
PAYLOADS = {
    "setup_intent.succeeded": PostSetupIntentSucceededPayload,
    "setup_intent.requires_action": PostSetupIntentRequiresActionPayload,
    "setup_intent.canceled": PostSetupIntentCanceledPayload,
}


async def setup_checkout(shop: Shop, **over: Any) -> CheckoutConfiguration:
    values = {"redirect_url": "https://app.example.com/billing", "metadata": {"for": "dunning"}, **over}
    return await shop.sdk.checkout_configurations.create(account_id=shop.emu.config.account_id, mode="setup", **values)


def card(number: str) -> dict[str, str]:
    return {"email": "kim@customer.test", "card_number": number, "card_expiry": "12/34", "card_cvc": "123"}


async def test_a_card_is_saved_on_the_page_and_charged_later(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    checkout = await setup_checkout(shop)
    assert (checkout.mode, checkout.plan) == ("setup", None)
    url = str(checkout.purchase_url)
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        assert "Nothing is charged" in (await browser.get(url)).text
        for broken, status in (({"email": "kim"}, 422), ({"card_number": "1"}, 422), (card(DECLINED), 402)):
            assert (await browser.post(url, data={**card(GOOD), **broken})).status_code == status
        saved = await browser.post(url, data=card(GOOD))
    assert saved.status_code == 303
    (intent, declined) = [one async for one in await sdk.setup_intents.list(account_id=emu.config.account_id)]
    assert saved.headers["location"] == (
        f"https://app.example.com/billing?setup_intent_id={intent.id}&status=succeeded"
    )
    assert (intent.status, intent.checkout_configuration_id, intent.metadata) == (
        "succeeded",
        checkout.id,
        {"for": "dunning"},
    )
    assert declined.last_setup_error is not None
    assert (declined.status, declined.payment_method_id, declined.last_setup_error.code) == (
        "canceled",
        None,
        "generic_decline",
    )
    assert (await sdk.setup_intents.retrieve_status(intent.id)).status == "succeeded"
    charged = await sdk.payments.create(
        account_id=emu.config.account_id,
        member_id=intent.member_id,
        payment_method_id=intent.payment_method_id,
        plan_id=await shop.plan(),
    )
    await emu.settle()
    assert (await sdk.payments.retrieve(charged.id)).status == "paid"
    assert [one async for one in await sdk.memberships.list(account_id=emu.config.account_id, status="active")]
    for event, number in (("setup_intent.succeeded", 1), ("setup_intent.canceled", 1)):
        assert len(hooked.of(event)) == number
        PAYLOADS[event].model_validate(hooked.of(event)[0].event)


async def test_the_bank_asks_before_a_card_is_saved(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, hooked: Receiver
) -> None:
    checkout = await setup_checkout(shop, redirect_url=None)
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        asked = await browser.post(str(checkout.purchase_url), data=card(CHALLENGED))
        (intent,) = [one async for one in await sdk.setup_intents.list(status="requires_action")]
        status = await sdk.setup_intents.retrieve_status(intent.id)
        assert status.next_action is not None
        url = status.next_action.data.url
        assert url == f"{emu.url}{asked.headers['location']}"
        assert (await browser.get(url)).status_code == 200
        moved = await sdk.setup_intents.update_return_url(intent.id, return_url="https://x.example.com/")
        assert moved.return_url == "https://x.example.com/"
        done = await browser.post(url, data={"password": PASSWORD})
        assert done.headers["location"].startswith("https://x.example.com/?setup_intent_id=")
        assert (await browser.post(url, data={"password": PASSWORD})).status_code == 404
    saved = await sdk.setup_intents.retrieve(intent.id)
    assert (saved.status, saved.three_ds_verified) == ("succeeded", True)
    with pytest.raises(ApiError) as late:
        await sdk.setup_intents.update_return_url(intent.id, return_url="https://x.example.com/")
    assert late.value.status_code == 409
    failed = await emu.pay(checkout.id, CHALLENGED, email="lee@customer.test", challenge="fail")
    assert (failed["outcome"], failed["setup_intent"]["last_setup_error"]["code"]) == (
        "declined",
        "three_d_secure_failed",
    )
    assert [m async for m in await sdk.payment_methods.list(member_id=failed["setup_intent"]["member_id"])] == []
    await emu.settle()
    PostSetupIntentRequiresActionPayload.model_validate(hooked.of("setup_intent.requires_action")[0].event)


async def test_a_new_card_ends_the_dunning(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    paid = await shop.sell(card="4000000000000341")
    mem = paid["membership"]["id"]
    await emu.advance(days=30)
    assert (await sdk.memberships.retrieve(mem)).status == "past_due"
    checkout = await setup_checkout(shop)
    saved = await emu.pay(checkout.id, GOOD, email="kim@customer.test")
    assert saved["setup_intent"]["member_id"] == paid["payment"]["member_id"]
    fresh = saved["setup_intent"]["payment_method_id"]
    assert (await sdk.memberships.update(mem, payment_method_id=fresh)).status == "active"


async def test_a_stored_card_is_verified_again(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    method = (await shop.sell())["payment"]["payment_method_id"]
    account = emu.config.account_id
    again = await sdk.setup_intents.create(account_id=account, payment_method_id=method, metadata={"a": "b"})
    assert (again.status, again.payment_method_id, again.metadata) == ("succeeded", method, {"a": "b"})
    strict = await sdk.setup_intents.create(
        account_id=account, payment_method_id=method, three_ds_level="mandate_challenge"
    )
    assert strict.status == "requires_action"


IMPOSSIBLE: list[tuple[dict[str, Any], int]] = [
    ({}, 400),
    ({"payment_method_id": "payt_x"}, 404),
    ({"confirmation_token": "ctoken_x"}, 400),
    ({"payment_method_id": "payt_x", "three_ds_level": "maybe"}, 400),
    ({"payment_method_id": "payt_x", "surprise": 1}, 400),
    ({"account_id": "biz_other", "payment_method_id": "payt_x"}, 404),
]


async def test_impossible_setup_intents(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    for body, status in IMPOSSIBLE:
        answered = await api.post("setup_intents", json={"account_id": emu.config.account_id, **body})
        assert answered.status_code == status, (body, answered.text)


async def test_setup_checkouts_sell_nothing(shop: Shop, emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    body = {"account_id": emu.config.account_id, "mode": "setup", "plan_id": await shop.plan()}
    assert (await api.post("checkout_configurations", json=body)).status_code == 400
    assert (await api.get("setup_intents?status=done")).status_code == 400
    assert (await api.get("setup_intents/sint_x")).status_code == 404
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        paying = await shop.checkout(await shop.plan())
        assert (await browser.get(f"{emu.url}/setup/{paying}")).status_code == 404


async def test_unpinned_endpoints_get_the_old_shape(shop: Shop, emu: RunningEmulator, receiver: Receiver) -> None:
    await emu.register_webhook(receiver.url, SECRET, legacy=True)
    checkout = await setup_checkout(shop)
    await emu.pay(checkout.id, GOOD, email="kim@customer.test")
    await emu.settle()
    parsed = SetupIntentLegacy.model_validate(receiver.of("setup_intent.succeeded")[0].data)
    assert parsed.payment_method is not None
    assert parsed.payment_method.card is not None
    assert parsed.payment_method.card.last4 == "4242"


async def test_stored_cards_are_filtered_and_deleted(
    shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, api: httpx.AsyncClient
) -> None:
    paid = await shop.sell()
    member, used = paid["payment"]["member_id"], paid["payment"]["payment_method_id"]
    checkout = await setup_checkout(shop)
    spare = (await emu.pay(checkout.id, "5555555555554444", email="kim@customer.test"))["setup_intent"]
    spare_id = spare["payment_method_id"]
    assert {m.id async for m in await sdk.payment_methods.list(member_id=member)} == {used, spare_id}
    assert [m.id async for m in await sdk.payment_methods.list(card_brands=["mastercard"])] == [spare_id]
    for nothing in ({"expired": True}, {"broken": True}, {"payment_method_types": ["paypal"]}):
        assert [m.id async for m in await sdk.payment_methods.list(member_id=member, **nothing)] == []
    await emu.change_card(spare_id, "declines:lost_card")
    assert [m.id async for m in await sdk.payment_methods.list(broken=True)] == [spare_id]
    with pytest.raises(ApiError) as in_use:
        await sdk.payment_methods.delete_payment_method(used)
    assert in_use.value.status_code == 409
    assert await sdk.payment_methods.delete_payment_method(spare_id) is True
    with pytest.raises(ApiError) as gone:
        await sdk.payment_methods.retrieve(spare_id)
    assert gone.value.status_code == 404
    assert (await api.get(f"payment_methods/{used}?member_id=mber_x")).status_code == 404
    assert (await api.get("payment_methods?expired=maybe")).status_code == 400
    assert (await sdk.setup_intents.retrieve(spare["id"])).payment_instrument is None
    bad = await emu.control.post(f"payment_methods/{used}", json={"behaviour": "explodes"})
    assert bad.status_code == 400
    await emu.advance(days=366 * 4)
    assert [m.id async for m in await sdk.payment_methods.list(member_id=member, expired=True)] == [used]
