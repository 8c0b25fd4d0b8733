"""API: promo codes. They can be kept and listed; the checkout page does not take them yet."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.records import Promo
from quntedge.gateway.emulator.requests import (
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
from quntedge.kit.money import Money


async def create_promo(request: Request) -> Response:
    """A percentage is given as a fraction: 0.2 is 20 %."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("account_id"))
    code, currency = fields.needed_text("code", longest=100), fields.currency("base_currency")
    kind = fields.choice("promo_type", ("percentage", "flat_amount"), "percentage")
    at = world.now()
    promo = Promo(
        id=world.store.new_id("promo"),
        created_at=at,
        updated_at=at,
        code=code,
        promo_type=kind,
        amount_off=_amount_off(fields, kind, currency),
        currency=currency,
        promo_duration_months=fields.integer("promo_duration_months", 0, 1200),
        new_users_only=bool(fields.flag("new_users_only")),
        churned_users_only=bool(fields.flag("churned_users_only")),
        existing_memberships_only=bool(fields.flag("existing_memberships_only")),
        one_per_customer=bool(fields.flag("one_per_customer")),
        plan_ids=fields.texts("plan_ids") or [],
        product_id=fields.text("product_id"),
        stock=fields.integer("stock", 0, 10**9) or 0,
        unlimited_stock=fields.flag("unlimited_stock") is not False,
        expires_at=fields.time("expires_at"),
        metadata=fields.metadata() or {},
    )
    fields.done()
    tables = world.store.tables
    if promo.product_id is not None and promo.product_id not in tables.products:
        raise not_found("Product")
    if any(plan_id not in tables.plans for plan_id in promo.plan_ids):
        raise not_found("Plan")
    if any(p.code.casefold() == code.casefold() and p.status != "archived" for p in tables.promos.values()):
        raise conflict("There already is a promo code with this code.")
    world.store.add(tables.promos, promo)
    return answer(world.sellers.promo(promo), 201)


def _amount_off(fields: Fields, kind: str, currency: str) -> str:
    if kind == "flat_amount":
        amount = fields.amount("amount_off", currency, required=True)
        if amount is None or amount <= Money.zero(currency):
            raise bad_request("`amount_off` must be more than zero.")
        return amount.to_major_text()
    fraction = fields.decimal("amount_off")
    if fraction is None or not 0 < fraction <= 1:
        raise bad_request("`amount_off` of a percentage must be a fraction: 0.2 is 20 %.")
    return str(fraction)


async def list_promos(request: Request) -> Response:
    """GET /promo_codes; `account_id` is required, as at Whop."""
    world = world_of(request)
    check_query(request, (*PAGING, "status", "product_ids", "plan_ids"))
    if "account_id" not in request.query_params:
        raise bad_request("`account_id` is required.")
    statuses = many(request, "status")
    rows = (p for p in world.store.tables.promos.values() if not statuses or p.status in statuses)
    return page(request, rows, world.sellers.promo)


async def read_promo(request: Request) -> Response:
    """GET /promo_codes/{id}."""
    world = world_of(request)
    return answer(world.sellers.promo(find(world.store.tables.promos, request, "Promo code")))


async def delete_promo(request: Request) -> Response:
    """Archives the code."""
    world = world_of(request)
    promo = find(world.store.tables.promos, request, "Promo code")
    promo.status = "archived"
    world.store.touch(promo, world.now())
    return answer({"id": promo.id, "deleted": True})


ROUTES = [
    Route("/promo_codes", create_promo, methods=["POST"]),
    Route("/promo_codes", list_promos),
    Route("/promo_codes/{id}", read_promo),
    Route("/promo_codes/{id}", delete_promo, methods=["DELETE"]),
]
