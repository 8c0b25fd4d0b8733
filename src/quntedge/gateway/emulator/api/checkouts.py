"""API: checkout configurations."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.api.catalog import plan_from, store_plan
from quntedge.gateway.emulator.calls.addresses import check_redirect_url
from quntedge.gateway.emulator.calls.requests import (
    PAGING,
    Fields,
    answer,
    check_account,
    check_query,
    find,
    page,
    world_of,
)
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.records import Checkout, Plan
from quntedge.gateway.emulator.wire.errors import bad_request, not_found

THREE_DS_LEVELS = ("mandate_challenge", "mandate_if_required", "frictionless_if_required")
_SAME_PLAN = (
    "product_id",
    "plan_type",
    "initial_price",
    "renewal_price",
    "billing_period",
    "trial_period_days",
    "expiration_days",
    "title",
    "visibility",
    "tax_type",
)


async def create_checkout(request: Request) -> Response:
    """POST /checkout_configurations for a plan by id or an inline plan, or in mode `setup` to save a card."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("account_id"))
    mode = fields.choice("mode", ("payment", "setup"), "payment")
    plan_id, inline = fields.text("plan_id"), fields.object("plan")
    redirect_url = fields.text("redirect_url", longest=2000)
    if redirect_url is not None:
        check_redirect_url(redirect_url)
    currency = fields.currency("currency") if fields.has("currency") else None
    metadata, affiliate_code = fields.metadata() or {}, fields.text("affiliate_code")
    three_ds_level = fields.choice("three_ds_level", THREE_DS_LEVELS, "") or None
    fields.done("payment_method_configuration")
    if mode == "setup" and (plan_id is not None or inline is not None):
        raise bad_request("A checkout in mode `setup` sells nothing: leave `plan` and `plan_id` out.")
    plan = None if mode == "setup" else plan_for(world, plan_id, inline)
    at = world.now()
    checkout = Checkout(
        id=world.store.new_id("ch"),
        created_at=at,
        updated_at=at,
        mode=mode,
        plan_id=None if plan is None else plan.id,
        redirect_url=redirect_url,
        affiliate_code=affiliate_code,
        currency=currency or ("usd" if plan is None else plan.currency),
        three_ds_level=three_ds_level,
        metadata=metadata,
    )
    world.store.add(world.store.tables.checkouts, checkout)
    return answer(world.sellers.checkout(checkout), 201)


def plan_for(world: World, plan_id: str | None, inline: Fields | None) -> Plan:
    """What is bought: an existing plan, or one described inline.

    Raises:
        ApiFault: 400 unless exactly one of both is given, 404 for an unknown or archived plan.
    """
    if (plan_id is None) == (inline is None):
        raise bad_request("Give either `plan_id` or `plan`.")
    if inline is not None:
        return _inline_plan(world, inline)
    plan = world.store.tables.plans.get(plan_id or "")
    if plan is None or plan.visibility == "archived":
        raise not_found("Plan")
    return plan


def _inline_plan(world: World, inline: Fields) -> Plan:
    """An inline plan reuses an existing plan that says the same, unless told otherwise."""
    if (inline.text("account_id") or world.config.account_id) != world.config.account_id:
        raise not_found("Account")
    force = inline.flag("force_create_new_plan")
    wanted = plan_from(world, inline)
    inline.done(
        "allow_multiple_quantity",
        "application_fee_amount",
        "adaptive_pricing_enabled",
        "custom_fields",
        "image",
        "payment_method_configuration",
        "product",
        "split_pay_required_payments",
        "three_ds_level",
    )
    if not force:
        for plan in world.store.tables.plans.values():
            if all(getattr(plan, name) == getattr(wanted, name) for name in _SAME_PLAN):
                return plan
    store_plan(world, wanted)
    return wanted


async def list_checkouts(request: Request) -> Response:
    """GET /checkout_configurations."""
    world = world_of(request)
    check_query(request, (*PAGING, "plan_id"))
    plan_id = request.query_params.get("plan_id")
    rows = (c for c in world.store.tables.checkouts.values() if plan_id is None or c.plan_id == plan_id)
    return page(request, rows, world.sellers.checkout)


async def read_checkout(request: Request) -> Response:
    """GET /checkout_configurations/{id}."""
    world = world_of(request)
    return answer(world.sellers.checkout(find(world.store.tables.checkouts, request, "Checkout configuration")))


async def delete_checkout(request: Request) -> Response:
    """DELETE: the link leads nowhere from now on."""
    world = world_of(request)
    checkout = find(world.store.tables.checkouts, request, "Checkout configuration")
    world.store.remove(world.store.tables.checkouts, checkout.id)
    return answer({"id": checkout.id, "deleted": True})


ROUTES = [
    Route("/checkout_configurations", create_checkout, methods=["POST"]),
    Route("/checkout_configurations", list_checkouts),
    Route("/checkout_configurations/{id}", read_checkout),
    Route("/checkout_configurations/{id}", delete_checkout, methods=["DELETE"]),
]
