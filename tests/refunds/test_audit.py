"""What the audit log says of giving money back, and that one person with two keys is one person."""

import asyncio
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from quntedge.kit.ids import new_id
from quntedge.refunds.errors import AboveWhatIsLeft
from tests.refunds.test_api import PATH, TEN, Office, ask, office
from tests.refunds.world import World

__all__ = ["office"]


async def held_by(office: Office, holder: str, *scopes: str) -> httpx.AsyncClient:
    """A tool with a key that somebody holds."""
    async with office.world.runtime.units() as unit:
        _, token = await office.world.runtime.services.api_keys.create(unit, "tool", scopes, holder=holder)
        await unit.commit()
    return office.client(Authorization=f"Bearer {token}")


async def told(world: World) -> list[dict[str, Any]]:
    return await world.rows(
        "SELECT act, subject_kind, subject_id, outcome, code, actor_kind, actor_id, holder, details, request_id"
        " FROM audit_event WHERE act LIKE 'refund.%' ORDER BY at, id"
    )


async def test_one_person_with_two_keys_cannot_approve_what_they_asked_for(office: Office) -> None:
    world = office.world
    payer = await world.buy("yearly")
    kim = await held_by(office, "Kim", "refunds:request")
    kims_other = await held_by(office, "kim", "refunds:approve")
    lou = await held_by(office, "lou", "refunds:approve")
    refund = (await ask(kim, "k1", transaction=payer.payment)).json()
    assert (refund["status"], refund["requested_by"]) == ("requested", "staff:kim")

    own = await kims_other.post(f"{PATH}/{refund['id']}/approve", json={}, headers={"X-Request-Id": "own-approval"})
    assert (own.status_code, own.json()["code"]) == (403, "approval_by_requester")
    assert (await world.refund(refund["id"])).status == "requested"
    assert await world.made(payer) == []
    denied = [row for row in await told(world) if row["outcome"] == "denied"]
    assert [(row["act"], row["subject_id"], row["code"], row["holder"]) for row in denied] == [
        ("refund.approve", refund["id"], "approval_by_requester", "staff:kim")
    ]
    assert (denied[0]["actor_kind"], denied[0]["request_id"]) == ("api_key", "own-approval")

    done = await lou.post(f"{PATH}/{refund['id']}/approve", json={})
    assert (done.status_code, done.json()["approved_by"]) == (200, "staff:lou")
    acts = [(row["act"], row["holder"], row["details"]["amount_minor"]) for row in await told(world) if not row["code"]]
    total = payer.total.amount_minor
    assert acts == [
        ("refund.request", "staff:kim", total),
        ("refund.approve", "staff:lou", total),
        ("refund.execute", "staff:lou", total),
    ]


async def test_the_database_sees_the_person_as_well(office: Office) -> None:
    world = office.world
    payer = await world.buy("yearly")
    kim = await held_by(office, "kim", "refunds:request")
    refund = (await ask(kim, "k1", transaction=payer.payment)).json()
    with pytest.raises(IntegrityError) as refused:
        await world.rows("UPDATE refund SET approved_by = 'staff:kim' WHERE id = :id RETURNING id", id=refund["id"])
    assert isinstance(refused.value.orig, psycopg.errors.CheckViolation)
    assert refused.value.orig.diag.constraint_name == "ck_refund_two_people"


async def test_a_denied_refund_is_one_row_and_nothing_else(office: Office) -> None:
    world = office.world
    payer = await world.buy()
    kim = await held_by(office, "kim", "refunds:request")
    before = await world.rows("SELECT count(*) FROM refund")
    amount = TEN | {"amount_minor": payer.total.amount_minor + 1}
    answers = await asyncio.gather(
        *(ask(kim, f"k{number}", transaction=payer.payment, amount=amount) for number in range(6))
    )
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, AboveWhatIsLeft.code)}
    (row,) = await told(world)
    assert (row["act"], row["subject_kind"], row["subject_id"]) == ("refund.request", "payment", payer.payment)
    assert (row["outcome"], row["code"], row["details"]) == ("denied", AboveWhatIsLeft.code, {})
    assert await world.rows("SELECT repeats FROM audit_denial") == [{"repeats": 5}]
    assert await world.rows("SELECT count(*) FROM refund") == before
    assert await world.held(payer) == 0


async def test_missing_scopes_and_unknown_ids_are_denied_and_nonsense_is_not(office: Office) -> None:
    world = office.world
    reader = await held_by(office, "kim", "refunds:read")
    approver = await held_by(office, "kim", "refunds:approve")
    unknown = new_id("ref", world.clock.now())
    for tool, path, code in (
        (reader, f"{PATH}/{unknown}/approve", "missing_scope"),
        (approver, f"{PATH}/{unknown}/approve", "refund_not_found"),
        (approver, f"{PATH}/nonsense/approve", "refund_not_found"),
    ):
        assert (await tool.post(path, json={})).json()["code"] == code
    assert (await approver.post(f"{PATH}/{unknown}/approve", json={"whatever": 1})).status_code == 422
    assert (await approver.get(PATH)).json()["code"] == "missing_scope"
    rows = await world.rows("SELECT act, subject_id, code FROM audit_event WHERE outcome = 'denied' ORDER BY at, id")
    assert [tuple(row.values()) for row in rows] == [
        ("refund.approve", unknown, "missing_scope"),
        ("refund.approve", unknown, "refund_not_found"),
        ("api_key.use", "refunds:read", "missing_scope"),
    ]
