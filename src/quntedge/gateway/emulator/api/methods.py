"""API: stored cards."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import PAGING, answer, check_query, find, many, page, world_of
from quntedge.gateway.emulator.state.records import Method
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.wire.values import JsonObject

_FLAGS = ("expired", "broken", "has_payer_document")


async def list_methods(request: Request) -> Response:
    """GET /payment_methods of a member or of the account, with Whop's filters."""
    world = world_of(request)
    check_query(
        request,
        (*PAGING, *_FLAGS, "member_id", "future_usage", "payment_method_types", "card_brands", "card_funding_types"),
    )
    members, brands = many(request, "member_id"), many(request, "card_brands")
    kinds, fundings = many(request, "payment_method_types"), many(request, "card_funding_types")
    expired, broken = _flag(request, "expired"), _flag(request, "broken")
    document, now = _flag(request, "has_payer_document"), world.now()

    def render(method: Method) -> JsonObject:
        return world.buyers.method(method, now)

    def wanted(method: Method) -> bool:
        return (
            (not members or method.member_id in members)
            and (not brands or method.brand in brands)
            and (not kinds or "card" in kinds)
            and (not fundings or "credit" in fundings)
            and expired in (None, (method.exp_year, method.exp_month) < (now.year, now.month))
            and broken in (None, is_broken(method))
            and document is not True
        )

    return page(request, filter(wanted, world.store.tables.methods.values()), render)


def is_broken(method: Method) -> bool:
    """Whether a card has stopped working for good."""
    return method.behaviour.partition(":")[2] in ("lost_card", "stolen_card", "closed_account")


def _flag(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        raise bad_request(f"`{name}` must be true or false.")
    return None if text is None else text == "true"


def _find(request: Request) -> Method:
    """404 also for a card of another member than the one named."""
    check_query(request, ("member_id", "account_id"))
    method = find(world_of(request).store.tables.methods, request, "Payment method")
    if request.query_params.get("member_id", method.member_id) != method.member_id:
        raise not_found("Payment method")
    return method


async def read_method(request: Request) -> Response:
    """GET /payment_methods/{id}."""
    world = world_of(request)
    return answer(world.buyers.method(_find(request), world.now()))


async def delete_method(request: Request) -> Response:
    """Refused while a running recurring membership is paid with it."""
    world, method = world_of(request), _find(request)
    for membership in world.store.memberships_of(method.member_id):
        if membership.payment_method_id == method.id and not membership.ended and membership.current_period_end:
            raise conflict("An active subscription uses this payment method.")
    world.store.remove(world.store.tables.methods, method.id)
    return answer(True)


ROUTES = [
    Route("/payment_methods", list_methods),
    Route("/payment_methods/{id}", read_method),
    Route("/payment_methods/{id}", delete_method, methods=["DELETE"]),
]
