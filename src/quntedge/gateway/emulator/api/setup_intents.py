"""API: setup intents."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.api.checkouts import THREE_DS_LEVELS
from quntedge.gateway.emulator.calls.addresses import check_redirect_url
from quntedge.gateway.emulator.calls.requests import (
    PAGING,
    Fields,
    answer,
    check_account,
    check_query,
    find,
    many,
    page,
    world_of,
)
from quntedge.gateway.emulator.life import setups
from quntedge.gateway.emulator.rules.cards import decline_at_checkout
from quntedge.gateway.emulator.shapes.setups import SetupShapes
from quntedge.gateway.emulator.state.money_records import SetupIntent
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found

_STATUSES = ("processing", "requires_action", "succeeded", "canceled")


def _shapes(request: Request) -> SetupShapes:
    world = world_of(request)
    return SetupShapes(world.config, world.store)


def _find(request: Request) -> SetupIntent:
    return find(world_of(request).store.tables.setup_intents, request, "Setup intent")


async def list_intents(request: Request) -> Response:
    """GET /setup_intents."""
    check_query(request, (*PAGING, "status"))
    statuses = many(request, "status")
    unknown = next((status for status in statuses if status not in _STATUSES), None)
    if unknown is not None:
        raise bad_request(f"Unknown status `{unknown[:50]}`.")
    table = world_of(request).store.tables.setup_intents
    rows = (intent for intent in table.values() if not statuses or intent.status in statuses)
    return page(request, rows, _shapes(request).setup_intent)


async def create_intent(request: Request) -> Response:
    """POST /setup_intents: verifies a stored card again. Confirmation tokens come from Whop's own page elements."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.needed_text("account_id"))
    if fields.has("confirmation_token"):
        raise bad_request("`confirmation_token` is not available here: use a checkout in mode `setup`.")
    method = world.store.tables.methods.get(fields.needed_text("payment_method_id"))
    fields.currency("currency")
    return_url, level = fields.text("return_url", longest=2048), fields.choice("three_ds_level", THREE_DS_LEVELS, "")
    metadata = fields.metadata() or {}
    fields.done("email")
    if return_url is not None:
        check_redirect_url(return_url)
    if method is None:
        raise not_found("Payment method")
    member = world.store.tables.members[method.member_id]
    terms = setups.SetupTerms(return_url=return_url, three_ds_level=level or None, metadata=metadata)
    intent = setups.begin(world, member, method, terms, world.now(), decline_at_checkout(method.behaviour))
    return answer(_shapes(request).setup_intent(intent), 201)


async def read_intent(request: Request) -> Response:
    """GET /setup_intents/{id}."""
    return answer(_shapes(request).setup_intent(_find(request)))


async def read_status(request: Request) -> Response:
    """GET /setup_intents/{id}/status."""
    return answer(_shapes(request).status(_find(request)))


async def change_return_url(request: Request) -> Response:
    """PATCH /setup_intents/{id}/return_url, while the buyer has not come back; answers the status."""
    world, fields, intent = world_of(request), await Fields.of(request), _find(request)
    url = fields.needed_text("return_url", longest=2048)
    fields.done()
    check_redirect_url(url)
    if intent.status not in ("processing", "requires_action"):
        raise conflict(f"This setup intent is {intent.status}.")
    intent.return_url = url
    world.store.touch(intent, world.now())
    return answer(_shapes(request).status(intent))


ROUTES = [
    Route("/setup_intents", create_intent, methods=["POST"]),
    Route("/setup_intents", list_intents),
    Route("/setup_intents/{id}", read_intent),
    Route("/setup_intents/{id}/status", read_status),
    Route("/setup_intents/{id}/return_url", change_return_url, methods=["PATCH"]),
]
