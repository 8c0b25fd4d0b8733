"""What goes wrong or is asked for separately, played with the official SDK: disputes, saved cards, invoices."""

from typing import Any

from tests.emulator.contract.stage import ALWAYS_CHALLENGED, CHALLENGED, GOOD, Stage

PDF = b"%PDF-1.7 what we know"
REASONS = (
    "fraudulent",
    "unrecognized",
    "declined_authorization",
    "product_not_received",
    "product_unacceptable",
    "subscription_canceled",
    "credit_not_processed",
    "duplicate",
    "processing_error",
    "documentation_request",
    "bank_cannot_process",
    "other",
)
DOCUMENTS = (
    "return_policy",
    "shipping_policy",
    "cancellation_policy",
    "terms_of_service",
    "physical_fulfillment",
    "customer_communication",
)


async def disputes(stage: Stage) -> None:
    """Chargebacks for every reason and an inquiry, through every status, with evidence."""
    sdk = stage.sdk
    paid = [(await stage.buy(f"dispute{number}@customer.test"))["payment"]["id"] for number in range(len(REASONS))]
    payments = dict(zip(REASONS, paid, strict=True))
    opened = {
        reason: (await stage.control(f"payments/{pay}/dispute", reason=reason, inquiry=reason == "unrecognized"))["id"]
        for reason, pay in payments.items()
    }
    won, inquiry, lost, prevented, accepted, silent, *_ = opened.values()
    assert (await sdk.payments.retrieve(payments["unrecognized"])).substatus == "dispute_warning_needs_response"
    await _answered(stage, won, inquiry)
    assert (await sdk.disputes.accept(accepted)).status == "lost"
    seen = {(await sdk.payments.retrieve(pay)).substatus for pay in paid}
    for one, ruling in ((won, "won"), (lost, "lost"), (prevented, "prevented"), (inquiry, "warning_closed")):
        await stage.control(f"disputes/{one}", status=ruling)
        assert (await sdk.disputes.retrieve(one)).status == ruling
    seen |= {(await sdk.payments.retrieve(pay)).substatus for pay in paid}
    assert {f"dispute_{status}" for status in ("needs_response", "under_review", "won", "lost")} <= seen
    assert {"dispute_warning_under_review", "dispute_warning_closed"} <= seen
    await stage.emu.advance(days=8)
    assert (await sdk.disputes.retrieve(silent)).evidence_locked_reason == "response_window_closed"
    assert len(await stage.walk(sdk.disputes.list, account_id=stage.account)) == len(REASONS)
    assert (await sdk.disputes.summary(account_id=stage.account)).total == len(REASONS)


async def _answered(stage: Stage, chargeback: str, inquiry: str) -> None:
    sdk = stage.sdk
    assert (await sdk.disputes.retrieve(inquiry)).status == "warning_needs_response"
    texts = {
        "notes": "They used it every day.",
        "product_description": "Charts",
        "access_activity_log": "2026-09-02 signed in",
        "billing_address": "Weg 1, Berlin",
        "cancellation_policy_disclosure": "Shown at the checkout",
        "customer_email_address": "kim@customer.test",
        "customer_name": "Kim",
        "refund_policy_disclosure": "Shown at the checkout",
        "refund_refusal_explanation": "It was used",
        "service_date": "2026-09-01",
    }
    files = {
        name: {"id": await stage.emu.upload(f"{name}.pdf", PDF)}
        for name in (
            "cancellation_policy_attachment",
            "customer_communication_attachment",
            "refund_policy_attachment",
            "uncategorized_attachment",
        )
    }
    for one in (chargeback, inquiry):
        await sdk.disputes.update(one, evidence={**texts, **files})
    await sdk.disputes.upload_evidence(
        chargeback,
        documents=[{"id": await stage.emu.upload(f"{kind}.pdf", PDF), "document_type": kind} for kind in DOCUMENTS],
    )
    assert (await sdk.disputes.submit(chargeback)).status == "under_review"
    assert (await sdk.disputes.submit(inquiry)).status == "warning_under_review"
    await stage.refused(409, sdk.disputes.submit(chargeback))


async def uploads(stage: Stage) -> None:
    """Files announced and put, read one by one and in pages."""
    sdk = stage.sdk
    made = [await sdk.files.create(filename=f"{number}.pdf", byte_size=len(PDF)) for number in range(3)]
    assert {file.upload_status for file in made} == {"pending"}
    await stage.emu.process_files(seconds=60)
    ready = await stage.emu.upload("late.pdf", PDF)
    assert (await sdk.files.retrieve(ready)).upload_status == "processing"
    await stage.emu.process_files(seconds=0)
    await stage.emu.advance(seconds=61)
    assert (await sdk.files.retrieve(ready)).upload_status == "ready"
    public = await sdk.files.create(filename="terms.pdf", visibility="public")
    named = [*(file.id for file in made), ready, public.id]
    assert len(await stage.walk(sdk.files.list, file_ids=named)) == len(named)


async def alerts(stage: Stage) -> None:
    """Warnings before a dispute, the last of which gives the money back."""
    sdk = stage.sdk
    paid = (await stage.buy("alert@customer.test"))["payment"]["id"]
    for kind in ("early_fraud_warning", "dispute_alert"):
        await stage.control(f"payments/{paid}/alert", type=kind)
    made = await stage.control(f"payments/{paid}/alert", type="rapid_dispute_resolution", auto_refund=True)
    assert (await sdk.dispute_alerts.retrieve(made["id"])).auto_refunded
    assert len(await stage.walk(sdk.dispute_alerts.list, account_id=stage.account)) == 3
    await stage.emu.advance(seconds=5)
    assert (await sdk.payments.retrieve(paid)).substatus == "auto_refunded"
    (refund,) = [r async for r in await sdk.refunds.list(payment_id=paid)]
    assert (refund.reason, refund.visa_rdr) == ("dispute_alert", True)


async def saved_cards(stage: Stage) -> None:
    """Cards saved without a purchase: on the page, by the API, challenged, and deleted again."""
    sdk = stage.sdk
    page = await sdk.checkout_configurations.create(account_id=stage.account, mode="setup", currency="usd")
    for number, (card, challenge) in enumerate(((GOOD, "pass"), (CHALLENGED, "leave"), (CHALLENGED, "fail"))):
        await stage.emu.pay(page.id, card, email=f"setup{number}@customer.test", challenge=challenge)
    intents = await stage.walk(sdk.setup_intents.list, account_id=stage.account)
    assert len(intents) == 3
    for intent in intents:
        await sdk.setup_intents.retrieve(intent)
        await sdk.setup_intents.retrieve_status(intent)
    await stage.walk(sdk.payment_methods.list, account_id=stage.account)
    member = (await sdk.setup_intents.retrieve(intents[-1])).member_id
    await _verified_again(stage)
    (method,) = [m async for m in await sdk.payment_methods.list(member_id=member)]
    assert (await sdk.payment_methods.retrieve(method.id, member_id=member)).id == method.id
    kept = (await stage.buy("kept@customer.test"))["payment"]["payment_method_id"]
    await stage.refused(409, sdk.payment_methods.delete_payment_method(kept))
    assert await sdk.payment_methods.delete_payment_method(method.id, member_id=member) is True
    await stage.refused(404, sdk.payment_methods.retrieve(method.id))


async def _verified_again(stage: Stage) -> None:
    sdk = stage.sdk
    stored = (await stage.buy("verify@customer.test", ALWAYS_CHALLENGED))["payment"]["payment_method_id"]
    made = await sdk.setup_intents.create(
        account_id=stage.account,
        payment_method_id=stored,
        metadata={"why": "again"},
        return_url="https://app.example.com/one",
    )
    assert (made.status, made.metadata) == ("requires_action", {"why": "again"})
    changed = await sdk.setup_intents.update_return_url(made.id, return_url="https://app.example.com/two")
    assert changed.return_url == "https://app.example.com/two"


async def invoices(stage: Stage) -> None:
    """Invoices a seller makes, through every status."""
    sdk = stage.sdk
    values: dict[str, Any] = {
        "account_id": stage.account,
        "collection_method": "send_invoice",
        "product_id": stage.product_id,
        "plan": {"initial_price": 40, "plan_type": "one_time", "description": "By hand"},
        "due_date": "2027-06-01T00:00:00Z",
        "email_address": "invoice@customer.test",
        "customer_name": "Kim Invoice",
    }
    paid, void, lost, late, online = [await sdk.invoices.create(request=values) for _ in range(5)]
    draft, spare = [await sdk.invoices.create(request={**values, "save_as_draft": True}) for _ in range(2)]
    assert await sdk.invoices.mark_paid(paid.id) is True
    assert await sdk.invoices.void(void.id) is True
    assert await sdk.invoices.mark_uncollectible(lost.id) is True
    assert await sdk.invoices.resend(late.id) is True
    await sdk.invoices.update(draft.id, customer_name="Kim Changed", automatically_finalizes_at="2027-05-01T00:00:00Z")
    assert await sdk.invoices.delete(spare.id) is True
    await stage.control(f"invoices/{late.id}", status="past_due")
    await stage.control(f"invoices/{online.id}/pay")
    assert (await sdk.invoices.retrieve(online.id)).payment is not None
    statuses = [(await sdk.invoices.retrieve(one.id)).status for one in (paid, void, lost, late, online, draft)]
    assert statuses == ["paid", "void", "uncollectible", "past_due", "paid", "draft"]
    await stage.refused(409, sdk.invoices.void(paid.id))
    await _charged_invoice(stage, values)
    assert len(await stage.walk(sdk.invoices.list, account_id=stage.account)) == 7


async def _charged_invoice(stage: Stage, values: dict[str, Any]) -> None:
    bought = await stage.buy("automatic@customer.test")
    charged = {name: value for name, value in values.items() if name not in ("email_address", "customer_name")}
    charged |= {
        "collection_method": "charge_automatically",
        "member_id": bought["payment"]["member_id"],
        "payment_method_id": bought["payment"]["payment_method_id"],
        "plan": {"renewal_price": 40, "initial_price": 0, "plan_type": "renewal", "billing_period": 30},
        "subscription_billing_anchor_at": "2027-03-01T00:00:00Z",
    }
    made = await stage.sdk.invoices.create(request=charged)
    await stage.emu.advance(seconds=5)
    assert (await stage.sdk.invoices.retrieve(made.id)).collection_method == "charge_automatically"


CLAIMS = (disputes, uploads, alerts, saved_cards, invoices)
