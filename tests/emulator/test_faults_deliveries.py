"""Faults of deliveries: what arrives twice, late, in another order, badly signed, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from whop_sdk.lib.verify_webhook import WebhookVerificationError

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import NO_CERTIFICATES, PATIENT, START, Shop
from tests.emulator.receiver import SECRET, Receiver, running_receiver


async def _made(api: httpx.AsyncClient, *titles: str) -> None:
    for title in titles:
        assert (await api.post("products", json={"title": title})).status_code == 201


async def _products_only(emu: RunningEmulator, receiver: Receiver) -> str:
    return str((await emu.register_webhook(receiver.url, SECRET, events=["product.created"]))["id"])


def _titles(receiver: Receiver) -> list[str]:
    return [one.data["title"] for one in receiver.received]


async def test_duplicates_in_several_copies(emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver) -> None:
    await _products_only(emu, receiver)
    await emu.faults(fault="duplicate", match="product.*", copies=3, times=1)
    await _made(api, "One", "Two")
    await emu.settle()
    assert sorted(_titles(receiver)) == ["One"] * 4 + ["Two"]
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 2


async def test_a_wrong_signature_is_retried_with_the_right_one(
    emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    await _products_only(emu, receiver)
    receiver.statuses.append(401)
    await emu.faults(fault="wrong_signature", times=1)
    await _made(api, "One")
    await emu.settle()
    assert not receiver.received[0].signature_is_right()
    await emu.advance(seconds=31)
    assert receiver.received[1].signature_is_right()
    assert receiver.received[0].headers["webhook-id"] == receiver.received[1].headers["webhook-id"]


async def test_a_stale_timestamp_is_signed_and_refused_by_the_verifier(
    emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    await _products_only(emu, receiver)
    await emu.faults(fault="stale_timestamp", times=1, seconds=3600)
    await _made(api, "One")
    await emu.settle()
    (one,) = receiver.received
    now = emu.runtime.world.now()
    assert now - timedelta(seconds=3660) < one.sent_at <= now - timedelta(seconds=3600)
    assert one.signature_is_right()
    with pytest.raises(WebhookVerificationError):
        one.unwrapped()


async def test_late_by_the_emulators_clock(emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver) -> None:
    await _products_only(emu, receiver)
    await emu.faults(fault="delay", seconds=7200, times=1)
    await _made(api, "Late", "Soon")
    await emu.settle()
    assert _titles(receiver) == ["Soon"]
    await emu.advance(minutes=119)
    assert _titles(receiver) == ["Soon"]
    await emu.advance(minutes=2)
    assert _titles(receiver) == ["Soon", "Late"]
    assert receiver.received[1].signature_is_right()


async def test_a_late_message_can_still_fail_and_be_retried(
    emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    await _products_only(emu, receiver)
    await emu.faults(fault="delay", seconds=60, times=5)
    receiver.statuses.append(500)
    await _made(api, "One")
    await emu.advance(seconds=65)
    assert len(receiver.received) == 1
    await emu.advance(seconds=31)
    assert len(receiver.received) == 2


async def test_real_delay_with_jitter_disorders_what_left_in_order(
    emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    await _products_only(emu, receiver)
    await emu.faults(fault="delay", delay_ms=1, jitter_ms=20)
    await _made(api, *map(str, range(8)))
    await emu.settle()
    assert sorted(_titles(receiver)) == [str(n) for n in range(8)]


async def test_only_what_is_meant_is_hit(shop: Shop, receiver: Receiver) -> None:
    first = (await shop.emu.register_webhook(receiver.url, SECRET))["id"]
    await shop.emu.faults(fault="drop", match="membership.*", webhook_id=first)
    await shop.sell()
    assert receiver.types
    assert not [name for name in receiver.types if name.startswith("membership.")]
    done = (await shop.emu.faults_state())["done"]
    assert {one["what"].split()[0] for one in done} == {"membership.activated", "membership.updated"}


async def _story(receiver: Receiver, emulator_seed: int, **rule: Any) -> list[tuple[str, ...]]:
    """What arrives of twelve products under a rule; each delivery by its title and webhook-id."""
    async with _emulator(emulator_seed) as (emu, api):
        await _products_only(emu, receiver)
        receiver.clear()
        await emu.faults(**rule)
        for number in range(12):
            await _made(api, str(number))
            await emu.settle()
        return [(one.data["title"], one.headers["webhook-id"]) for one in receiver.received]


@asynccontextmanager
async def _emulator(
    seed: int, patience_seconds: float = PATIENT
) -> AsyncIterator[tuple[RunningEmulator, httpx.AsyncClient]]:
    async with (
        running_emulator(EmulatorConfig(start=START, seed=seed, delivery_timeout_seconds=patience_seconds)) as emu,
        httpx.AsyncClient(
            base_url=f"{emu.api_base_url}/",
            headers={"authorization": f"Bearer {emu.config.api_key}"},
            verify=NO_CERTIFICATES,
        ) as api,
    ):
        yield emu, api


@pytest.mark.parametrize("fault", ["drop", "duplicate"])
async def test_the_same_seed_gives_the_same_faults(fault: str, receiver: Receiver) -> None:
    rule = {"fault": fault, "probability": 0.4}
    first = await _story(receiver, 3, **rule)
    assert len(first) != 12
    assert await _story(receiver, 3, **rule) == first
    assert [title for title, _ in await _story(receiver, 4, **rule)] != [title for title, _ in first]
    assert [title for title, _ in await _story(receiver, 4, seed=3, **rule)] == [title for title, _ in first]


async def test_short_forms_replace_each_other(emu: RunningEmulator) -> None:
    quiet = {"duplicate": 0, "drop_next": 0, "delay_ms": 0, "reorder": False}
    assert await emu.faults(drop_next=5) == quiet | {"drop_next": 5}
    assert await emu.faults(drop_next=2, reorder=True) == quiet | {"drop_next": 2, "reorder": True}
    assert await emu.faults(delay_ms=3) == quiet | {"drop_next": 2, "reorder": True, "delay_ms": 3}
    assert len((await emu.faults_state())["rules"]) == 3
    assert await emu.faults(drop_next=0, reorder=False, delay_ms=0) == quiet
    assert (await emu.faults_state())["rules"] == []


async def test_a_reset_disarms(emu: RunningEmulator) -> None:
    await emu.faults(fault="drop")
    await emu.faults(fault="error_before")
    await emu.reset()
    assert (await emu.faults_state())["rules"] == []


async def test_one_silent_endpoint_does_not_hold_up_the_others(receiver: Receiver) -> None:
    """More messages wait for the silent endpoint than may be on their way at once, and patience is endless."""
    async with _emulator(1, patience_seconds=3600) as (emu, api), running_receiver() as silent:
        silent.answering.clear()
        await _products_only(emu, silent)
        await _products_only(emu, receiver)
        count = 2 * emu.config.delivery_concurrency
        await _made(api, *map(str, range(count)))
        async with asyncio.timeout(120):
            while len(receiver.received) < count:
                await asyncio.sleep(0.005)
        silent.answering.set()
        await emu.settle()
        assert len(silent.received) == count


async def test_a_flood(emu: RunningEmulator, receiver: Receiver) -> None:
    hook = (await emu.register_webhook(receiver.url, SECRET))["id"]
    receiver.statuses.extend([500] * 3)
    report = await emu.flood(40, concurrency=8)
    assert (report["sent"], report["accepted"], report["refused"], report["unanswered"]) == (40, 37, 3, 0)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 40
    assert all(one.signature_is_right() for one in receiver.received)
    assert all(one.event["id"] == one.headers["webhook-id"] for one in receiver.received)
    assert {*receiver.types} == {"payment.created", "payment.succeeded", "membership.activated", "membership.updated"}
    by_round: dict[str, set[str]] = {}
    for one in receiver.received:
        membership = one.data["id"] if one.type.startswith("membership") else one.data["membership_id"]
        by_round.setdefault(str(membership), set()).add(one.type)
    by_round.pop("None", None)  # a payment that was only created has no membership yet
    assert len(by_round) == 10
    assert all(len(types) >= 3 for types in by_round.values())
    shown = await emu.control.get(f"{emu.api_base_url}/webhooks/{hook}", headers=_head(emu))
    assert shown.json()["consecutive_failures"] == 0
    second = await emu.flood(4, hook, events=["membership.updated"])
    assert second["accepted"] == 4
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 44


def _head(emu: RunningEmulator) -> dict[str, str]:
    return {"authorization": f"Bearer {emu.config.api_key}"}


async def test_floods_that_make_no_sense(emu: RunningEmulator, receiver: Receiver) -> None:
    for body, status in (
        ({"count": 5}, 400),
        ({"webhook_id": "hook_x"}, 404),
        ({"webhook_id": "hook_x", "count": 0}, 404),
        ({"speed": 9}, 400),
    ):
        assert (await emu.control.post("flood", json=body)).status_code == status, body
    hook = await _products_only(emu, receiver)
    nonsense: list[dict[str, Any]] = [
        {"count": 0},
        {"count": 5, "events": []},
        {"events": ["refund.created"]},
        {"concurrency": 10_000},
    ]
    for order in nonsense:
        assert (await emu.control.post("flood", json={"webhook_id": hook, **order})).status_code == 400, order
    assert receiver.received == []


async def test_a_flood_against_nobody_ends(emu: RunningEmulator) -> None:
    await emu.register_webhook("http://127.0.0.1:9/", SECRET)
    report = await emu.flood(20)
    assert (report["unanswered"], report["accepted"]) == (20, 0)
