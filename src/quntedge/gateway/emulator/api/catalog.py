"""API: products, plans (also called variants)."""

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
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.records import Plan, Product
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.kit.money import Money

TAX_TYPES = ("inclusive", "exclusive", "unspecified")
VISIBILITIES = ("visible", "hidden", "archived", "quick_link")
# Parameters the official client has and the emulator lets pass without acting upon them.
_PLAN_EXTRAS = (
    "adaptive_pricing_enabled",
    "attributes",
    "checkout_styling",
    "custom_fields",
    "image",
    "payment_method_configuration",
    "sku",
    "three_ds_level",
)
_NEW_PLAN_EXTRAS = (*_PLAN_EXTRAS, "split_pay_required_payments")
_CHANGED_PLAN_EXTRAS = (
    *_PLAN_EXTRAS,
    "cancel_discount_intervals",
    "cancel_discount_percentage",
    "offer_cancel_discount",
    "release_method",
    "strike_through_initial_price",
    "strike_through_renewal_price",
)
_PRODUCT_EXTRAS = ("gallery_images", "labels", "product_tax_code_id", "send_welcome_message")
_NEW_PRODUCT_EXTRAS = (
    *_PRODUCT_EXTRAS,
    "collect_shipping_address",
    "custom_cta",
    "custom_cta_url",
    "custom_statement_descriptor",
    "global_affiliate_percentage",
    "global_affiliate_status",
    "member_affiliate_percentage",
    "member_affiliate_status",
    "redirect_purchase_url",
)
_CHANGED_PRODUCT_EXTRAS = (*_PRODUCT_EXTRAS, "banner_image")


async def create_product(request: Request) -> Response:
    """POST /products."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("account_id"))
    at, product_id = world.now(), world.store.new_id("prod")
    title = fields.needed_text("title", longest=80)
    product = Product(
        id=product_id,
        created_at=at,
        updated_at=at,
        title=title,
        route=fields.text("route", longest=100) or product_id.lower(),
        headline=fields.text("headline"),
        description=fields.text("description", longest=5000),
        visibility=fields.choice("visibility", VISIBILITIES, "visible"),
        metadata=fields.metadata() or {},
        external_identifier=fields.text("external_identifier"),
    )
    fields.done(*_NEW_PRODUCT_EXTRAS)
    world.store.add(world.store.tables.products, product)
    world.announcer.emit("product.created", product, at)
    return answer(world.sellers.product(product), 201)


async def list_products(request: Request) -> Response:
    """GET /products."""
    world = world_of(request)
    check_query(
        request,
        (
            *PAGING,
            "query",
            "visibilities",
            "plan_types",
            "labels",
            "access_pass_types",
            "marketplace_category_route",
            "price_minimum",
            "price_maximum",
        ),
    )
    wanted = many(request, "visibilities")
    rows = (p for p in world.store.tables.products.values() if not wanted or p.visibility in wanted)
    return page(request, rows, world.sellers.listed_product)


async def read_product(request: Request) -> Response:
    """GET /products/{id}."""
    world = world_of(request)
    return answer(world.sellers.product(find(world.store.tables.products, request, "Product")))


async def change_product(request: Request) -> Response:
    """PATCH /products/{id}."""
    world, fields = world_of(request), await Fields.of(request)
    product = find(world.store.tables.products, request, "Product")
    title, headline = fields.text("title", longest=80), fields.text("headline")
    description, metadata = fields.text("description", longest=5000), fields.metadata()
    visibility = fields.choice("visibility", VISIBILITIES, product.visibility)
    fields.done(*_CHANGED_PRODUCT_EXTRAS)
    product.title, product.visibility = title or product.title, visibility
    product.headline = headline if headline is not None else product.headline
    product.description = description if description is not None else product.description
    product.metadata = metadata if metadata is not None else product.metadata
    world.store.touch(product, world.now())
    world.announcer.emit("product.updated", product, world.now())
    return answer(world.sellers.product(product))


async def delete_product(request: Request) -> Response:
    """DELETE /products/{id}: only while nobody bought it."""
    world = world_of(request)
    tables = world.store.tables
    product = find(tables.products, request, "Product")
    if any(payment.product_id == product.id for payment in tables.payments.values()):
        raise conflict("A product that was bought cannot be deleted. Archive it instead.")
    if any(invoice.product_id == product.id for invoice in tables.invoices.values()):
        raise conflict("A product with invoices cannot be deleted. Archive it instead.")
    plans = [plan for plan in tables.plans.values() if plan.product_id == product.id]
    for plan in plans:
        for checkout in [one for one in tables.checkouts.values() if one.plan_id == plan.id]:
            world.store.remove(tables.checkouts, checkout.id)
        world.announcer.emit("plan.deleted", plan, world.now())
    world.announcer.emit("product.deleted", product, world.now())
    for plan in plans:
        world.store.remove(tables.plans, plan.id)
    world.store.remove(tables.products, product.id)
    return answer({"id": product.id, "deleted": True})


def plan_from(world: World, fields: Fields, product: Product | None = None) -> Plan:
    """A new plan as asked for, of `product` or of the one named by `product_id`; not yet stored. Raises ApiFault for
    anything impossible."""
    currency = fields.currency("currency")
    product_id = fields.needed_text("product_id") if product is None else product.id
    if product is None and product_id not in world.store.tables.products:
        raise not_found("Product")
    kind = fields.choice("plan_type", ("renewal", "one_time"), "renewal")
    initial = _price(fields, "initial_price", currency)
    renewal = _price(fields, "renewal_price", currency)
    period = fields.integer("billing_period", 1, 3650)
    trial = fields.integer("trial_period_days", 0, 3650)
    if kind == "renewal" and period is None:
        raise bad_request("`billing_period` in days is required for a recurring plan.")
    if kind == "one_time" and (renewal or trial):
        raise bad_request("A one-time plan has no renewal price and no trial.")
    at = world.now()
    return Plan(
        id=world.store.new_id("plan"),
        created_at=at,
        updated_at=at,
        product_id=product_id,
        plan_type=kind,
        initial_price=initial,
        renewal_price=renewal,
        billing_period=period if kind == "renewal" else None,
        trial_period_days=trial or None,
        expiration_days=fields.integer("expiration_days", 1, 3650),
        title=fields.text("title", longest=30),
        description=fields.text("description", longest=1000),
        internal_notes=fields.text("internal_notes"),
        visibility=fields.choice("visibility", VISIBILITIES, "visible"),
        release_method=fields.choice("release_method", ("buy_now", "waitlist"), "buy_now"),
        stock=fields.integer("stock", 0, 10**9),
        unlimited_stock=fields.flag("unlimited_stock") is not False,
        tax_type=fields.choice("override_tax_type", TAX_TYPES, "unspecified"),
        metadata=fields.metadata() or {},
    )


def _price(fields: Fields, name: str, currency: str) -> Money:
    price = fields.amount(name, currency) or Money.zero(currency)
    if price < Money.zero(currency) or Money.zero(currency) < price < Money.parse(1, currency):
        raise bad_request(f"`{name}` must be zero or at least 1.00.")
    return price


async def create_plan(request: Request) -> Response:
    """POST /variants and /plans."""
    world, fields = world_of(request), await Fields.of(request)
    check_account(request, fields.text("account_id"))
    plan = plan_from(world, fields)
    fields.done(*_NEW_PLAN_EXTRAS)
    store_plan(world, plan)
    return answer(world.sellers.plan(plan), 201)


def store_plan(world: World, plan: Plan) -> None:
    """Keeps a new plan and announces it."""
    world.store.add(world.store.tables.plans, plan)
    world.announcer.emit("plan.created", plan, plan.created_at)


async def list_plans(request: Request) -> Response:
    """GET /variants and /plans."""
    world = world_of(request)
    check_query(
        request,
        (
            *PAGING,
            "product_ids",
            "visibilities",
            "plan_types",
            "release_methods",
            "presentment_currency",
            "presentment_country",
            "ip_address",
        ),
    )
    wanted = {
        "product_id": many(request, "product_ids"),
        "visibility": many(request, "visibilities"),
        "plan_type": many(request, "plan_types"),
        "release_method": many(request, "release_methods"),
    }
    rows = (
        plan
        for plan in world.store.tables.plans.values()
        if all(not values or getattr(plan, name) in values for name, values in wanted.items())
    )
    return page(request, rows, world.sellers.listed_plan)


async def read_plan(request: Request) -> Response:
    """GET /variants/{id} and /plans/{id}."""
    world = world_of(request)
    return answer(world.sellers.plan(find(world.store.tables.plans, request, "Plan")))


async def change_plan(request: Request) -> Response:
    """Changes a plan for new buyers; running memberships keep their prices."""
    world, fields = world_of(request), await Fields.of(request)
    plan = find(world.store.tables.plans, request, "Plan")
    fresh = {
        "title": fields.text("title", longest=30),
        "description": fields.text("description", longest=1000),
        "internal_notes": fields.text("internal_notes"),
        "visibility": fields.choice("visibility", VISIBILITIES, plan.visibility),
        "tax_type": fields.choice("override_tax_type", TAX_TYPES, plan.tax_type),
        "metadata": fields.metadata(),
        "initial_price": _price(fields, "initial_price", plan.currency) if fields.has("initial_price") else None,
        "renewal_price": _price(fields, "renewal_price", plan.currency) if fields.has("renewal_price") else None,
        "billing_period": fields.integer("billing_period", 1, 3650),
        "trial_period_days": fields.integer("trial_period_days", 0, 3650),
        "expiration_days": fields.integer("expiration_days", 1, 3650),
        "stock": fields.integer("stock", 0, 10**9),
        "unlimited_stock": fields.flag("unlimited_stock"),
    }
    if fields.has("currency") and fields.currency("currency") != plan.currency:
        raise bad_request("The currency of a plan cannot be changed.")
    fields.done(*_CHANGED_PLAN_EXTRAS)
    for name, value in fresh.items():
        if value is not None:
            setattr(plan, name, value)
    world.store.touch(plan, world.now())
    world.announcer.emit("plan.updated", plan, world.now())
    return answer(world.sellers.plan(plan))


async def delete_plan(request: Request) -> Response:
    """Archives: payments and memberships keep pointing at their plan."""
    world = world_of(request)
    plan = find(world.store.tables.plans, request, "Plan")
    plan.visibility = "archived"
    world.store.touch(plan, world.now())
    world.announcer.emit("plan.deleted", plan, world.now())
    return answer({"id": plan.id, "deleted": True})


ROUTES = [
    Route("/products", create_product, methods=["POST"]),
    Route("/products", list_products),
    Route("/products/{id}", read_product),
    Route("/products/{id}", change_product, methods=["PATCH"]),
    Route("/products/{id}", delete_product, methods=["DELETE"]),
    *(
        route
        for name in ("variants", "plans")
        for route in (
            Route(f"/{name}", create_plan, methods=["POST"]),
            Route(f"/{name}", list_plans),
            Route(f"/{name}/{{id}}", read_plan),
            Route(f"/{name}/{{id}}", change_plan, methods=["PATCH"]),
            Route(f"/{name}/{{id}}", delete_plan, methods=["DELETE"]),
        )
    ),
]
