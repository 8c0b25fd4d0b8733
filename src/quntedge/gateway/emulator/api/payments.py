"""API: payments."""

import re
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.api.checkouts import plan_for
from quntedge.gateway.emulator.api.quotes import read_address
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
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.hosted import receipts
from quntedge.gateway.emulator.life import charges, promotions, quotes, refunding
from quntedge.gateway.emulator.life.purchases import Deal
from quntedge.gateway.emulator.state.money_records import Quote
from quntedge.gateway.emulator.state.records import Member, Method, Payment, Plan, Promo
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, forbidden, not_found
from quntedge.gateway.emulator.wire.values import iso

_STATUSES = ("draft", "open", "authorized", "paid", "pending", "uncollectible", "unresolved", "void")
_DESCRIPTOR = re.compile(r"WHOP\*[A-Za-z0-9 _*-]{0,17}", re.ASCII)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_EMULATED = ("confirmation_token", "payment_method")


def _find(request: Request) -> Payment:
    return find(world_of(request).store.tables.payments, request, "Payment")


def _show(request: Request, payment: Payment, status: int = 200) -> Response:
    return answer(world_of(request).buyers.payment(payment), status)


async def list_payments(request: Request) -> Response:
    """GET /payments; plural filters and `updated_after` are refused, as at Whop."""
    world, query = world_of(request), request.query_params
    names = ("status", "billing_reason", "user_id", "member_id", "membership_id", "product_id", "plan_id")
    check_query(request, (*PAGING, *names, "currency", "query", "mode"))
    wanted = {name: many(request, name) for name in names}
    unknown = next((status for status in wanted["status"] if status not in _STATUSES), None)
    if unknown is not None:
        raise bad_request(f"Unknown status `{unknown[:50]}`.")
    if "subscription_cycle" in wanted["billing_reason"]:
        wanted["billing_reason"].append("subscription_update")
    currencies, text = many(request, "currency"), query.get("query", "").strip().casefold()
    people = world.store.tables.people

    def matches(payment: Payment) -> bool:
        if currencies and payment.total.currency not in currencies:
            return False
        if not all(not values or getattr(payment, name) in values for name, values in wanted.items()):
            return False
        person = people[payment.user_id]
        return not text or text in f"{payment.id} {person.email} {person.name or ''} {person.username}".casefold()

    rows = filter(matches, world.store.tables.payments.values())
    orders = {"paid_at": lambda payment: payment.paid_at or _NEVER}
    return page(request, rows, partial(world.buyers.payment, listed=True), orders)


async def create_payment(request: Request) -> Response:
    """POST /payments: a charge of a stored card. Answers 201 with the payment as created, not with its outcome."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.needed_text("account_id"))
    for name in _NOT_EMULATED:
        if fields.has(name):
            raise bad_request(f"`{name}` is not available here: charge a stored payment method of a member.")
    member, method = _charged(world, fields)
    quote = _quote(world, fields)
    plan = _bought(world, fields, quote)
    promo = _promo(world, fields, quote)
    capture, minutes = fields.flag("capture") is not False, fields.integer("auto_capture_after_minutes", 5, 5760)
    if minutes is not None and capture:
        raise bad_request("`auto_capture_after_minutes` requires `capture: false`.")
    return_url = _return_url(fields)
    given = fields.flag("off_session")
    off_session = return_url is None if given is None else given
    if not off_session and return_url is None:
        raise bad_request("`return_url` is required when `off_session` is false.")
    descriptor = fields.text("statement_descriptor", longest=22)
    if descriptor is not None and not (_DESCRIPTOR.fullmatch(descriptor) and re.search("[A-Za-z]", descriptor[5:])):
        raise bad_request("`statement_descriptor` must start with WHOP* and have 5 to 22 plain characters.")
    metadata = fields.metadata() or {}
    fields.text("affiliate_code", longest=255)
    place = read_address(fields.object("shipping_address"))
    fields.done("email", "ip_address")
    at = world.now()
    person = world.store.tables.people[member.user_id]
    if promo is not None:
        promotions.check(world, promo, plan, person, at)
    quoted = None if quote is None else quotes.accept(quote, plan, promo, place or person.country, at)
    deal = Deal(
        plan=plan,
        member=member,
        method=method,
        promo=promo,
        metadata=metadata,
        capture=capture,
        auto_capture_minutes=minutes,
        by_api=True,
        off_session=off_session,
        return_url=return_url,
        quoted=quoted,
    )
    return _show(request, charges.start(world, deal, at), 201)


def _charged(world: World, fields: Fields) -> tuple[Member, Method]:
    member = world.store.tables.members.get(fields.needed_text("member_id"))
    method = world.store.tables.methods.get(fields.needed_text("payment_method_id"))
    if member is None:
        raise not_found("Member")
    if method is None or method.member_id != member.id:
        raise not_found("Payment method")
    return member, method


def _quote(world: World, fields: Fields) -> Quote | None:
    quote_id = fields.text("quote_id")
    quote = world.store.tables.quotes.get(quote_id or "")
    if quote_id is not None and quote is None:
        raise not_found("Payment quote")
    return quote


def _bought(world: World, fields: Fields, quote: Quote | None) -> Plan:
    """One plan, by id or inline; with a quote it may be left out. Carts of several variants are not emulated."""
    plan_id, inline, items = fields.text("plan_id"), fields.object("plan"), fields.objects("line_items")
    if items is not None:
        if plan_id is not None or inline is not None:
            raise bad_request("`line_items` excludes `plan_id` and `plan`.")
        if len(items) != 1:
            raise bad_request("Exactly one line item is supported here.")
        (item,) = items
        plan_id, inline = item.text("plan_id"), item.object("plan")
        item.integer("quantity", 1, 1)
        item.done()
    if quote is not None and plan_id is None and inline is None:
        plan_id = quote.plan_id
    return plan_for(world, plan_id, inline)


def _promo(world: World, fields: Fields, quote: Quote | None) -> Promo | None:
    code, promo_id = fields.text("promo_code", longest=100), fields.text("promo_code_id")
    if code is not None and code.strip() and promo_id is not None:
        raise bad_request("Send `promo_code` or `promo_code_id`, not both.")
    if quote is not None and not (code or "").strip() and promo_id is None:
        promo_id = quote.promo_code_id
    return promotions.look_up(world, code, promo_id)


def _return_url(fields: Fields) -> str | None:
    url = fields.text("return_url", longest=2048)
    if url is not None:
        check_redirect_url(url)
    return url


async def read_payment(request: Request) -> Response:
    """GET /payments/{id}."""
    return _show(request, _find(request))


async def change_payment(request: Request) -> Response:
    """PATCH /payments/{id}: only `return_url` of a charge whose buyer has not come back; metadata never changes."""
    fields, payment = await Fields.of(request), _find(request)
    url = _return_url(fields)
    fields.done("shipping_address")
    if url is not None:
        _set_return_url(request, payment, url)
    return _show(request, payment)


async def change_return_url(request: Request) -> Response:
    """PATCH /payments/{id}/return_url; answers the status."""
    world, fields, payment = world_of(request), await Fields.of(request), _find(request)
    url = _return_url(fields)
    fields.done()
    if url is None:
        raise bad_request("`return_url` is required.")
    _set_return_url(request, payment, url)
    return answer(world.buyers.payment_status(payment))


def _set_return_url(request: Request, payment: Payment, url: str) -> None:
    if payment.status != "open" or not payment.by_api:
        raise conflict("The buyer of this payment goes nowhere any more.")
    world = world_of(request)
    payment.return_url = url
    world.store.touch(payment, world.now())


async def resume(request: Request) -> Response:
    """POST /payments/{id}/resume is for the buyer alone: a seller's key gets 403."""
    _find(request)
    raise forbidden("Only the buyer can resume a payment.")


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
    charges.retry(world, payment, world.now())
    return _show(request, payment)


async def void(request: Request) -> Response:
    """Releases a reserved amount, or gives up a first payment that nobody paid."""
    world, fields = world_of(request), await Fields.of(request)
    payment = _find(request)
    fields.done()
    charges.void(world, payment, world.now())
    return _show(request, payment)


async def capture(request: Request) -> Response:
    """Collects a reserved amount; answers the status."""
    world, fields = world_of(request), await Fields.of(request)
    payment = _find(request)
    fields.done()
    charges.capture(world, payment, world.now())
    return answer(world.buyers.payment_status(payment))


async def generate_pdf(request: Request) -> Response:
    """A link to the receipt, good for an hour."""
    world, fields = world_of(request), await Fields.of(request)
    payment = _find(request)
    fields.done()
    token, expires_at = receipts.sign(world, payment, world.now())
    url = f"{world.config.public_base_url}/receipts/{payment.id}.pdf?token={token}"
    return answer({"url": url, "expires_at": iso(expires_at)})


ROUTES = [
    Route("/payments", create_payment, methods=["POST"]),
    Route("/payments", list_payments),
    Route("/payments/{id}", read_payment),
    Route("/payments/{id}", change_payment, methods=["PATCH"]),
    Route("/payments/{id}/status", read_status),
    Route("/payments/{id}/fees", read_fees),
    Route("/payments/{id}/refund", refund, methods=["POST"]),
    Route("/payments/{id}/retry", retry, methods=["POST"]),
    Route("/payments/{id}/void", void, methods=["POST"]),
    Route("/payments/{id}/capture", capture, methods=["POST"]),
    Route("/payments/{id}/resume", resume, methods=["POST"]),
    Route("/payments/{id}/return_url", change_return_url, methods=["PATCH"]),
    Route("/payments/{id}/generate_pdf", generate_pdf, methods=["POST"]),
]
