"""Promotions over HTTP: customers' codes, and staff's tools."""

from typing import Any

import httpx
import pytest

from tests.edge.fixtures import emulator, selling_shop
from tests.edge.shop import Shop

__all__ = ["emulator", "selling_shop"]

ADMIN = "/api/admin/promotions"
VALIDATE = "/api/payment/promotions/validate"
LAUNCH = {"name": "Launch", "percent_bp": 2000, "periods": 3, "max_uses": 1, "codes": ["launch20"]}


async def tool(shop: Shop, *scopes: str) -> httpx.AsyncClient:
    return shop.client(headers={"Authorization": f"Bearer {await shop.api_key(*scopes)}"})


async def test_staff_make_a_promotion_and_a_customer_buys_with_it(selling_shop: Shop) -> None:
    shop = selling_shop
    staff = await tool(shop, "promotions:read", "promotions:write")
    made = await staff.put(f"{ADMIN}/launch", json=LAUNCH)
    assert made.status_code == 200, made.text
    assert (made.json()["version"], made.json()["codes"], made.json()["uses"]) == (1, 1, 0)
    assert made.json()["created_by"].startswith("service:key_")
    assert (await staff.put(f"{ADMIN}/launch", json=LAUNCH)).json() == made.json()
    assert [one["code"] for one in (await staff.get(ADMIN)).json()["data"]] == ["launch"]

    kim, lou = await shop.sign_up(), await shop.sign_up()
    ask = {"plan": "quarterly", "promotion_code": " Launch２０ "}
    offer = await kim.http.post(VALIDATE, json=ask, headers={"x-csrf-token": kim.csrf})
    assert offer.status_code == 200, offer.text
    shown = offer.json()
    assert (shown["promotion_code"], shown["saved"]["amount_minor"]) == ("LAUNCH20", 1500)
    assert sum(line["amount"]["amount_minor"] for line in shown["today"]["lines"]) == 6000
    assert (shown["discounted_charges"], shown["regular"]["total"]["amount_minor"]) == (3, 7500)
    assert shown["today"]["lines"][1]["text"] == "LAUNCH20: 20% off"

    headers = {"x-csrf-token": kim.csrf, "idempotency-key": "one"}
    started = await kim.http.post("/api/payment/checkout", json=ask, headers=headers)
    assert started.status_code == 201, started.text
    checkout = started.json()
    assert (checkout["total"]["amount_minor"], checkout["discount"]["amount_minor"]) == (6000, 1500)
    assert checkout["payment_code"].startswith("LAUNCH20-")
    assert (await kim.http.post("/api/payment/checkout", json=ask, headers=headers)).json() == checkout
    other = await kim.http.post("/api/payment/checkout", json={"plan": "quarterly"}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"

    late = await lou.http.post(VALIDATE, json=ask, headers={"x-csrf-token": lou.csrf})
    assert (late.status_code, late.json()["code"]) == (409, "promotion_used_up")
    held = (await staff.get(f"{ADMIN}/report")).json()
    assert held == {"data": [], "holdings": [{"code": "launch", "held": 1, "paid_without_code": 0}]}

    gone = await kim.http.delete(f"/api/payment/checkout/{checkout['id']}", headers={"x-csrf-token": kim.csrf})
    assert (gone.json()["state"], gone.json()["payment_code"]) == ("expired", None)
    stranger = await lou.http.delete(f"/api/payment/checkout/{checkout['id']}", headers={"x-csrf-token": lou.csrf})
    assert (stranger.status_code, stranger.json()["code"]) == (404, "checkout_not_found")


async def test_a_bad_request_gets_a_precise_answer_and_changes_nothing(selling_shop: Shop) -> None:
    shop = selling_shop
    staff, reader = await tool(shop, "promotions:read", "promotions:write"), await tool(shop, "promotions:read")
    good: dict[str, Any] = {"name": "Launch", "percent_bp": 2000}
    for wrong in (
        {"percent_bp": 0},
        {"percent_bp": 10_001},
        {"percent_bp": "20"},
        {"percent_bp": 20.5},
        {"percent_bp": None},
        {"amounts": {"usd": 500}},
        {"percent_bp": None, "amounts": {"usd": -1}},
        {"percent_bp": None, "amounts": {"usd": "1e2"}},
        {"percent_bp": None, "amounts": {"xyz": 500}},
        {"percent_bp": None, "amounts": {"usd": 10**18}},
        {"percent_bp": None, "amounts": {"usd": 10**19}},
        {"percent_bp": None, "amounts": {"usd": "１００"}},
        {"periods": 0},
        {"plans": ["gold"]},
        {"plans": []},
        {"max_uses": 0},
        {"starts_at": "2026-09-01T00:00:00"},
        {"starts_at": "2026-09-02T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z"},
        {"codes": ["!!"]},
        {"at_whop": True, "max_uses": 5},
        {"surprise": 1},
    ):
        answer = await staff.put(f"{ADMIN}/launch", json=good | wrong)
        assert answer.status_code == 422, (wrong, answer.text)
        assert answer.json().get("errors") or "codes" in wrong, wrong
    assert (await staff.put(f"{ADMIN}/Launch", json=good)).status_code == 422
    assert (await staff.put(f"{ADMIN}/report", json=good)).status_code == 422
    assert (await reader.put(f"{ADMIN}/launch", json=good)).status_code == 403
    assert (await shop.client().get(ADMIN)).status_code == 401
    assert (await staff.get(f"{ADMIN}/launch")).json()["code"] == "promotion_not_found"
    assert (await staff.get(f"{ADMIN}/report?since=2026-09-01T00:00:00")).status_code == 422
    assert (await staff.get(ADMIN)).json() == {"data": []}


async def test_bulk_codes_are_made_once_for_one_key(selling_shop: Shop) -> None:
    staff = await tool(selling_shop, "promotions:read", "promotions:write")
    await staff.put(f"{ADMIN}/launch", json=LAUNCH | {"codes": []})
    wish = {"count": 50, "prefix": "vip", "max_uses": 1}
    missing = await staff.post(f"{ADMIN}/launch/codes", json=wish)
    assert missing.json()["code"] == "idempotency_key_missing"
    first = await staff.post(f"{ADMIN}/launch/codes", json=wish, headers={"idempotency-key": "one"})
    assert first.status_code == 200, first.text
    assert len(set(first.json()["codes"])) == 50
    again = await staff.post(f"{ADMIN}/launch/codes", json=wish, headers={"idempotency-key": "one"})
    assert again.json() == first.json()
    reused = await staff.post(f"{ADMIN}/launch/codes", json=wish | {"count": 51}, headers={"idempotency-key": "one"})
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    listed = await staff.get(f"{ADMIN}/launch/codes", params={"batch": first.json()["batch"], "limit": 100})
    assert sorted(one["code"] for one in listed.json()["data"]) == sorted(first.json()["codes"])
    for wrong in ({"count": 10_001}, {"count": 0}, {"count": 1, "named": ["HELLO"]}, {"count": 1, "prefix": "!"}):
        answer = await staff.post(f"{ADMIN}/launch/codes", json=wrong, headers={"idempotency-key": f"key-{wrong}"})
        assert 400 <= answer.status_code < 500, wrong
    ended = await staff.post(f"{ADMIN}/launch/archive")
    assert ended.json()["archived_at"] is not None
    late = await staff.post(f"{ADMIN}/launch/codes", json=wish, headers={"idempotency-key": "two"})
    assert late.json()["code"] == "promotion_archived"


async def test_customers_codes_have_precise_answers(selling_shop: Shop) -> None:
    shop = selling_shop
    staff = await tool(shop, "promotions:read", "promotions:write")
    promotions: dict[str, dict[str, Any]] = {
        "over": {"ends_at": "2026-01-01T00:00:00Z"},
        "early": {"starts_at": "2099-01-01T00:00:00Z"},
        "yearly": {"plans": ["yearly"]},
        "euros": {"percent_bp": None, "amounts": {"eur": 500}},
    }
    for name, terms in promotions.items():
        answer = await staff.put(f"{ADMIN}/{name}", json=LAUNCH | {"codes": [f"{name}-1"]} | terms)
        assert answer.status_code == 200, answer.text
    kim = await shop.sign_up()
    for code, status, expected in (
        ("over-1", 410, "promotion_expired"),
        ("early-1", 409, "promotion_not_started"),
        ("yearly-1", 409, "promotion_not_for_plan"),
        ("euros-1", 409, "promotion_not_for_currency"),
        ("unknown", 404, "promotion_code_unknown"),
        ("５", 422, "promotion_code_malformed"),
        ("DROP TABLE;", 422, "promotion_code_malformed"),
    ):
        ask = {"plan": "quarterly", "promotion_code": code}
        answer = await kim.http.post(VALIDATE, json=ask, headers={"x-csrf-token": kim.csrf})
        assert (answer.status_code, answer.json()["code"]) == (status, expected), code
        headers = {"x-csrf-token": kim.csrf, "idempotency-key": f"buy-{expected}"}
        answer = await kim.http.post("/api/payment/checkout", json=ask, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, expected), code
    for plan, expected in (("free", "plan_is_free"), ("gold", "plan_not_found")):
        ask = {"plan": plan, "promotion_code": "yearly-1"}
        answer = await kim.http.post(VALIDATE, json=ask, headers={"x-csrf-token": kim.csrf})
        assert answer.json()["code"] == expected
    euros = {"plan": "monthly", "promotion_code": "euros-1", "currency": "eur"}
    answer = await kim.http.post(VALIDATE, json=euros, headers={"x-csrf-token": kim.csrf})
    assert (answer.status_code, answer.json()["saved"]) == (200, {"amount_minor": 500, "currency": "eur"})


async def test_guessing_codes_is_slowed_down(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    ask = {"plan": "quarterly", "promotion_code": "GUESS"}
    statuses = [
        (await kim.http.post(VALIDATE, json=ask, headers={"x-csrf-token": kim.csrf})).status_code for _ in range(21)
    ]
    assert statuses == [404] * 20 + [429]
    guest = selling_shop.client(address="203.0.113.200")
    pages = [(await guest.get("/pricing?code=GUESS")).status_code for _ in range(21)]
    assert pages[0] == 200
    assert pages[-1] == 429


@pytest.mark.parametrize("code", ["PAGE20", "NOBODY"])
async def test_the_pricing_page_and_its_form_lead_to_the_right_place(selling_shop: Shop, code: str) -> None:
    shop = selling_shop
    staff = await tool(shop, "promotions:write")
    await staff.put(f"{ADMIN}/page", json=LAUNCH | {"codes": ["PAGE20"], "max_uses": None})
    kim = await shop.sign_up()
    form = {"plan": "quarterly", "attempt": f"attempt-{code}", "promotion_code": code, "csrf_token": kim.csrf}
    answer = await kim.http.post("/checkout/start", data=form)
    assert answer.status_code == 303
    if code == "NOBODY":
        assert answer.headers["location"] == "/pricing?code=NOBODY#plans"
        return
    page = await kim.http.get(answer.headers["location"])
    assert page.status_code == 200
    assert "PAGE20-" in page.text
    given_up = await kim.http.post(
        answer.headers["location"].replace("/pay", "/abandon"), data={"csrf_token": kim.csrf}
    )
    assert given_up.headers["location"] == "/pricing"
    assert (await kim.http.get(answer.headers["location"])).status_code == 303
