"""Refunds over HTTP: for the tools of staff, and what customers see of them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from quntedge.checkout.idempotency import LEASE
from quntedge.kit.ids import new_id
from quntedge.main import create_app
from tests.refunds.world import World

PATH = "/api/admin/refunds"
TEN = {"amount_minor": 1000, "currency": "usd"}


class Office:
    """The tools of two people in staff, and of somebody who may only look."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._app = create_app(world.runtime)
        self._clients: list[httpx.AsyncClient] = []

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client of its own."""
        transport = httpx.ASGITransport(app=self._app, client=("198.51.100.7", 50000), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=self.world.runtime.settings.base_url, headers=headers)
        self._clients.append(client)
        return client

    async def tool(self, *scopes: str) -> httpx.AsyncClient:
        """A client with an API key of its own."""
        async with self.world.runtime.units() as unit:
            _, token = await self.world.runtime.services.api_keys.create(unit, "tool", scopes)
            await unit.commit()
        return self.client(Authorization=f"Bearer {token}")

    async def close(self) -> None:
        """Ends all clients."""
        for client in self._clients:
            await client.aclose()


@pytest.fixture
async def office(world: World) -> AsyncIterator[Office]:
    made = Office(world)
    yield made
    await made.close()


async def ask(tool: httpx.AsyncClient, key: str | None, **body: Any) -> httpx.Response:
    return await tool.post(PATH, json=body, headers={} if key is None else {"Idempotency-Key": key})


async def test_asked_for_approved_and_followed(office: Office) -> None:
    world = office.world
    payer = await world.buy("yearly")
    kim = await office.tool("refunds:read", "refunds:request", "refunds:approve")
    lou = await office.tool("refunds:approve")
    asked = await ask(kim, "k1", transaction=payer.payment, reason="service_problem", note="Three days down.")
    assert asked.status_code == 201, asked.text
    refund = asked.json()
    assert (refund["status"], refund["approval_required"]) == ("requested", True)
    assert refund["amount"] == payer.total.to_json()
    assert (
        await ask(kim, "k1", transaction=payer.payment, reason="service_problem", note="Three days down.")
    ).json() == (refund)
    waiting = (await kim.get(PATH, params={"status": "requested"})).json()["data"]
    assert [row["id"] for row in waiting] == [refund["id"]]

    own = await kim.post(f"{PATH}/{refund['id']}/approve", json={})
    assert (own.status_code, own.json()["code"]) == (403, "approval_by_requester")
    done = await lou.post(f"{PATH}/{refund['id']}/approve", json={"note": "Agreed."})
    assert (done.status_code, done.json()["status"]) == (200, "pending")
    again = await lou.post(f"{PATH}/{refund['id']}/reject", json={})
    assert (again.status_code, again.json()["code"]) == (409, "refund_not_waiting")

    await world.settles(payer)
    detail = (await kim.get(f"{PATH}/{refund['id']}")).json()
    assert (detail["status"], detail["note"], detail["decision_note"]) == ("succeeded", "Three days down.", "Agreed.")
    assert detail["left"] == {"amount_minor": 0, "currency": "usd"}
    assert [(event["kind"], event["after"] or event["code"]) for event in detail["history"]] == [
        ("moved", "requested"),
        ("denied", "approval_by_requester"),
        ("moved", "approved"),
        ("moved", "sending"),
        ("moved", "pending"),
        ("denied", "refund_not_waiting"),
        ("moved", "succeeded"),
    ]


async def test_keys_need_their_scopes(office: Office) -> None:
    reader, requester = await office.tool("refunds:read"), await office.tool("refunds:request")
    key = new_id("ref", office.world.clock.now())
    for answer in (
        await requester.get(PATH),
        await requester.get(f"{PATH}/{key}"),
        await ask(reader, "k1", transaction="txn_1"),
        await requester.post(f"{PATH}/{key}/approve", json={}),
        await requester.post(f"{PATH}/{key}/reject", json={}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert (await office.client().get(PATH)).status_code == 401
    assert (await reader.get(f"{PATH}/{key}")).json()["code"] == "refund_not_found"
    assert (await reader.get(PATH, params={"status": "gone"})).status_code == 422
    assert (await reader.get(PATH, params={"cursor": "x"})).json()["code"] == "invalid_cursor"


BAD = (
    [-1, 422, "invalid_refund"],
    [0, 422, "invalid_refund"],
    [7501, 409, "refund_above_what_is_left"],
    [10**18, 409, "refund_above_what_is_left"],
    [2**63, 422, "malformed"],
    [10.0, 422, "malformed"],
    ["1e2", 422, "malformed"],
    ["10.001", 422, "malformed"],
    ["１００", 422, "malformed"],
    [True, 422, "malformed"],
    [None, 422, "malformed"],
)


async def test_bad_input_is_a_precise_4xx_and_changes_nothing(office: Office) -> None:
    world = office.world
    payer, kim = await world.buy(), await office.tool("refunds:request")

    async def refused(status: int, code: str, **body: Any) -> None:
        answer = await ask(kim, new_id("key", world.clock.now()), **body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body, answer.text)

    for minor, status, code in BAD:
        await refused(status, code, transaction=payer.payment, amount={"amount_minor": minor, "currency": "usd"})
    await refused(409, "refund_currency_mismatch", transaction=payer.payment, amount=TEN | {"currency": "eur"})
    await refused(422, "invalid_refund", transaction=payer.payment, amount=TEN | {"currency": "zzz"})
    await refused(422, "invalid_refund", transaction=payer.payment, amount=TEN, reason="withdrawal")
    await refused(404, "payment_not_found", transaction="txn_unknown")
    await refused(422, "malformed", transaction=payer.payment, amount=TEN, whatever=1)
    nan = f'{{"transaction": "{payer.payment}", "amount": {{"amount_minor": NaN, "currency": "usd"}}}}'
    headers = {"Idempotency-Key": "nan", "Content-Type": "application/json"}
    assert 400 <= (await kim.post(PATH, content=nan, headers=headers)).status_code < 500
    for key, code in ((None, "idempotency_key_missing"), ("a b", "idempotency_key_invalid")):
        answer = await ask(kim, key, transaction=payer.payment, amount=TEN)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert await world.rows("SELECT id FROM refund") == []
    assert await world.made(payer) == []
    assert {code for code, _ in await world.denied()} == {"refund_above_what_is_left", "refund_currency_mismatch"}


async def test_a_double_click_is_one_refund_and_another_body_is_refused(office: Office) -> None:
    world = office.world
    payer, kim = await world.buy(), await office.tool("refunds:request")
    answers = await asyncio.gather(*(ask(kim, "twice", transaction=payer.payment, amount=TEN) for _ in range(4)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.json().get("code") for answer in answers} <= {None, "idempotency_key_in_flight"}
    assert await world.made(payer) == [(1000, *made)]
    other = await ask(kim, "twice", transaction=payer.payment, amount=TEN | {"amount_minor": 1001})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.long
async def test_a_crash_before_the_answer_is_gone_on_with_under_the_same_key(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = office.world
    payer, kim, lou = await world.buy(), await office.tool("refunds:request"), await office.tool("refunds:request")
    desk = world.desk
    request = desk.request

    async def crashing(*arguments: Any, **more: Any) -> None:
        await request(*arguments, **more)
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patch:
        patch.setattr(desk, "request", crashing)
        assert (await ask(kim, "k", transaction=payer.payment, amount=TEN)).status_code == 500
    (made,) = await world.made(payer)
    at_once = await ask(kim, "k", transaction=payer.payment, amount=TEN)
    assert (at_once.status_code, at_once.json()["code"]) == (409, "idempotency_key_in_flight")
    world.clock.advance(LEASE)
    for _ in range(2):
        again = await ask(kim, "k", transaction=payer.payment, amount=TEN)
        assert (again.status_code, again.json()["id"]) == (201, made[1]), again.text
    assert await world.made(payer) == [made]
    # A key belongs to whoever sends it: somebody else's is another wish.
    other = await ask(lou, "k", transaction=payer.payment, amount=TEN)
    assert (other.status_code, len(await world.made(payer))) == (201, 2)


async def test_lists_are_filtered_and_go_on_page_by_page(office: Office) -> None:
    world = office.world
    kim, other = await world.buy(), await world.buy()
    tool = await office.tool("refunds:read", "refunds:request")
    for number in range(5):
        await ask(tool, f"k{number}", transaction=kim.payment, amount={"amount_minor": 100 + number, "currency": "usd"})
    await ask(tool, "other", transaction=other.payment, amount=TEN)
    found, cursor = [], None
    while True:
        params = {"limit": "2", "user": kim.user_id} | ({"cursor": cursor} if cursor else {})
        page = (await tool.get(PATH, params=params)).json()
        found += [row["amount"]["amount_minor"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [104, 103, 102, 101, 100]
    by = (await tool.get(PATH, params={"transaction": other.payment})).json()["data"]
    assert [row["user"] for row in by] == [other.user_id]
    mine = (await tool.get(PATH, params={"requested_by": by[0]["requested_by"], "status": "pending"})).json()["data"]
    assert len(mine) == 6


async def test_customers_see_what_is_on_its_way_and_not_who_has_to_agree(office: Office) -> None:
    world = office.world
    browser = office.client(origin=world.runtime.settings.base_url)
    body = {"email": "kim@customer.test", "password": "three quiet green lamps", "name": "Kim", "accept_terms": True}
    user_id = (await browser.post("/api/account/sign-up", json=body)).json()["user"]
    payer = await world.buy("yearly", user_id)
    waiting = await world.ask(payer)
    assert (await browser.get("/api/payment/refunds")).json()["data"] == []
    assert "Refunds" not in (await browser.get("/billing")).text
    await world.desk.reject(waiting.id, actor="staff:lou")
    row = await world.ask(payer, type(payer.total)(1000, "usd"))
    assert (await browser.get("/api/payment/refunds")).json()["data"] == [
        {
            "id": row.id,
            "status": "pending",
            "amount": TEN,
            "transaction_id": payer.payment,
            "occurred_at": row.occurred_at.isoformat().replace("+00:00", "Z"),
        }
    ]
    page = (await browser.get("/billing")).text
    assert "On its way" in page
    assert "$10.00" in page
    await world.settles(payer)
    assert "Given back" in (await browser.get("/billing/refunds")).text
    history = (await browser.get("/billing/history")).text
    assert "Part of a payment was given back" in history
