"""/api/payment/invoices…, /credit-notes… and /api/account/billing-details."""

from typing import Any

import pytest
from sqlalchemy import text

from quntedge.kit.ids import new_id
from tests.edge.shop import Person, Shop

GIVEN = {"company": "Example SARL", "line1": "1 rue A", "city": "Paris", "country": "FR", "vat_id": "40303265045"}


async def credit_note(shop: Shop, person: Person, number: str = "CN-2026-000001") -> str:
    """A credit note over $5.00, as a refund would have made it."""
    payment = await shop.payment(person.user_id)
    invoice = await shop.invoice(person.user_id, transaction_id=payment, number=f"INV-{number}")
    assert (await person.http.get(f"/api/payment/invoices/{invoice}/pdf")).status_code == 200
    refund = await shop.refund(person.user_id, payment)
    note = new_id("crn", shop.clock.now())
    async with shop.units() as unit:
        parameters: dict[str, Any] = {"id": note, "number": number, "invoice": invoice, "refund": refund}
        await unit.session.execute(
            text(
                "INSERT INTO credit_note (id, number, invoice_id, user_id, refund_id, legal_entity_id,"
                " billing_profile_id, locale, currency, tax_minor, total_minor, issued_at, created_at)"
                " SELECT :id, :number, id, user_id, :refund, legal_entity_id, billing_profile_id, locale, currency, 0,"
                " 500, issued_at, created_at FROM invoice WHERE id = :invoice"
            ),
            parameters,
        )
        await unit.session.execute(
            text(
                "INSERT INTO credit_note_line (credit_note_id, position, kind, label, amount_minor)"
                " VALUES (:id, 1, 'adjustment', 'Refund', 500)"
            ),
            parameters,
        )
        await unit.commit()
    return note


async def test_billing_details_are_kept_and_shown_in_their_normal_form(shop: Shop, kim: Person) -> None:
    before = (await kim.http.get("/api/account/billing-details")).json()
    assert (before["entered"], before["company"]) == (False, None)
    saved = await kim.http.put("/api/account/billing-details", json=GIVEN, headers=kim.headers())
    assert saved.status_code == 200, saved.text
    assert saved.json() == (await kim.http.get("/api/account/billing-details")).json()
    assert (saved.json()["entered"], saved.json()["vat_id"]) == (True, "FR40303265045")
    # A replacement is whole: what is not said is not kept.
    later = await kim.http.put(
        "/api/account/billing-details",
        json={"name": "Kim", "line1": "x", "city": "y", "country": "us"},
        headers=kim.headers(),
    )
    assert (later.json()["company"], later.json()["country"]) == (None, "US")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vat_id": "FR40303265046"}, "vat_id"),
        ({"country": "XX"}, "country"),
        ({"line1": ""}, "line1"),
        ({"company": "x" * 121}, "company"),
    ],
)
async def test_details_that_cannot_be_are_refused_and_change_nothing(
    shop: Shop, kim: Person, change: dict[str, str], field: str
) -> None:
    answer = await kim.http.put("/api/account/billing-details", json=GIVEN | change, headers=kim.headers())
    assert (answer.status_code, answer.json()["code"]) == (422, "unusable_billing_details")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await kim.http.get("/api/account/billing-details")).json()["entered"] is False


async def test_details_need_a_session_and_its_token(shop: Shop, kim: Person) -> None:
    assert (await shop.client().get("/api/account/billing-details")).status_code == 401
    assert (await kim.http.put("/api/account/billing-details", json=GIVEN)).status_code == 403
    unknown = await kim.http.put("/api/account/billing-details", json=GIVEN | {"tax": "0"}, headers=kim.headers())
    assert unknown.status_code == 422


async def test_an_invoice_as_a_file_is_its_customers_alone(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    invoice = await shop.invoice(kim.user_id, number="INV-2026-000001")
    file = await kim.http.get(f"/api/payment/invoices/{invoice}/pdf")
    assert (file.status_code, file.headers["content-type"], file.content[:5]) == (200, "application/pdf", b"%PDF-")
    assert file.headers["content-disposition"] == 'attachment; filename="INV-2026-000001.pdf"'
    assert file.headers["cache-control"] == "private, no-store"
    assert (await kim.http.get(f"/api/payment/invoices/{invoice}/pdf")).content == file.content
    foreign = await other.http.get(f"/api/payment/invoices/{invoice}/pdf")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "document_not_found")
    assert (await shop.client().get(f"/api/payment/invoices/{invoice}/pdf")).status_code == 401
    shown = (await kim.http.get(f"/api/payment/invoices/{invoice}")).json()
    assert [(line["kind"], line["amount"]["amount_minor"]) for line in shown["lines"]] == [("adjustment", 2900)]
    assert (shown["seller"]["name"], shown["buyer"]["name"]) == ("QuntEdge", "Kim Example")


async def test_an_invoice_without_a_number_is_no_document(shop: Shop, kim: Person) -> None:
    invoice = await shop.invoice(kim.user_id, number=None, status="open")
    answer = await kim.http.get(f"/api/payment/invoices/{invoice}/pdf")
    assert (answer.status_code, answer.json()["code"]) == (409, "invoice_not_numbered")
    shown = (await kim.http.get(f"/api/payment/invoices/{invoice}")).json()
    assert (shown["lines"], shown["seller"], shown["buyer"], shown["credit_notes"]) == ([], None, None, [])


async def test_credit_notes_are_listed_and_served(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    note = await credit_note(shop, kim)
    (listed,) = (await kim.http.get("/api/payment/credit-notes")).json()["data"]
    assert (listed["id"], listed["number"], listed["total"]["amount_minor"]) == (note, "CN-2026-000001", 500)
    file = await kim.http.get(f"/api/payment/credit-notes/{note}/pdf")
    assert (file.status_code, file.content[:5]) == (200, b"%PDF-")
    assert (await other.http.get("/api/payment/credit-notes")).json()["data"] == []
    foreign = await other.http.get(f"/api/payment/credit-notes/{note}/pdf")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "document_not_found")


@pytest.mark.parametrize("bad", ["x", "%00", "inv_", "..%2f..", "x" * 3000])
async def test_ids_that_cannot_be(kim: Person, bad: str) -> None:
    for kind in ("invoices", "credit-notes"):
        assert (await kim.http.get(f"/api/payment/{kind}/{bad}/pdf")).status_code == 404


async def test_files_are_limited_by_customer(shop: Shop, kim: Person) -> None:
    statuses = {(await kim.http.get("/api/payment/invoices/inv_x/pdf")).status_code for _ in range(61)}
    assert statuses == {404, 429}
