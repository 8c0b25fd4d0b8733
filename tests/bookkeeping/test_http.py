"""The ledger over HTTP, for the tools of those who run the installation."""

from collections.abc import AsyncIterator

import httpx
import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.main import create_app
from quntedge.settings import Settings
from quntedge.wiring import Runtime, build
from tests.bookkeeping.world import Books

PATH = "/api/admin/ledger"


@pytest.fixture
async def runtime(settings: Settings, database_url: str, clock: FrozenClock) -> AsyncIterator[Runtime]:
    """Everything, as the processes are made of it."""
    runtime = build(settings, database_url, clock)
    yield runtime
    await runtime.close()


@pytest.fixture
async def books(runtime: Runtime, clock: FrozenClock) -> Books:
    """Two payments, one of them refunded in part."""
    books = await Books(runtime.units, clock, runtime.engine).open(runtime.bookkeeping)
    await books.pay("pay_1", total=3161, tax=261, net=2785)
    await books.pay("pay_2", total=1500, currency="jpy")
    await books.refund("rf_1", 1000)
    return books


@pytest.fixture
async def http(runtime: Runtime, books: Books) -> AsyncIterator[httpx.AsyncClient]:
    """A tool that may read the ledger."""
    async with client(runtime, await key(runtime, "ledger:read")) as opened:
        yield opened


def client(runtime: Runtime, token: str | None = None) -> httpx.AsyncClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(create_app(runtime), client=("198.51.100.7", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)


async def key(runtime: Runtime, *scopes: str) -> str:
    async with runtime.units() as unit:
        _, token = await runtime.services.api_keys.create(unit, "reports", scopes)
        await unit.commit()
    return token


async def test_the_books_are_read(http: httpx.AsyncClient, books: Books) -> None:
    chart = (await http.get(f"{PATH}/accounts")).json()["data"]
    assert {
        "code": "revenue",
        "kind": "income",
        "side": "credit",
        "title": "Sales without tax, after discounts",
    } in chart

    answer = (await http.get(f"{PATH}/balances")).json()
    revenue = {b["balance"]["currency"]: b for b in answer["data"] if b["account"]["code"] == "revenue"}
    assert revenue["usd"]["balance"] == revenue["usd"]["credit"] == {"amount_minor": 2900, "currency": "usd"}
    assert revenue["jpy"]["balance"]["amount_minor"] == 1500
    assert all(total["debit"] == total["credit"] for total in answer["totals"])
    assert [total["debit"]["currency"] for total in answer["totals"]] == ["jpy", "usd"]
    assert answer["complete"] is False
    await books.bookkeeping.backfill.run()
    assert (await http.get(f"{PATH}/balances", params={"until": "2026-09-01T12:00:00Z"})).json() == {
        "data": [],
        "totals": [],
        "complete": True,
    }
    activity = (await http.get(f"{PATH}/activity", params={"since": "2026-09-01", "until": "2026-09-02"})).json()
    assert activity["data"] == answer["data"]
    assert (await http.get(f"{PATH}/activity", params={"since": "2026-09-02", "until": "2026-10-01"})).json()[
        "data"
    ] == []


async def test_statements_are_paged(http: httpx.AsyncClient) -> None:
    wanted = {"account": "gateway_clearing", "currency": "usd", "limit": "1"}
    first = (await http.get(f"{PATH}/statement", params=wanted)).json()
    assert [(line["kind"], line["debit"], line["credit"]) for line in first["data"]] == [
        ("refund", None, {"amount_minor": 1000, "currency": "usd"})
    ]
    second = (await http.get(f"{PATH}/statement", params=wanted | {"cursor": first["next_cursor"]})).json()
    assert [(line["kind"], line["debit"]["amount_minor"]) for line in second["data"]] == [("payment", 2785)]
    assert second["next_cursor"] is None
    bounded = wanted | {"until": second["data"][0]["occurred_at"]}
    assert (await http.get(f"{PATH}/statement", params=bounded)).json()["data"] == []


async def test_entries_are_found_by_what_they_are_about(http: httpx.AsyncClient) -> None:
    everything = (await http.get(f"{PATH}/entries")).json()["data"]
    assert [entry["kind"] for entry in everything] == ["refund", "payment", "payment"]
    refund = everything[0]
    about = (await http.get(f"{PATH}/entries", params={"transaction": refund["transaction"]})).json()["data"]
    assert [entry["source"] for entry in about] == [refund["source"], refund["transaction"]]
    assert (await http.get(f"{PATH}/entries/{refund['id']}")).json() == refund
    assert sum(line["debit"]["amount_minor"] for line in refund["lines"] if line["debit"]) == 1000
    assert (await http.get(f"{PATH}/entries", params={"user": "usr_nobody"})).json()["data"] == []


async def test_what_cannot_be_asked_is_said_precisely(http: httpx.AsyncClient, runtime: Runtime) -> None:
    statement = {"account": "revenue", "currency": "usd"}
    for path, params, status, code in (
        ("entries/led_01k4a2f0e8f9xa3s6m1q2r7v5z", {}, 404, "ledger_entry_not_found"),
        ("entries/nonsense", {}, 404, "ledger_entry_not_found"),
        ("statement", statement | {"account": "petty_cash"}, 422, "malformed"),
        ("statement", statement | {"currency": "USD"}, 422, "malformed"),
        ("statement", {"account": "revenue"}, 422, "malformed"),
        ("statement", statement | {"limit": "0"}, 400, "invalid_limit"),
        ("statement", statement | {"cursor": "x"}, 400, "invalid_cursor"),
        ("balances", {"until": "2026-09-01T12:00:00"}, 422, "malformed"),
        ("balances", {"until": "0001-01-01T00:00:00+14:00"}, 422, "malformed"),
        ("activity", {"since": "2026-09-01", "until": "9999-12-31"}, 422, "malformed"),
        ("entries", {"source": "\x00"}, 400, "nul_character"),
    ):
        answer = await http.get(f"{PATH}/{path}", params=params)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (path, answer.text)
    async with client(runtime, await key(runtime, "catalog:read")) as stranger, client(runtime) as nobody:
        assert (await stranger.get(f"{PATH}/balances")).status_code == 403
        assert (await nobody.get(f"{PATH}/balances")).status_code == 401
