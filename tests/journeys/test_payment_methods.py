"""A customer looks at their payments, adds a card, has it pay, removes the old one: over HTTP, on pages and by API."""

import csv
from io import StringIO

import httpx
import pytest

from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up
from tests.journeys.world import Product
from tests.web.browser import HTML, form

MASTERCARD = "5555555555554444"
MISSING = "payment_method_not_found"
EMAIL = "kim@customers.test"


@pytest.mark.long
async def test_cards_come_and_go_and_payments_can_be_looked_up(product: Product) -> None:
    async with product.browser() as kim, product.browser() as lou:
        await sign_up(kim, EMAIL)
        await sign_up(lou, "lou@customers.test", "Lou Meadow")
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email=EMAIL, expiry="11/26")
        await product.settled()
        [first] = (await kim.get("/api/payment/methods")).json()["data"]
        assert (first["brand"], first["last4"], first["is_default"], first["pays"]) == (
            "visa",
            "4242",
            True,
            "Quarterly",
        )
        assert (await lou.get("/api/payment/methods")).json()["data"] == []

        second = await adds_a_card(product, kim)
        await refuses_what_makes_no_sense(kim, lou, first["id"], second)
        chosen = await kim.post(f"/api/payment/methods/{second}/default", headers={"idempotency-key": "choose"})
        assert (chosen.status_code, chosen.json()) == (200, {"state": "done"})
        again = await kim.post(f"/api/payment/methods/{second}/default", headers={"idempotency-key": "choose"})
        assert again.json() == {"state": "done"}
        removed = await kim.delete(f"/api/payment/methods/{first['id']}")
        assert (removed.status_code, removed.json()) == (200, {"state": "done"})
        [left] = (await kim.get("/api/payment/methods")).json()["data"]
        assert (left["id"], left["last4"], left["is_default"]) == (second, "4444", True)

        await product.advance(days=91)
        await sign_in(kim, EMAIL)
        await sign_in(lou, "lou@customers.test")
        await looks_payments_up(product, kim, lou)
    kinds = [str(mail["x-notification-kind"]) for mail in product.post.mails]
    assert "method_expiring" not in kinds, "the card that expired did not pay any more"


async def adds_a_card(product: Product, kim: httpx.AsyncClient) -> str:
    """On the pages: leave for the provider, save, come back, and find it."""
    page = await kim.get("/billing/methods", headers=HTML)
    assert "Pays for Quarterly" in page.text
    leaving = await kim.post("/billing/methods/add", data=form(page, "/billing/methods/add"))
    assert leaving.status_code == 303
    setup = httpx.URL(leaving.headers["location"]).path.rpartition("/")[2]
    saved = await product.emulator.pay(setup, MASTERCARD, email=EMAIL)
    back = httpx.URL(saved["redirect_url"])
    returned = await kim.get(back.raw_path.decode(), headers=HTML)
    assert (returned.status_code, returned.headers["location"]) == (303, "/billing/methods")
    page = await kim.get("/billing/methods", headers=HTML)
    assert "Your payment method is saved." in page.text
    assert "4444" in page.text
    await product.settled()
    [_, second] = (await kim.get("/api/payment/methods")).json()["data"]
    return str(second["id"])


async def refuses_what_makes_no_sense(kim: httpx.AsyncClient, lou: httpx.AsyncClient, first: str, second: str) -> None:
    missing = await kim.post(f"/api/payment/methods/{second}/default")
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    used = await kim.delete(f"/api/payment/methods/{first}")
    assert (used.status_code, used.json()["code"]) == (409, "payment_method_in_use")
    page = await kim.get("/billing/methods", headers=HTML)
    answer = await kim.post(
        f"/billing/methods/{first}/remove", data=form(page, f"/billing/methods/{second}/remove"), headers=HTML
    )
    assert answer.headers["location"] == "/billing/methods"
    assert "Choose another one for it first" in (await kim.get("/billing/methods", headers=HTML)).text
    for foreign, code in ((first, MISSING), ("pm_nothing", MISSING), ("%00", "not_found")):
        answer = await lou.delete(f"/api/payment/methods/{foreign}")
        assert (answer.status_code, answer.json()["code"]) == (404, code)


async def looks_payments_up(product: Product, kim: httpx.AsyncClient, lou: httpx.AsyncClient) -> None:
    found = (await kim.get("/api/payment/transactions")).json()["data"]
    assert [payment["method"]["last4"] for payment in found] == ["4444", "4242"]
    newest = (await kim.get(f"/api/payment/transactions/{found[0]['id']}")).json()
    assert (newest["plan"], newest["attempts"], newest["discount"]["amount_minor"]) == ("quarterly", [], 0)
    assert (newest["method"]["exp_month"], newest["method"]["exp_year"]) == (12, 2029)
    receipt = await kim.get(newest["receipt"])
    assert receipt.status_code == 303
    async with httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(receipt.headers["location"])).content.startswith(b"%PDF-")
    assert (await lou.get(newest["receipt"])).status_code == 404

    table = await kim.get("/api/payment/transactions.csv", params={"to": "2026-09-30"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    [line] = csv.DictReader(StringIO(table.text.lstrip("\ufeff")))
    assert (line["plan"], line["total"], line["currency"], line["method"]) == ("Quarterly", "75.00", "usd", "visa 4242")

    page = await kim.get("/billing/transactions", params={"from": "2026-11-01"}, headers=HTML)
    assert page.text.count("Quarterly, renewal") == 1
    assert "Quarterly, first payment" not in page.text
    page = await kim.get(f"/billing/transactions/{found[0]['id']}", headers=HTML)
    assert "Receipt (PDF)" in page.text
    assert (await lou.get(f"/billing/transactions/{found[0]['id']}", headers=HTML)).status_code == 404
