"""From the billing details to the files in the mails: bought with tax, invoiced, refunded, credited."""

from datetime import datetime, timedelta
from email.message import EmailMessage
from io import BytesIO

import facturx
import httpx
import pytest
from pypdf import PdfReader

from quntedge.invoices.facturx import FILE_NAME
from quntedge.settings import Settings
from tests.invoices.test_pdf import text_of
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up
from tests.journeys.world import Product, running_product

SELLER = {
    "seller_name": "QuntEdge SAS",
    "seller_line1": "12 rue des Tests",
    "seller_city": "Paris",
    "seller_country": "FR",
    "seller_vat_id": "FR40303265045",
}
DETAILS = {"company": "Müller GmbH", "line1": "Hauptstraße 7", "city": "Berlin", "country": "DE", "vat_id": "136695976"}


@pytest.mark.long
async def test_from_the_details_to_the_files_in_the_mails(settings: Settings, database_url: str) -> None:
    async with running_product(settings, database_url, **SELLER) as product, product.browser() as kim:
        await product.emulator.set_taxes({"us": 1900})
        await sign_up(kim, "kim@customers.test")
        assert (await kim.get("/api/account/billing-details")).json()["entered"] is False
        saved = await kim.put("/api/account/billing-details", json=DETAILS)
        assert (saved.status_code, saved.json()["vat_id"]) == (200, "DE136695976")

        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test", country="us")
        await product.settled()
        await product.advance(days=91)
        first, second = product.post.mails
        assert [_enclosed(mail)[0] for mail in (first, second)] == ["INV-2026-000001.pdf", "INV-2026-000002.pdf"]

        await sign_in(kim, "kim@customers.test")
        newest, oldest = (await kim.get("/api/payment/invoices")).json()["data"]
        file = await kim.get(f"/api/payment/invoices/{newest['id']}/pdf")
        assert file.headers["content-type"] == "application/pdf"
        assert file.headers["content-disposition"] == 'attachment; filename="INV-2026-000002.pdf"'
        assert file.content == _enclosed(second)[1], "the mail has the very file that can be downloaded"
        name, _xml = facturx.get_facturx_xml_from_pdf(file.content)
        assert name == FILE_NAME
        shown = text_of(file.content)
        for expected in ("INV-2026-000002", "QuntEdge SAS", "Müller GmbH", "DE136695976", "Quarterly"):
            assert expected in shown
        whole = (await kim.get(f"/api/payment/invoices/{newest['id']}")).json()
        assert sum(line["amount"]["amount_minor"] for line in whole["lines"]) == whole["total"]["amount_minor"]
        assert whole["buyer"]["company"] == "Müller GmbH"
        plan_line = whole["lines"][0]
        assert (plan_line["label"], plan_line["kind"]) == ("Quarterly", "plan")
        started_on, ended_on = (datetime.fromisoformat(plan_line[name]) for name in ("period_start", "period_end"))
        assert ended_on - started_on == timedelta(days=90)

        await _refund(product, newest["transaction_id"])
        credit_mail = product.post.mails[-1]
        assert str(credit_mail["subject"]) == "Your credit note CN-2026-000001"
        (note,) = (await kim.get("/api/payment/credit-notes")).json()["data"]
        assert (note["number"], note["total"]) == ("CN-2026-000001", whole["total"])
        credit_file = await kim.get(f"/api/payment/credit-notes/{note['id']}/pdf")
        assert _enclosed(credit_mail) == ("CN-2026-000001.pdf", credit_file.content)
        assert "INV-2026-000002" in text_of(credit_file.content)
        refunded = (await kim.get(f"/api/payment/invoices/{newest['id']}")).json()
        assert (refunded["status"], refunded["credited"]) == ("refunded", whole["total"])
        again = await kim.get(f"/api/payment/invoices/{newest['id']}/pdf")
        assert again.content == file.content, "what came later does not change what the invoice said"
        assert oldest["number"] == "INV-2026-000001"


async def _refund(product: Product, transaction_id: str) -> None:
    """As somebody does in Whop's dashboard."""
    (row,) = await product.rows("SELECT whop_payment_id FROM payment_transaction WHERE id = :id", id=transaction_id)
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": "Bearer test-key"}) as whop:
        url = f"{product.emulator.api_base_url}/payments/{row['whop_payment_id']}/refund"
        answer = await whop.post(url, json={})
        assert answer.status_code == 200, answer.text
    await product.advance(hours=1)


def _enclosed(mail: EmailMessage) -> tuple[str, bytes]:
    """The one file of a mail: its name and what it holds."""
    (file,) = mail.iter_attachments()
    content = file.get_content()
    assert file.get_content_type() == "application/pdf"
    assert len(PdfReader(BytesIO(content)).pages) == 1
    return str(file.get_filename()), content
