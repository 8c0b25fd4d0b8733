"""API: refunds. They are made through their payment and only read here."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import PAGING, answer, check_query, find, many, page, world_of


async def list_refunds(request: Request) -> Response:
    """GET /refunds."""
    world = world_of(request)
    check_query(request, (*PAGING, "payment_id", "user_id"))
    payment_ids, user_ids = many(request, "payment_id"), many(request, "user_id")
    payments = world.store.tables.payments
    rows = (
        made
        for made in world.store.tables.refunds.values()
        if (not payment_ids or made.payment_id in payment_ids)
        and (not user_ids or payments[made.payment_id].user_id in user_ids)
    )
    return page(request, rows, world.buyers.refund)


async def read_refund(request: Request) -> Response:
    """GET /refunds/{id}."""
    world = world_of(request)
    return answer(world.buyers.refund(find(world.store.tables.refunds, request, "Refund")))


ROUTES = [Route("/refunds", list_refunds), Route("/refunds/{id}", read_refund)]
