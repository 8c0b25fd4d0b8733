"""API: memberships. There is no way to create one but to buy."""

from collections.abc import Iterable
from functools import partial
from itertools import chain

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers.credentials import Credential, credential_of, require
from quntedge.gateway.emulator.calls.requests import PAGING, Fields, answer, check_query, many, page, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships, promotions, renewals, transfers
from quntedge.gateway.emulator.life.access import has_access
from quntedge.gateway.emulator.state.records import Membership
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.wire.values import JsonObject

MOST_METADATA = 50

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
    canceling = membership.cancel_at_period_end and not membership.ended
    match wanted:
        case "active" | "trialing" | "past_due":
            return membership.status == wanted and not canceling
        case "canceling":
            return canceling
        case "paused":
            return membership.paused_at is not None and not membership.ended
        case "expiring":
            return membership.status == "completed" and membership.expires_at is not None
        case "one_time":
            return membership.status == "completed" and membership.expires_at is None
        case "banned":
            return world.store.tables.members[membership.member_id].banned
        case "unclaimed":
            return False  # whoever buys here has an address
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
        "promo_code_id": many(request, "promo_code_ids"),
    }
    caller = credential_of(request)
    wanted["user_id"] = [caller.user_id or name if name == "me" else name for name in wanted["user_id"]]
    rows = (
        membership
        for membership in _of_caller(world, caller, wanted["member_id"])
        if (not statuses or any(matches(world, membership, status) for status in statuses))
        and all(not values or getattr(membership, name) in values for name, values in wanted.items())
    )
    return page(request, rows, partial(shown_to, caller, world))


def _of_caller(world: World, caller: Credential, member_ids: list[str]) -> Iterable[Membership]:
    """A key sees all of its account's, a person who signed in the own ones. What is asked for by member is not sought
    among all others."""
    if caller.user_id is not None:
        member = world.store.member_of(caller.user_id)
        member_ids = [] if member is None else [member.id]
    elif not member_ids:
        return world.store.tables.memberships.values()
    return chain.from_iterable(world.store.memberships_of(member_id) for member_id in dict.fromkeys(member_ids))


def shown_to(caller: Credential, world: World, membership: Membership) -> JsonObject:
    """A membership as the caller sees it: its buyer sees the own membership of the account as well."""
    shape = world.buyers.membership(membership)
    if caller.owns(membership):
        level = "customer" if has_access(world, membership) else "no_access"
        shape["member"] = {"access_level": level, "last_accessed_at": None, "position": None}
    return shape


def _find(request: Request) -> Membership:
    """By id, or by license key as at Whop. What belongs to somebody else does not exist for a person."""
    tables, caller = world_of(request).store.tables, credential_of(request)
    key = request.path_params["id"]
    found = tables.memberships.get(key)
    if found is None and not key.startswith("mem_"):  # ids must not cost a look at everything
        found = next((m for m in tables.memberships.values() if m.license_key == key), None)
    if found is None or not (caller.user_id is None or caller.owns(found)):
        raise not_found("Membership")
    return found


def _show(request: Request, membership: Membership) -> Response:
    return answer(shown_to(credential_of(request), world_of(request), membership))


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
    merged = {**membership.metadata, **metadata} if metadata else {}
    if len(merged) > MOST_METADATA:
        raise bad_request(f"A membership may have at most {MOST_METADATA} metadata keys.")
    if days is not None and (flag is not None or metadata is not None or method_id is not None):
        raise bad_request("`billing_period_days` cannot be combined with other changes.")
    if method_id is not None:
        require(request, "member:payment_methods:manage")
        method = world.store.tables.methods.get(method_id)
        if method is None or method.member_id != membership.member_id:
            raise not_found("Payment method")
        if membership.ended:
            raise conflict("This membership has ended.")
    if flag is not None:
        memberships.set_cancel_flag(world, membership, at, flag)
    if metadata is not None:
        memberships.change(world, membership, at, metadata=merged)
    if method_id is not None:
        renewals.replace_method(world, membership, method_id, at)
    if days is not None:
        memberships.set_period(world, membership, at, days)
    return _show(request, membership)


async def cancel(request: Request) -> Response:
    """At once unless `cancel_at_period_end` is true."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    at_period_end, text = bool(fields.flag("cancel_at_period_end")), fields.text("reason")
    reason = memberships.reason_for(world.store.tables, text, fields.text("feedback_option_id"))
    fields.done()
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


async def apply_promo_code(request: Request) -> Response:
    """POST …/apply_promo_code: lowers the next charges."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    code = fields.needed_text("promo_code", longest=100)
    fields.done()
    promotions.apply(world, membership, code, world.now())
    return _show(request, membership)


async def reactivate(request: Request) -> Response:
    """POST …/reactivate, for what was bought once; `days` sets a new end."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    days = fields.integer("days", 1, 1095)
    fields.done()
    memberships.reactivate(world, membership, world.now(), days)
    return _show(request, membership)


async def transfer(request: Request) -> Response:
    """POST …/transfer: a link whose opener becomes the owner, once."""
    world, fields = world_of(request), await Fields.of(request)
    membership = _find(request)
    fields.done()
    return answer({"url": transfers.offer(world, membership, world.now())})


async def resync_access(request: Request) -> Response:
    """POST …/resync_access: there is no access elsewhere that could differ, so nothing happens."""
    fields = await Fields.of(request)
    membership = _find(request)
    fields.done()
    return _show(request, membership)


ROUTES = [
    Route("/memberships", list_memberships),
    Route("/memberships/{id}", read_membership),
    Route("/memberships/{id}", change_membership, methods=["PATCH"]),
    Route("/memberships/{id}/apply_promo_code", apply_promo_code, methods=["POST"]),
    Route("/memberships/{id}/cancel", cancel, methods=["POST"]),
    Route("/memberships/{id}/extend", extend, methods=["POST"]),
    Route("/memberships/{id}/pause", pause, methods=["POST"]),
    Route("/memberships/{id}/reactivate", reactivate, methods=["POST"]),
    Route("/memberships/{id}/resume", resume, methods=["POST"]),
    Route("/memberships/{id}/resync_access", resync_access, methods=["POST"]),
    Route("/memberships/{id}/transfer", transfer, methods=["POST"]),
]
