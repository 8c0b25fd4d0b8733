"""Who asks: the account's own key, a key with some permissions only, or a person who signed in."""

import hmac
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Scope

from quntedge.gateway.emulator.callers.tokens import InvalidToken, signer_for
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.records import Membership
from quntedge.gateway.emulator.wire.errors import forbidden, unauthorized

_SCOPE_NAME = "quntedge.credential"
ACCESS_TOKEN = "at+jwt"  # noqa: S105 - the registered type of such tokens, not one of them
EVERYTHING = "*"
"""The scope of a token that may do whatever the account's own key may."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a bearer token stands for."""

    name: str
    """Tells callers apart, e.g. for idempotency keys."""
    permissions: frozenset[str] | None = None
    """What the caller may do; None means everything."""
    user_id: str | None = None
    """The person, when it is one and no key of the account."""

    def may(self, *permissions: str) -> bool:
        """Whether the caller holds one of these permissions."""
        return self.permissions is None or not self.permissions.isdisjoint(permissions)

    def owns(self, membership: Membership) -> bool:
        """Whether the caller is the membership's buyer."""
        return self.user_id is not None and membership.user_id == self.user_id


ACCOUNT = Credential("account")


def authenticate(world: World, authorization: str) -> Credential:
    """The caller behind an Authorization header. Raises ApiFault 401."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise unauthorized()
    sent = token.encode("utf-8", "surrogateescape")
    if hmac.compare_digest(sent, world.config.api_key.encode()):
        return ACCOUNT
    for key in world.store.tables.api_keys.values():
        if hmac.compare_digest(sent, key.secret.encode()):
            if key.expires_at is not None and key.expires_at <= world.now():
                raise unauthorized()
            return Credential(key.id, frozenset(key.permissions))
    return _by_token(world, token)


def _by_token(world: World, token: str) -> Credential:
    """What a signed token stands for: a person, or the account for a while."""
    try:
        claims = signer_for(world.config.seed).read(token, type_=ACCESS_TOKEN)
    except InvalidToken as error:
        raise unauthorized() from error
    subject, scopes = str(claims["sub"]), str(claims["scope"]).split()
    if claims["exp"] <= world.now().timestamp():
        raise unauthorized()
    if subject == world.config.account_id:
        return Credential(f"{claims['client_id']}:{subject}", None if scopes == [EVERYTHING] else frozenset(scopes))
    if subject not in world.store.tables.people:
        raise unauthorized()
    return Credential(f"{claims['client_id']}:{subject}", frozenset(scopes), subject)


def remember(scope: Scope, credential: Credential) -> None:
    """Notes in a request's scope who asks."""
    scope[_SCOPE_NAME] = credential


def credential_in(scope: Scope) -> Credential:
    """Who asks, as noted; the account itself where nothing stands in front of the API."""
    found: Credential = scope.get(_SCOPE_NAME, ACCOUNT)
    return found


def credential_of(request: Request) -> Credential:
    """Who asks."""
    return credential_in(request.scope)


def require(request: Request, *permissions: str) -> None:
    """Raises ApiFault 403 unless the caller holds one of the permissions."""
    if not credential_of(request).may(*permissions):
        raise forbidden(f"This needs the permission {' or '.join(permissions)}.")
