"""API: webhook endpoints, their deliveries, replays and samples."""

import json
from collections.abc import Iterable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.addresses import check_webhook_url
from quntedge.gateway.emulator.calls.requests import (
    Fields,
    answer,
    check_account,
    check_query,
    find,
    page,
    runtime_of,
    world_of,
)
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.delivery import samples
from quntedge.gateway.emulator.delivery.dispatcher import KEPT_FOR
from quntedge.gateway.emulator.state.records import Delivery, Endpoint, Message
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.wire.event_names import ACCEPTED, SENT, TESTABLE
from quntedge.gateway.emulator.wire.values import JsonObject
from quntedge.gateway.emulator.wire.versions import is_version

_CURSORS = ("first", "after", "last", "before")


def _find(request: Request) -> Endpoint:
    return find(world_of(request).store.tables.endpoints, request, "Webhook")


def _pin(fields: Fields, default: str | None) -> str | None:
    if not fields.has("api_version_date"):
        return default
    pin = fields.text("api_version_date")
    if pin is not None and not is_version(pin):
        raise bad_request("`api_version_date` must be a version such as 2026-10-15-1.")
    return pin


def read_events(fields: Fields) -> list[str] | None:
    """The member `events`; None when it is not given. Raises ApiFault 400 for an event Whop does not have."""
    events = fields.texts("events")
    unknown = next((event for event in events or () if event not in ACCEPTED), None)
    if unknown is not None:
        raise bad_request(f"Unknown event `{unknown[:60]}`.")
    return None if events is None else list(dict.fromkeys(events))


def add_endpoint(
    world: World, url: str, events: list[str] | None, *, pin: str | None, secret: str | None = None
) -> Endpoint:
    """Stores an endpoint for `events`, or for everything the emulator sends."""
    at = world.now()
    endpoint = Endpoint(
        id=world.store.new_id("hook"),
        created_at=at,
        updated_at=at,
        url=url,
        events=list(SENT) if events is None else events,
        secret=secret or f"ws_{world.store.random_bytes(32).hex()}",
        api_version_date=pin,
    )
    return world.store.add(world.store.tables.endpoints, endpoint)


def _events(fields: Fields) -> list[str] | None:
    events = read_events(fields)
    if events == []:
        raise bad_request("`events` must name at least one event.")
    return events


async def create_webhook(request: Request) -> Response:
    """Without `api_version_date`, or with null, the endpoint is not pinned and gets the older shapes."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("resource_id"))
    url = fields.needed_text("url", longest=2000)
    check_webhook_url(url, allow_private=world.config.allow_private_urls)
    events, pin = _events(fields), _pin(fields, None)
    enabled = fields.flag("enabled") is not False
    children = bool(fields.flag("child_resource_events"))
    fields.done()
    endpoint = add_endpoint(world, url, events, pin=pin)
    endpoint.enabled, endpoint.child_resource_events = enabled, children
    return answer(world.sellers.endpoint(endpoint, reveal_secret=True), 201)


async def list_webhooks(request: Request) -> Response:
    """GET /webhooks; `has_failures=true` shows those that fail now. There are no apps, so none has webhooks."""
    world = world_of(request)
    check_query(request, (*_CURSORS, "account_id", "app_id", "include_app_webhooks", "has_failures"))
    failing, with_apps = _flag(request, "has_failures"), _flag(request, "include_app_webhooks")
    if "app_id" in request.query_params:
        if with_apps:
            raise bad_request("`include_app_webhooks` cannot be combined with `app_id`.")
        raise not_found("App")
    rows = (e for e in world.store.tables.endpoints.values() if not failing or e.failing_since is not None)
    return page(request, rows, world.sellers.listed_endpoint)


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise bad_request(f"`{name}` must be true or false.")
    return value == "true"


async def read_webhook(request: Request) -> Response:
    """GET /webhooks/{id}, without the secret."""
    return answer(world_of(request).sellers.endpoint(_find(request)))


async def change_webhook(request: Request) -> Response:
    """PATCH: address, events, pin (null unpins), enabled. Enabling a webhook again forgets its failures."""
    world, fields = world_of(request), await Fields.of(request)
    endpoint = _find(request)
    url = fields.text("url", longest=2000)
    if url is not None:
        check_webhook_url(url, allow_private=world.config.allow_private_urls)
    events, enabled = _events(fields), fields.flag("enabled")
    children, pin = fields.flag("child_resource_events"), _pin(fields, endpoint.api_version_date)
    fields.done()
    endpoint.url = url or endpoint.url
    endpoint.events = events if events is not None else endpoint.events
    endpoint.api_version_date = pin
    endpoint.child_resource_events = endpoint.child_resource_events if children is None else children
    if enabled is not None and enabled is not endpoint.enabled:
        endpoint.enabled = enabled
        endpoint.disabled_at, endpoint.disabled_reason = None, None
        if enabled:
            endpoint.consecutive_failures, endpoint.failing_since = 0, None
    world.store.touch(endpoint, world.now())
    return answer(world.sellers.endpoint(endpoint))


async def delete_webhook(request: Request) -> Response:
    """DELETE: what waits for a retry is given up."""
    world = world_of(request)
    endpoint = _find(request)
    world.store.remove(world.store.tables.endpoints, endpoint.id)
    return answer({"id": endpoint.id, "deleted": True})


async def list_deliveries(request: Request) -> Response:
    """The attempts of one endpoint, newest first."""
    world = world_of(request)
    endpoint = _find(request)
    check_query(request, ("first", "after"))

    def render(delivery: Delivery) -> JsonObject:
        return world.sellers.delivery(delivery, json.loads(delivery.body))

    return page(request, _kept(world, endpoint), render)


def _kept(world: World, endpoint: Endpoint) -> Iterable[Delivery]:
    """The attempts that may still be seen and replayed, oldest first."""
    horizon = world.now() - KEPT_FOR
    deliveries = world.store.tables.deliveries.values()
    return (d for d in deliveries if d.endpoint_id == endpoint.id and d.created_at >= horizon)


async def replay_one(request: Request) -> Response:
    """Sends one delivery again, under its old webhook-id unless `regenerate_id` is true."""
    world, fields = world_of(request), await Fields.of(request)
    endpoint = _find(request)
    delivery = world.store.tables.deliveries.get(request.path_params["delivery_id"])
    regenerate = bool(fields.flag("regenerate_id"))
    fields.done()
    if delivery is None or delivery.endpoint_id != endpoint.id or delivery.created_at < world.now() - KEPT_FOR:
        raise not_found("Delivery")
    _check_enabled(endpoint)
    message = _again(world, delivery, regenerate=regenerate)
    sent = await runtime_of(request).dispatcher.send_once(message)
    return answer({"success": sent.success, "status": sent.response_code, "body": sent.response_body})


def _check_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise conflict("This webhook is disabled.")


def _again(world: World, delivery: Delivery, *, regenerate: bool) -> Message:
    body, message_id, at = delivery.body, delivery.message_id, world.now()
    if regenerate:
        message_id = world.store.new_id("msg")
        body = body.replace(f'"id":"{delivery.message_id}"', f'"id":"{message_id}"', 1)
    return Message(
        id=message_id,
        created_at=at,
        updated_at=at,
        endpoint_id=delivery.endpoint_id,
        event=delivery.event,
        body=body,
        replayed_from=delivery.id,
    )


async def replay_window(request: Request) -> Response:
    """Sends every message again that was attempted within a window, once each. Answers before that is done."""
    world, fields = world_of(request), await Fields.of(request)
    endpoint = _find(request)
    sent_after, sent_before = fields.time("sent_after"), fields.time("sent_before")
    events = _events(fields)
    failed_only, regenerate = bool(fields.flag("failed_only")), bool(fields.flag("regenerate_ids"))
    fields.done()
    if sent_after is None:
        raise bad_request("`sent_after` is required.")
    if sent_before is not None and sent_before <= sent_after:
        raise bad_request("`sent_before` must be later than `sent_after`.")
    _check_enabled(endpoint)
    chosen = _latest(_kept(world, endpoint), sent_after, sent_before or world.now(), events)
    again = [_again(world, one, regenerate=regenerate) for one in chosen if not (failed_only and one.success)]
    runtime_of(request).dispatcher.put_replays(again)
    return answer({"queued": True}, 202)


def _latest(
    deliveries: Iterable[Delivery], after: datetime, before: datetime, events: list[str] | None
) -> Iterable[Delivery]:
    """The last attempt of each message within the window."""
    found: dict[str, Delivery] = {}
    for delivery in deliveries:
        if after <= delivery.created_at <= before and (events is None or delivery.event in events):
            found[delivery.message_id] = delivery
    return found.values()


async def send_sample(request: Request) -> Response:
    """Sends a sample whose ids are made up: reading them from the API answers 404."""
    world, fields = world_of(request), await Fields.of(request)
    endpoint = _find(request)
    event = fields.needed_text("event")
    fields.done()
    if event not in TESTABLE:
        raise bad_request(f"There is no sample of `{event[:60]}`.")
    message = samples.message(world, endpoint, event)
    sent = await runtime_of(request).dispatcher.send_once(message)
    return answer({"success": sent.success, "status": sent.response_code, "body": sent.response_body})


ROUTES = [
    Route("/webhooks", create_webhook, methods=["POST"]),
    Route("/webhooks", list_webhooks),
    Route("/webhooks/{id}", read_webhook),
    Route("/webhooks/{id}", change_webhook, methods=["PATCH"]),
    Route("/webhooks/{id}", delete_webhook, methods=["DELETE"]),
    Route("/webhooks/{id}/deliveries", list_deliveries),
    Route("/webhooks/{id}/deliveries/{delivery_id}/replay", replay_one, methods=["POST"]),
    Route("/webhooks/{id}/replay", replay_window, methods=["POST"]),
    Route("/webhooks/{id}/test", send_sample, methods=["POST"]),
]
