"""The console's timeline: every message, each attempt to deliver it, and what still waits."""

import json
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.console.frame import PAGE_SIZE, SEARCHED, linked, page_number, render
from quntedge.gateway.emulator.console.kinds import ref, when
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.records import Delivery


def delivery_row(world: World, delivery: Delivery) -> dict[str, object]:
    """One attempt, for people."""
    endpoint = world.store.tables.endpoints.get(delivery.endpoint_id)
    return {
        "at": when(delivery.created_at),
        "event": delivery.event,
        "code": str(delivery.response_code or "no answer"),
        "tone": "good" if delivery.success else "bad",
        "milliseconds": delivery.total_time_ms,
        "message_id": delivery.message_id,
        "delivery_id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "url": delivery.endpoint_id if endpoint is None else endpoint.url,
        "replayed": delivery.replayed_from is not None,
        "response": delivery.response_body,
    }


def _wanted(delivery: Delivery, text: str) -> bool:
    return not text or text in delivery.body or text.casefold() in f"{delivery.event} {delivery.endpoint_id}".casefold()


async def list_events(request: Request) -> Response:
    """The deliveries, newest first, and what still waits to be sent."""
    world = world_of(request)
    tables = world.store.tables
    wanted, only = request.query_params.get("q", "")[:200].strip(), request.query_params.get("only", "")
    number = page_number(request)
    newest = islice(reversed(tables.deliveries.values()), SEARCHED if wanted or only else None)
    found = (one for one in newest if _wanted(one, wanted) and (only != "failed" or not one.success))
    shown = list(islice(found, (number - 1) * PAGE_SIZE, number * PAGE_SIZE + 1))
    waiting = [
        {"event": one.event, "message_id": one.id, "attempts": one.attempts, "next": when(one.next_attempt_at)}
        for one in islice(tables.messages.values(), PAGE_SIZE)
    ]
    values = {
        "deliveries": [delivery_row(world, one) for one in shown[:PAGE_SIZE]],
        "waiting": waiting,
        "waiting_count": len(tables.messages),
        "count": len(tables.deliveries),
        "endpoints": len(tables.endpoints),
        "q": wanted,
        "only": only,
        "page": number,
        "more": len(shown) > PAGE_SIZE,
    }
    return render(request, "console_events.html", "Events", values)


async def show_event(request: Request) -> Response:
    """One message: what it says, and each attempt to deliver it."""
    world, message_id = world_of(request), request.path_params["id"]
    tables = world.store.tables
    newest = islice(reversed(tables.deliveries.values()), SEARCHED)
    attempts = [one for one in newest if one.message_id == message_id]
    message = tables.messages.get(message_id)
    source = message or next(iter(attempts), None)
    if source is None:
        return render(request, "console_missing.html", "Not found", {}, 404)
    values = {
        "event": source.event,
        "message_id": message_id,
        "endpoint": ref(world, source.endpoint_id),
        "next": None if message is None else when(message.next_attempt_at),
        "attempts": [delivery_row(world, one) for one in attempts],
        "json": linked(world, json.loads(source.body)),
    }
    return render(request, "console_event.html", source.event, values)


PAGES = [Route("/console/events", list_events), Route("/console/events/{id}", show_event)]
