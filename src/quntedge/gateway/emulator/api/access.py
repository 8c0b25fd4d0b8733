"""API: users and what they have access to."""

from collections.abc import Iterable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers.credentials import Credential, credential_of
from quntedge.gateway.emulator.calls.requests import PAGING, Fields, answer, check_query, page, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life.access import level
from quntedge.gateway.emulator.shapes.sellers import OWNER_ID
from quntedge.gateway.emulator.state.records import Person
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, forbidden, invalid, not_found
from quntedge.gateway.emulator.wire.values import JsonObject, iso

_PROFILE_OPTIONS = (
    "include_trading",
    "account_id",
    "include_balance",
    "include_balance_history",
    "from",
    "to",
    "interval",
    "time_zone",
)


def user_shape(person: Person, caller: Credential) -> JsonObject:
    """A user. The e-mail address is for the person alone, and for applications the person let see it."""
    own = caller.user_id == person.id
    return {
        "id": person.id,
        "balance": None,
        "balance_history": None,
        "balances": [],
        "banner": None,
        "bio": None,
        "cards": None,
        "created_at": iso(person.created_at),
        "earnings_usd": None,
        "email": person.email if own and caller.may("email", "user:email:read") else None,
        "level": None,
        "name": person.name,
        "profile_picture": {"url": "https://assets.invalid/avatar.png"},
        "social_links": [],
        "total_usd": None,
        "trading": None,
        "username": person.username,
        "verification": {"individual": None, "business": None},
        "whop_partner_enabled_at": None,
        "whop_partner_onboarded_accounts_count": None,
        "whop_partner_verified_at": None,
    }


def find_person(world: World, key: str) -> Person:
    """By user id or username. Raises ApiFault 404."""
    people = world.store.tables.people
    found = people.get(key)
    if found is None and not key.startswith("user_"):
        found = next((one for one in people.values() if one.username == key), None)
    if found is None:
        raise not_found("User")
    return found


def _asked(request: Request) -> Person:
    """The person of the path; `me` is whoever signed in. Keys of the account are nobody: 404, as at Whop."""
    world, caller, key = world_of(request), credential_of(request), request.path_params["id"]
    if key == "me":
        if caller.user_id is None:
            raise not_found("User")
        return world.store.tables.people[caller.user_id]
    return find_person(world, key)


async def read_user(request: Request) -> Response:
    """GET /users/{id}, by id, username or `me`."""
    check_query(request, _PROFILE_OPTIONS)
    return answer(user_shape(_asked(request), credential_of(request)))


async def list_users(request: Request) -> Response:
    """GET /users: those whose name or username contains `query`, without which the list is empty."""
    check_query(request, (*PAGING, "query"))
    caller, query = credential_of(request), request.query_params.get("query", "").casefold()
    people: Iterable[Person] = world_of(request).store.tables.people.values() if query else ()
    rows = (one for one in people if query in f"{one.name or ''} {one.username}".casefold())
    return page(request, rows, lambda person: user_shape(person, caller))


async def check_access(request: Request) -> Response:
    """GET /users/{id}/access/{resource_id}: the account or a product. There are no experiences here: 404."""
    world, caller = world_of(request), credential_of(request)
    check_query(request, ())
    key = request.path_params["id"]
    user_id = key if key == OWNER_ID else _asked(request).id
    if caller.user_id is not None and user_id != caller.user_id:
        raise forbidden("People may only ask for themselves.")
    resource_id = request.path_params["resource_id"]
    product = world.store.tables.products.get(resource_id)
    if product is None and resource_id != world.config.account_id:
        raise not_found("Resource")
    reached = level(world, user_id, product)
    return answer({"access_level": reached, "has_access": reached != "no_access"})


async def change_person(request: Request) -> Response:
    """POST /_control/users/{id}: a person edits the own profile: `email`, `name`, `username`."""
    world, fields = world_of(request), await Fields.of(request)
    person = find_person(world, request.path_params["id"])
    email, name = fields.text("email", longest=254), fields.text("name", longest=100)
    username = fields.text("username", longest=50)
    fields.done()
    if username is not None and not (username.isascii() and username.replace("-", "").replace("_", "").isalnum()):
        raise bad_request("`username` may have letters, digits, hyphens and underscores.")
    people = world.store.tables.people.values()
    if username is not None and any(one.username == username and one is not person for one in people):
        raise conflict("This username is taken.")
    if email is not None:
        _change_email(world, person, email)
    person.name, person.username = name or person.name, username or person.username
    _announce(world, person, world.now())
    return answer({**user_shape(person, Credential("self", None, person.id)), "email": person.email})


def _change_email(world: World, person: Person, email: str) -> None:
    normal = email.strip().casefold()
    if "@" not in normal:
        raise invalid("`email` is not an e-mail address.")
    owner = world.store.person_by_email(normal)
    if owner is not None and owner is not person:
        raise conflict("This e-mail address belongs to somebody else.")
    world.store.rename_person(person, normal)


def _announce(world: World, person: Person, at: datetime) -> None:
    world.store.touch(person, at)
    member = world.store.member_of(person.id)
    if member is not None and member.announced:
        world.store.touch(member, at)
        world.announcer.emit("member.updated", member, at)


ROUTES = [
    Route("/users", list_users),
    Route("/users/{id}", read_user),
    Route("/users/{id}/access/{resource_id}", check_access),
]
CONTROL_ROUTES = [Route("/users/{id}", change_person, methods=["POST"])]
