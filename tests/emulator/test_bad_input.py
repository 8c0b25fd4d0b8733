"""Whatever is sent, the answer is a clear 4xx in Whop's error shape, and nothing changes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import START, Shop


@pytest.fixture(scope="module")
async def emu() -> AsyncIterator[RunningEmulator]:
    """One emulator for all tests of this file: what is refused leaves no trace."""
    async with running_emulator(EmulatorConfig(start=START)) as running:
        yield running


def assert_is_whop_error(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["type"]
    assert error["message"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic whop_emulator_key", "whop_emulator_key"])
async def test_without_the_key_nothing_is_answered(header: str | None, emu: RunningEmulator) -> None:
    headers = {} if header is None else {"authorization": header}
    for path in ("accounts/me", "payments", "nowhere"):
        assert_is_whop_error(await emu.control.get(f"{emu.api_base_url}/{path}", headers=headers), 401)


@pytest.mark.parametrize(
    "version", ["", "yesterday", "2025-01-01", "2026-09-01", "2026-09-02-1;drop", "2026-11-01", "２０２６-10-15-1"]
)
async def test_versions_without_native_shapes_are_refused(version: str, api: httpx.AsyncClient) -> None:
    answer = await api.get("accounts/me", headers={b"Api-Version-Date": version.encode()})
    assert_is_whop_error(answer, 400)


async def test_unknown_paths_methods_and_objects(api: httpx.AsyncClient) -> None:
    assert_is_whop_error(await api.get("nowhere"), 404)
    assert_is_whop_error(await api.put("products", json={}), 405)
    for path in ("products", "plans", "memberships", "payments", "refunds", "members", "invoices", "webhooks"):
        assert_is_whop_error(await api.get(f"{path}/missing_1"), 404)
        assert_is_whop_error(await api.get(f"{path}/%00%ff"), 404)
    assert_is_whop_error(await api.get("accounts/biz_other"), 404)
    assert_is_whop_error(await api.get("payments", params={"account_id": "biz_other"}), 404)


@pytest.mark.parametrize(
    "query",
    [
        "first=0",
        "first=101",
        "first=x",
        "first=-1",
        "first=1e1",
        "first=٣",
        "after=x",
        "after=%00",
        "before=AAAA",
        "direction=up",
        "created_after=yesterday",
        "created_after=2026-01-01T00:00:00",
        "created_before=99999-01-01T00:00:00Z",
        "updated_after=2026-01-01T00:00:00Z",
        "company_id=biz_emulator",
    ],
)
async def test_bad_list_parameters(query: str, api: httpx.AsyncClient) -> None:
    assert_is_whop_error(await api.get(f"payments?{query}"), 400)


async def test_unknown_membership_status_filter(api: httpx.AsyncClient) -> None:
    assert_is_whop_error(await api.get("memberships?statuses=active&statuses=happy"), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"title": NaN}',
        b'{"title": "\\ud800"}',
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
async def test_bodies_that_are_no_objects(body: bytes, api: httpx.AsyncClient) -> None:
    assert_is_whop_error(await api.post("products", content=body), 400)


async def test_huge_bodies(api: httpx.AsyncClient) -> None:
    body = json.dumps({"title": "x" * 300_000})
    assert_is_whop_error(await api.post("products", content=body), 413)
    assert_is_whop_error(await api.post("products", content=body, headers={"idempotency-key": "k"}), 413)


@pytest.mark.parametrize(
    "over",
    [
        {"renewal_price": -1},
        {"renewal_price": 0.5},
        {"renewal_price": "29"},
        {"renewal_price": 1e300},
        {"renewal_price": 29.999},
        {"renewal_price": True},
        {"currency": "dollar"},
        {"currency": 1},
        {"billing_period": 0},
        {"billing_period": 1.5},
        {"billing_period": None},
        {"plan_type": "weekly"},
        {"trial_period_days": -1},
        {"title": "x" * 31},
        {"metadata": []},
        {"metadata": {str(n): "v" for n in range(51)}},
        {"metadata": {"k" * 101: "v"}},
        {"metadata": {"k": "v" * 501}},
        {"visibility": "secret"},
        {"surprise": 1},
        {"product_id": ""},
        {"product_id": None},
    ],
)
async def test_impossible_plans(over: dict[str, Any], shop: Shop, api: httpx.AsyncClient) -> None:
    body = {"product_id": shop.product_id, "plan_type": "renewal", "billing_period": 30, "renewal_price": 29}
    assert (await api.post("plans", json=body)).status_code == 201
    before = (await shop.emu.state())["counts"]
    assert_is_whop_error(await api.post("plans", json={**body, **over}), 400)
    assert (await shop.emu.state())["counts"] == before


@pytest.mark.parametrize(
    "over",
    [
        {"redirect_url": "http://app.example.com/return"},
        {"redirect_url": "javascript:alert(1)"},
        {"redirect_url": "http://127.0.0.1.evil.example/"},
        {"redirect_url": "http://user@127.0.0.1/"},
        {"redirect_url": "https://"},
        {"redirect_url": "http://[::"},
        {"mode": "setup"},
        {"plan": {"product_id": "x"}},
        {"plan_id": None},
    ],
)
async def test_impossible_checkouts(over: dict[str, Any], shop: Shop, api: httpx.AsyncClient) -> None:
    body = {"plan_id": await shop.plan(), "redirect_url": "http://localhost:8000/return"}
    assert (await api.post("checkout_configurations", json=body)).status_code == 201
    before = (await shop.emu.state())["counts"]
    assert_is_whop_error(await api.post("checkout_configurations", json={**body, **over}), 400)
    assert (await shop.emu.state())["counts"] == before


async def test_impossible_transitions(shop: Shop, api: httpx.AsyncClient) -> None:
    running = (await shop.sell())["membership"]["id"]
    once: dict[str, Any] = {"plan_type": "one_time", "billing_period": None, "initial_price": 5, "renewal_price": 0}
    lifetime = (await shop.sell("lee@customer.test", **once))["membership"]["id"]
    refusals: list[tuple[str, dict[str, Any], int]] = [
        (f"memberships/{running}/resume", {}, 409),
        (f"memberships/{running}/extend", {}, 400),
        (f"memberships/{running}/extend", {"days": 0}, 400),
        (f"memberships/{running}/extend", {"days": 1096}, 400),
        (f"memberships/{running}/pause", {"until": "2020-01-01T00:00:00Z"}, 400),
        (f"memberships/{running}/pause", {"until": "never"}, 400),
        (f"memberships/{lifetime}/extend", {"days": 5}, 409),
        (f"memberships/{lifetime}/pause", {}, 409),
        (f"memberships/{lifetime}/cancel", {"cancel_at_period_end": True}, 409),
    ]
    for path, body, status in refusals:
        assert_is_whop_error(await api.post(path, json=body), status)
    assert_is_whop_error(await api.patch(f"memberships/{running}", json={"payment_method_id": "payt_none"}), 404)
    both = {"billing_period_days": 10, "cancel_at_period_end": True}
    assert_is_whop_error(await api.patch(f"memberships/{running}", json=both), 400)
    assert (await api.get(f"memberships/{running}")).json()["status"] == "active"


async def test_extending_for_ever_ends_somewhere(shop: Shop, api: httpx.AsyncClient) -> None:
    mem = (await shop.sell())["membership"]["id"]
    statuses = {(await api.post(f"memberships/{mem}/extend", json={"days": 1095})).status_code for _ in range(110)}
    assert statuses == {200, 409}


async def test_paid_payments_cannot_be_retried(shop: Shop, api: httpx.AsyncClient) -> None:
    pay = (await shop.sell())["payment"]["id"]
    assert_is_whop_error(await api.post(f"payments/{pay}/retry"), 409)
    assert_is_whop_error(await api.post(f"payments/{pay}/refund", json={"partial_amount": 1.001}), 400)
    assert_is_whop_error(await api.post(f"payments/{pay}/refund", json={"amount": 1}), 400)


async def test_a_card_in_use_cannot_be_deleted(shop: Shop, api: httpx.AsyncClient) -> None:
    paid = await shop.sell("only-once@customer.test")
    method = paid["payment"]["payment_method_id"]
    assert_is_whop_error(await api.delete(f"payment_methods/{method}"), 409)
    await api.post(f"memberships/{paid['membership']['id']}/cancel")
    assert (await api.delete(f"payment_methods/{method}")).json() is True
    assert_is_whop_error(await api.get(f"payment_methods/{method}"), 404)
    assert (await api.get(f"payments/{paid['payment']['id']}")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("pay", {}, 400),
        ("pay", {"checkout_id": "ch_none", "email": "a@b.test"}, 404),
        ("webhooks", {"url": "ftp://x.test"}, 400),
        ("webhooks", {"url": "nowhere"}, 400),
        ("webhooks", {"url": "http://127.0.0.1:1/", "events": ["party.started"]}, 400),
        ("faults", {"duplicate": -1}, 400),
        ("faults", {"reorder": 1}, 400),
        ("memberships/none/decline_next", {}, 404),
        ("invoices", {"plan_id": "plan_none"}, 404),
    ],
)
async def test_control_refuses_clearly(path: str, body: dict[str, Any], status: int, emu: RunningEmulator) -> None:
    assert_is_whop_error(await emu.control.post(path, json=body), status)


async def test_only_what_nobody_bought_can_be_deleted(shop: Shop, api: httpx.AsyncClient) -> None:
    unsold = await shop.sdk.products.create(title="Unsold", account_id=shop.emu.config.account_id)
    plan = await Shop(shop.emu, shop.sdk, unsold.id).plan()
    checkout = await shop.checkout(plan)
    await shop.sell("deleter@customer.test")
    assert_is_whop_error(await api.delete(f"products/{shop.product_id}"), 409)
    assert (await api.delete(f"products/{unsold.id}")).json() == {"id": unsold.id, "deleted": True}
    for path in (f"products/{unsold.id}", f"variants/{plan}", f"checkout_configurations/{checkout}"):
        assert_is_whop_error(await api.get(path), 404)
    assert (await api.get(f"products/{shop.product_id}")).status_code == 200
