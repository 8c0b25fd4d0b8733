"""The audit log over HTTP: what customers are denied, and reading the log."""

from datetime import timedelta
from typing import Any

from quntedge.kit.ids import new_id
from tests.edge.fixtures import kim, shop
from tests.edge.shop import Person, Shop

__all__ = ["kim", "shop"]

PATH = "/api/admin/audit"


async def read(shop: Shop, **params: str) -> list[dict[str, Any]]:
    """Rows of the log as the API gives them, the latest first."""
    key = await shop.api_key("audit:read")
    answer = await shop.client(headers={"Authorization": f"Bearer {key}"}).get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


async def test_the_objects_of_others_are_denied_to_customers(shop: Shop, kim: Person) -> None:
    lou = await shop.sign_up()
    theirs = await shop.payment(lou.user_id)
    method = new_id("pmt", shop.clock.now())
    assert (await lou.http.get(f"/api/payment/transactions/{theirs}")).status_code == 200
    assert (await kim.http.get(f"/api/payment/transactions/{theirs}")).status_code == 404
    assert (await kim.http.get("/api/payment/transactions/nonsense")).status_code == 404
    assert (await kim.http.delete(f"/api/payment/methods/{method}", headers=kim.headers())).status_code == 404
    assert (await kim.http.get(f"/billing/payments/{theirs}")).status_code == 404
    # What did not come from our pages, or from nobody we know, is nothing they wanted.
    assert (await kim.http.delete(f"/api/payment/methods/{method}")).json()["code"] == "csrf_failed"
    assert (await shop.client().delete(f"/api/payment/methods/{method}")).status_code == 401
    rows = await read(shop, actor=kim.user_id)
    assert [(row["act"], row["subject"], row["outcome"], row["code"]) for row in rows] == [
        ("payment_method.delete", method, "denied", "payment_method_not_found"),
        ("payment.read", theirs, "denied", "record_not_found"),
    ]
    assert {row["actor_kind"] for row in rows} == {"customer"}
    assert all(row["request_id"] for row in rows)


async def test_refused_on_a_page_as_through_the_api(shop: Shop, kim: Person) -> None:
    before = await shop.subscribe(kim.user_id)
    method = new_id("pmt", shop.clock.now())
    form = {"csrf_token": kim.csrf}
    removed = await kim.http.post(f"/billing/methods/{method}/remove", data=form)
    assert (removed.status_code, removed.headers["location"]) == (303, "/billing/methods")
    resumed = await kim.http.post("/api/subscription/resume", headers=kim.headers())
    assert resumed.status_code == 409
    assert (await kim.http.post("/billing/resume", data=form)).status_code == 303
    rows = await read(shop, outcome="denied")
    assert [(row["act"], row["subject"]) for row in rows] == [
        ("subscription.resume", None),
        ("payment_method.delete", method),
    ]
    assert rows[0]["code"] == resumed.json()["code"]
    current = (await kim.http.get("/api/subscription")).json()
    assert current["subscription"]["id"] == before


async def test_guessing_codes_is_written_down(shop: Shop, kim: Person) -> None:
    body = {"plan": "monthly", "promotion_code": "GUESSED-1"}
    for _ in range(3):
        answer = await kim.http.post("/api/payment/promotions/validate", json=body, headers=kim.headers())
    assert answer.json()["code"] == "promotion_code_unknown"
    rows = await read(shop, outcome="denied")
    assert [(row["act"], row["actor"], row["subject"]) for row in rows] == [("promotion.try", kim.user_id, None)]
    assert "GUESSED" not in str(rows)


async def test_the_log_is_filtered_and_goes_on_page_by_page(shop: Shop, kim: Person) -> None:
    ids = [new_id("txn", shop.clock.now()) for _ in range(5)]
    for one in ids:
        await kim.http.get(f"/api/payment/transactions/{one}")
        shop.clock.advance(timedelta(minutes=1))
    key = await shop.api_key("audit:read")
    tool = shop.client(headers={"Authorization": f"Bearer {key}"})
    found, cursor = [], None
    while True:
        more: dict[str, str] = {"cursor": cursor} if cursor else {}
        page = (await tool.get(PATH, params={"limit": "2", "act": "payment.read", **more})).json()
        found += [row["subject"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids[::-1]
    start = shop.clock.now() - timedelta(minutes=4)
    span = {"from": start.isoformat(), "to": (start + timedelta(minutes=2)).isoformat(), "outcome": "denied"}
    assert [row["subject"] for row in await read(shop, **span)] == [ids[2], ids[1]]
    assert [row["subject"] for row in await read(shop, subject=ids[3])] == [ids[3]]
    made = await read(shop, act="api_key.create")
    assert {row["actor_kind"] for row in made} == {"system"}
    assert made[0]["details"]["scopes"] == ["audit:read"]

    for params, status in (
        ({"outcome": "maybe"}, 422),
        ({"from": "yesterday"}, 422),
        ({"actor": "a b"}, 422),
        ({"cursor": "x"}, 400),
        ({"limit": "0"}, 400),
    ):
        assert (await tool.get(PATH, params=params)).status_code == status, params
    other = await shop.api_key("refunds:read")
    refused = await shop.client(headers={"Authorization": f"Bearer {other}"}).get(PATH)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert (await read(shop, act="api_key.use"))[0]["subject"] == "audit:read"


async def test_how_long_the_oldest_row_waits_is_measured(shop: Shop) -> None:
    shop.clock.advance(timedelta(minutes=10))
    told = (await shop.client().get("/metrics")).text
    assert "quntedge_audit_unsealed_oldest_seconds 600.0" in told  # since the catalogue was applied
    await shop.services.audit.keep()
    assert "quntedge_audit_unsealed_oldest_seconds 0.0" in (await shop.client().get("/metrics")).text
