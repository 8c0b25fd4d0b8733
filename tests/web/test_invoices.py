"""The pages about invoices: downloading them, and saying what is to stand on them."""

from tests.api.test_invoices import credit_note
from tests.edge.shop import Person, Shop
from tests.web.browser import HTML, form

GIVEN = {"company": "Example & Söhne", "line1": "1 rue A", "city": "Paris", "country": "FR", "vat_id": "40303265045"}


async def test_the_lists_lead_to_the_files(shop: Shop, kim: Person) -> None:
    invoice = await shop.invoice(kim.user_id, number="INV-2026-000007")
    waiting = await shop.invoice(kim.user_id, number=None, status="open")
    for page in ("/billing", "/billing/invoices"):
        shown = (await kim.http.get(page, headers=HTML)).text
        assert f'href="/billing/invoices/{invoice}/pdf"' in shown
        assert f"/billing/invoices/{waiting}/pdf" not in shown
        assert 'href="/billing/details"' in shown
    file = await kim.http.get(f"/billing/invoices/{invoice}/pdf", headers=HTML)
    assert (file.headers["content-type"], file.content[:5]) == ("application/pdf", b"%PDF-")
    other = await shop.sign_up()
    assert (await other.http.get(f"/billing/invoices/{invoice}/pdf", headers=HTML)).status_code == 404


async def test_credit_notes_stand_below_the_invoices(shop: Shop, kim: Person) -> None:
    assert "Credit notes" not in (await kim.http.get("/billing/invoices", headers=HTML)).text
    note = await credit_note(shop, kim)
    shown = (await kim.http.get("/billing/invoices", headers=HTML)).text
    assert f'href="/billing/credit-notes/{note}/pdf"' in shown
    assert "CN-2026-000001" in shown
    file = await kim.http.get(f"/billing/credit-notes/{note}/pdf", headers=HTML)
    assert file.content[:5] == b"%PDF-"


async def test_details_are_typed_in_and_kept(shop: Shop, kim: Person) -> None:
    page = await kim.http.get("/billing/details", headers=HTML)
    saved = await kim.http.post("/billing/details", data=form(page, "/billing/details") | GIVEN, headers=HTML)
    assert (saved.status_code, saved.headers["location"]) == (303, "/billing/details")
    again = await kim.http.get("/billing/details", headers=HTML)
    assert "Your billing details are saved" in again.text
    assert 'value="Example &amp; Söhne"' in again.text
    assert 'value="FR40303265045"' in again.text
    assert '<option value="FR" selected>France</option>' in again.text


async def test_mistakes_are_shown_at_their_fields_in_the_readers_language(shop: Shop, kim: Person) -> None:
    page = await kim.http.get("/billing/details", headers=HTML)
    fields = form(page, "/billing/details") | GIVEN | {"vat_id": "FR40303265046"}
    await kim.http.post("/language", data={"locale": "fr", "csrf_token": fields["csrf_token"]}, headers=HTML)
    refused = await kim.http.post("/billing/details", data=fields, headers=HTML)
    assert refused.status_code == 422
    assert "La clé de contrôle de ce numéro de TVA" in refused.text
    assert 'value="FR40303265046"' in refused.text
    assert '<option value="DE">Allemagne</option>' in refused.text
    assert (await kim.http.get("/api/account/billing-details")).json()["entered"] is False


async def test_nobody_else_may_post(shop: Shop, kim: Person) -> None:
    assert (await kim.http.post("/billing/details", data=GIVEN, headers=HTML)).status_code == 403
    signed_out = await shop.client().get("/billing/details", headers=HTML)
    assert signed_out.headers["location"].startswith("/sign-in")
