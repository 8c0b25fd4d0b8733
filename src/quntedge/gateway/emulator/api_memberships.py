"""API: memberships. There is no way to create one but to buy."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import memberships, renewals
from quntedge.gateway.emulator.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.records import Membership
from quntedge.gateway.emulator.requests import PAGING, Fields, answer, check_query, find, many, page, world_of
from quntedge.gateway.emulator.world import World

_FILTERS = (
    "active",
    "trialing",
    "past_due",
    "completed",
    "canceled",
    "expired",
    "canceling",
    "paused",
    "expiring",
    "one_time",
    "unclaimed",
    "banned",
)


def matches(world: World, membership: Membership, wanted: str) -> bool:
    """Whop's status filter. `active`, `trialing` and `past_due` leave out what is set to cancel; others are derived."""
    plan = world.store.tables.plans[membership.plan_id]
    canceling = membership.cancel_at_period_end and not membership.ended
    match wanted:
        case "active" | "trialing" | "past_due":
            return membership.status == wanted and not canceling
        case "canceling":
            return canceling
        case "paused":
            return membership.paused_at is not None and not membership.ended
        case "expiring":
            return membership.expires_at is not None and not membership.ended
        case "one_time":
            return not plan.recurring
        case "unclaimed" | "banned":
            return False  # the emulator has no such memberships
        case _:
            return membership.status == wanted


async def list_memberships(request: Request) -> Response:
    """GET /memberships, with all of Whop's filters."""
    world = world_of(request)
    check_query(
        request,
        (
            *PAGING,
            "user_id",
            "member_id",
            "status",
            "statuses",
            "product_id",
            "product_ids",
            "plan_id",
            "plan_ids",
            "promo_code_ids",
        ),
    )
    statuses = many(request, "status", "statuses")
    unknown = next((status for status in statuses if status not in _FILTERS), None)
    if unknown is not None:
        raise bad_request(f"Unknown status `{unknown[:50]}`.")
    wanted = {
        "user_id": many(request, "user_id"),
        "member_id": many(request, "member_id"),
        "product_id": many(request, "product_id", "product_ids"),
        "plan_id": many(request, "plan_id", "plan_ids"),
    }
    promos = many(request, "promo_code_ids")
    rows = (
        membership
        for membership in world.store.tables.memberships.values()
        if not promos
        and (not statuses or any(matches(world, membership, status) for status in statuses))
        and all(not values or getattr(membership, name) in values for name, values in wanted.items())
    )
    return page(request, rows, world.buyers.membership)


def _find(request: Request) -> Membership:
    """By id, or by license key as at Whop."""
    tables = world_of(request).store.tables
    key = request.path_params["id"]
    if key not in tables.memberships:
        licensed = next((m for m in tables.memberships.values() if m.license_key == key), None)
        if licensed is not None:
            return licensed
    return find(tables.memberships, request, "Membership")


def _show(request: Request, membership: Membership) -> Response:
    return answer(world_of(request).buyers.membership(membership))


async def read_membership(request: Request) -> Response:
    """GET /memberships/{id}, by id or license key."""
    return _show(request, _find(request))


async def change_membership(request: Request) -> Response:
    """Metadata is merged (`{}` clears); `cancel_at_period_end: false` withdraws a cancellation; another payment method
    pays an open past-due payment at once."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    flag, metadata = fields.flag("cancel_at_period_end"), fields.metadata()
    method_id = fields.text("payment_method_id")
    days = fields.integer("billing_period_days", 1, 365)
    fields.done()
    at = world.now()
    if days is not None and (flag is not None or metadata is not None or method_id is not None):
        raise bad_request("`billing_period_days` cannot be combined with other changes.")
    if method_id is not None:
        method = world.store.tables.methods.get(method_id)
        if method is None or method.member_id != membership.member_id:
            raise not_found("Payment method")
    if flag is not None:
        memberships.set_cancel_flag(world, membership, at, flag)
    if metadata is not None:
        memberships.change(world, membership, at, metadata={**membership.metadata, **metadata} if metadata else {})
    if method_id is not None:
        if membership.ended:
            raise conflict("This membership has ended.")
        renewals.replace_method(world, membership, method_id, at)
    if days is not None:
        _change_period(world, membership, days)
    return _show(request, membership)


def _change_period(world: World, membership: Membership, days: int) -> None:
    if membership.ended or membership.billing_period_days is None or membership.cancel_at_period_end:
        raise conflict("Only a running recurring membership that is not set to cancel can change its billing period.")
    memberships.change(world, membership, world.now(), billing_period_days=days)


async def cancel(request: Request) -> Response:
    """At once unless `cancel_at_period_end` is true."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    at_period_end, reason = bool(fields.flag("cancel_at_period_end")), fields.text("reason")
    fields.done("feedback_option_id")
    memberships.cancel(world, membership, world.now(), at_period_end=at_period_end, reason=reason)
    return _show(request, membership)


async def pause(request: Request) -> Response:
    """POST …/pause, for good or `until` a time."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    until = fields.time("until")
    fields.done()
    memberships.pause(world, membership, world.now(), until)
    return _show(request, membership)


async def resume(request: Request) -> Response:
    """POST …/resume."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    fields.done()
    memberships.resume(world, membership, world.now())
    return _show(request, membership)


async def extend(request: Request) -> Response:
    """POST …/extend by 1 to 1095 free `days`."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    days = fields.integer("days", 1, 1095)
    fields.done()
    if days is None:
        raise bad_request("`days` is required.")
    memberships.extend(world, membership, world.now(), days)
    return _show(request, membership)


ROUTES = [
    Route("/memberships", list_memberships),
    Route("/memberships/{id}", read_membership),
    Route("/memberships/{id}", change_membership, methods=["PATCH"]),
    Route("/memberships/{id}/cancel", cancel, methods=["POST"]),
    Route("/memberships/{id}/pause", pause, methods=["POST"]),
    Route("/memberships/{id}/resume", resume, methods=["POST"]),
    Route("/memberships/{id}/extend", extend, methods=["POST"]),
]
