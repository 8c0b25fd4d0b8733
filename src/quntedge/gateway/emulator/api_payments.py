"""API: payments and refunds."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import refunding, renewals
from quntedge.gateway.emulator.errors import conflict
from quntedge.gateway.emulator.records import Payment
from quntedge.gateway.emulator.requests import PAGING, Fields, answer, check_query, find, many, page, world_of


def _find(request: Request) -> Payment:
    return find(world_of(request).store.tables.payments, request, "Payment")


def _show(request: Request, payment: Payment) -> Response:
    return answer(world_of(request).buyers.payment(payment))


async def list_payments(request: Request) -> Response:
    """GET /payments; plural filters and `updated_after` are refused, as at Whop."""
    world = world_of(request)
    names = ("status", "billing_reason", "user_id", "member_id", "membership_id", "product_id", "plan_id")
    check_query(request, (*PAGING, *names, "currency", "query", "mode"))
    wanted = {name: many(request, name) for name in names}
    if "subscription_cycle" in wanted["billing_reason"]:
        wanted["billing_reason"].append("subscription_update")
    currencies = many(request, "currency")
    rows = (
        payment
        for payment in world.store.tables.payments.values()
        if (not currencies or payment.total.currency in currencies)
        and all(not values or getattr(payment, name) in values for name, values in wanted.items())
    )
    return page(request, rows, partial(world.buyers.payment, listed=True))


async def read_payment(request: Request) -> Response:
    """GET /payments/{id}."""
    return _show(request, _find(request))


async def read_status(request: Request) -> Response:
    """GET /payments/{id}/status."""
    return answer(world_of(request).buyers.payment_status(_find(request)))


async def read_fees(request: Request) -> Response:
    """GET /payments/{id}/fees, complete in one page."""
    fees = world_of(request).buyers.fees(_find(request))
    info = {"start_cursor": None, "end_cursor": None, "has_next_page": False, "has_previous_page": False}
    return answer({"data": fees, "page_info": info})


async def refund(request: Request) -> Response:
    """Gives back `partial_amount`, or what is left. The answer is the payment, which does not show the refund yet."""
    world, fields = world_of(request), await Fields.of(request)
    payment = _find(request)
    amount = fields.amount("partial_amount", payment.total.currency)
    metadata = fields.metadata() or {}
    fields.done()
    refunding.refund(world, payment, amount, metadata, world.now())
    return _show(request, payment)


async def retry(request: Request) -> Response:
    """Tries an open payment again at once."""
    world, fields = world_of(request), await Fields.of(request)
    payment = _find(request)
    fields.done()
    if not world.buyers.retryable(payment):
        raise conflict("This payment cannot be retried.")
    renewals.retry(world, payment, world.now())
    return _show(request, payment)


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


ROUTES = [
    Route("/payments", list_payments),
    Route("/payments/{id}", read_payment),
    Route("/payments/{id}/status", read_status),
    Route("/payments/{id}/fees", read_fees),
    Route("/payments/{id}/refund", refund, methods=["POST"]),
    Route("/payments/{id}/retry", retry, methods=["POST"]),
    Route("/refunds", list_refunds),
    Route("/refunds/{id}", read_refund),
]
