"""The addresses of Sign in with Whop: discovery, keys, the authorize page, tokens, userinfo, revocation."""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.callers import sign_in
from quntedge.gateway.emulator.callers.credentials import authenticate
from quntedge.gateway.emulator.callers.sign_in import OAuthProblem, UnusableRequest
from quntedge.gateway.emulator.callers.tokens import ALGORITHM, signer_for
from quntedge.gateway.emulator.calls.requests import MAX_BODY_BYTES, Fields, answer, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.life import purchases
from quntedge.gateway.emulator.state.people_records import Application
from quntedge.gateway.emulator.state.records import Person
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request, not_found

EMBEDDED_ISSUER = "urn:whopcom:exp-proxy"
_SHOWN_PEOPLE = 20
_OPEN = {"cache-control": "no-store", "access-control-allow-origin": "*"}
"""Applications in the browser ask these addresses from their own origin."""


async def discovery(request: Request) -> Response:
    """GET /.well-known/openid-configuration."""
    base = world_of(request).config.public_base_url
    document = {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "userinfo_endpoint": f"{base}/oauth/userinfo",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(sign_in.SCOPES),
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash"),
            *("name", "preferred_username", "picture", "email", "email_verified"),
        ],
    }
    return _open(document)


async def keys(request: Request) -> Response:
    """GET /.well-known/jwks.json."""
    return _open({"keys": [signer_for(world_of(request).config.seed).jwk]})


async def authorize(request: Request) -> Response:
    """The page on which a person signs in. The emulator asks for no password: whoever is chosen is signed in."""
    world, query = world_of(request), request.query_params
    try:
        asked = sign_in.check(world, query)
        if "none" in query.get("prompt", "").split():
            raise OAuthProblem("login_required", "Nobody is signed in here: the person has to be asked.")
    except UnusableRequest as problem:
        return pages.notice("Sign-in cannot go on", str(problem), 400)
    except OAuthProblem as problem:
        return _back(query, {"error": problem.code, "error_description": problem.description})
    return _choose(world, asked, query.get("login_hint", "")[:254])


def _choose(world: World, asked: sign_in.SignInRequest, hint: str, problem: str | None = None) -> Response:
    people = list(world.store.tables.people.values())[: -_SHOWN_PEOPLE - 1 : -1]
    values = {
        "title": "Sign in with Whop",
        "application": asked.application.name,
        "scopes": asked.scopes,
        "people": [{"email": one.email, "name": one.name or one.username} for one in people],
        "hint": hint,
        "problem": problem,
    }
    return pages.page("authorize.html", values, 422 if problem else 200)


async def signed_in(request: Request) -> Response:
    """The answer to that page: `email` of whoever signs in (made when unknown), or `action=deny`."""
    world, query, form = world_of(request), request.query_params, await pages.form_of(request)
    try:
        asked = sign_in.check(world, query)
    except UnusableRequest as problem:
        return pages.notice("Sign-in cannot go on", str(problem), 400)
    except OAuthProblem as problem:
        return _back(query, {"error": problem.code, "error_description": problem.description})
    if form.get("action") == "deny":
        return _back(query, {"error": "access_denied", "error_description": "The person refused."})
    email = form.get("email", "").strip()
    person = _person(world, email, form.get("name", "").strip()[:100] or None)
    if person is None:
        return _choose(world, asked, email[:254], "This is not an e-mail address.")
    return _back(query, {"code": sign_in.approve(world, asked, person)})


def _person(world: World, email: str, name: str | None) -> Person | None:
    local, _, domain = email.partition("@")
    if not local or "." not in domain or len(email) > 254 or any(one.isspace() for one in email):
        return None
    return purchases.person_for(world, email, name, world.now())


def _back(query: Mapping[str, str], values: dict[str, str]) -> Response:
    """Sends the browser back to the application, with the state it gave. Its address was checked before."""
    address = query["redirect_uri"]
    if "state" in query:
        values = {**values, "state": query["state"]}
    return pages.redirect(f"{address}{'&' if '?' in address else '?'}{urlencode(values)}")


async def token(request: Request) -> Response:
    """POST /oauth/token, as a form or as JSON: `authorization_code` and `refresh_token`."""
    world = world_of(request)
    try:
        form = await _form(request)
        application = _client(world, request, form)
        match form.get("grant_type"):
            case "authorization_code":
                return _open(sign_in.exchange(world, application, form))
            case "refresh_token":
                return _open(sign_in.refresh(world, application, form))
            case _:
                raise OAuthProblem("unsupported_grant_type", "Use authorization_code or refresh_token.")
    except OAuthProblem as problem:
        return _refusal(problem)


async def revoke(request: Request) -> Response:
    """POST /oauth/revoke. What is unknown is revoked already: the answer is the same."""
    world = world_of(request)
    try:
        form = await _form(request)
        application = _client(world, request, form)
        if not form.get("token"):
            raise OAuthProblem("invalid_request", "token is required.")
        sign_in.revoke(world, application, form["token"])
    except OAuthProblem as problem:
        return _refusal(problem)
    return _open({})


async def userinfo(request: Request) -> Response:
    """GET and POST /oauth/userinfo, with an access token."""
    world = world_of(request)
    try:
        credential = authenticate(world, request.headers.get("authorization", ""))
    except ApiFault:
        return _refusal(OAuthProblem("invalid_token", "The access token is missing, unknown or has expired.", 401))
    scopes = credential.permissions or frozenset()
    if credential.user_id is None or "openid" not in scopes:
        return _refusal(OAuthProblem("insufficient_scope", "This needs an access token with the scope openid.", 403))
    return _open(sign_in.userinfo(world.store.tables.people[credential.user_id], scopes))


async def preflight(_: Request) -> Response:
    """OPTIONS: lets applications in the browser ask."""
    allowed = {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "600",
    }
    return Response(status_code=204, headers={**_OPEN, **allowed})


def _open(data: object, status: int = 200) -> Response:
    response = answer(data, status)
    response.headers.update(_OPEN)
    return response


def _refusal(problem: OAuthProblem) -> Response:
    response = _open({"error": problem.code, "error_description": problem.description}, problem.status)
    if problem.status in (401, 403):
        response.headers["www-authenticate"] = f'Bearer error="{problem.code}"'
    return response


async def _form(request: Request) -> dict[str, str]:
    """The parameters of a token request. Those given twice are refused, as OAuth demands."""
    raw = await request.body()
    if len(raw) > MAX_BODY_BYTES:
        raise OAuthProblem("invalid_request", "The request body is too large.", 413)
    try:
        if "json" in request.headers.get("content-type", ""):
            values = json.loads(raw)
            if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
                raise ValueError("not an object of texts")
            json.dumps(values, ensure_ascii=False).encode()  # JSON can spell lone surrogates, which nothing can carry
            return values
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=50)
    except (ValueError, RecursionError) as error:
        raise OAuthProblem("invalid_request", "The request body cannot be read.") from error
    if len(dict(pairs)) != len(pairs):
        raise OAuthProblem("invalid_request", "A parameter is given twice.")
    return dict(pairs)


def _client(world: World, request: Request, form: Mapping[str, str]) -> Application:
    """The application that asks, which proves it with its secret when it has one. Raises OAuthProblem 401."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret")
    scheme, _, basic = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = base64.b64decode(basic, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise OAuthProblem("invalid_client", "The Authorization header cannot be read.", 401) from error
        client_id, secret = unquote(name), unquote(password)
    application = sign_in.application_for(world, client_id)
    if application is None:
        raise OAuthProblem("invalid_client", "The client_id is missing or unknown.", 401)
    given = (secret or "").encode("utf-8", "surrogatepass")
    if application.secret is not None and not hmac.compare_digest(given, application.secret.encode()):
        raise OAuthProblem("invalid_client", "The client_secret is missing or wrong.", 401)
    return application


async def register(request: Request) -> Response:
    """POST /_control/applications: `name`, `redirect_uris`; if wanted `id`, and `secret` for a confidential one."""
    world, fields = world_of(request), await Fields.of(request)
    name, addresses = fields.needed_text("name", longest=100), fields.texts("redirect_uris") or []
    chosen, secret = fields.text("id", longest=60), fields.text("secret", longest=200)
    fields.done()
    if chosen is not None and not re.fullmatch(r"app_[A-Za-z0-9_]{1,50}", chosen):
        raise bad_request("`id` must begin with app_ and have letters and digits only.")
    if any(len(address) > 2000 or "#" in address for address in addresses):
        raise bad_request("`redirect_uris` must be addresses without fragment.")
    at = world.now()
    made = Application(
        id=chosen or world.store.new_id("app"),
        created_at=at,
        updated_at=at,
        name=name,
        redirect_uris=addresses,
        secret=secret or None,
    )
    world.store.add(world.store.tables.applications, made)
    kind = "public" if made.secret is None else "confidential"
    return answer(
        {"client_id": made.id, "name": made.name, "redirect_uris": made.redirect_uris, "oauth_client_type": kind}, 201
    )


async def create_user_token(request: Request) -> Response:
    """POST /_control/user_tokens: what Whop puts into `x-whop-user-token` for apps embedded in its pages.

    `user_id`; if wanted `application_id`. The SDK's `verify_user_token` reads it with this emulator's `jwks_url`.
    """
    world, fields = world_of(request), await Fields.of(request)
    user_id = fields.needed_text("user_id")
    application = sign_in.application_for(world, fields.text("application_id") or sign_in.DEFAULT_APPLICATION)
    fields.done()
    if user_id not in world.store.tables.people or application is None:
        raise not_found("User or application")
    at = world.now()
    times = {"iat": int(at.timestamp()), "exp": int((at + sign_in.TOKEN_LIFETIME).timestamp())}
    claims = {"iss": EMBEDDED_ISSUER, "sub": user_id, "aud": application.id, **times}
    return answer({"token": signer_for(world.config.seed).sign(claims)})


ROUTES = [
    Route("/.well-known/openid-configuration", discovery),
    Route("/.well-known/jwks.json", keys),
    Route("/oauth/authorize", authorize),
    Route("/oauth/authorize", signed_in, methods=["POST"]),
    Route("/oauth/token", token, methods=["POST"]),
    Route("/oauth/userinfo", userinfo, methods=["GET", "POST"]),
    Route("/oauth/revoke", revoke, methods=["POST"]),
    *(Route(f"/oauth/{name}", preflight, methods=["OPTIONS"]) for name in ("token", "userinfo", "revoke")),
]
CONTROL_ROUTES = [
    Route("/applications", register, methods=["POST"]),
    Route("/user_tokens", create_user_token, methods=["POST"]),
]
