"""Deliveries: at least once, signed per attempt, retried on Whop's schedule, broken on request."""

import itertools
from datetime import datetime
from typing import Any

import httpx
import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.delivery.dispatcher import RETRY_SECONDS
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import PATIENT, START, Shop, sdk_for
from tests.emulator.receiver import SECRET, Receiver


async def _only_payments(emu: RunningEmulator, receiver: Receiver) -> str:
    return str((await emu.register_webhook(receiver.url, SECRET, events=["payment.succeeded"]))["id"])


async def test_failed_deliveries_are_retried_for_three_days(shop: Shop, receiver: Receiver) -> None:
    await _only_payments(shop.emu, receiver)
    receiver.statuses.extend([500] * 40)
    await shop.sell()
    await shop.emu.advance(days=4)
    assert len(receiver.received) == 13
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    assert all(one.signature_is_right() for one in receiver.received)
    sent = [one.sent_at for one in receiver.received]
    waits = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(sent)]
    for wait, scheduled in zip(waits, RETRY_SECONDS, strict=True):
        assert scheduled - 2 <= wait <= scheduled + 62
    assert 70 <= sum(RETRY_SECONDS) / 3600 <= 73


@pytest.mark.parametrize("status", [301, 302, 400, 404, 500, 503])
async def test_everything_but_2xx_is_a_failure(status: int, shop: Shop, receiver: Receiver) -> None:
    hook = await _only_payments(shop.emu, receiver)
    receiver.statuses.append(status)
    await shop.sell()
    assert len(receiver.received) == 1
    assert (await shop.sdk.webhooks.retrieve(hook)).consecutive_failures == 1
    await shop.emu.advance(seconds=31)
    assert len(receiver.received) == 2
    healed = await shop.sdk.webhooks.retrieve(hook)
    assert (healed.consecutive_failures, healed.failing_since) == (0, None)
    attempts = [d async for d in await shop.sdk.webhooks.list_deliveries(hook)]
    assert [(d.success, d.response_code) for d in attempts] == [(True, 200), (False, status)]


async def test_slow_answers_count_as_failures(receiver: Receiver) -> None:
    """The receiver says nothing until the test is over: however short the patience, the outcome is the same."""
    async with running_emulator(EmulatorConfig(start=START, delivery_timeout_seconds=0.1)) as emu:
        await emu.register_webhook(receiver.url, SECRET, events=["product.created"])
        receiver.answering.clear()
        head = {"authorization": f"Bearer {emu.config.api_key}"}
        await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
        await emu.settle()
        state = await emu.state()
        assert (state["deliveries"]["failed"], state["deliveries"]["waiting_for_retry"]) == (1, 1)
    receiver.answering.set()


async def test_an_unreachable_endpoint_harms_nobody(shop: Shop, receiver: Receiver) -> None:
    await shop.emu.register_webhook("http://127.0.0.1:9/hook", SECRET)
    await _only_payments(shop.emu, receiver)
    await shop.sell()
    assert receiver.types == ["payment.succeeded"]


async def test_duplicates(shop: Shop, receiver: Receiver) -> None:
    await _only_payments(shop.emu, receiver)
    await shop.emu.faults(duplicate=1)
    await shop.sell()
    await shop.sell("lee@customer.test")
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert ids[0] == ids[1] != ids[2]


async def test_dropped_messages_never_come(shop: Shop, receiver: Receiver) -> None:
    await _only_payments(shop.emu, receiver)
    await shop.emu.faults(drop_next=1)
    await shop.sell()
    await shop.emu.advance(days=4)
    assert receiver.received == []
    await shop.sell("lee@customer.test")
    assert len(receiver.received) == 1


async def _order(seed: int, receiver: Receiver, *, reorder: bool) -> list[str]:
    config = EmulatorConfig(start=START, seed=seed, delivery_concurrency=1, delivery_timeout_seconds=PATIENT)
    async with running_emulator(config) as emu, httpx.AsyncClient() as http:
        sdk = sdk_for(emu, http)
        product = await sdk.products.create(title="QuntEdge", account_id=emu.config.account_id)
        shop = Shop(emu, sdk, product.id)
        checkout_id = await shop.checkout(await shop.plan())
        await emu.register_webhook(receiver.url, SECRET)
        receiver.clear()
        await emu.faults(reorder=reorder)
        await emu.pay(checkout_id, email="kim@customer.test")
        await emu.settle()
        return receiver.types


async def test_reordering_is_repeatable(receiver: Receiver) -> None:
    natural = await _order(1, receiver, reorder=False)
    shuffled = await _order(1, receiver, reorder=True)
    assert natural == [
        "payment.created",
        "payment.succeeded",
        "member.created",
        "membership.activated",
        "membership.updated",
    ]
    assert sorted(shuffled) == sorted(natural) != natural != shuffled
    assert await _order(1, receiver, reorder=True) == shuffled


async def test_delay(shop: Shop, receiver: Receiver) -> None:
    await _only_payments(shop.emu, receiver)
    await shop.emu.faults(delay_ms=300)
    checkout_id = await shop.checkout(await shop.plan())
    await shop.emu.pay(checkout_id, email="kim@customer.test")
    assert receiver.received == []
    await shop.emu.settle()
    assert len(receiver.received) == 1


async def test_payloads_show_the_moment_they_were_made(shop: Shop, receiver: Receiver) -> None:
    """A retry days later still carries the old object: that is what makes `updated_at` matter."""
    await shop.emu.register_webhook(receiver.url, SECRET, events=["membership.updated"])
    receiver.statuses.append(500)
    paid = await shop.sell()
    await shop.sdk.memberships.cancel(paid["membership"]["id"])
    await shop.emu.settle()
    await shop.emu.advance(minutes=1)
    statuses: list[Any] = [one.data["status"] for one in receiver.received]
    assert statuses == ["active", "canceled", "active"]
    times = [datetime.fromisoformat(one.data["updated_at"]) for one in receiver.received]
    assert times[0] == times[2] < times[1]


async def test_disabled_endpoints_miss_what_happens(shop: Shop, receiver: Receiver) -> None:
    hook = await _only_payments(shop.emu, receiver)
    await shop.sdk.webhooks.update(hook, enabled=False)
    await shop.sell()
    await shop.sdk.webhooks.update(hook, enabled=True)
    await shop.emu.advance(days=1)
    assert receiver.received == []


async def test_public_api_can_refuse_private_addresses() -> None:
    async with running_emulator(EmulatorConfig(start=START, allow_private_urls=False)) as emu:
        head = {"authorization": f"Bearer {emu.config.api_key}"}
        for url, status in (
            ("http://127.0.0.1:8000/hook", 400),
            ("https://localhost/hook", 400),
            ("https://10.0.0.8/hook", 400),
            ("http://app.example.com/hook", 400),
            ("https://app.example.com/hook", 201),
        ):
            made = await emu.control.post(f"{emu.api_base_url}/webhooks", json={"url": url}, headers=head)
            assert made.status_code == status, url
