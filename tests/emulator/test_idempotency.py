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
    version = {"Api-Version-Date": "2026-09-22-1"}
    for path, body, headers in (
        ("products", {"title": "Two"}, key("k3")),
        ("plans", {"title": "One"}, key("k3")),
        ("products?x=1", {"title": "One"}, key("k3")),
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
    receiver.answering.clear()
    path, body = f"webhooks/{hook['id']}/test", {"event": "payment.succeeded"}
    running = asyncio.create_task(api.post(path, json=body, headers=key("k5")))
    while not receiver.received:
        await asyncio.sleep(0.01)
    second = await api.post(path, json=body, headers=key("k5"))
    assert (second.status_code, second.json()["error"]["type"]) == (409, "idempotency_request_in_progress")
    receiver.answering.set()
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


async def test_the_newest_version_is_the_default(api: httpx.AsyncClient) -> None:
    await api.post("products", json={"title": "One"}, headers=key("k8"))
    newest = {"Api-Version-Date": "2026-10-15-1"}
    again = await api.post("products", json={"title": "One"}, headers=key("k8") | newest)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")


async def test_unknown_versions_are_refused(api: httpx.AsyncClient) -> None:
    malformed = ("2026-13-01", "2026-09-31", "newest", "", "２026-10-15")
    for version in ("2026-09-01", "2026-10-15-2", "2031-01-01", *malformed):
        refused = await api.get("products", headers={b"Api-Version-Date": version.encode()})
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "bad_request"), version
    for version in ("2026-09-02-1", "2026-10-07-1", "2026-10-15", "2026-10-15-1"):
        assert (await api.get("products", headers={"Api-Version-Date": version})).status_code == 200, version


async def test_keys_belong_to_their_caller(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    """The second caller is a key with permissions of its own."""
    await api.post("products", json={"title": "One"}, headers=key("k9"))
    made = await emu.control.post("api_keys", json={"permissions": ["access_pass:create"]})
    assert made.status_code == 201, made.text
    other = key("k9") | {"Authorization": f"Bearer {made.json()['secret']}"}
    second = await api.post("products", json={"title": "One"}, headers=other)
    assert (second.status_code, "idempotent-replayed" in second.headers) == (201, False)


async def test_every_answer_has_a_request_id(api: httpx.AsyncClient) -> None:
    answers = [await api.get("products"), await api.get("products/prod_x"), await api.get("nowhere")]
    answers.append(await api.get("products", headers={"Authorization": "Bearer wrong"}))
    assert [a.status_code for a in answers] == [200, 404, 404, 401]
    ids = [a.headers["x-request-id"] for a in answers]
    assert len({*ids}) == 4
    assert all(one.startswith("req_") for one in ids)


async def test_the_receipt_is_never_replayed(shop: Shop, api: httpx.AsyncClient) -> None:
    paid = await shop.sell()
    path = f"payments/{paid['payment']['id']}/generate_pdf"
    answers = [await api.post(path, json={}, headers=key("k10")) for _ in range(2)]
    assert not any("idempotent-replayed" in a.headers for a in answers)


async def test_a_client_that_hangs_up_early_leaves_the_key_free(emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    host, port = emu.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/products HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {emu.config.api_key}\r\n"
    writer.write(f'{head}idempotency-key: k11\r\ncontent-length: 15\r\n\r\n{{"title"'.encode())
    writer.write_eof()
    await reader.read()
    writer.close()
    whole = await api.post("products", json={"title": "One"}, headers=key("k11"))
    assert (whole.status_code, "idempotent-replayed" in whole.headers) == (201, False)
