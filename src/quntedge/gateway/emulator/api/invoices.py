"""API: invoices."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.api.catalog import plan_from, store_plan
from quntedge.gateway.emulator.calls.requests import (
    PAGING,
    Fields,
    answer,
    by_creation,
    check_account,
    check_query,
    find,
    many,
    page,
    world_of,
)
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import invoicing
from quntedge.gateway.emulator.life.invoicing import InvoiceOrder
from quntedge.gateway.emulator.state.records import Invoice, InvoiceLine, Member, Method, Plan, Product
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = ("draft", "open", "paid", "past_due", "uncollectible", "void")
_COLLECTION = ("send_invoice", "charge_automatically")
_PLAN_EXTRAS = (
    "adaptive_pricing_enabled",
    "custom_fields",
    "legacy_payment_method_controls",
    "payment_method_configuration",
)
_EXTRAS = ("billing_address", "mailing_address_id")


def _find(request: Request) -> Invoice:
    """By id, or by the token of the public page."""
    tables = world_of(request).store.tables
    key = request.path_params["id"]
    by_token = tables.invoices.get(key.removeprefix("emulated-"))
    return by_token if by_token is not None else find(tables.invoices, request, "Invoice")


def _show(request: Request, invoice: Invoice, status: int = 200) -> Response:
    return answer(world_of(request).sellers.invoice(invoice), status)


async def list_invoices(request: Request) -> Response:
    """GET /invoices: none but those that were made explicitly."""
    world = world_of(request)
    check_query(request, (*PAGING, "product_ids", "collection_methods", "statuses"))
    statuses, products = many(request, "statuses"), many(request, "product_ids")
    methods = many(request, "collection_methods")
    unknown = next((status for status in statuses if status not in _STATUSES), None)
    if unknown is not None:
        raise bad_request(f"Unknown status `{unknown[:50]}`.")
    rows = (
        invoice
        for invoice in world.store.tables.invoices.values()
        if (not statuses or invoice.status in statuses)
        and (not products or invoice.product_id in products)
        and (not methods or invoice.collection_method in methods)
    )
    orders = {"id": by_creation, "due_date": lambda invoice: invoice.due_date or _NEVER}
    return page(request, rows, world.sellers.listed_invoice, orders)


async def create_invoice(request: Request) -> Response:
    """POST /invoices for a member, or for an e-mail address with a name; of a product that exists or a new one."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.needed_text("account_id"))
    collection = fields.choice("collection_method", _COLLECTION, "")
    if not collection:
        raise bad_request("`collection_method` is required.")
    inline, product_id = fields.object("product"), fields.text("product_id")
    plan_fields, items = fields.object("plan"), fields.objects("line_items")
    member, email, name = _customer(world, fields)
    method = _method(world, fields, member, collection)
    draft = bool(fields.flag("save_as_draft"))
    times = [fields.time(key) for key in ("due_date", "automatically_finalizes_at", "subscription_billing_anchor_at")]
    buyer_fee = bool(fields.flag("charge_buyer_fee"))
    fields.done(*_EXTRAS)
    if plan_fields is None or (inline is None) is (product_id is None):
        raise bad_request("`plan` and either `product` or `product_id` are required.")
    product = _product(world, inline, product_id)
    plan = _plan(world, plan_fields, product)
    order = InvoiceOrder(
        plan=plan,
        member=member,
        email=email,
        customer_name=name,
        due_date=times[0],
        lines=_lines(items, plan.currency),
        method=method,
        draft=draft or times[1] is not None,
        finalizes_at=times[1],
        anchor_at=times[2],
        charge_buyer_fee=buyer_fee,
    )
    if order.lines:
        invoicing.check_lines(plan, order.lines)
    _keep(world, product, plan)
    return _show(request, invoicing.create(world, order, world.now()), 201)


def _customer(world: World, fields: Fields) -> tuple[Member | None, str | None, str | None]:
    member_id, email = fields.text("member_id"), fields.text("email_address", longest=254)
    name = fields.text("customer_name", longest=100)
    if member_id is None:
        if email is None or "@" not in email or not name:
            raise bad_request("Give `member_id`, or `email_address` and `customer_name`.")
        return None, email, name
    member = world.store.tables.members.get(member_id)
    if member is None:
        raise not_found("Member")
    return member, email or world.store.tables.people[member.user_id].email, name


def _method(world: World, fields: Fields, member: Member | None, collection: str) -> Method | None:
    method_id = fields.text("payment_method_id")
    if collection == "send_invoice":
        return None
    method = world.store.tables.methods.get(method_id or "")
    if method is None or member is None or method.member_id != member.id:
        raise bad_request("`charge_automatically` needs `member_id` and one of the member's `payment_method_id`.")
    return method


def _product(world: World, inline: Fields | None, product_id: str | None) -> Product:
    """An existing product, or a new one that is not stored yet."""
    if inline is None:
        found = world.store.tables.products.get(product_id or "")
        if found is None:
            raise not_found("Product")
        return found
    title, at = inline.needed_text("title", longest=80), world.now()
    inline.done("product_tax_code_id")
    new_id = world.store.new_id("prod")
    return Product(id=new_id, created_at=at, updated_at=at, title=title, route=new_id.lower(), visibility="hidden")


def _plan(world: World, fields: Fields, product: Product) -> Plan:
    if not fields.has("plan_type"):
        fields.put("plan_type", "renewal" if fields.has("billing_period") else "one_time")
    plan = plan_from(world, fields, product)
    fields.done(*_PLAN_EXTRAS)
    return plan


def _keep(world: World, product: Product, plan: Plan) -> None:
    if product.id not in world.store.tables.products:
        world.store.add(world.store.tables.products, product)
        world.announcer.emit("product.created", product, product.created_at)
    store_plan(world, plan)


def _lines(items: list[Fields] | None, currency: str) -> list[InvoiceLine] | None:
    return None if items is None else [_line(item, currency) for item in items]


def _line(item: Fields, currency: str) -> InvoiceLine:
    label, quantity = item.needed_text("label", longest=250), item.integer("quantity", 1, 10**6)
    price = item.amount("unit_price", currency, required=True)
    item.done()
    if price is None:
        raise bad_request("`unit_price` is required.")
    return InvoiceLine(label, 1 if quantity is None else quantity, price)


async def read_invoice(request: Request) -> Response:
    """GET /invoices/{id}."""
    return _show(request, _find(request))


async def change_invoice(request: Request) -> Response:
    """PATCH /invoices/{id}: drafts only. What is refused changes nothing."""
    world, fields, invoice = world_of(request), await Fields.of(request), _find(request)
    if invoice.status != "draft":
        raise conflict("Only a draft can be changed.")
    plan = _changed_plan(world, fields, invoice)
    items = fields.objects("line_items")
    lines = invoice.lines if items is None and plan.id == invoice.plan_id else _lines(items, plan.currency)
    times: dict[str, datetime | None] = {
        "due_date": fields.time("due_date"),
        "finalizes_at": fields.time("automatically_finalizes_at"),
        "anchor_at": fields.time("subscription_billing_anchor_at"),
    }
    fresh = {
        **times,
        **_changed_customer(world, fields, invoice),
        "charge_buyer_fee": fields.flag("charge_buyer_fee"),
        "plan_id": plan.id,
        "product_id": plan.product_id,
        "lines": lines or invoicing.default_lines(plan),
    }
    fields.done(*_EXTRAS)
    invoicing.check_lines(plan, lines or invoicing.default_lines(plan))
    if plan.id not in world.store.tables.plans:
        store_plan(world, plan)
    for name, value in fresh.items():
        if value is not None:
            setattr(invoice, name, value)
    invoicing.schedule(world, invoice)
    world.store.touch(invoice, world.now())
    return _show(request, invoice)


def _changed_plan(world: World, fields: Fields, invoice: Invoice) -> Plan:
    """The plan of the invoice, or a new one that is not stored yet: other attributes, or of another product."""
    given, product_id = fields.object("plan"), fields.text("product_id")
    plan = world.store.tables.plans[invoice.plan_id]
    product = world.store.tables.products.get(product_id or invoice.product_id)
    if product is None:
        raise not_found("Product")
    if given is not None:
        return _plan(world, given, product)
    return (
        plan if product.id == plan.product_id else replace(plan, id=world.store.new_id("plan"), product_id=product.id)
    )


def _changed_customer(world: World, fields: Fields, invoice: Invoice) -> dict[str, str | None]:
    """Who is asked to pay, and how; the whole must make sense afterwards."""
    tables = world.store.tables
    member_id = fields.text("member_id") or invoice.member_id
    method_id = fields.text("payment_method_id") or invoice.payment_method_id
    collection = fields.choice("collection_method", _COLLECTION, invoice.collection_method)
    if member_id is not None and member_id not in tables.members:
        raise not_found("Member")
    if collection == "charge_automatically":
        method = tables.methods.get(method_id or "")
        if method is None or method.member_id != member_id:
            raise bad_request("`charge_automatically` needs `member_id` and one of the member's `payment_method_id`.")
    return {
        "member_id": member_id,
        "payment_method_id": method_id,
        "collection_method": collection,
        "email_address": fields.text("email_address", longest=254),
        "customer_name": fields.text("customer_name", longest=100),
    }


async def delete_invoice(request: Request) -> Response:
    """DELETE /invoices/{id}: drafts only. Answers a bare true, as at Whop."""
    world, invoice = world_of(request), _find(request)
    if invoice.status != "draft":
        raise conflict("Only a draft can be deleted.")
    world.store.remove(world.store.tables.invoices, invoice.id)
    return answer(True)


async def move(request: Request, status: str) -> Response:
    """Marks an invoice as `status`. Answers a bare true, as at Whop."""
    world, fields, invoice = world_of(request), await Fields.of(request), _find(request)
    fields.done()
    invoicing.move(world, invoice, status, world.now())
    return answer(True)


async def resend(request: Request) -> Response:
    """POST /invoices/{id}/resend. The emulator sends no mail; it only says whether there is something to send."""
    fields, invoice = await Fields.of(request), _find(request)
    fields.done()
    if invoice.status not in ("open", "past_due"):
        raise conflict(f"This invoice is {invoice.status}.")
    return answer(True)


ROUTES = [
    Route("/invoices", create_invoice, methods=["POST"]),
    Route("/invoices", list_invoices),
    Route("/invoices/{id}", read_invoice),
    Route("/invoices/{id}", change_invoice, methods=["PATCH"]),
    Route("/invoices/{id}", delete_invoice, methods=["DELETE"]),
    Route("/invoices/{id}/mark_paid", partial(move, status="paid"), methods=["POST"]),
    Route("/invoices/{id}/mark_uncollectible", partial(move, status="uncollectible"), methods=["POST"]),
    Route("/invoices/{id}/void", partial(move, status="void"), methods=["POST"]),
    Route("/invoices/{id}/resend", resend, methods=["POST"]),
]
