"""A code from the pricing page to the third renewal: shown, charged, invoiced, reported, the same to the minor unit."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import httpx
import pytest

from quntedge.checkout.promotion_report import report
from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import checkout_of, sign_in, sign_up
from tests.journeys.world import Product, running_product
from tests.promotions.conftest import spec, usd


@pytest.mark.slow
@pytest.mark.long
async def test_three_discounted_charges_and_then_the_full_price(settings: Settings, database_url: str) -> None:
    async with running_product(settings, database_url) as product, product.browser() as kim:
        async with product.runtime.units() as unit:
            wanted = spec(percent_bp=1450, periods=2, max_uses=1)
            await product.runtime.services.promotions.service.save(unit, wanted, by="cli:test", codes=["LAUNCH"])
            await unit.commit()
        await sign_up(kim, "kim@customers.test")
        offer = await _validate(kim, "quarterly", "ｌaunch")
        assert offer["today"]["total"] == {"amount_minor": 6412, "currency": "usd"}
        assert [line["kind"] for line in offer["today"]["lines"]] == ["plan", "discount"]

        await _see_it_on_the_pricing_page(kim)
        paid = await _buy_on_the_pages(product, kim)
        assert paid["payment"]["total"]["amount"] == "64.12"
        billing = _text(await kim.get("/billing"))
        assert "LAUNCH: 14.5% off" in billing
        assert "One more payment of $64.12, after that $75.00." in billing

        await product.advance(days=91)
        await product.advance(days=90)
        await sign_in(kim, "kim@customers.test")
        assert "14.5% off" not in _text(await kim.get("/billing"))
        transactions = (await kim.get("/api/payment/transactions")).json()["data"]
        assert [one["total"]["amount_minor"] for one in transactions] == [7500, 6412, 6412]
        invoices = (await kim.get("/api/payment/invoices")).json()["data"]
        assert [one["total"]["amount_minor"] for one in invoices] == [7500, 6412, 6412]
        async with product.runtime.units() as unit:
            found = await report(unit.session)
        (row,) = found.rows
        assert (row.code, row.uses, row.payments, row.differing) == ("launch", 1, 2, 0)
        assert (row.discounts, row.revenue) == (usd(2176), usd(12824))
        later = datetime(2027, 12, 1, tzinfo=UTC)
        async with product.runtime.units() as unit:
            assert (await report(unit.session, since=later)).rows == ()


async def _validate(client: httpx.AsyncClient, plan: str, code: str) -> dict[str, Any]:
    answer = await client.post("/api/payment/promotions/validate", json={"plan": plan, "promotion_code": code})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _see_it_on_the_pricing_page(client: httpx.AsyncClient) -> None:
    page = await client.get("/pricing", params={"code": " launch "})
    assert page.status_code == 200
    text = _text(page)
    assert "LAUNCH: 14.5% off" in text
    assert "The next payment costs the same, after that $75.00 per quarter." in text
    assert "We do not know this code." in _text(await client.get("/pricing?code=NOBODY"))
    assert "This is not a promotion code." in _text(await client.get("/pricing?code=%25"))


async def _buy_on_the_pages(product: Product, client: httpx.AsyncClient) -> dict[str, Any]:
    page = await client.get("/pricing?code=LAUNCH")
    form = _form(page.text, "quarterly")
    started = await client.post("/checkout/start", data=form)
    assert started.status_code == 303, started.text
    shown = await client.get(started.headers["location"])
    assert "LAUNCH: 14.5% off" in _text(shown)
    assert "$64.12" in _text(shown)
    (code,) = re.findall(r'value="(LAUNCH-[A-Z0-9]{10})"', shown.text)
    (link,) = re.findall(rf'href="({re.escape(product.emulator.url)}[^"]+)"', shown.text)
    paid = await product.emulator.pay(checkout_of(unescape(link)), email="kim@customers.test", promo_code=code)
    await product.settled()
    return paid


def _form(page: str, plan: str) -> dict[str, str]:
    forms = re.findall(r'<form method="post" action="/checkout/start">.*?</form>', page, re.DOTALL)
    fields = [dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form)) for form in forms]
    return next(one for one in fields if one["plan"] == plan)


def _text(page: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())
