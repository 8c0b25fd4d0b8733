"""API: what a purchase would cost: payment quotes, and the older preview of a plan's tax."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.api.checkouts import plan_for
from quntedge.gateway.emulator.calls.requests import Fields, answer, check_account, find, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import promotions, quotes
from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.rules.pricing import price
from quntedge.gateway.emulator.state.money_records import Quote
from quntedge.gateway.emulator.wire.countries import read_country
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request
from quntedge.gateway.emulator.wire.values import JsonObject, iso, money
from quntedge.kit.money import Money

_ADDRESS = ("city", "line1", "line2", "name", "postal_code", "state")


async def create_quote(request: Request) -> Response:
    """POST /payment_quotes for one plan. Where taxes are collected the buyer's country is needed."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.needed_text("account_id"))
    plan = plan_for(world, fields.text("plan_id"), fields.object("plan"))
    promo = promotions.look_up(world, fields.text("promo_code", longest=100), fields.text("promo_code_id"))
    country = read_address(fields.object("shipping_address")) or read_address(fields.object("address"))
    fields.done("tax_ids")
    if country is None and world.store.tables.tax_rates:
        raise ApiFault(400, "bad_request", "`address` with a country is required.", code="quote_location_required")
    at = world.now()
    if promo is not None:
        promotions.check(world, promo, plan, None, at)
    return answer(_shape(world, quotes.quote(world, plan, promo, country, at)), 201)


def read_address(address: Fields | None) -> str | None:
    """The country of an address; None where there is none."""
    if address is None:
        return None
    for name in _ADDRESS:
        address.text(name)
    country = read_country(address.text("country"))
    address.done()
    return country


async def read_quote(request: Request) -> Response:
    """GET /payment_quotes/{id}."""
    world = world_of(request)
    return answer(_shape(world, find(world.store.tables.quotes, request, "Payment quote")))


def _shape(world: World, quoted: Quote) -> JsonObject:
    tax = quoted.tax or Money.zero(quoted.total.currency)
    amounts = {
        "subtotal": money(quoted.subtotal),
        "discount": money(quoted.discount),
        "tax_amount": money(tax),
        "total": money(quoted.total),
    }
    status = "not_applicable" if quoted.tax is None else "calculated"
    empty = dict.fromkeys(_ADDRESS)
    return {
        **amounts,
        "id": quoted.id,
        "account_id": world.config.account_id,
        "address": None if quoted.country is None else {**empty, "country": quoted.country.upper()},
        "base_currency": quoted.total.currency,
        "base_total": money(quoted.total),
        "created_at": iso(quoted.created_at),
        "currency": quoted.total.currency,
        "exchange_rate": None,
        "expires_at": iso(quoted.expires_at),
        "line_items": [{**amounts, "plan_id": quoted.plan_id, "quantity": 1}],
        "located_by": None if quoted.country is None else "address",
        "payment_id": quoted.payment_id,
        "promo_code_id": quoted.promo_code_id,
        "recommended_currencies": [quoted.total.currency],
        "shipping_address": None,
        "tax_behavior": quoted.tax_behavior,
        "tax_ids": [],
        "tax_status": status,
    }


async def calculate_tax(request: Request) -> Response:
    """POST /variants/{id}/calculate_tax: the one answer of Whop with whole numbers of minor units."""
    world, fields = world_of(request), await Fields.of(request)
    plan = find(world.store.tables.plans, request, "Plan")
    country = read_address(fields.object("address"))
    fields.done("tax_ids", "ip_address")
    if country is None:
        raise bad_request("`address` with a country is required.")
    cost = price(world.store.tables, plan, first_charge(plan, trial=False), None, country)
    return answer(
        {
            "currency": plan.currency,
            "status": "not_calculated" if cost.tax is None else "calculated",
            "subtotal": cost.subtotal.amount_minor,
            "tax_amount": 0 if cost.tax is None else cost.tax.amount.amount_minor,
            "tax_behavior": world.store.tables.tax_behavior if cost.tax is None else cost.tax.behavior,
            "total": cost.total.amount_minor,
        }
    )


ROUTES = [
    Route("/payment_quotes", create_quote, methods=["POST"]),
    Route("/payment_quotes/{id}", read_quote),
    *(Route(f"/{name}/{{id}}/calculate_tax", calculate_tax, methods=["POST"]) for name in ("variants", "plans")),
]
