"""API: promo codes. Nothing but their status can be changed."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
from quntedge.gateway.emulator.state.records import Promo
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.kit.money import Money

_STATUSES = ("active", "inactive", "archived", "expired")


async def create_promo(request: Request) -> Response:
    """A percentage is given as a fraction: 0.2 is 20 %."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("account_id"))
    code, currency = fields.needed_text("code", longest=100), fields.currency("base_currency")
    kind = fields.choice("promo_type", ("percentage", "flat_amount"), "percentage")
    stock, unlimited = fields.integer("stock", 0, 10**9), fields.flag("unlimited_stock")
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
        stock=stock or 0,
        unlimited_stock=stock is None if unlimited is None else unlimited,
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
    statuses, products, plans = many(request, "status"), many(request, "product_ids"), many(request, "plan_ids")
    if any(status not in _STATUSES for status in statuses):
        raise bad_request(f"`status` must be one of {', '.join(_STATUSES)}.")
    if "expired" in statuses:  # Whop's word for everything that is not active
        statuses += ["inactive", "archived"]
    rows = (
        promo
        for promo in world.store.tables.promos.values()
        if (not statuses or promo.status in statuses)
        and (not products or promo.product_id in products)
        and (not plans or not set(plans).isdisjoint(promo.plan_ids))
    )
    return page(request, rows, world.sellers.listed_promo)


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


async def set_status(request: Request, status: str) -> Response:
    """POST /promo_codes/{id}/activate and …/deactivate. What is archived stays so."""
    world, fields = world_of(request), await Fields.of(request)
    promo = find(world.store.tables.promos, request, "Promo code")
    fields.done()
    if promo.status == "archived":
        raise conflict("This promo code is archived.")
    promo.status = status
    world.store.touch(promo, world.now())
    return answer(world.sellers.promo(promo))


ROUTES = [
    Route("/promo_codes", create_promo, methods=["POST"]),
    Route("/promo_codes", list_promos),
    Route("/promo_codes/{id}", read_promo),
    Route("/promo_codes/{id}", delete_promo, methods=["DELETE"]),
    Route("/promo_codes/{id}/activate", partial(set_status, status="active"), methods=["POST"]),
    Route("/promo_codes/{id}/deactivate", partial(set_status, status="inactive"), methods=["POST"]),
]
