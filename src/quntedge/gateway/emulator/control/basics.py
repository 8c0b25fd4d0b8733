"""The emulator's own API under `/_control`: the clock, scripted behaviour, short cuts for tests. No key is needed."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.api.webhooks import add_endpoint, read_events
from quntedge.gateway.emulator.calls.addresses import check_webhook_url
from quntedge.gateway.emulator.calls.requests import Fields, answer, find, runtime_of, world_of
from quntedge.gateway.emulator.control import clock
from quntedge.gateway.emulator.wire.values import iso
from quntedge.gateway.emulator.wire.versions import NEWEST_VERSION


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
    *clock.ROUTES,
    Route("/webhooks", create_endpoint, methods=["POST"]),
    Route("/memberships/{id}/decline_next", decline_next, methods=["POST"]),
    Route("/reset", reset, methods=["POST"]),
    Route("/settle", settle, methods=["POST"]),
    Route("/state", state),
]
