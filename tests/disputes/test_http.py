"""Staff's routes: what they show, what they send, and what they refuse."""

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import pypdf
from sqlalchemy import text

from tests.disputes.world import EMAIL, World

READ, WRITE = "disputes:read", "disputes:write"


async def _key(world: World, *scopes: str) -> dict[str, str]:
    async with world.runtime.units() as unit:
        _, token = await world.runtime.services.api_keys.create(unit, "back office", list(scopes))
        await unit.commit()
    return {"Authorization": f"Bearer {token}"}


async def _get(world: World, path: str, headers: dict[str, str], status: int = 200) -> Any:
    answer = await world.http.get(f"/api/admin{path}", headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def _names(archive: zipfile.ZipFile) -> Sequence[str]:
    return [name.rpartition("/")[2] for name in archive.namelist()]


async def test_disputes_are_listed_shown_and_answered(world: World) -> None:
    await world.buy()
    whop_id = await world.dispute()
    staff = await _key(world, READ, WRITE)
    (listed,) = (await _get(world, "/disputes?waiting=true", staff))["data"]
    assert listed["amount"] == {"amount_minor": 2900, "currency": "usd"}
    assert listed["withdrawn"] == {"amount_minor": 2900, "currency": "usd"}
    assert (await _get(world, f"/disputes/{whop_id}", staff))["id"] == listed["id"]
    assert (await _get(world, "/disputes?status=won", staff))["data"] == []
    assert (await _get(world, f"/disputes?user={world.user_id}&limit=1", staff))["next_cursor"] is None

    path = f"/api/admin/disputes/{listed['id']}/submit"
    body = {"notes": "Twelve sign-ins after the payment."}
    missing = await world.http.post(path, json=body, headers=staff)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_missing")
    once = {**staff, "Idempotency-Key": "send-1"}
    first = await world.http.post(path, json=body, headers=once)
    assert first.status_code == 200, first.text
    again = await world.http.post(path, json=body, headers=once)
    assert again.json() == first.json()
    assert first.json()["state"] == "done"
    other = await world.http.post(path, json={"notes": "Other."}, headers=once)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    late = await world.http.post(path, json=body, headers={**staff, "Idempotency-Key": "send-2"})
    assert (late.status_code, late.json()["code"]) == (409, "dispute_locked")

    told = (await world.whop("GET", f"/disputes/{whop_id}"))["evidence"]
    assert told["notes"] == body["notes"]
    assert told["customer_email_address"] == EMAIL
    detail = await _get(world, f"/disputes/{listed['id']}", staff)
    assert [(one["kind"], one["state"]) for one in detail["responses"]] == [("evidence", "done")]
    assert detail["responses"][0]["actor"].startswith("service:key_")
    documents = [(one["name"].partition("-INV")[0], one["state"]) for one in detail["documents"]]
    assert documents == [("evidence.pdf", "sent"), ("access-log.pdf", "sent"), ("invoice", "sent")]
    assert [one["whop_file_id"] for one in detail["documents"]] == [one["id"] for one in told["documents"]]


async def test_the_file_holds_our_records_and_says_what_it_lacks(world: World) -> None:
    await world.buy()
    await world.dispute(reason="subscription_canceled")
    async with world.runtime.units() as unit:
        await unit.session.execute(
            text("UPDATE app_user SET terms_accepted_at = :at WHERE id = :id"),
            {"at": world.clock.now(), "id": world.user_id},
        )
        await unit.commit()
    staff = await _key(world, READ)
    (listed,) = (await _get(world, "/disputes", staff))["data"]
    found = await _get(world, f"/disputes/{listed['id']}/evidence", staff)
    sections = {section["key"]: section for section in found["sections"]}
    assert sections["dispute"]["facts"]["Reason"] == "subscription_canceled 13.2"
    assert sections["payment"]["facts"]["Total"] == "29.00 USD"
    assert sections["customer"]["facts"]["E-mail"] == EMAIL
    assert sections["purchase"]["facts"]["Plan"] == "Kept"
    assert sections["purchase"]["facts"]["Checkout"].startswith("chk_")
    told = [one["what"] for one in sections["subscription"]["happenings"]]
    assert (told[0], told[-1]) == ("subscription created", "payment disputed")
    assert sections["invoices"]["happenings"][0]["detail"] == "29.00 USD, paid"
    assert "agreed to the terms" in found["texts"]["refund_policy_disclosure"]
    assert "All charts, always." in found["texts"]["product_description"]
    assert any("sign-ins" in gap for gap in found["missing"])

    url = f"/api/admin/disputes/{listed['id']}/evidence.zip"
    archives = [(await world.http.get(url, headers=staff)).content for _ in range(2)]
    assert archives[0] == archives[1]
    with zipfile.ZipFile(io.BytesIO(archives[0])) as archive:
        names = _names(archive)
        (invoice,) = [name for name in names if name.startswith("invoice-")]
        assert names == ["evidence.pdf", "access-log.pdf", invoice, "evidence.json", "texts-for-whop.json"]
        pdf, log, bill, document, texts = (archive.read(name) for name in archive.namelist())
    assert "subscription created" in _text(log)
    assert EMAIL not in _text(log)
    assert invoice.removeprefix("invoice-").removesuffix(".pdf") in _text(bill)
    assert json.loads(texts) == found["texts"]
    assert json.loads(document)["dispute_id"] == listed["id"]
    assert EMAIL in _text(pdf)
    assert "29.00 USD" in _text(pdf)


def _text(pdf: bytes) -> str:
    return "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)


async def test_alarms_are_resolved_once(world: World) -> None:
    await world.buy()
    await world.emulator.raise_alert(world.payment_id, type="dispute_alert")
    await world.hear()
    staff = await _key(world, READ, WRITE)
    (alert,) = (await _get(world, "/dispute-alerts", staff))["data"]
    (alarm,) = (await _get(world, "/dispute-alarms", staff))["data"]
    assert (alarm["kind"], alarm["subject_id"]) == ("alert", alert["id"])
    url = f"/api/admin/dispute-alarms/{alarm['id']}/resolve"
    assert (await world.http.post(url, json={"note": ""}, headers=staff)).status_code == 422
    done = await world.http.post(url, json={"note": "Refunded."}, headers=staff)
    assert (done.status_code, done.json()["note"]) == (200, "Refunded.")
    assert (await world.http.post(url, json={"note": "Again."}, headers=staff)).json()[
        "code"
    ] == "dispute_alarm_resolved"
    assert (await _get(world, "/dispute-alarms", staff))["data"] == []
    assert len((await _get(world, "/dispute-alarms?resolved=true", staff))["data"]) == 1


async def test_what_is_wrong_is_named(world: World) -> None:
    staff = await _key(world, READ)
    for path, status, code in (
        ("/disputes?status=settled", 400, "unknown_dispute_status"),
        ("/disputes?limit=0", 400, "invalid_limit"),
        ("/disputes?cursor=x", 400, "invalid_cursor"),
        ("/disputes/dsp_nobody", 404, "dispute_not_found"),
        ("/disputes/..%2F", 404, "not_found"),
        ("/disputes/dsp_nobody/evidence.zip", 404, "dispute_not_found"),
    ):
        assert (await _get(world, path, staff, status))["code"] == code


async def test_only_keys_made_for_it_open_these_routes(world: World) -> None:
    other, reader = await _key(world, "access:read"), await _key(world, READ)
    assert (await _get(world, "/disputes", {}, 401))["code"]
    assert (await _get(world, "/disputes", other, 403))["code"] == "missing_scope"
    for act in ("submit", "accept"):
        headers = {**reader, "Idempotency-Key": "k"}
        refused = await world.http.post(f"/api/admin/disputes/dsp_nobody/{act}", json={}, headers=headers)
        assert refused.status_code == 403
