"""One payment on its page: what belongs to it, what its state means, and a way out that leads somewhere."""

import re
from datetime import timedelta

import pytest

from tests.edge.shop import Person, Shop
from tests.web.browser import HTML, form

NONSENSE = ("", "   ", "-1", "1e2", "１２３", "1" + "0" * 18, "💥", "<b>x</b>", "a" * 4000, "\x00", "' OR 1=1 --")


async def page(kim: Person, payment_id: str) -> str:
    answer = await kim.http.get(f"/billing/transactions/{payment_id}", headers=HTML)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


async def test_a_payment_leads_to_its_invoice_and_tells_its_refunds(shop: Shop, kim: Person) -> None:
    now = shop.clock.now()
    payment = await shop.payment(kim.user_id, paid_at=now, status="partially_refunded", refunded_minor=500)
    await shop.refund(kim.user_id, payment)
    invoice = await shop.invoice(kim.user_id, number="INV-2026-000007", transaction_id=payment)
    await shop.invoice(kim.user_id, number="INV-2026-000008")
    text = await page(kim, payment)
    assert f'href="/billing/invoices/{invoice}/pdf"' in text
    assert "INV-2026-000008" not in text, "it belongs to another payment"
    assert "Given back" in text
    assert "\u2212$5.00" in text, "taken off with a minus, not a hyphen"


@pytest.mark.parametrize(("status", "said"), [("under_review", "Your bank decides"), ("lost", "Your bank has decided")])
async def test_a_disputed_payment_does_not_look_paid(shop: Shop, kim: Person, status: str, said: str) -> None:
    payment = await shop.payment(
        kim.user_id, paid_at=shop.clock.now(), disputed_minor=2900, dispute_status=status, plan_id=None
    )
    text = await page(kim, payment)
    assert said in text
    for shown in (text, (await kim.http.get("/billing/transactions", headers=HTML)).text):
        assert "Disputed</span>" in shown
        assert "Paid</span>" not in shown


async def test_a_first_payment_that_failed_leads_to_the_plans_and_not_in_a_circle(shop: Shop, kim: Person) -> None:
    failed = await shop.payment(kim.user_id, status="failed", billing_reason="subscription_create", attempts_failed=1)
    text = await page(kim, failed)
    assert "no plan was started" in text
    assert 'href="/pricing"' in text
    assert "/billing/recover" not in text, "there is nothing to recover"


async def test_nonsense_in_the_filters_is_answered_in_words(shop: Shop, kim: Person) -> None:
    await shop.payment(kim.user_id, shop.clock.now() - timedelta(days=1))
    for text in NONSENSE:
        filters = {"status": text, "from": text, "to": text, "plan": text}
        answer = await kim.http.get("/billing/transactions", params=filters, headers=HTML)
        assert answer.status_code == 200
        assert ("check the two days" in answer.text) == bool(text), repr(text)


async def test_nonsense_in_the_billing_details_is_refused_and_kept(shop: Shop, kim: Person) -> None:
    fields = form(await kim.http.get("/billing/details", headers=HTML), "/billing/details")
    names = ("company", "name", "line1", "postcode", "city", "vat_id", "email")
    for text in filter(str.strip, NONSENSE):
        typed = fields | dict.fromkeys(names, text) | {"country": "DE"}
        answer = await kim.http.post("/billing/details", data=typed, headers=HTML)
        assert answer.status_code == 422, repr(text)
        assert "Please check what you entered" in answer.text
        assert {form(answer, "/billing/details")[name] for name in names} == {text.replace("\0", "\ufffd")}, (
            "what was typed is still there"
        )
