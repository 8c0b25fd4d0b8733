"""Prices fixed ahead: payment quotes, and the preview of a plan's tax."""

from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import FAILS_LATER, Shop


async def buyer(shop: Shop, card: str = "4242424242424242", country: str | None = "de") -> dict[str, Any]:
    """Somebody in Germany with a stored card."""
    checkout_id = await shop.checkout(await shop.plan(initial_price=1))
    paid = await shop.emu.pay(checkout_id, card, email="kim@customer.test", country=country)
    return {
        "account_id": shop.emu.config.account_id,
        "member_id": paid["payment"]["member_id"],
        "payment_method_id": paid["payment"]["payment_method_id"],
    }


async def refused(awaitable: Any, status: int, code: str) -> None:
    with pytest.raises(ApiError) as caught:
        await awaitable
    assert (caught.value.status_code, caught.value.body["error"]["code"]) == (status, code)


async def test_a_quote_is_charged_as_it_was_priced(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    await emu.set_taxes({"de": 1900})
    who, plan_id = await buyer(shop), await shop.plan(trial_period_days=7)
    await sdk.promo_codes.create(
        account_id=emu.config.account_id,
        code="HALF",
        promo_type="percentage",
        amount_off=0.5,
        base_currency="usd",
        promo_duration_months=0,
        new_users_only=False,
    )
    quote = await sdk.payment_quotes.create(
        account_id=emu.config.account_id, plan_id=plan_id, promo_code="half", address={"country": "DE"}
    )
    assert [quote.subtotal.amount, quote.discount.amount, quote.tax_amount.amount, quote.total.amount] == [
        "29.00",
        "14.50",
        "2.76",
        "17.26",
    ]
    assert (quote.tax_status, quote.tax_behavior, quote.located_by) == ("calculated", "exclusive", "address")
    await emu.set_taxes({"de": 2500})
    made = await sdk.payments.create(**who, quote_id=quote.id)
    assert made.total is not None
    assert (made.total.amount, made.quote_id, made.plan_id) == ("17.26", quote.id, plan_id)
    assert (await sdk.payment_quotes.retrieve(quote.id)).payment_id == made.id
    await refused(sdk.payments.create(**who, quote_id=quote.id), 409, "quote_in_use")
    await emu.settle()
    assert (await sdk.payments.retrieve(made.id)).status == "paid"


async def test_quotes_that_cannot_be_paid(shop: Shop, sdk: AsyncWhop, emu: RunningEmulator) -> None:
    who, plan_id, other = await buyer(shop, FAILS_LATER, "fr"), await shop.plan(), await shop.plan()
    account = emu.config.account_id

    async def quoted(**where: Any) -> str:
        return (await sdk.payment_quotes.create(account_id=account, plan_id=plan_id, **where)).id

    await refused(sdk.payments.create(**who, quote_id=await quoted(), plan_id=other), 400, "quote_mismatch")
    elsewhere = await quoted(address={"country": "DE"})
    await refused(sdk.payments.create(**who, quote_id=elsewhere), 400, "quote_mismatch")
    old, held = await quoted(), await quoted()
    declined = await sdk.payments.create(**who, quote_id=held)
    await emu.settle()
    await refused(sdk.payments.create(**who, quote_id=held), 409, "quote_in_use")
    await sdk.payments.void(declined.id)
    assert (await sdk.payments.create(**who, quote_id=held)).quote_id == held
    await emu.advance(hours=2)
    await refused(sdk.payments.create(**who, quote_id=old), 400, "quote_expired")
    await emu.set_taxes({"de": 1900})
    await refused(sdk.payment_quotes.create(account_id=account, plan_id=plan_id), 400, "quote_location_required")


async def test_unknown_quotes(shop: Shop, api: httpx.AsyncClient) -> None:
    who = await buyer(shop)
    assert (await api.post("payments", json={**who, "quote_id": "pq_x"})).status_code == 404
    assert (await api.get("payment_quotes/pq_x")).status_code == 404
    body = {"account_id": who["account_id"], "plan_id": await shop.plan()}
    for over in ({"plan_id": None}, {"address": {"country": "Germany"}}, {"ip_address": "1.2.3.4"}):
        assert (await api.post("payment_quotes", json={**body, **over})).status_code == 400


@pytest.mark.parametrize("module", ["variants", "plans"])
async def test_the_tax_of_a_plan_in_minor_units(
    module: str, shop: Shop, sdk: AsyncWhop, emu: RunningEmulator, api: httpx.AsyncClient
) -> None:
    plan_id = await shop.plan(override_tax_type="inclusive")
    plans = getattr(sdk, module)
    none = await plans.calculate_tax(plan_id, address={"country": "DE"})
    assert (none.status, none.tax_amount, none.total) == ("not_calculated", 0, 2900)
    await emu.set_taxes({"de": 1900})
    taxed = await plans.calculate_tax(plan_id, address={"country": "DE", "city": "Berlin"})
    assert (taxed.status, taxed.tax_behavior, taxed.subtotal, taxed.tax_amount, taxed.total) == (
        "calculated",
        "inclusive",
        2900,
        463,
        2900,
    )
    assert (await api.post(f"{module}/{plan_id}/calculate_tax", json={})).status_code == 400
    assert (await api.post(f"{module}/plan_x/calculate_tax", json={"address": {"country": "de"}})).status_code == 404
