"""Faults of API calls: what happened stays whole, whatever becomes of the answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError
from whop_sdk.core.parse_error import ParsingError

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import NO_CERTIFICATES, PATIENT, START

ONE = {"title": "One"}


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def titles(api: httpx.AsyncClient) -> list[str]:
    """What exists, over a path no rule of these tests is about."""
    listed = (await api.get("products?first=100")).json()["data"]
    return sorted(product["title"] for product in listed)


async def until(emu: RunningEmulator, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Waits until the first rule looks like this."""
    while not holds((await emu.faults_state())["rules"][0]):
        await asyncio.sleep(0.005)


async def test_errors_before_executing(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="error_before", match="POST /products", times=2, status=503)
    answers = [await api.post("products", json=ONE, headers=key("k")) for _ in range(3)]
    assert [a.status_code for a in answers] == [503, 503, 201]
    assert answers[0].json()["error"]["type"] == "internal_error"
    assert "idempotent-replayed" not in answers[2].headers
    assert await titles(api) == ["One"]


async def test_errors_after_executing_leave_the_kept_answer(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="error_after", match="POST /products", times=1)
    first = await api.post("products", json=ONE, headers=key("k"))
    assert (first.status_code, await titles(api)) == (500, ["One"])
    again = await api.post("products", json=ONE, headers=key("k"))
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert await titles(api) == ["One"]


async def test_without_a_key_a_repeated_write_happens_twice(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    """What makes this fault worth having."""
    await emu.faults(fault="error_after", match="POST /products", times=1)
    assert [(await api.post("products", json=ONE)).status_code for _ in range(2)] == [500, 201]
    assert await titles(api) == ["One", "One"]


async def test_an_unknown_outcome_keeps_the_key_taken(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="error_after", match="POST /products", times=1, outcome="unknown")
    assert (await api.post("products", json=ONE, headers=key("k"))).status_code == 500
    for _ in range(2):
        again = await api.post("products", json=ONE, headers=key("k"))
        assert (again.status_code, again.json()["error"]["type"]) == (409, "idempotency_request_in_progress")
    assert await titles(api) == ["One"]
    await emu.advance(hours=25)
    assert (await api.post("products", json=ONE, headers=key("k"))).status_code == 201


async def test_refusals_survive_a_lost_answer(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="error_after", match="POST /plans", times=1)
    wrong = {"product_id": "prod_missing", "renewal_price": 5}
    assert (await api.post("plans", json=wrong, headers=key("k"))).status_code == 500
    again = await api.post("plans", json=wrong, headers=key("k"))
    assert (again.status_code, again.headers["idempotent-replayed"]) == (404, "true")


async def test_hanging_before_executing(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="hang_before", match="POST /products", times=1)
    hanging = asyncio.create_task(api.post("products", json=ONE, headers=key("k")))
    await until(emu, lambda rule: rule["hanging"] == 1)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    await until(emu, lambda rule: rule["hanging"] == 0)
    assert await titles(api) == []
    assert (await api.post("products", json=ONE, headers=key("k"))).status_code == 201


async def test_hanging_ends_when_disarmed(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="hang_before", match="POST /products")
    hanging = asyncio.create_task(api.post("products", json=ONE))
    await until(emu, lambda rule: rule["hanging"] == 1)
    await emu.disarm()
    assert (await hanging).status_code == 201


async def test_hanging_after_executing(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="hang_after", match="POST /products", times=1)
    hanging = asyncio.create_task(api.post("products", json=ONE, headers=key("k")))
    await until(emu, lambda rule: rule["hanging"] == 1)
    assert await titles(api) == ["One"]
    assert (await api.post("products", json=ONE, headers=key("k"))).status_code == 409
    hanging.cancel()
    await until(emu, lambda rule: rule["hanging"] == 0)
    while (again := await api.post("products", json=ONE, headers=key("k"))).status_code == 409:
        await asyncio.sleep(0.005)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert await titles(api) == ["One"]


async def test_a_short_hang_is_only_slow(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    for fault in ("hang_before", "hang_after", "slow"):
        await emu.faults(fault=fault, match="POST /products", times=1, delay_ms=1)
        assert (await api.post("products", json={"title": fault})).status_code == 201
    assert len(await titles(api)) == 3


@pytest.mark.parametrize(("fault", "happened"), [("cut_before", []), ("cut_after", ["One"]), ("cut_body", ["One"])])
async def test_cut_connections(fault: str, happened: list[str], emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault=fault, match="POST /products", times=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await api.post("products", json=ONE, headers=key("k"))
    assert await titles(api) == happened
    again = await api.post("products", json=ONE, headers=key("k"))
    assert (again.status_code, "idempotent-replayed" in again.headers) == (201, bool(happened))
    assert await titles(api) == ["One"]


async def _received(api: httpx.AsyncClient, path: str, into: bytearray) -> None:
    async with api.stream("GET", path) as answer:
        assert answer.status_code == 200
        async for chunk in answer.aiter_raw():
            into += chunk


async def test_the_first_half_of_a_cut_body_arrives(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.faults(fault="cut_body", match="GET /products", times=1)
    received = bytearray()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await _received(api, "products", received)
    whole = (await api.get("products")).content
    assert received == whole[: len(whole) // 2]


async def test_rate_limit_on_order(emu: RunningEmulator, api: httpx.AsyncClient, sdk: AsyncWhop) -> None:
    await emu.faults(fault="rate_limit", match="GET /products", times=1, retry_after=12)
    refused = await api.get("products")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "12")
    assert refused.json() == {"error": {"type": "rate_limit_exceeded", "message": "Try again in 12 seconds."}}
    await emu.faults(fault="rate_limit", match="* /products", times=1)
    with pytest.raises(ApiError) as typed:
        await sdk.products.create(title="One", account_id=emu.config.account_id)
    assert (typed.value.status_code, (typed.value.headers or {})["retry-after"]) == (429, "1")
    assert await titles(api) == []


async def test_garbage(emu: RunningEmulator, api: httpx.AsyncClient, sdk: AsyncWhop) -> None:
    kinds = ["html", "empty", "truncated", "null", "list", "wrong_types", "binary"]
    for number, kind in enumerate(kinds, 1):
        await emu.faults(fault="garbage", match="POST /products", times=1, kind=kind)
        options: Any = {"additional_headers": key(kind)}
        with pytest.raises((ApiError, ParsingError, UnicodeDecodeError)):
            await sdk.products.create(title=kind, account_id=emu.config.account_id, request_options=options)
        assert len(await titles(api)) == number
        again = await sdk.products.create(title=kind, account_id=emu.config.account_id, request_options=options)
        assert again.title == kind
    assert await titles(api) == sorted(kinds)


async def _walk(api: httpx.AsyncClient) -> list[str]:
    rows, after = [], None
    while True:
        page = (await api.get("products", params={"first": 2} | ({"after": after} if after else {}))).json()
        rows += [row["title"] for row in page["data"]]
        after = page["page_info"]["end_cursor"]
        if not page["page_info"]["has_next_page"]:
            return rows


async def _shifted(seed: int) -> list[str]:
    async with _emulator() as (emu, api):
        for number in range(10):
            await api.post("products", json={"title": str(number)})
        whole = await _walk(api)
        await emu.faults(fault="shifting_list", match="GET /products", seed=seed, delay_ms=1)
        shifted = await _walk(api)
        assert shifted != whole
        await emu.disarm()
        assert await _walk(api) == whole
        return shifted


@asynccontextmanager
async def _emulator() -> AsyncIterator[tuple[RunningEmulator, httpx.AsyncClient]]:
    async with (
        running_emulator(EmulatorConfig(start=START, delivery_timeout_seconds=PATIENT)) as emu,
        httpx.AsyncClient(
            base_url=f"{emu.api_base_url}/",
            headers={"authorization": f"Bearer {emu.config.api_key}"},
            verify=NO_CERTIFICATES,
        ) as api,
    ):
        yield emu, api


async def test_lists_that_change_while_they_are_read() -> None:
    walks = [await _shifted(seed) for seed in (1, 1, 2, 3)]
    assert walks[0] == walks[1]
    assert len({tuple(walk) for walk in walks}) > 1
    assert any(len(set(walk)) < len(walk) for walk in walks), "a row shows twice"
    assert any(len(set(walk)) < 10 for walk in walks), "a row is missed"


async def _outcomes(seed: int) -> list[int]:
    async with _emulator() as (emu, api):
        await emu.faults(fault="error_before", match="POST /products", probability=0.5, seed=seed)
        return [(await api.post("products", json=ONE)).status_code for _ in range(24)]


async def test_the_same_seed_gives_the_same_faults() -> None:
    first, again, other = await _outcomes(7), await _outcomes(7), await _outcomes(8)
    assert first == again != other
    assert {*first} == {500, 201}


async def test_patterns(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    calls = ("POST /products", "GET /products", "GET /products/prod_x", "POST /memberships/mem_x/cancel")
    create, listing, read, cancel = calls
    for match, hit in (
        ("*", {*calls}),
        ("POST /products", {create}),
        ("/products", {create, listing}),
        ("* /products/*", {read}),
        ("POST /**", {create, cancel}),
        ("POST /memberships/*/cancel", {cancel}),
        ("GET /prod*", {listing}),
        ("PUT /products", set()),
    ):
        await emu.faults(fault="error_before", match=match, status=599)
        done = set()
        for call in calls:
            method, _, path = call.partition(" /")
            if (await api.request(method, path, json={} if method == "POST" else None)).status_code == 599:
                done.add(call)
        assert done == hit, match
        await emu.disarm()


async def test_what_is_armed_and_what_was_done(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    rule = await emu.faults(fault="error_before", match="GET /products", times=2, skip=1, seed=5)
    assert (rule["id"], rule["times_left"], rule["on"], rule["armed"]) == ("fault_1", 2, "api", True)
    assert [(await api.get("products")).status_code for _ in range(4)] == [200, 500, 500, 200]
    state = await emu.faults_state()
    (shown,) = state["rules"]
    assert (shown["seen"], shown["done"], shown["times_left"], shown["armed"]) == (3, 2, 0, False)
    assert [(one["rule"], one["fault"], one["what"]) for one in state["done"]] == [
        ("fault_1", "error_before", "GET /products")
    ] * 2
    await emu.control.post("faults", json={"rules": [{"fault": "drop"}, {"fault": "slow", "match": "GET /x"}]})
    assert [r["id"] for r in (await emu.faults_state())["rules"]] == ["fault_2", "fault_1", "fault_3"]
    assert (await emu.control.delete("faults/fault_2")).json() == {"disarmed": 1}
    assert (await emu.control.delete("faults/fault_2")).status_code == 404
    assert (await emu.control.delete("faults")).json() == {"disarmed": 2}
    assert (await emu.faults_state())["rules"] == []


NONSENSE: list[dict[str, Any]] = [
    {"fault": "explode"},
    {"fault": "slow", "match": "products"},
    {"fault": "slow", "match": "get /products"},
    {"fault": "slow", "times": 0},
    {"fault": "slow", "probability": 0},
    {"fault": "slow", "probability": 1.5},
    {"fault": "slow", "status": 500},
    {"fault": "error_before", "status": 404},
    {"fault": "error_after", "outcome": "lost"},
    {"fault": "garbage", "kind": "rubbish"},
    {"fault": "slow", "webhook_id": "hook_x"},
    {"fault": "delay"},
    {"fault": "delay", "seconds": 5, "delay_ms": 5},
    {"fault": "drop", "webhook_id": 5},
    {"rules": [{"fault": "slow"}, {"fault": "explode"}]},
    {"rules": {}},
    {"explode": True},
]


async def test_orders_that_make_no_sense(emu: RunningEmulator) -> None:
    for body in NONSENSE:
        assert (await emu.control.post("faults", json=body)).status_code == 400, body
    assert (await emu.faults_state())["rules"] == []


async def test_faults_of_unknown_webhooks(emu: RunningEmulator) -> None:
    assert (await emu.control.post("faults", json={"fault": "drop", "webhook_id": "hook_x"})).status_code == 404


HARMFUL = ("error_before", "error_after", "cut_before", "cut_after", "cut_body", "garbage")


async def _story(seed: int | None) -> dict[str, Any]:
    """A seller's day; every write has a key and is repeated until it is answered. Returns what there is at the end."""
    async with _emulator() as (emu, api):
        if seed is not None:
            for number, fault in enumerate(HARMFUL):
                await emu.faults(fault=fault, match="POST /**", probability=0.25, seed=10 * seed + number, times=6)
            await emu.faults(fault="rate_limit", probability=0.2, retry_after=0, times=10, seed=seed)
            await emu.faults(fault="slow", probability=0.2, delay_ms=1, seed=seed)
        counter = iter(range(1000))

        async def write(path: str, **body: Any) -> dict[str, Any]:
            name = key(f"step-{next(counter)}")
            while True:
                try:
                    answer = await api.post(path, json=body, headers=name)
                    document = json.loads(answer.content) if answer.status_code in (200, 201) else None
                except (httpx.TransportError, ValueError):
                    continue
                if isinstance(document, dict) and isinstance(document.get("id"), str) and "created_at" in document:
                    return document

        product = await write("products", title="Things")
        for number in range(3):
            plan = await write("plans", product_id=product["id"], renewal_price=10 + number, billing_period=30)
            checkout = await write("checkout_configurations", plan_id=plan["id"], metadata={"n": str(number)})
            paid = await emu.pay(checkout["id"], email=f"{number}@customer.test")
            await write(f"memberships/{paid['membership']['id']}/extend", days=3 + number)
            await write(f"payments/{paid['payment']['id']}/refund", partial_amount=2)
        await emu.settle()
        assert bool((await emu.faults_state())["done"]) is (seed is not None)
        await emu.disarm()
        return await _everything(api)


async def _everything(api: httpx.AsyncClient) -> dict[str, Any]:
    """All objects without their ids and times."""
    found: dict[str, Any] = {}
    for name in ("products", "plans", "checkout_configurations", "memberships", "payments", "refunds", "members"):
        rows = (await api.get(name, params={"first": 100})).json()["data"]
        found[name] = sorted(json.dumps(_anonymous(row), sort_keys=True) for row in rows)
    return found


_TELLING = ("title", "status", "substatus", "renewal_price", "metadata", "total", "refunded_amount", "amount", "email")


def _anonymous(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in _TELLING if name in row}
    if row.get("current_period_end"):
        ends, began = (datetime.fromisoformat(row[name]) for name in ("current_period_end", "created_at"))
        shown["days"] = round((ends - began) / timedelta(days=1), 2)
    return shown


async def test_faults_leave_the_state_as_it_would_have_been() -> None:
    undisturbed = await _story(None)
    for seed in (1, 2, 3):
        assert await _story(seed) == undisturbed, seed


async def test_a_hanging_call_does_not_hold_up_the_end() -> None:
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, timeout=None) as client:
        async with running_emulator(EmulatorConfig(start=START)) as emu:
            await emu.faults(fault="hang_before", delay_ms=600_000)
            head = {"authorization": f"Bearer {emu.config.api_key}"}
            hanging = asyncio.create_task(client.post(f"{emu.api_base_url}/products", json=ONE, headers=head))
            await until(emu, lambda rule: rule["hanging"] == 1)
        assert (await hanging).status_code == 201
