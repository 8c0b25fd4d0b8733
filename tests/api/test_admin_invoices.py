"""/api/admin/invoices… and /api/admin/credit-notes…: what those see who keep the books."""

from datetime import timedelta

import httpx
import pytest

from tests.api.test_invoices import credit_note
from tests.edge.shop import Person, Shop


@pytest.fixture
async def books(shop: Shop) -> httpx.AsyncClient:
    """A tool of whoever keeps the books."""
    return shop.client(headers={"Authorization": f"Bearer {await shop.api_key('invoices:read')}"})


async def test_documents_of_all_customers_are_found_and_handed_out(
    shop: Shop, kim: Person, books: httpx.AsyncClient
) -> None:
    lou = await shop.sign_up()
    note = await credit_note(shop, kim)
    shop.clock.advance(timedelta(minutes=1))
    newest = await shop.invoice(lou.user_id, number="INV-2026-000009")
    listed = (await books.get("/api/admin/invoices")).json()["data"]
    assert [(row["number"], row["user"]) for row in listed] == [
        ("INV-2026-000009", lou.user_id),
        ("INV-CN-2026-000001", kim.user_id),
    ]
    for name in (newest, "INV-2026-000009"):
        detail = await books.get(f"/api/admin/invoices/{name}")
        assert detail.status_code == 200, detail.text
        assert (detail.json()["id"], detail.json()["user"]) == (newest, lou.user_id)
        assert detail.json()["lines"][0]["amount"] == {"amount_minor": 2900, "currency": "usd"}
    corrected = (await books.get(f"/api/admin/invoices/{listed[1]['id']}")).json()
    assert [one["id"] for one in corrected["credit_notes"]] == [note]
    assert [one["user"] for one in (await books.get("/api/admin/credit-notes")).json()["data"]] == [kim.user_id]
    theirs = await kim.http.get(f"/api/payment/credit-notes/{note}/pdf")
    for name in (note, "CN-2026-000001"):
        file = await books.get(f"/api/admin/credit-notes/{name}/pdf")
        assert (file.status_code, file.content) == (200, theirs.content), "the very file that the customer gets"
    file = await books.get(f"/api/admin/invoices/{newest}/pdf")
    assert (file.content[:5], file.headers["cache-control"]) == (b"%PDF-", "private, no-store")


async def test_lists_are_narrowed_and_go_on_page_by_page(shop: Shop, kim: Person, books: httpx.AsyncClient) -> None:
    payment = await shop.payment(kim.user_id)
    made = []
    for number in range(5):
        shop.clock.advance(timedelta(seconds=1))
        made.append(await shop.invoice(kim.user_id, number=f"INV-2026-{number:06d}"))
    owed = await shop.invoice(kim.user_id, number=None, status="past_due", transaction_id=payment)
    expected = [owed, *reversed(made)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await books.get("/api/admin/invoices", params={"limit": 4, **cursor})).json()
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == expected
    narrowed = {
        "status=past_due": [owed],
        "status=past_due&status=paid": expected,
        f"transaction={payment}": [owed],
        f"user={kim.user_id}&status=paid": expected[1:],
        f"user={(await shop.sign_up()).user_id}": [],
    }
    for query, ids in narrowed.items():
        listed = (await books.get(f"/api/admin/invoices?{query}")).json()["data"]
        assert [row["id"] for row in listed] == ids, query


async def test_what_does_not_exist_or_makes_no_sense_is_named(
    shop: Shop, kim: Person, books: httpx.AsyncClient
) -> None:
    draft = await shop.invoice(kim.user_id, number=None, status="open")
    refused = {
        f"invoices/{draft}/pdf": (409, "invoice_not_numbered"),
        "invoices/INV-1999-000001": (404, "record_not_found"),
        "invoices/INV-1999-000001/pdf": (404, "record_not_found"),
        f"credit-notes/{draft}/pdf": (404, "record_not_found"),
        "invoices?status=gone": (400, "invalid_filter"),
        "invoices?user=kim": (400, "invalid_filter"),
        "invoices?transaction=inv_1": (400, "invalid_filter"),
        "credit-notes?user=txn_1": (400, "invalid_filter"),
        "invoices?cursor=x": (400, "invalid_cursor"),
    }
    for path, (status, code) in refused.items():
        answer = await books.get(f"/api/admin/{path}")
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    stranger = shop.client(headers={"Authorization": f"Bearer {await shop.api_key('payments:read')}"})
    for path in ("invoices", f"invoices/{draft}", f"invoices/{draft}/pdf", "credit-notes"):
        assert (await stranger.get(f"/api/admin/{path}")).status_code == 403
        assert (await kim.http.get(f"/api/admin/{path}")).status_code == 401


async def test_a_cursor_is_of_one_list(shop: Shop, kim: Person, books: httpx.AsyncClient) -> None:
    for number in range(2):
        shop.clock.advance(timedelta(seconds=1))
        await shop.invoice(kim.user_id, number=f"INV-2026-{number:06d}")
        await shop.payment(kim.user_id)
    cursors = {
        path: (await kim.http.get(f"/api/payment/{path}", params={"limit": 1})).json()["next_cursor"]
        for path in ("invoices", "transactions")
    }
    for path, other in (("invoices", "transactions"), ("transactions", "invoices"), ("refunds", "invoices")):
        answer = await kim.http.get(f"/api/payment/{path}", params={"cursor": cursors[other]})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
        assert "another list" in answer.json()["detail"]
    assert (await books.get("/api/admin/invoices", params={"cursor": cursors["transactions"]})).status_code == 400
    assert (await books.get("/api/admin/invoices", params={"cursor": cursors["invoices"]})).status_code == 200
