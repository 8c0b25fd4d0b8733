"""One dispute in the whole product: deliveries, sweeps, mails and the clock that stops where something falls due."""

import httpx
import pytest

from quntedge.settings import Settings
from tests.journeys.world import PASSWORD, running_product

EMAIL = "kim@example.org"
STAFF = "ops@staff.example"


@pytest.mark.long
async def test_a_dispute_nobody_answers(settings: Settings, database_url: str) -> None:
    settings = settings.model_copy(update={"staff_emails": [STAFF]})
    async with running_product(settings, database_url) as product, product.browser() as browser:
        body = {"email": EMAIL, "password": PASSWORD, "name": "Kim", "accept_terms": True}
        signed_up = await browser.post("/api/account/sign-up", json=body)
        assert signed_up.status_code == 201, signed_up.text
        browser.headers["x-csrf-token"] = signed_up.json()["csrf_token"]
        started = await browser.post(
            "/api/payment/checkout", json={"plan": "quarterly"}, headers={"Idempotency-Key": "buy"}
        )
        session = httpx.URL(started.json()["purchase_url"]).params["session"]
        bought = await product.emulator.pay(session, email=EMAIL)
        await product.settled()
        dispute = await product.emulator.open_dispute(bought["payment"]["id"])
        await product.settled()
        (row,) = await product.rows("SELECT status, evidence_due_at FROM dispute")
        assert row["status"] == "needs_response"

        # Four, five and six of seven days later staff is told, when it falls due and without a delivery.
        await product.advance(days=6)
        (alarm,) = await product.rows("SELECT kind, raised_at FROM dispute_alarm")
        assert alarm["kind"] == "deadline"
        assert 47 <= (row["evidence_due_at"] - alarm["raised_at"]).total_seconds() / 3600 <= 48
        await product.advance(days=2)
        (row,) = await product.rows("SELECT status, editable FROM dispute")
        assert row == {"status": "under_review", "editable": False}

        await product.emulator.rule_dispute(dispute["id"], "lost")
        await product.settled()
        (ended,) = await product.rows("SELECT status FROM subscription")
        assert ended["status"] == "canceled"
        assert len(await product.rows("SELECT id FROM dispute_alarm")) == 1
        told = [str(mail["subject"]) for mail in product.post.mails if mail["to"] == STAFF]
        assert [subject.rpartition(":")[0] for subject in told] == [
            "A payment is disputed",
            "3 days left to answer a dispute",
            "Last day to answer a dispute",
            "A dispute was lost",
        ]
        page = await browser.get("/billing/history")
        assert "The disputed payment went back to you" in page.text
