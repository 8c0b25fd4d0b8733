"""What the endpoint takes, what it refuses, and that a 200 means durable."""

import asyncio
import json
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from quntedge.api.webhook import MAX_BODY_BYTES, webhook_route
from quntedge.edge.app import build as build_app
from quntedge.webhooks.endpoint import PATH
from tests.gateway import payloads
from tests.gateway.payloads import native_membership, native_payment
from tests.webhooks.world import World, ours


def _document(webhook_id: str = "msg_1") -> dict[str, object]:
    return payloads.envelope("membership.activated", native_membership(**ours()), webhook_id=webhook_id)


async def _is_empty(world: World) -> bool:
    return (await world.row("SELECT count(*) AS n FROM webhook_event")) == {"n": 0}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"webhook-id": None}, 400, "webhook_headers_malformed"),
        ({"webhook-id": "msg 1"}, 400, "webhook_headers_malformed"),
        ({"webhook-timestamp": "yesterday"}, 400, "webhook_headers_malformed"),
        ({"webhook-timestamp": "１７８６３８１４０４"}, 400, "webhook_headers_malformed"),
        ({"webhook-signature": "v1,short"}, 400, "webhook_headers_malformed"),
        ({"webhook-signature": None}, 400, "webhook_headers_malformed"),
        ({"webhook-signature": "v1," + "A" * 43 + "="}, 401, None),
        ({"webhook-id": "msg_other"}, 401, None),
        ({"content-type": "text/plain"}, 415, "unsupported_media_type"),
        ({"content-type": None}, 415, "unsupported_media_type"),
        ({"content-length": "many"}, 400, "invalid_request"),
    ],
)
async def test_malformed_or_forged_deliveries_are_refused_and_leave_nothing(
    world: World, change: dict[str, str | None], status: int, code: str | None
) -> None:
    body = payloads.body_of(_document())
    headers: dict[str, str] = payloads.sign(body, payloads.SECRET, "msg_1", world.clock.now())
    for name, value in change.items():
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await world.http.post(PATH, content=body, headers=raw)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert code is None or problem["code"] == code
    assert payloads.SECRET not in answer.text
    assert await _is_empty(world)


@pytest.mark.parametrize(("age", "status"), [(-301, 401), (-300, 200), (300, 200), (301, 401)])
async def test_a_signature_is_good_for_five_minutes_either_way(world: World, age: int, status: int) -> None:
    body = payloads.body_of(_document())
    headers = payloads.sign(body, payloads.SECRET, "msg_1", world.clock.now() + timedelta(seconds=age))
    assert (await world.http.post(PATH, content=body, headers=headers)).status_code == status


async def test_a_delivery_over_the_limit_is_refused_whether_or_not_it_says_so(world: World) -> None:
    body = b'{"type":"x","pad":"' + b"a" * MAX_BODY_BYTES + b'"}'
    assert (await world.deliver(body, "msg_1")).status_code == 413

    async def chunks() -> object:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    headers = payloads.sign(body, payloads.SECRET, "msg_1", world.clock.now())
    assert (await world.http.post(PATH, content=chunks(), headers=headers)).status_code == 413
    assert await _is_empty(world)


async def test_a_delivery_of_exactly_the_limit_is_taken(world: World) -> None:
    start, end = b'{"type":"nobody.knows","pad":"', b'"}'
    body = start + b"a" * (MAX_BODY_BYTES - len(start) - len(end)) + end
    assert (await world.deliver(body, "msg_1")).status_code == 200


async def test_every_configured_secret_is_accepted_while_they_are_rotated(world: World) -> None:
    route = webhook_route(world.runtime.inbox, [b"ws_old_0123456789", b"ws_new_0123456789"], world.clock)
    app = build_app(world.runtime.services, [], [route])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://q.test") as http:
        for number, (secret, status) in enumerate(
            [("ws_old_0123456789", 200), ("ws_new_0123456789", 200), ("ws_", 401)]
        ):
            body = payloads.body_of(_document(f"msg_{number}"))
            headers = payloads.sign(body, secret, f"msg_{number}", world.clock.now())
            assert (await http.post(PATH, content=body, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"not json", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[]", "not_an_object"),
        (b"{}", "missing_type"),
        (b'{"action":"payment.succeeded","data":{}}', "legacy_envelope"),
        (b'{"type":"membership.activated","data":{"id":7}}', None),
        (b'{"type":"payment.succeeded","data":{"id":"pay_1","total":{"amount":"NaN","currency":"usd"}}}', None),
    ],
)
async def test_a_signed_body_nobody_can_use_is_kept_and_answered_200(
    world: World, body: bytes, reason: str | None
) -> None:
    assert (await world.deliver(body, "msg_1")).status_code == 200
    await world.work()
    event = await world.row("SELECT id, state, outcome, received_at FROM webhook_event")
    assert event["state"] == "quarantined"
    assert reason is None or event["outcome"] == reason
    async with world.runtime.units() as unit:
        kept = await world.runtime.bodies.read(await unit.connection(), [(event["id"], event["received_at"])])
    assert kept == {event["id"]: body}


async def test_an_event_of_another_account_is_quarantined(world: World) -> None:
    theirs = native_membership(**ours(account={"id": "biz_other", "route": "other", "title": "Other"}))
    foreign = payloads.envelope("membership.activated", theirs, account_id="biz_other")
    assert (await world.deliver(foreign)).status_code == 200
    await world.work()
    assert await world.row("SELECT state, outcome FROM webhook_event") == {
        "state": "quarantined",
        "outcome": "foreign_account",
    }
    assert await world.rows("SELECT id FROM subscription") == []


async def test_fifty_parallel_deliveries_of_one_event_have_one_effect_and_one_mail(world: World) -> None:
    document = _document()
    answers = await asyncio.gather(*(world.deliver(document) for _ in range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    worked = await asyncio.gather(world.work(), world.work())
    assert sum(worked) == 1
    counts = await world.row(
        "SELECT (SELECT count(*) FROM webhook_event) AS events, (SELECT count(*) FROM subscription) AS subscriptions,"
        " (SELECT count(*) FROM subscription_event) AS changes, (SELECT count(*) FROM notification) AS mails"
    )
    assert counts == {"events": 1, "subscriptions": 1, "changes": 1, "mails": 1}


async def test_a_delivery_that_cannot_be_stored_is_answered_503_and_taken_later(world: World) -> None:
    async with world.runtime.units() as unit:
        await unit.session.execute(text("ALTER TABLE webhook_event RENAME TO webhook_event_away"))
        await unit.commit()
    answer = await world.deliver(_document())
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    async with world.runtime.units() as unit:
        await unit.session.execute(text("ALTER TABLE webhook_event_away RENAME TO webhook_event"))
        await unit.commit()
    assert (await world.deliver(_document())).status_code == 200


async def test_concurrent_distinct_deliveries_are_all_durable_and_new(world: World) -> None:
    documents = [
        payloads.envelope("payment.succeeded", native_payment(**ours(id=f"pay_{n}")), webhook_id=f"msg_{n}")
        for n in range(300)
    ]
    answers = await asyncio.gather(*(world.deliver(document) for document in documents))
    assert {answer.status_code for answer in answers} == {200}
    kept = await world.row(
        "SELECT count(*) AS n, count(DISTINCT b.event_id) AS bodies FROM webhook_event e"
        " JOIN webhook_body b ON b.event_id = e.id AND b.received_at = e.received_at"
    )
    assert kept == {"n": 300, "bodies": 300}


async def test_bodies_are_not_readable_in_the_database(world: World) -> None:
    await world.deliver(payloads.envelope("payment.succeeded", native_payment(**ours())))
    (row,) = await world.rows("SELECT body FROM webhook_body")
    assert b"kim@example.org" not in bytes(row["body"])
    assert json.dumps("pay_A1").encode() not in bytes(row["body"])
