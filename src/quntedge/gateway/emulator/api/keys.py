"""API: the catalogue of permissions, short-lived tokens. Control: keys that hold some of the permissions only."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers.credentials import ACCESS_TOKEN, EVERYTHING, credential_of
from quntedge.gateway.emulator.callers.tokens import signer_for
from quntedge.gateway.emulator.calls.permissions import catalogue
from quntedge.gateway.emulator.calls.requests import Fields, answer, check_account, check_query, find, world_of
from quntedge.gateway.emulator.state.people_records import ApiKey
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, forbidden, not_found
from quntedge.gateway.emulator.wire.values import JsonObject, iso, iso_or_none

TOKEN_LIFETIME = timedelta(hours=1)
LONGEST_TOKEN_LIFETIME = timedelta(hours=3)


def _shape(key: ApiKey) -> JsonObject:
    return {
        "id": key.id,
        "name": key.name,
        "permissions": key.permissions,
        "created_at": iso(key.created_at),
        "expires_at": iso_or_none(key.expires_at),
    }


async def create_key(request: Request) -> Response:
    """POST /_control/api_keys: `permissions`; if wanted `name`, `secret`, `expires_at`. Answers with the secret."""
    world, fields = world_of(request), await Fields.of(request)
    permissions, name = fields.texts("permissions"), fields.text("name", longest=100)
    secret, expires_at = fields.text("secret", longest=200), fields.time("expires_at")
    fields.done()
    if permissions is None:
        raise bad_request("`permissions` is required.")
    unknown = next((one for one in permissions if one not in catalogue()), None)
    if unknown is not None:
        raise bad_request(f"Unknown permission `{unknown[:60]}`.")
    at, tables = world.now(), world.store.tables
    secret = secret or f"whop_{world.store.random_bytes(24).hex()}"
    if secret == world.config.api_key or any(key.secret == secret for key in tables.api_keys.values()):
        raise conflict("There is a key with this secret already.")
    made = ApiKey(
        id=world.store.new_id("apik"),
        created_at=at,
        updated_at=at,
        name=name or "Restricted key",
        secret=secret,
        permissions=sorted(set(permissions)),
        expires_at=expires_at,
    )
    world.store.add(tables.api_keys, made)
    return answer({**_shape(made), "secret": made.secret}, 201)


async def list_permissions(request: Request) -> Response:
    """GET /api_keys/permissions: those that are asked for anywhere here, complete in one page."""
    check_query(request, ())
    data = [
        {
            "action": action,
            "allowed_on_api_key": True,
            "allowed_on_app": True,
            "allowed_on_user": True,
            "category": action.partition(":")[0],
            "description": f"Allows {action}.",
            "granted_to_system_roles": ["owner", "admin"],
            "name": action.replace(":", " ").replace("_", " ").capitalize(),
        }
        for action in sorted(catalogue())
    ]
    info = {"start_cursor": None, "end_cursor": None, "has_next_page": False, "has_previous_page": False}
    return answer({"data": data, "page_info": info})


async def create_access_token(request: Request) -> Response:
    """POST /access_tokens: a short-lived token for the account or one of its customers, an hour unless told otherwise.

    It holds the permissions of whoever asks, or those of `scoped_actions`, which must be among them.
    """
    world, caller, fields = world_of(request), credential_of(request), await Fields.of(request)
    check_account(request, fields.text("account_id"))
    user_id, scopes = fields.text("user_id"), fields.texts("scoped_actions")
    expires_at = fields.time("expires_at")
    fields.done()
    at = world.now()
    expires_at = at + TOKEN_LIFETIME if expires_at is None else expires_at
    if not at < expires_at <= at + LONGEST_TOKEN_LIFETIME:
        raise bad_request("`expires_at` must lie in the next three hours.")
    if user_id is not None and user_id not in world.store.tables.people:
        raise not_found("User")
    if scopes and not all(scope in catalogue() and caller.may(scope) for scope in scopes):
        raise forbidden("`scoped_actions` must be permissions of the key that asks.")
    inherited = (EVERYTHING,) if caller.permissions is None else caller.permissions
    claims = {
        "iss": world.config.public_base_url,
        "sub": user_id or world.config.account_id,
        "aud": world.config.api_base_url,
        "client_id": caller.name,
        "scope": " ".join(sorted(scopes or inherited)),
        "iat": int(at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    token = signer_for(world.config.seed).sign(claims, type_=ACCESS_TOKEN)
    return answer({"token": token, "expires_at": iso(expires_at)})


async def delete_key(request: Request) -> Response:
    """DELETE /_control/api_keys/{id}: the key opens nothing from now on."""
    world = world_of(request)
    key = find(world.store.tables.api_keys, request, "API key")
    world.store.remove(world.store.tables.api_keys, key.id)
    return answer({"id": key.id, "deleted": True})


ROUTES = [
    Route("/api_keys/permissions", list_permissions),
    Route("/access_tokens", create_access_token, methods=["POST"]),
]
CONTROL_ROUTES = [
    Route("/api_keys", create_key, methods=["POST"]),
    Route("/api_keys/{id}", delete_key, methods=["DELETE"]),
]
