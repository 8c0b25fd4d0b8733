"""Explicit invoices: made, changed, sent, charged, paid by hand, given up."""

from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.invoices.types import (
    CreateInvoicesRequestProduct,
    PostInvoiceCreatedPayload,
    PostInvoiceMarkedUncollectiblePayload,
    PostInvoicePaidPayload,
    PostInvoicePastDuePayload,
    PostInvoiceVoidedPayload,
)
from whop_sdk.types import Invoice

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import CHALLENGED, DECLINED, FAILS_LATER, NO_CERTIFICATES, Shop
from tests.emulator.receiver import Receiver

PAYLOADS = {
    "invoice.created": PostInvoiceCreatedPayload,
    "invoice.paid": PostInvoicePaidPayload,
    "invoice.past_due": PostInvoicePastDuePayload,
    "invoice.marked_uncollectible": PostInvoiceMarkedUncollectiblePayload,
    "invoice.voided": PostInvoiceVoidedPayload,
}


def order(shop: Shop, **over: Any) -> dict[str, Any]:
    """Consulting for 120 USD, sent to somebody unknown."""
    return {
        "account_id": shop.emu.config.account_id,
        "collection_method": "send_invoice",
        "product_id": shop.product_id,
        "plan": {"plan_type": "one_time", "initial_price": 120, "currency": "usd"},
        "email_address": "firm@customer.test",
        "customer_name": "Firm",
        **over,
    }


async def made(api: httpx.AsyncClient, shop: Shop, **over: Any) -> Invoice:
    answered = await api.post("invoices", json=order(shop, **over))
    assert answered.status_code == 201, answered.text
    return Invoice.model_validate(answered.json())


async def status(sdk: AsyncWhop, invoice_id: str) -> str:
    return str((await sdk.invoices.retrieve(invoice_id)).status)


async def test_the_sdk_makes_an_invoice_of_a_new_product(shop: Shop, sdk: AsyncWhop) -> None:
    body = order(
        shop,
        product={"title": "Consulting"},
        line_items=[
            {"label": "Hours", "quantity": 2, "unit_price": 75},
            {"label": "Discount", "unit_price": -30},
        ],
    )
    del body["product_id"]
    invoice = await sdk.invoices.create(request=CreateInvoicesRequestProduct(**body))
    assert (invoice.status, invoice.collection_method, invoice.product.title) == ("open", "send_invoice", "Consulting")
    assert [(line.label, line.quantity, line.total) for line in invoice.line_items] == [
        ("Hours", 2, 150),
        ("Discount", 1, -30),
    ]
    assert (invoice.email_address, invoice.customer_name, invoice.payment) == ("firm@customer.test", "Firm", None)
    assert (await sdk.invoices.retrieve(invoice.fetch_invoice_token)).id == invoice.id


async def test_a_draft_is_changed_sent_and_goes_past_due(
    shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient, emu: RunningEmulator, hooked: Receiver
) -> None:
    draft = await made(api, shop, save_as_draft=True, due_date="2026-09-20T00:00:00Z")
    assert draft.status == "draft"
    for verb in ("mark_paid", "mark_uncollectible", "void", "resend"):
        assert (await api.post(f"invoices/{draft.id}/{verb}")).status_code == 409
    changed = await sdk.invoices.update(
        draft.id,
        customer_name="The Firm",
        line_items=[{"label": "All", "unit_price": 120}],
        automatically_finalizes_at="2026-09-10T00:00:00Z",
    )
    assert (changed.customer_name, changed.line_items[0].label) == ("The Firm", "All")
    await emu.advance(days=10)
    assert await status(sdk, draft.id) == "open"
    assert (await api.patch(f"invoices/{draft.id}", json={"customer_name": "Late"})).status_code == 409
    assert (await api.delete(f"invoices/{draft.id}")).status_code == 409
    assert await sdk.invoices.resend(draft.id) is True
    await emu.advance(days=10)
    assert await status(sdk, draft.id) == "past_due"
    await emu.advance(days=120)
    assert await status(sdk, draft.id) == "void"
    for event in ("invoice.created", "invoice.past_due", "invoice.voided"):
        (one,) = hooked.of(event)
        PAYLOADS[event].model_validate(one.event)


async def test_a_draft_becomes_another_invoice(
    shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient, emu: RunningEmulator
) -> None:
    paid = (await shop.sell())["payment"]
    draft = await made(api, shop, save_as_draft=True)
    other = await sdk.products.create(title="Training", account_id=emu.config.account_id)
    moved = await sdk.invoices.update(draft.id, product_id=other.id)
    assert (moved.product.title, moved.line_items[0].total) == ("Training", 120)
    priced = await sdk.invoices.update(draft.id, plan={"initial_price": 80, "currency": "eur"})
    assert (priced.current_plan.currency, priced.product.title) == ("eur", "Training")
    assert [(line.quantity, line.total) for line in priced.line_items] == [(1, 80)]
    for refused in (
        {"collection_method": "charge_automatically"},
        {"collection_method": "charge_automatically", "payment_method_id": paid["payment_method_id"]},
        {"customer_name": "Half", "line_items": [{"label": "Half", "unit_price": 40}]},
        {"plan": {"initial_price": 0.1}, "customer_name": "Half"},
    ):
        assert (await api.patch(f"invoices/{draft.id}", json=refused)).status_code == 400
    assert (await api.patch(f"invoices/{draft.id}", json={"product_id": "prod_x"})).status_code == 404
    assert (await sdk.invoices.retrieve(draft.id)).customer_name == "Firm"
    charged = await sdk.invoices.update(
        draft.id,
        collection_method="charge_automatically",
        member_id=paid["member_id"],
        payment_method_id=paid["payment_method_id"],
        automatically_finalizes_at="2026-09-03T00:00:00Z",
    )
    assert charged.member is not None
    assert (charged.collection_method, charged.member.id) == ("charge_automatically", paid["member_id"])
    await emu.advance(days=3)
    assert await status(sdk, draft.id) == "paid"


async def test_drafts_are_deleted(shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient) -> None:
    draft = await made(api, shop, save_as_draft=True)
    assert await sdk.invoices.delete(draft.id) is True
    with pytest.raises(ApiError) as gone:
        await sdk.invoices.retrieve(draft.id)
    assert gone.value.status_code == 404


async def test_a_buyer_pays_after_a_declined_try(
    shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient, emu: RunningEmulator, hooked: Receiver
) -> None:
    plan = {
        "plan_type": "renewal",
        "billing_period": 30,
        "renewal_price": 29,
        "currency": "usd",
        "trial_period_days": 7,
    }
    invoice = await made(api, shop, plan=plan)
    declined = (await emu.control.post(f"invoices/{invoice.id}/pay", json={"card": DECLINED})).json()
    assert (declined["payment"]["substatus"], declined["invoice"]["status"]) == ("failed", "open")
    paid = (await emu.control.post(f"invoices/{invoice.id}/pay", json={})).json()
    assert (paid["payment"]["status"], paid["invoice"]["status"]) == ("paid", "paid")
    assert paid["invoice"]["payment"] == {"id": paid["payment"]["id"]}
    assert paid["payment"]["total"]["amount"] == "29.00"
    membership = await sdk.memberships.retrieve(paid["payment"]["membership_id"])
    assert membership.status == "active"
    assert (await emu.control.post(f"invoices/{invoice.id}/pay", json={})).status_code == 409
    await emu.settle()
    (one,) = hooked.of("invoice.paid")
    PostInvoicePaidPayload.model_validate(one.event)
    assert one.data["payment"]["id"] == paid["payment"]["id"]


async def test_the_page_of_an_invoice(shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient, emu: RunningEmulator) -> None:
    invoice = await made(api, shop, line_items=[{"label": "Hours", "quantity": 2, "unit_price": 60}])
    url = str(invoice.pay_online_url)
    card = {"card_expiry": "12/34", "card_cvc": "123"}
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as browser:
        shown = await browser.get(url)
        assert "Hours × 2" in shown.text
        assert "$120.00" in shown.text
        for number, code in (("1", 422), (DECLINED, 402)):
            assert (await browser.post(url, data={**card, "card_number": number})).status_code == code
        asked = await browser.post(url, data={**card, "card_number": CHALLENGED})
        bank = f"{emu.url}{asked.headers['location']}"
        assert url.removeprefix(emu.url) in (await browser.post(bank, data={"password": "wrong"})).text
        again = [await browser.post(url, data={**card, "card_number": CHALLENGED}) for _ in range(2)]
        first, second = (f"{emu.url}{one.headers['location']}" for one in again)
        assert (await browser.post(first, data={"password": "Checkout1!"})).status_code == 200
        assert (await browser.post(second, data={"password": "Checkout1!"})).status_code == 404
        assert (await browser.get(url)).status_code == 404
    settled = await sdk.invoices.retrieve(invoice.id)
    assert (settled.status, settled.pay_online_url) == ("paid", None)
    paid = [p async for p in await sdk.payments.list(status="paid")]
    assert len(paid) == 1
    assert settled.payment is not None
    assert settled.payment.id == paid[0].id


async def test_an_invoice_with_a_card_is_charged_at_once(
    shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient, emu: RunningEmulator
) -> None:
    good, bad = await shop.sell("a@customer.test"), await shop.sell("b@customer.test", FAILS_LATER)
    ids = []
    for sold in (good, bad):
        who = {key: sold["payment"][key] for key in ("member_id", "payment_method_id")}
        invoice = await made(api, shop, collection_method="charge_automatically", **who)
        assert invoice.payment_processing is True
        ids.append(invoice.id)
    await emu.settle()
    paid, unpaid = [await sdk.invoices.retrieve(found) for found in ids]
    assert (paid.status, unpaid.status, unpaid.payment_processing) == ("paid", "open", False)
    assert unpaid.payment is not None
    assert (await sdk.payments.retrieve(unpaid.payment.id)).decline_code == "insufficient_funds"
    await emu.change_card(bad["payment"]["payment_method_id"], "succeeds")
    assert (await sdk.payments.retry(unpaid.payment.id)).status == "paid"
    assert await status(sdk, ids[1]) == "paid"


async def test_marked_by_hand(
    shop: Shop, sdk: AsyncWhop, api: httpx.AsyncClient, emu: RunningEmulator, hooked: Receiver
) -> None:
    paid, bad, void = [(await made(api, shop)).id for _ in range(3)]
    assert await sdk.invoices.mark_paid(paid) is True
    assert await sdk.invoices.mark_uncollectible(bad) is True
    assert await sdk.invoices.void(void) is True
    by_hand = await sdk.invoices.retrieve(paid)
    assert (by_hand.status, by_hand.payment) == ("paid", None)
    (membership,) = [m async for m in await sdk.memberships.list(account_id=emu.config.account_id)]
    assert (membership.status, membership.collection_method) == ("completed", "send_invoice")
    listed = await sdk.invoices.list(account_id=emu.config.account_id, statuses=["void", "uncollectible"])
    assert {i.id async for i in listed} == {bad, void}
    for found in (paid, bad, void):
        assert (await api.post(f"invoices/{found}/void")).status_code == 409
    await emu.settle()
    for event in ("invoice.paid", "invoice.marked_uncollectible", "invoice.voided"):
        (one,) = hooked.of(event)
        PAYLOADS[event].model_validate(one.event)
    assert (await api.get("invoices?statuses=late")).status_code == 400
    assert [i async for i in await sdk.invoices.list(collection_methods=["charge_automatically"])] == []


IMPOSSIBLE: list[tuple[dict[str, Any], int]] = [
    ({"collection_method": None}, 400),
    ({"collection_method": "charge_automatically"}, 400),
    ({"plan": None}, 400),
    ({"product": {"title": "Both"}}, 400),
    ({"product_id": "prod_x"}, 404),
    ({"email_address": None}, 400),
    ({"customer_name": None}, 400),
    ({"member_id": "mber_x"}, 404),
    ({"account_id": "biz_other"}, 404),
    ({"line_items": [{"label": "Half", "unit_price": 60}]}, 400),
    ({"line_items": [{"label": "Odd", "unit_price": 1.005}]}, 400),
    ({"due_date": "tomorrow"}, 400),
    ({"surprise": 1}, 400),
    ({"plan": {"initial_price": 0.5}}, 400),
]


async def test_impossible_invoices(shop: Shop, api: httpx.AsyncClient) -> None:
    before = (await shop.emu.state())["counts"]
    for over, code in IMPOSSIBLE:
        answered = await api.post("invoices", json=order(shop, **over))
        assert answered.status_code == code, (over, answered.text)
    assert (await shop.emu.state())["counts"] == before
