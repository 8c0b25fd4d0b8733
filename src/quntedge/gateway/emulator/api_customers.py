"""API: members, payment methods, invoices."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.errors import conflict
from quntedge.gateway.emulator.records import Member, Method
from quntedge.gateway.emulator.requests import PAGING, answer, check_query, find, many, page, world_of
from quntedge.gateway.emulator.wire import JsonObject


async def list_members(request: Request) -> Response:
    """GET /members; filters by user and by a part of the name or address."""
    world = world_of(request)
    check_query(
        request,
        (
            *PAGING,
            "access_level",
            "status",
            "user_ids",
            "most_recent_actions",
            "membership_status",
            "product_ids",
            "plan_ids",
            "promo_code_ids",
            "query",
        ),
    )
    users, query = many(request, "user_ids"), request.query_params.get("query", "").casefold()
    people = world.store.tables.people

    def wanted(member: Member) -> bool:
        person = people[member.user_id]
        named = f"{person.email} {person.name or ''} {person.username}".casefold()
        return (not users or member.user_id in users) and query in named

    return page(request, filter(wanted, world.store.tables.members.values()), world.buyers.member)


async def read_member(request: Request) -> Response:
    """GET /members/{id}."""
    world = world_of(request)
    return answer(world.buyers.member(find(world.store.tables.members, request, "Member")))


async def list_methods(request: Request) -> Response:
    """GET /payment_methods."""
    world = world_of(request)
    check_query(
        request,
        (
            *PAGING,
            "member_id",
            "future_usage",
            "payment_method_types",
            "card_brands",
            "card_funding_types",
            "has_payer_document",
            "expired",
            "broken",
        ),
    )
    members = many(request, "member_id")
    now = world.now()

    def render(method: Method) -> JsonObject:
        return world.buyers.method(method, now)

    rows = (m for m in world.store.tables.methods.values() if not members or m.member_id in members)
    return page(request, rows, render)


async def read_method(request: Request) -> Response:
    """GET /payment_methods/{id}."""
    world = world_of(request)
    return answer(world.buyers.method(find(world.store.tables.methods, request, "Payment method"), world.now()))


async def delete_method(request: Request) -> Response:
    """Refused while a running recurring membership is paid with it."""
    world = world_of(request)
    method = find(world.store.tables.methods, request, "Payment method")
    for membership in world.store.tables.memberships.values():
        if membership.payment_method_id == method.id and not membership.ended and membership.current_period_end:
            raise conflict("An active subscription uses this payment method.")
    del world.store.tables.methods[method.id]
    world.store.changes += 1
    return answer(True)


async def list_invoices(request: Request) -> Response:
    """GET /invoices: none but those made through `/_control/invoices`."""
    world = world_of(request)
    check_query(request, (*PAGING, "product_ids", "collection_methods", "statuses"))
    statuses = many(request, "statuses")
    rows = (i for i in world.store.tables.invoices.values() if not statuses or i.status in statuses)
    return page(request, rows, world.sellers.invoice)


async def read_invoice(request: Request) -> Response:
    """GET /invoices/{id}."""
    world = world_of(request)
    return answer(world.sellers.invoice(find(world.store.tables.invoices, request, "Invoice")))


ROUTES = [
    Route("/members", list_members),
    Route("/members/{id}", read_member),
    Route("/payment_methods", list_methods),
    Route("/payment_methods/{id}", read_method),
    Route("/payment_methods/{id}", delete_method, methods=["DELETE"]),
    Route("/invoices", list_invoices),
    Route("/invoices/{id}", read_invoice),
]
