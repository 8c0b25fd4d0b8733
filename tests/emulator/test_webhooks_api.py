"""Webhook endpoints: what may be said about them, how their health shows, when they are disabled, and replays."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.delivery.dispatcher import DISABLED_AFTER_MESSAGES
from quntedge.gateway.emulator.shapes.sellers import response_document
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.gateway.emulator.wire.event_names import SENT, TESTABLE
from tests.emulator.receiver import SECRET, Receiver

URL = "http://127.0.0.1:9/hook"


async def _product(api: httpx.AsyncClient, title: str = "One") -> None:
    assert (await api.post("products", json={"title": title})).status_code == 201


async def _endpoint(emu: RunningEmulator, receiver: Receiver) -> str:
    made = await emu.register_webhook(receiver.url, SECRET, events=["product.created", "product.updated"])
    return str(made["id"])


async def test_a_webhook_from_creation_to_its_end(emu: RunningEmulator, sdk: AsyncWhop) -> None:
    made = await sdk.webhooks.create(
        url=URL,
        events=["payment.succeeded", "export.completed"],
        resource_id=emu.config.account_id,
        api_version_date="2026-10-15-1",
        enabled=False,
        child_resource_events=False,
    )
    assert (made.webhook_secret or "").startswith("ws_")
    assert (made.enabled, made.api_version, made.api_version_date) == (False, "v1", "2026-10-15-1")
    assert made.testable_events == ["payment.succeeded"]
    assert (await sdk.webhooks.retrieve(made.id)).webhook_secret is None
    changed = await sdk.webhooks.update(
        made.id, url=f"{URL}2", events=["plan.created"], enabled=True, api_version_date=None, child_resource_events=True
    )
    assert (changed.url, changed.events, changed.enabled) == (f"{URL}2", ["plan.created"], True)
    assert (changed.api_version_date, changed.child_resource_events) == (None, True)
    assert datetime.fromisoformat(changed.created_at) == datetime.fromisoformat(made.created_at)
    assert (await sdk.webhooks.delete(made.id)).deleted
    for gone in (sdk.webhooks.retrieve(made.id), sdk.webhooks.delete(made.id), sdk.webhooks.update(made.id, url=URL)):
        with pytest.raises(ApiError) as refused:
            await gone
        assert refused.value.status_code == 404


async def test_without_a_version_a_webhook_is_not_pinned(emu: RunningEmulator, sdk: AsyncWhop) -> None:
    assert (await sdk.webhooks.create(url=URL)).api_version_date is None
    assert (await sdk.webhooks.create(url=URL, api_version_date=None)).api_version_date is None
    pinned = await sdk.webhooks.create(url=URL, api_version_date="2026-07-23")
    assert (await sdk.webhooks.update(pinned.id, enabled=True)).api_version_date == "2026-07-23"


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({}, 400),
    ({"url": 5}, 400),
    ({"url": ""}, 400),
    ({"url": "nowhere"}, 400),
    ({"url": "ftp://x.test/"}, 400),
    ({"url": "http://user:pw@x.test/"}, 400),
    ({"url": "http://x.test/" + "a" * 2000}, 400),
    ({"url": URL, "events": "payment.succeeded"}, 400),
    ({"url": URL, "events": []}, 400),
    ({"url": URL, "events": ["party.started"]}, 400),
    ({"url": URL, "events": ["membership.went_valid"]}, 400),
    ({"url": URL, "events": ["withdrawal.created"]}, 400),
    ({"url": URL, "enabled": "yes"}, 400),
    ({"url": URL, "child_resource_events": 1}, 400),
    ({"url": URL, "api_version": "v1"}, 400),
    ({"url": URL, "api_version_date": "newest"}, 400),
    ({"url": URL, "api_version_date": "2026-02-30"}, 400),
    ({"url": URL, "api_version_date": "2024-01-01"}, 400),
    ({"url": URL, "api_version_date": "2031-01-01"}, 400),
    ({"url": URL, "api_version_date": 20261015}, 400),
    ({"url": URL, "resource_id": "biz_other"}, 404),
    ({"url": URL, "secret": "ws_mine"}, 400),
]


async def test_orders_that_are_refused(api: httpx.AsyncClient) -> None:
    for body, status in REFUSED:
        assert (await api.post("webhooks", json=body)).status_code == status, body
    assert (await api.get("webhooks")).json()["data"] == []
    hook = (await api.post("webhooks", json={"url": URL})).json()
    for body, _ in REFUSED[1:]:
        changed = {name: value for name, value in body.items() if name != "url" or value != URL}
        assert (await api.patch(f"webhooks/{hook['id']}", json=changed)).status_code == 400, changed
    assert (await api.get(f"webhooks/{hook['id']}")).json() == hook | {"webhook_secret": None}


async def test_lists_and_their_filters(emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient) -> None:
    made = [(await sdk.webhooks.create(url=f"{URL}{n}")).id for n in range(5)]
    assert [hook.id async for hook in await sdk.webhooks.list(first=2)] == made[::-1]
    assert [hook.id async for hook in await sdk.webhooks.list(has_failures=True)] == []
    own = await sdk.webhooks.list(account_id=emu.config.account_id, include_app_webhooks=True)
    assert len([hook async for hook in own]) == 5
    for query, status in (
        ("has_failures=maybe", 400),
        ("order=url", 400),
        ("account_id=biz_other", 404),
        ("app_id=app_x", 404),
        ("app_id=app_x&include_app_webhooks=true", 400),
    ):
        assert (await api.get(f"webhooks?{query}")).status_code == status, query


async def test_events_of_connected_accounts_only(
    emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await sdk.webhooks.create(url=receiver.url, events=["product.created"], child_resource_events=True)
    await _product(api)
    await emu.settle()
    assert receiver.received == []
    await sdk.webhooks.update(hook.id, child_resource_events=False)
    await _product(api)
    await emu.settle()
    assert receiver.types == ["product.created"]


async def test_health_counts_messages_and_not_attempts(
    emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await _endpoint(emu, receiver)
    receiver.statuses.extend([500] * 3)
    await _product(api)
    await emu.advance(minutes=3)
    assert len(receiver.received) == 3
    failing = await sdk.webhooks.retrieve(hook)
    assert (failing.consecutive_failures, failing.last_failure_at) == (1, None)
    first = receiver.received[0].sent_at
    assert abs(datetime.fromisoformat(failing.failing_since or "") - first) < timedelta(seconds=2)
    assert [one.id async for one in await sdk.webhooks.list(has_failures=True)] == [hook]
    await emu.advance(minutes=10)
    healed = await sdk.webhooks.retrieve(hook)
    assert (healed.consecutive_failures, healed.failing_since, healed.last_failure_at) == (0, None, None)
    assert [one.id async for one in await sdk.webhooks.list(has_failures=True)] == []


async def test_a_message_given_up_is_the_last_failure(
    emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await _endpoint(emu, receiver)
    receiver.statuses.extend([500] * 13)
    await _product(api)
    await emu.advance(days=4)
    shown = await sdk.webhooks.retrieve(hook)
    assert abs(datetime.fromisoformat(shown.last_failure_at or "") - receiver.received[-1].sent_at) < timedelta(
        seconds=2
    )
    assert shown.enabled, "one message alone disables nothing"


async def _fail(emu: RunningEmulator, api: httpx.AsyncClient, receiver: Receiver, messages: int, days: float) -> None:
    """So many messages fail, the first of them `days` before the last."""
    receiver.statuses.extend([500] * 1000)
    await _product(api)
    await emu.advance(days=days)
    for _ in range(messages - 1):
        await _product(api)
    await emu.settle()


async def test_an_endpoint_that_fails_for_three_days_is_disabled(
    emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await _endpoint(emu, receiver)
    await _fail(emu, api, receiver, DISABLED_AFTER_MESSAGES, days=3.01)
    disabled = await sdk.webhooks.retrieve(hook)
    assert (disabled.enabled, disabled.disabled_reason) == (False, "delivery_failures")
    assert disabled.consecutive_failures == DISABLED_AFTER_MESSAGES
    last = receiver.received[-1].sent_at
    assert abs(datetime.fromisoformat(disabled.disabled_at or "") - last) < timedelta(seconds=2)
    seen = len(receiver.received)
    receiver.statuses.clear()
    await _product(api, "Missed")
    await emu.advance(days=4)
    assert len(receiver.received) == seen, "nothing is sent, retries included"
    healed = await sdk.webhooks.update(hook, enabled=True)
    assert (healed.enabled, healed.disabled_at, healed.disabled_reason) == (True, None, None)
    assert (healed.consecutive_failures, healed.failing_since) == (0, None)
    await _product(api, "Seen")
    await emu.advance(days=4)
    assert [one.data["title"] for one in receiver.received[seen:]] == ["Seen"]


@pytest.mark.parametrize(("messages", "days"), [(DISABLED_AFTER_MESSAGES - 1, 3.01), (30, 2.9)])
async def test_less_than_that_disables_nothing(
    messages: int, days: float, emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await _endpoint(emu, receiver)
    await _fail(emu, api, receiver, messages, days)
    shown = await sdk.webhooks.retrieve(hook)
    assert (shown.enabled, shown.consecutive_failures) == (True, messages)


async def test_deliveries_are_listed_and_paged(
    emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await _endpoint(emu, receiver)
    for number in range(5):
        await _product(api, str(number))
        await emu.advance(seconds=1)
    listed = [one async for one in await sdk.webhooks.list_deliveries(hook, first=2)]
    assert [one.request_body["data"]["title"] for one in listed] == ["4", "3", "2", "1", "0"]
    newest = listed[0]
    assert (newest.event, newest.success, newest.response_code) == ("product.created", True, 200)
    assert newest.response_body == {"error": "The response is not a JSON object.", "raw_body": "seen"}
    assert newest.request_body == json.loads(receiver.received[-1].body)
    assert 0 <= newest.total_time < 60
    for path, status in (
        (f"webhooks/{hook}/deliveries?direction=asc", 400),
        (f"webhooks/{hook}/deliveries?first=0", 400),
        ("webhooks/hook_x/deliveries", 404),
    ):
        assert (await api.get(path)).status_code == status, path
    await emu.advance(days=31)
    assert [one async for one in await sdk.webhooks.list_deliveries(hook)] == []
    assert (await api.post(f"webhooks/{hook}/deliveries/{newest.id}/replay", json={})).status_code == 404


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", None),
        ('{"ok": true}', {"ok": True}),
        ("[1]", {"error": "The response is not a JSON object.", "raw_body": "[1]"}),
        ("<html>" * 50, {"error": "The response is not a JSON object.", "raw_body": ("<html>" * 50)[:100]}),
    ],
)
def test_how_an_endpoints_answer_is_shown(said: str, shown: dict[str, Any] | None) -> None:
    assert response_document(said) == shown


async def test_replaying_one(emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver) -> None:
    hook = await _endpoint(emu, receiver)
    await _product(api)
    await emu.settle()
    (original,) = [one async for one in await sdk.webhooks.list_deliveries(hook)]
    replayed = await sdk.webhooks.replay_delivery(hook, original.id)
    assert (replayed.success, replayed.status, replayed.body) == (True, 200, "seen")
    await sdk.webhooks.replay_delivery(hook, original.id, regenerate_id=True)
    first, second, third = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"] != third.headers["webhook-id"]
    assert first.body == second.body
    assert third.event == first.event | {"id": third.headers["webhook-id"]}
    assert all(one.signature_is_right() for one in receiver.received)
    listed = [one async for one in await sdk.webhooks.list_deliveries(hook)]
    assert {one.replayed_from for one in listed} == {None, original.id}
    receiver.statuses.append(503)
    assert (await sdk.webhooks.replay_delivery(hook, original.id)).status == 503
    await emu.advance(days=1)
    assert len(receiver.received) == 4, "a replay is not retried"
    await sdk.webhooks.update(hook, enabled=False)
    for path, status in ((f"{hook}/deliveries/{original.id}", 409), (f"{hook}/deliveries/whdel_x", 404)):
        assert (await api.post(f"webhooks/{path}/replay", json={})).status_code == status


async def test_replaying_a_window(
    emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver
) -> None:
    hook = await _endpoint(emu, receiver)
    begin = emu.runtime.world.now()
    receiver.statuses.extend([500, 200, 500, 500])
    await _product(api, "Failed, then fine")
    await emu.advance(seconds=31)
    await _product(api, "Fails still")
    await emu.advance(seconds=31)
    middle = emu.runtime.world.now()
    await _product(api, "Later")
    await emu.settle()
    assert len(receiver.received) == 5

    async def replayed(**window: Any) -> list[str]:
        receiver.clear()
        answer = await sdk.webhooks.replay(hook, **window)
        assert answer.queued
        await emu.settle()
        return sorted(one.data["title"] for one in receiver.received)

    since = begin.isoformat()
    receiver.statuses.append(500)
    assert await replayed(sent_after=middle.isoformat(), events=["product.created"]) == ["Later"]
    assert await replayed(sent_after=since, sent_before=middle.isoformat(), failed_only=True) == ["Fails still"]
    assert await replayed(sent_after=since, events=["product.updated"]) == []
    everything = ["Failed, then fine", "Fails still", "Later"]
    assert await replayed(sent_after=since) == everything
    originals = {one.headers["webhook-id"] for one in receiver.received}
    assert await replayed(sent_after=since, regenerate_ids=True) == everything
    assert originals.isdisjoint(one.headers["webhook-id"] for one in receiver.received)
    assert all(one.signature_is_right() for one in receiver.received)


async def test_windows_that_make_no_sense(api: httpx.AsyncClient, emu: RunningEmulator, receiver: Receiver) -> None:
    hook = await _endpoint(emu, receiver)
    since = {"sent_after": "2026-09-01T00:00:00Z"}
    for body, status in (
        ({}, 400),
        ({"sent_after": "yesterday"}, 400),
        (since | {"sent_before": "2026-08-01T00:00:00Z"}, 400),
        (since | {"events": ["party.started"]}, 400),
        (since | {"failed_only": "yes"}, 400),
        (since | {"regenerate_id": True}, 400),
        (since, 202),
    ):
        assert (await api.post(f"webhooks/{hook}/replay", json=body)).status_code == status, body
    assert (await api.post("webhooks/hook_x/replay", json=since)).status_code == 404
    await api.patch(f"webhooks/{hook}", json={"enabled": False})
    assert (await api.post(f"webhooks/{hook}/replay", json=since)).status_code == 409


EXPECTED: dict[str, dict[str, Any]] = {
    "payment.failed": {"status": "open"},
    "payment.canceled": {"status": "void"},
    "membership.deactivated": {"status": "canceled"},
    "membership.trial_ending_soon": {"status": "trialing"},
    "refund.created": {"status": "pending"},
    "refund.updated": {"status": "succeeded"},
    "dispute.created": {"status": "needs_response"},
    "dispute.updated": {"status": "won"},
    "invoice.created": {"status": "open"},
    "invoice.voided": {"status": "void"},
    "invoice.paid": {"status": "paid"},
    "setup_intent.succeeded": {"status": "succeeded"},
    "setup_intent.canceled": {"status": "canceled"},
    "setup_intent.requires_action": {"status": "requires_action"},
}


@pytest.mark.parametrize("pin", ["2026-10-15-1", None])
async def test_every_testable_event_has_a_sample(
    pin: str | None, emu: RunningEmulator, sdk: AsyncWhop, receiver: Receiver
) -> None:
    events = sorted(TESTABLE)
    hook = await sdk.webhooks.create(url=receiver.url, events=events, api_version_date=pin)
    assert sorted(hook.testable_events) == events
    assert {*SENT} <= {*events}
    before = await emu.state()
    for event in events:
        assert (await sdk.webhooks.test(hook.id, event=event)).success, event
    assert receiver.types == events
    assert len({one.data["id"] for one in receiver.received}) == len(events)
    for one in receiver.received:
        assert one.event["api_version_date"] == pin
        assert EXPECTED.get(one.type, {}).items() <= one.data.items(), one.type
    assert (await emu.state())["counts"] == before["counts"]


async def test_samples(emu: RunningEmulator, sdk: AsyncWhop, api: httpx.AsyncClient, receiver: Receiver) -> None:
    hook = await _endpoint(emu, receiver)
    sent = await sdk.webhooks.test(hook, event="membership.activated")
    assert (sent.success, sent.status, sent.body) == (True, 200, "seen")
    (one,) = receiver.received
    assert one.type == "membership.activated"
    assert (await api.get(f"memberships/{one.data['id']}")).status_code == 404
    receiver.statuses.append(500)
    failed = await sdk.webhooks.test(hook, event="payment.succeeded")
    assert (failed.success, failed.status) == (False, 500)
    assert (await sdk.webhooks.retrieve(hook)).consecutive_failures == 0
    for body, status in (({}, 400), ({"event": "party.started"}, 400), ({"event": 5}, 400)):
        assert (await api.post(f"webhooks/{hook}/test", json=body)).status_code == status, body
    assert (await api.post("webhooks/hook_x/test", json={"event": "payment.succeeded"})).status_code == 404
