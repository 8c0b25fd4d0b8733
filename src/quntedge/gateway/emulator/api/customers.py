"""API: members, the account's records of its customers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers.credentials import credential_of
from quntedge.gateway.emulator.calls.requests import PAGING, Fields, answer, check_query, find, many, page, world_of
from quntedge.gateway.emulator.life.access import has_access
from quntedge.gateway.emulator.state.records import Member
from quntedge.gateway.emulator.wire.errors import bad_request, forbidden, not_found

_ACTIONS = (
    "canceling",
    "churned",
    "finished_split_pay",
    "paused",
    "paid_subscriber",
    "paid_once",
    "expiring",
    "joined",
    "left",
    "trialing",
    "pending_entry",
    "renewing",
    "past_due",
)
_CHOICES = {
    "access_level": ("no_access", "admin", "customer"),
    "status": ("joined", "left"),
    "membership_status": ("active", "inactive"),
    "most_recent_actions": _ACTIONS,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def list_members(request: Request) -> Response:
    """GET /members. Filters by membership are about one membership that has to match all of them."""
    world = world_of(request)
    if credential_of(request).user_id is not None:
        raise forbidden("The members of an account are for its own keys.")
    check_query(request, (*PAGING, *_CHOICES, "user_ids", "product_ids", "plan_ids", "promo_code_ids", "query"))
    wanted = {name: many(request, name) for name in _CHOICES}
    for name, options in _CHOICES.items():
        if any(value not in options for value in wanted[name]):
            raise bad_request(f"`{name}` must be one of {', '.join(options)}.")
    rows = (member for member in world.store.tables.members.values() if _is_wanted(request, member, wanted))
    orders: dict[str, Callable[[Member], datetime]] = {
        "joined_at": lambda member: member.joined_at,
        "last_accessed_at": lambda _: _EPOCH,  # nobody ever opens anything here
        "most_recent_action_at": lambda member: world.buyers.latest_action(member)[1],
        # Cursors hold a time and an id, so that an amount is written as that many microseconds.
        "usd_total_spent": lambda member: _EPOCH + timedelta(microseconds=world.buyers.spent(member).amount_minor),
    }
    return page(request, rows, world.buyers.member, orders)


def _is_wanted(request: Request, member: Member, wanted: dict[str, list[str]]) -> bool:
    world, users = world_of(request), many(request, "user_ids")
    if users and member.user_id not in users:
        return False
    actions, levels = wanted["most_recent_actions"], wanted["access_level"]
    if actions and world.buyers.latest_action(member)[0] not in actions:
        return False
    if levels and world.buyers.access_level(member) not in levels:
        return False
    if wanted["status"] and member.status not in wanted["status"]:
        return False
    return _is_named(request, member) and _holds_wanted(request, member, wanted["membership_status"])


def _is_named(request: Request, member: Member) -> bool:
    """By a part of the name or username, or by the whole address."""
    query = request.query_params.get("query", "").casefold()
    person = world_of(request).store.tables.people[member.user_id]
    if query in f"{person.name or ''} {person.username}".casefold():
        return True
    return query == person.email and credential_of(request).may("member:email:read")


def _holds_wanted(request: Request, member: Member, statuses: list[str]) -> bool:
    world = world_of(request)
    filters = {
        "product_id": many(request, "product_ids"),
        "plan_id": many(request, "plan_ids"),
        "promo_code_id": many(request, "promo_code_ids"),
    }
    if not statuses and not any(filters.values()):
        return True
    return any(
        all(not values or getattr(membership, name) in values for name, values in filters.items())
        and (not statuses or ("active" if has_access(world, membership) else "inactive") in statuses)
        for membership in world.store.memberships_of(member.id)
    )


async def read_member(request: Request) -> Response:
    """GET /members/{id}. A person sees the own one only."""
    world, caller = world_of(request), credential_of(request)
    member = find(world.store.tables.members, request, "Member")
    if caller.user_id is not None and member.user_id != caller.user_id:
        raise not_found("Member")
    return answer(world.buyers.member(member))


async def change_member(request: Request) -> Response:
    """POST /_control/members/{id}: `banned`, and `status` joined or left. Memberships go on being billed."""
    world, fields = world_of(request), await Fields.of(request)
    member = find(world.store.tables.members, request, "Member")
    banned, status = fields.flag("banned"), fields.choice("status", ("joined", "left"), member.status)
    fields.done()
    at = world.now()
    member.status = status
    member.banned = member.banned if banned is None else banned
    world.store.touch(member, at)
    world.announcer.emit("member.updated", member, at)
    return answer({**world.buyers.member(member), "banned": member.banned})


ROUTES = [
    Route("/members", list_members),
    Route("/members/{id}", read_member),
]
CONTROL_ROUTES = [Route("/members/{id}", change_member, methods=["POST"])]
