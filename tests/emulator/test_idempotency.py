"""Idempotency-Key: one write per key, its answer replayed, refusals included."""

import asyncio

import httpx

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import Shop
from tests.emulator.receiver import SECRET, Receiver


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def test_a_repeated_write_happens_once(api: httpx.AsyncClient) -> None:
    first = await api.post("products", json={"title": "One"}, headers=key("k1"))
    again = await api.post("products", json={"title": "One"}, headers=key("k1"))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await api.get("products")).json()["data"]) == 1


async def test_refusals_are_replayed(api: httpx.AsyncClient) -> None:
    wrong = {"product_id": "prod_missing", "billing_period": 30, "renewal_price": 5}
    first = await api.post("plans", json=wrong, headers=key("k2"))
    again = await api.post("plans", json=wrong, headers=key("k2"))
    assert (first.status_code, again.status_code) == (404, 404)
    assert again.headers["idempotent-replayed"] == "true"


async def test_another_request_under_the_same_key_is_refused(api: httpx.AsyncClient) -> None:
    await api.post("products", json={"title": "One"}, headers=key("k3"))
    version = {"Api-Version-Date": "2026-10-15-1"}
    for path, body, headers in (
        ("products", {"title": "Two"}, key("k3")),
        ("plans", {"title": "One"}, key("k3")),
        ("products", {"title": "One"}, key("k3") | version),
    ):
        refused = await api.post(path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "idempotency_key_mismatch")


async def test_keys_expire_after_a_day(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await api.post("products", json={"title": "One"}, headers=key("k4"))
    await emu.advance(hours=23)
    assert (await api.post("products", json={"title": "One"}, headers=key("k4"))).headers["idempotent-replayed"]
    await emu.advance(hours=2)
    fresh = await api.post("products", json={"title": "One"}, headers=key("k4"))
    assert "idempotent-replayed" not in fresh.headers
    assert len((await api.get("products")).json()["data"]) == 2


async def test_a_running_request_answers_409(shop: Shop, receiver: Receiver, api: httpx.AsyncClient) -> None:
    hook = await shop.emu.register_webhook(receiver.url, SECRET)
    receiver.hang_seconds = 0.5
    path, body = f"webhooks/{hook['id']}/test", {"event": "payment.succeeded"}
    running = asyncio.create_task(api.post(path, json=body, headers=key("k5")))
    while not receiver.received:
        await asyncio.sleep(0.01)
    second = await api.post(path, json=body, headers=key("k5"))
    assert (second.status_code, second.json()["error"]["type"]) == (409, "idempotency_request_in_progress")
    assert (await running).status_code == 200
    assert (await api.post(path, json=body, headers=key("k5"))).headers["idempotent-replayed"] == "true"
    assert len(receiver.received) == 1


async def test_keys_are_ignored_on_other_methods(api: httpx.AsyncClient) -> None:
    made = (await api.post("products", json={"title": "One"})).json()["id"]
    for title in ("Two", "Three"):
        changed = await api.patch(f"products/{made}", json={"title": title}, headers=key("k6"))
        assert changed.json()["title"] == title


async def test_keys_have_a_length(api: httpx.AsyncClient) -> None:
    assert (await api.post("products", json={"title": "One"}, headers=key("x" * 255))).status_code == 201
    assert (await api.post("products", json={"title": "One"}, headers=key("x" * 256))).status_code == 400
    assert (await api.post("products", json={"title": "One"}, headers=key(""))).status_code == 400


async def test_parallel_requests_with_one_key_make_one_object(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(api.post("products", json={"title": "One"}, headers=key("k7")) for _ in range(20)))
    assert {a.status_code for a in answers} <= {201, 409}
    assert len((await api.get("products")).json()["data"]) == 1
