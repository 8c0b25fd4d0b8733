"""Sign in with Whop: OAuth 2.1 with PKCE and OpenID Connect, without HTTP.

Known of Whop: code flow with PKCE S256, a nonce whenever `openid` is asked for, single-use codes of ten minutes, access
tokens of one hour that cannot be revoked, refresh tokens that are replaced with each use, ES256. Chosen here: a code or
refresh token used a second time revokes everything that came of it (as OAuth 2.1 advises), and an id_token says who
signed in, not what they are called: that is asked of `/oauth/userinfo`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from quntedge.gateway.emulator.callers.credentials import ACCESS_TOKEN
from quntedge.gateway.emulator.callers.tokens import encode, signer_for
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.people_records import Application, Grant, RefreshToken, SignInCode
from quntedge.gateway.emulator.state.records import Person
from quntedge.gateway.emulator.wire.values import JsonObject

DEFAULT_APPLICATION = "app_emulator"
"""A public client that is always there. It may be returned to at any address of the own machine."""
SCOPES = ("openid", "profile", "email")
CODE_LIFETIME = timedelta(minutes=10)
TOKEN_LIFETIME = timedelta(hours=1)
_OWN_MACHINE = ("localhost", "127.0.0.1", "::1")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LONGEST = 2000


class OAuthProblem(Exception):
    """An error in OAuth's own form. `status` is that of a direct answer; authorize redirects with it instead."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status


class UnusableRequest(Exception):
    """An authorize request whose sender cannot be trusted with an answer: the person is told, nobody is redirected."""


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """A checked authorize request."""

    application: Application
    redirect_uri: str
    scopes: list[str]
    challenge: str
    nonce: str | None


def application_for(world: World, client_id: str) -> Application | None:
    """The registered application, or the one that is always there."""
    known = world.store.tables.applications.get(client_id)
    if known is None and client_id == DEFAULT_APPLICATION:
        at = world.now()
        return Application(id=client_id, created_at=at, updated_at=at, name="Emulated application")
    return known


def return_address(world: World, query: Mapping[str, str]) -> tuple[Application, str]:
    """Who asks and where the answer goes. Raises UnusableRequest: the browser must not be sent to an unknown place."""
    application = application_for(world, query.get("client_id", ""))
    if application is None:
        raise UnusableRequest("The client_id is missing or unknown.")
    address = query.get("redirect_uri", "")
    if not _may_return_to(application, address):
        raise UnusableRequest("The redirect_uri is missing or is not registered for this application.")
    return application, address


def _may_return_to(application: Application, address: str) -> bool:
    if application.id != DEFAULT_APPLICATION or application.redirect_uris:
        return address in application.redirect_uris
    if len(address) > _LONGEST or not address.isascii() or not address.isprintable():
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and parts.hostname in _OWN_MACHINE and "#" not in address
    except ValueError:
        return False


def check(world: World, query: Mapping[str, str]) -> SignInRequest:
    """Reads an authorize request.

    Raises:
        UnusableRequest: see `return_address`.
        OAuthProblem: anything else that is wrong, to be told to the application.
    """
    application, address = return_address(world, query)
    if any(len(value) > _LONGEST for value in query.values()):
        raise OAuthProblem("invalid_request", "A parameter is too long.")
    if query.get("response_type") != "code":
        raise OAuthProblem("unsupported_response_type", "response_type must be code.")
    scopes = query.get("scope", "").split()
    if not scopes or any(scope not in SCOPES for scope in scopes):
        raise OAuthProblem("invalid_scope", f"scope must be made of {', '.join(SCOPES)}.")
    challenge = query.get("code_challenge", "")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise OAuthProblem("invalid_request", "PKCE is required: code_challenge with code_challenge_method S256.")
    nonce = query.get("nonce") or None
    if "openid" in scopes and nonce is None:
        raise OAuthProblem("invalid_request", "nonce is required with the scope openid.")
    account = query.get("company_id")
    if account is not None and account != world.config.account_id:
        raise OAuthProblem("invalid_request", "company_id names no account of this person.")
    return SignInRequest(application, address, list(dict.fromkeys(scopes)), challenge, nonce)


def approve(world: World, asked: SignInRequest, person: Person) -> str:
    """The person signs in and agrees; returns the code for the application."""
    at, store = world.now(), world.store
    grant = Grant(
        id=store.new_id("oag"),
        created_at=at,
        updated_at=at,
        application_id=asked.application.id,
        user_id=person.id,
        scopes=asked.scopes,
    )
    store.add(store.tables.grants, grant)
    code = SignInCode(
        id=f"oac_{store.random_bytes(24).hex()}",
        created_at=at,
        updated_at=at,
        grant_id=grant.id,
        redirect_uri=asked.redirect_uri,
        challenge=asked.challenge,
        nonce=asked.nonce,
        expires_at=at + CODE_LIFETIME,
    )
    return store.add(store.tables.sign_in_codes, code).id


def exchange(world: World, application: Application, form: Mapping[str, str]) -> JsonObject:
    """Tokens for a code. Raises OAuthProblem `invalid_grant`, saying what does not fit."""
    at, tables = world.now(), world.store.tables
    code = tables.sign_in_codes.get(form.get("code", ""))
    grant = None if code is None else tables.grants[code.grant_id]
    if code is None or grant is None or grant.application_id != application.id:
        raise OAuthProblem("invalid_grant", "The code is unknown.")
    if code.spent_at is not None:
        _revoke(world, grant, at)
        raise OAuthProblem("invalid_grant", "The code was used before; everything it was good for is revoked.")
    if code.expires_at <= at:
        raise OAuthProblem("invalid_grant", "The code has expired.")
    if form.get("redirect_uri") != code.redirect_uri:
        raise OAuthProblem("invalid_grant", "The redirect_uri is not the one the code was sent to.")
    verifier = form.get("code_verifier", "")
    expected = encode(hashlib.sha256(verifier.encode()).digest())
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(expected, code.challenge):
        raise OAuthProblem("invalid_grant", "The code_verifier does not fit the code_challenge.")
    code.spent_at = at
    world.store.touch(code, at)
    return _tokens(world, grant, at, code.nonce)


def refresh(world: World, application: Application, form: Mapping[str, str]) -> JsonObject:
    """Fresh tokens for a refresh token, which is spent. Raises OAuthProblem `invalid_grant`."""
    at, tables = world.now(), world.store.tables
    token = tables.refresh_tokens.get(form.get("refresh_token", ""))
    grant = None if token is None else tables.grants[token.grant_id]
    if token is None or grant is None or grant.application_id != application.id or grant.revoked_at is not None:
        raise OAuthProblem("invalid_grant", "The refresh_token is unknown or revoked.")
    if token.spent_at is not None:
        _revoke(world, grant, at)
        raise OAuthProblem("invalid_grant", "The refresh_token was used before; its successors are revoked.")
    token.spent_at = at
    world.store.touch(token, at)
    return _tokens(world, grant, at, None)


def revoke(world: World, application: Application, token: str) -> None:
    """Ends a refresh token and all that came of the same sign-in. Tokens that are unknown are passed over, and so are
    access tokens, which run out by themselves."""
    found = world.store.tables.refresh_tokens.get(token)
    if found is not None:
        grant = world.store.tables.grants[found.grant_id]
        if grant.application_id == application.id:
            _revoke(world, grant, world.now())


def _revoke(world: World, grant: Grant, at: datetime) -> None:
    if grant.revoked_at is None:
        grant.revoked_at = at
        world.store.touch(grant, at)


def _tokens(world: World, grant: Grant, at: datetime, nonce: str | None) -> JsonObject:
    store, signer = world.store, signer_for(world.config.seed)
    expires = at + TOKEN_LIFETIME
    times = {"iat": int(at.timestamp()), "exp": int(expires.timestamp())}
    common: dict[str, Any] = {"iss": world.config.public_base_url, "sub": grant.user_id, **times}
    access = signer.sign(
        {
            **common,
            "aud": world.config.api_base_url,
            "client_id": grant.application_id,
            "scope": " ".join(grant.scopes),
            "jti": store.random_bytes(16).hex(),
        },
        type_=ACCESS_TOKEN,
    )
    token = RefreshToken(id=f"oart_{store.random_bytes(24).hex()}", created_at=at, updated_at=at, grant_id=grant.id)
    store.add(store.tables.refresh_tokens, token)
    answer: JsonObject = {
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": int(TOKEN_LIFETIME.total_seconds()),
        "refresh_token": token.id,
        "scope": " ".join(grant.scopes),
    }
    if "openid" in grant.scopes:
        left_half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            **common,
            "aud": grant.application_id,
            "auth_time": int(grant.created_at.timestamp()),
            "at_hash": encode(left_half),
        }
        answer["id_token"] = signer.sign(claims if nonce is None else {**claims, "nonce": nonce})
    return answer


def userinfo(person: Person, scopes: frozenset[str]) -> JsonObject:
    """What an application learns of a person, as far as the person let it."""
    known: JsonObject = {"sub": person.id}
    if "profile" in scopes:
        known |= {
            "name": person.name or person.username,
            "preferred_username": person.username,
            "picture": "https://assets.invalid/avatar.png",
        }
    if "email" in scopes:
        known |= {"email": person.email, "email_verified": True}
    return known
