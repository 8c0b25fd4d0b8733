"""The emulator's own API under `/_control`: the clock, scripted behaviour, short cuts for tests. No key is needed."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import control_clock
from quntedge.gateway.emulator.addresses import check_webhook_url
from quntedge.gateway.emulator.errors import bad_request
from quntedge.gateway.emulator.event_names import ACCEPTED, SENT
from quntedge.gateway.emulator.records import Endpoint
from quntedge.gateway.emulator.requests import Fields, answer, find, runtime_of, world_of
from quntedge.gateway.emulator.versions import NEWEST_VERSION
from quntedge.gateway.emulator.wire import iso
from quntedge.gateway.emulator.world import World


async def create_endpoint(request: Request) -> Response:
    """A webhook endpoint with a secret of the caller's choice, on any address, also unpinned (`legacy`)."""
    world, fields = world_of(request), await Fields.of(request)
    url = fields.needed_text("url", longest=2000)
    check_webhook_url(url, allow_private=True)
    secret, legacy = fields.text("secret", longest=200), fields.flag("legacy")
    pin = fields.text("api_version_date", longest=20) or NEWEST_VERSION
    events = read_events(fields)
    fields.done()
    endpoint = add_endpoint(world, url, events, pin=None if legacy else pin, secret=secret)
    return answer(world.sellers.endpoint(endpoint, reveal_secret=True), 201)


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


async def decline_next(request: Request) -> Response:
    """The next automatic charges of a membership are declined, whatever its card."""
    world, fields = world_of(request), await Fields.of(request)
    membership = find(world.store.tables.memberships, request, "Membership")
    times = fields.integer("times", 0, 100)
    code = fields.text("decline_code", longest=60)
    fields.done()
    membership.declines_ahead = 1 if times is None else times
    membership.decline_code_ahead = code or membership.decline_code_ahead
    world.store.mark(membership)
    return answer({"membership_id": membership.id, "declines_ahead": membership.declines_ahead})


async def reset(request: Request) -> Response:
    """Forgets all objects. Webhook endpoints and the clock stay."""
    runtime = runtime_of(request)
    await runtime.dispatcher.settle()
    runtime.reset()
    return answer({"reset": True})


async def state(request: Request) -> Response:
    """How much there is of everything, and whether deliveries are under way."""
    runtime = runtime_of(request)
    world, tables = runtime.world, runtime.world.store.tables
    statuses: dict[str, int] = {}
    for membership in tables.memberships.values():
        statuses[membership.status] = statuses.get(membership.status, 0) + 1
    counted = ("products", "plans", "checkouts", "members", "memberships", "payments", "refunds", "endpoints")
    return answer(
        {
            "now": iso(world.now()),
            "version": world.clock.version,
            "branch": runtime.shelf.current,
            "kept": runtime.kept,
            "counts": {name: len(getattr(tables, name)) for name in counted},
            "memberships_by_status": statuses,
            "deliveries": {
                "idle": runtime.dispatcher.idle,
                "attempts": runtime.dispatcher.attempts,
                "waiting_for_retry": sum(m.next_attempt_at is not None for m in tables.messages.values()),
                "failed": sum(not d.success for d in tables.deliveries.values()),
            },
        }
    )


async def settle(request: Request) -> Response:
    """Does what is due now, and answers when nothing is queued or on its way to an endpoint."""
    runtime = runtime_of(request)
    await runtime.timeline.advance(runtime.world.now())
    return answer({"idle": True})


ROUTES = [
    *control_clock.ROUTES,
    Route("/webhooks", create_endpoint, methods=["POST"]),
    Route("/memberships/{id}/decline_next", decline_next, methods=["POST"]),
    Route("/reset", reset, methods=["POST"]),
    Route("/settle", settle, methods=["POST"]),
    Route("/state", state),
]
