"""Over HTTP: what is shown before paying, what is charged and what the invoice says are the same, with tax on top and
with tax inside, for the first charge, the second, and a change of plan that takes unused time off."""

from typing import Any

import httpx
import pytest

from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import checkout_of, sign_in, sign_up
from tests.journeys.world import Product, running_product
from tests.promotions.conftest import spec

EMAIL = "kim@customers.test"
TAX_BP = 1900


@pytest.mark.long
@pytest.mark.parametrize("behavior", ["exclusive", "inclusive"])
async def test_shown_charged_and_invoiced(settings: Settings, database_url: str, behavior: str) -> None:
    async with running_product(settings, database_url) as product, product.browser() as kim:
        await product.emulator.set_taxes({"us": TAX_BP}, behavior)
        async with product.runtime.units() as unit:
            wanted = spec(percent_bp=1450, periods=2)
            await product.runtime.services.promotions.service.save(unit, wanted, by="cli:test", codes=["LAUNCH"])
            await unit.commit()
        await sign_up(kim, EMAIL)
        body = {"plan": "quarterly", "promotion_code": "LAUNCH"}
        shown = await _posted(kim, "/api/payment/promotions/validate", body)
        await _buy(product, kim, body)
        first = await _newest_invoice(kim)
        _is_what_was_shown(first, shown["today"]["lines"], behavior)
        discount = shown["today"]["lines"][1]
        assert (first["lines"][1]["label"], discount["text"]) == ("LAUNCH: 14.5% off", "LAUNCH: 14.5% off")

        await product.advance(days=91)
        await sign_in(kim, EMAIL)
        second = await _newest_invoice(kim)
        assert second["number"] != first["number"]
        assert [_plain(line) for line in second["lines"]] == [_plain(line) for line in first["lines"]]
        assert second["lines"][0]["period_start"] == first["lines"][0]["period_end"]

        await product.advance(days=10)
        await sign_in(kim, EMAIL)
        preview = await _posted(kim, "/api/subscription/change/preview", {"plan": "yearly"})
        assert [line["kind"] for line in preview["lines"]] == ["new_plan", "unused_time"]
        wish = {"plan": "yearly", "quote": preview["quote"]}
        await _posted(kim, "/api/subscription/change", wish, {"idempotency-key": "up"})
        await product.advance(minutes=1)
        third = await _newest_invoice(kim)
        kinds = {"new_plan": "plan", "unused_time": "proration"}
        lines = [line | {"kind": kinds[line["kind"]]} for line in preview["lines"]]
        _is_what_was_shown(third, lines, behavior)
        assert third["lines"][1]["label"] == preview["lines"][1]["text"]
        assert await product.rows("SELECT id FROM plan_change WHERE review IS NOT NULL") == []
        assert await product.rows("SELECT transaction_id FROM promotion_redemption WHERE differs") == []


async def _posted(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code < 300, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _buy(product: Product, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    started = await _posted(client, "/api/payment/checkout", body, {"idempotency-key": "attempt-1"})
    await product.emulator.pay(
        checkout_of(started["purchase_url"]), email=EMAIL, country="us", promo_code=started["payment_code"]
    )
    await product.settled()


async def _newest_invoice(client: httpx.AsyncClient) -> dict[str, Any]:
    newest = (await client.get("/api/payment/invoices")).json()["data"][0]
    paid = (await client.get("/api/payment/transactions")).json()["data"][0]
    found: dict[str, Any] = (await client.get(f"/api/payment/invoices/{newest['id']}")).json()
    assert found["total"] == paid["total"], "what is invoiced is what was charged"
    return found


def _is_what_was_shown(invoice: dict[str, Any], shown: list[dict[str, Any]], behavior: str) -> None:
    """The invoice has the lines that were shown, without tax, and the tax."""
    *lines, tax = invoice["lines"]
    assert [line["kind"] for line in lines] == [line["kind"] for line in shown]
    assert (tax["kind"], tax["tax_basis_points"]) == ("tax", TAX_BP)
    before = sum(_minor(line) for line in shown)
    if behavior == "exclusive":
        assert [_plain(line) for line in lines] == [_plain(line) for line in shown]
        assert _minor(tax) == (before * TAX_BP * 2 + 10_000) // 20_000
        assert invoice["total"]["amount_minor"] == before + _minor(tax)
    else:
        assert invoice["total"]["amount_minor"] == before
        assert sum(map(_minor, lines)) + _minor(tax) == before
        for line, told in zip(lines, shown, strict=True):
            assert abs(_minor(line) - _minor(told) * 10_000 / (10_000 + TAX_BP)) < 1


def _plain(line: dict[str, Any]) -> tuple[str, int]:
    return line["kind"], _minor(line)


def _minor(line: dict[str, Any]) -> int:
    amount: int = line["amount"]["amount_minor"]
    return amount
