"""The catalogue over HTTP, for the tools of those who run the installation."""

from importlib import resources

import httpx

from tests.edge.fixtures import selling_shop
from tests.edge.shop import Shop

__all__ = ["selling_shop"]

CATALOG = resources.files("quntedge.catalog").joinpath("catalog.toml").read_text("utf-8")
DEARER = CATALOG.replace('{ usd = "29.00", eur = "27.00" }', '{ usd = "35.00", eur = "27.00" }')
PATH = "/api/admin/catalog"


async def tool(shop: Shop, *scopes: str) -> httpx.AsyncClient:
    return shop.client(headers={"Authorization": f"Bearer {await shop.api_key(*scopes)}"})


async def test_a_catalogue_is_read_compared_and_put_into_force(selling_shop: Shop) -> None:
    shop = selling_shop
    user = await shop.sign_up()
    await shop.subscribe(user.user_id)
    http = await tool(shop, "catalog:read", "catalog:write")
    held = (await http.get(PATH)).json()
    monthly = next(plan for plan in held["plans"] if plan["code"] == "monthly")
    assert monthly["subscribers"] == {"1": 1}
    assert monthly["features"]["price_alerts"] == 100
    assert monthly["rules"]["pause"] == {"access": "period", "max_days": 90}
    assert [(t["version"], t["price"]["currency"], t["on_sale"]) for t in monthly["terms"]] == [
        (1, "eur", True),
        (1, "usd", True),
    ]
    same = await http.post(f"{PATH}/diff", json={"catalog": CATALOG})
    assert same.json() == {"changes": [], "gateway": [], "notes": [], "warnings": []}

    found = (await http.post(f"{PATH}/diff", json={"catalog": DEARER})).json()
    assert found["changes"] == [
        {
            "action": "update",
            "kind": "plan",
            "code": "monthly",
            "fields": [{"name": "price.usd", "before": "29.00 USD", "after": "35.00 USD"}],
            "new_version": 2,
        }
    ]
    assert [(step["action"], step["version"], step["currency"]) for step in found["gateway"]] == [
        ("create", 2, "usd"),
        ("create", 2, "eur"),
        ("archive", 1, "eur"),
        ("archive", 1, "usd"),
    ]
    assert found["notes"] == ["monthly: 1 subscriber keeps version 1 and its price"]

    applied = (await http.post(f"{PATH}/apply", json={"catalog": DEARER})).json()
    assert [change["new_version"] for change in applied["changes"]] == [2]
    assert len(applied["sync"]["created"]) == len(applied["sync"]["archived"]) == 2
    again = (await http.post(f"{PATH}/apply", json={"catalog": DEARER})).json()
    assert again["changes"] == []
    assert again["sync"] == {"created": [], "adopted": [], "archived": [], "missing": []}
    plans = (await http.get("/api/subscription/plans")).json()["data"]
    offered = next(plan for plan in plans if plan["code"] == "monthly")
    assert offered["version"] == 2
    assert offered["prices"] == [
        {"amount_minor": 3500, "currency": "usd"},
        {"amount_minor": 2700, "currency": "eur"},
    ]


async def test_reading_is_no_right_to_write(selling_shop: Shop) -> None:
    reader = await tool(selling_shop, "catalog:read")
    assert (await reader.get(PATH)).status_code == 200
    refused = await reader.post(f"{PATH}/apply", json={"catalog": CATALOG})
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    writer = await tool(selling_shop, "catalog:write")
    assert (await writer.get(PATH)).status_code == 403
    assert (await selling_shop.client().get(PATH)).status_code == 401


async def test_what_cannot_be_used_changes_nothing(selling_shop: Shop) -> None:
    http = await tool(selling_shop, "catalog:read", "catalog:write")
    before = (await http.get(PATH)).json()
    for text, status, code in (
        ("plans = [", 422, "invalid_catalog"),
        (CATALOG.replace('kind = "lifetime"', 'kind = "free"'), 422, "invalid_catalog"),
        (CATALOG.replace('kind = "lifetime"', 'kind = "recurring"\nperiod_days = 30'), 409, "plan_kind_fixed"),
        ("", 422, "malformed"),
    ):
        for way in ("diff", "apply"):
            answer = await http.post(f"{PATH}/{way}", json={"catalog": text})
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await http.get(PATH)).json() == before


async def test_the_database_can_go_ahead_of_the_gateway(selling_shop: Shop) -> None:
    http = await tool(selling_shop, "catalog:read", "catalog:write")
    alone = (await http.post(f"{PATH}/apply", json={"catalog": DEARER, "sync": False})).json()
    assert alone["sync"] is None
    waiting = (await http.post(f"{PATH}/diff", json={"catalog": DEARER})).json()
    assert waiting["changes"] == []
    assert len(waiting["gateway"]) == 4
    assert len((await http.post(f"{PATH}/apply", json={"catalog": DEARER})).json()["sync"]["created"]) == 2


async def test_a_purchase_names_its_currency(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    body = {"plan": "yearly", "currency": "eur"}
    headers = kim.headers(**{"Idempotency-Key": "in-euro"})
    made = await kim.http.post("/api/payment/checkout", json=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.json()["price"] == {"amount_minor": 23000, "currency": "eur"}
    headers["Idempotency-Key"] = "in-pounds"
    refused = await kim.http.post("/api/payment/checkout", json=body | {"currency": "gbp"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "currency_not_offered")
    assert refused.json()["currencies"] == ["usd", "eur"]
