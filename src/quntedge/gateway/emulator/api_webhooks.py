"""API: webhook endpoints, their deliveries, replay and samples."""

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import samples
from quntedge.gateway.emulator.addresses import check_webhook_url
from quntedge.gateway.emulator.control import NEWEST_VERSION, add_endpoint, read_events
from quntedge.gateway.emulator.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.event_names import TESTABLE
from quntedge.gateway.emulator.gate import is_version
from quntedge.gateway.emulator.records import Delivery, Endpoint, Message
from quntedge.gateway.emulator.requests import (
    PAGING,
    Fields,
    answer,
    check_account,
    check_query,
    find,
    page,
    runtime_of,
    world_of,
)
from quntedge.gateway.emulator.wire import JsonObject


def _find(request: Request) -> Endpoint:
    return find(world_of(request).store.tables.endpoints, request, "Webhook")


def _pin(fields: Fields, default: str | None) -> str | None:
    if not fields.has("api_version_date"):
        return default
    pin = fields.text("api_version_date")
    if pin is not None and not is_version(pin):
        raise bad_request("`api_version_date` must look like 2026-10-15-1.")
    return pin


async def create_webhook(request: Request) -> Response:
    """Without `api_version_date` the endpoint is pinned to the request's version; null leaves it unpinned."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("resource_id"))
    url = fields.needed_text("url", longest=2000)
    check_webhook_url(url, allow_private=world.config.allow_private_urls)
    events = read_events(fields)
    pin = _pin(fields, request.headers.get("api-version-date", NEWEST_VERSION))
    enabled = fields.flag("enabled") is not False
    fields.done("child_resource_events")
    endpoint = add_endpoint(world, url, events, pin=pin)
    endpoint.enabled = enabled
    return answer(world.sellers.endpoint(endpoint, reveal_secret=True), 201)


async def list_webhooks(request: Request) -> Response:
    """GET /webhooks; `has_failures=true` shows those that fail."""
    world = world_of(request)
    check_query(request, (*PAGING, "app_id", "include_app_webhooks", "has_failures"))
    failing = request.query_params.get("has_failures") == "true"
    rows = (e for e in world.store.tables.endpoints.values() if not failing or e.consecutive_failures)
    return page(request, rows, world.sellers.endpoint)


async def read_webhook(request: Request) -> Response:
    """GET /webhooks/{id}, without the secret."""
    return answer(world_of(request).sellers.endpoint(_find(request)))


async def change_webhook(request: Request) -> Response:
    """PATCH: address, events, pin (null unpins), enabled."""
    world, fields = world_of(request), await Fields.of(request)
    endpoint = _find(request)
    url = fields.text("url", longest=2000)
    if url is not None:
        check_webhook_url(url, allow_private=world.config.allow_private_urls)
    events, enabled = read_events(fields), fields.flag("enabled")
    pin = _pin(fields, endpoint.api_version_date)
    fields.done("child_resource_events")
    endpoint.url = url or endpoint.url
    endpoint.events = events if events is not None else endpoint.events
    endpoint.api_version_date = pin
    if enabled is not None:
        endpoint.enabled = enabled
        endpoint.disabled_at, endpoint.disabled_reason = None, None
    world.store.touch(endpoint, world.now())
    return answer(world.sellers.endpoint(endpoint))


async def delete_webhook(request: Request) -> Response:
    """DELETE: what waits for a retry is given up."""
    world = world_of(request)
    endpoint = _find(request)
    del world.store.tables.endpoints[endpoint.id]
    world.store.changes += 1
    return answer({"id": endpoint.id, "deleted": True})


async def list_deliveries(request: Request) -> Response:
    """The attempts of one endpoint, newest first."""
    world = world_of(request)
    endpoint = _find(request)
    check_query(request, PAGING)

    def render(delivery: Delivery) -> JsonObject:
        return world.sellers.delivery(delivery, json.loads(delivery.body))

    rows = (d for d in world.store.tables.deliveries.values() if d.endpoint_id == endpoint.id)
    return page(request, rows, render)


async def replay(request: Request) -> Response:
    """Sends one delivery again, under its old webhook-id unless `regenerate_id` is true."""
    world, fields = world_of(request), await Fields.of(request)
    endpoint = _find(request)
    delivery = world.store.tables.deliveries.get(request.path_params["delivery_id"])
    regenerate = bool(fields.flag("regenerate_id"))
    fields.done()
    if delivery is None or delivery.endpoint_id != endpoint.id:
        raise not_found("Delivery")
    if not endpoint.enabled:
        raise conflict("This webhook is disabled.")
    body, message_id = delivery.body, delivery.message_id
    if regenerate:
        message_id = world.store.new_id("msg")
        body = body.replace(f'"id":"{delivery.message_id}"', f'"id":"{message_id}"', 1)
    at = world.now()
    message = Message(
        id=message_id,
        created_at=at,
        updated_at=at,
        endpoint_id=endpoint.id,
        event=delivery.event,
        body=body,
        replayed_from=delivery.id,
    )
    sent = await runtime_of(request).dispatcher.send_once(message)
    return answer({"success": sent.success, "status": sent.response_code, "body": sent.response_body})


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
    Route("/webhooks/{id}/deliveries/{delivery_id}/replay", replay, methods=["POST"]),
    Route("/webhooks/{id}/test", send_sample, methods=["POST"]),
]
