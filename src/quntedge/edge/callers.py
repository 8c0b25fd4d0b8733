"""Who may call: every route names its caller by one of these dependencies, and a test walks all routes.

Each caller carries a stamp that says how a forged request from another site is kept out (`Csrf`). Cookies travel
with every request a browser makes, whoever caused it; so wherever a cookie says who is calling, an unsafe method also
needs a token that only our own pages know.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Query, Request

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.accounts.errors import InvalidApiKey, MissingScope
from quntedge.accounts.service import SessionUser
from quntedge.edge.cookies import session_cookie, visitor_cookie
from quntedge.edge.errors import CsrfFailed, InvalidId, MissingUser, NotSignedIn
from quntedge.edge.limits import Limit
from quntedge.edge.services import Services, services_of
from quntedge.kit.crypto import random_token
from quntedge.kit.errors import UnsupportedMedia
from quntedge.kit.ids import is_id

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"
_VISITOR_TOKEN_LENGTH = 43


class Csrf(StrEnum):
    """How a route that changes something is kept from being called by another site."""

    NONE = "reads only"
    TOKEN = "a token bound to the cookie is checked"  # noqa: S105 (a description)
    JSON_ONLY = "only application/json from our own origin is read, which no other site can send"
    NO_COOKIE = "a bearer key is needed, which no browser sends by itself"
    SIGNATURE = "the body is signed"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a route says about its caller; `scope` is what a service key must have been made for."""

    kind: str
    csrf: Csrf
    scope: str | None = None


class Anyone:
    """No caller is needed. For reading only."""

    stamp = Stamp("anyone", Csrf.NONE)

    async def __call__(self) -> None:
        """Nothing to check."""


class JsonVisitor:
    """Somebody who is not signed in and sends JSON: signing up and in without a page of ours."""

    stamp = Stamp("anyone", Csrf.JSON_ONLY)

    async def __call__(self, request: Request) -> str | None:
        """The session token the browser came with, if any. Raises `UnsupportedMedia`, `CsrfFailed`."""
        if content_type(request) != "application/json":
            raise UnsupportedMedia("Send a JSON object with Content-Type: application/json.")
        refuse_other_sites(request)
        return request.cookies.get(session_cookie(services_of(request).settings))


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody on a page: perhaps signed in. `binding` is what their form tokens are bound to."""

    user: SessionUser | None
    session_token: str | None
    binding: str
    binding_is_new: bool

    def csrf_token(self, services: Services) -> str:
        """The token for the forms of the page they are given."""
        if self.user is not None and self.session_token is not None:
            return services.accounts.csrf_token(self.session_token)
        return services.accounts.csrf_token_for(self.binding)


class Visitor:
    """Anybody on a page, signed in or not. Forms carry a token bound to the session or to the visitor cookie."""

    stamp = Stamp("visitor", Csrf.TOKEN)

    async def __call__(self, request: Request) -> Guest:
        """Who is looking. Raises `CsrfFailed` for a form without its token."""
        guest = await guest_of(request)
        if request.method not in SAFE_METHODS:
            accounts = services_of(request).accounts
            presented = await presented_token(request)
            refuse_other_sites(request)
            # Signing in elsewhere while this page stood open changes the binding; the visitor's own token still counts.
            by_session = guest.user is not None and accounts.check_csrf(guest.session_token or "", presented)
            by_visitor = not guest.binding_is_new and accounts.check_csrf_for(guest.binding, presented)
            if not (by_session or by_visitor):
                raise CsrfFailed
        return guest


class Customer:
    """A signed-in customer, by session cookie."""

    stamp = Stamp("customer", Csrf.TOKEN)

    async def __call__(self, request: Request) -> SessionUser:
        """The customer. Raises `NotSignedIn`, and `CsrfFailed` for an unsafe method without its token."""
        guest = await guest_of(request)
        if guest.user is None:
            raise NotSignedIn("Sign in, then send the session cookie along.")
        if request.method not in SAFE_METHODS:
            presented = await presented_token(request)
            refuse_other_sites(request)
            if not services_of(request).accounts.check_csrf(guest.session_token or "", presented):
                raise CsrfFailed
        return guest.user


class Service:
    """The server of a host application, by API key with a scope."""

    def __init__(self, scope: str) -> None:
        self.stamp = Stamp("service", Csrf.NO_COOKIE, scope)

    async def __call__(self, request: Request) -> ApiKeyCaller:
        """The key. Raises `InvalidApiKey`, `MissingScope`, and `RateLimited` for a client that keeps guessing."""
        services = services_of(request)
        token = bearer_token(request.headers.get("authorization"))
        try:
            async with services.units() as unit:
                return await services.api_keys.authenticate(unit, token or "", self.stamp.scope or "")
        except InvalidApiKey:
            services.limits.hit(Limit.BAD_KEY, services.clients.bucket(request.scope))
            raise
        except MissingScope as error:
            await services.audit.lacks_scope(self.stamp.scope or "", error.code)
            raise


class CustomerOrService:
    """A customer asking about themselves, or a service asking about one user (`?user=usr_…`)."""

    def __init__(self, scope: str) -> None:
        self.stamp = Stamp("customer or service", Csrf.TOKEN, scope)
        self._service = Service(scope)
        self._customer = Customer()

    async def __call__(
        self,
        request: Request,
        user: Annotated[
            str | None, Query(description="Whose data; required from services, not for customers.", max_length=64)
        ] = None,
    ) -> str:
        """The user's id. Raises what the two callers raise, `MissingUser` and `InvalidId`."""
        if "authorization" not in request.headers:
            return (await self._customer(request)).user_id
        await self._service(request)
        return required_user(user)


anyone = Anyone()
json_visitor = JsonVisitor()
visitor = Visitor()
customer = Customer()
service = Service
customer_or_service = CustomerOrService

SignedInCustomer = Annotated[SessionUser, Depends(customer)]
PageGuest = Annotated[Guest, Depends(visitor)]


def required_user(user_id: str | None) -> str:
    """The id a service named. Raises `MissingUser`, `InvalidId`."""
    if not user_id:
        raise MissingUser
    if not is_id(user_id, "usr"):
        raise InvalidId("user must be an id of ours: usr_ and 26 letters and digits.")
    return user_id


def bearer_token(header: str | None) -> str | None:
    """The token in an Authorization header, or None. Scheme names are case-insensitive."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def guest_of(request: Request) -> Guest:
    """Who is calling, found once per request.

    The look-up is a transaction of its own, ended before the handler begins: a handler that calls the gateway must
    not sit on a database connection meanwhile.
    """
    known: Guest | None = getattr(request.state, "guest", None)
    if known is not None:
        return known
    services = services_of(request)
    token = request.cookies.get(session_cookie(services.settings))
    user = None
    if token:
        async with services.units() as unit:
            user = await services.accounts.session(unit, token)
            await unit.commit()
    mark = request.cookies.get(visitor_cookie(services.settings), "")
    is_new = len(mark) != _VISITOR_TOKEN_LENGTH or not mark.isascii()
    guest = Guest(user, token if user else None, random_token() if is_new else mark, is_new)
    request.state.guest = guest
    return guest


async def presented_token(request: Request) -> str | None:
    """The form token that came along, in the header or in the form."""
    header = request.headers.get("x-csrf-token")
    if header is not None or content_type(request) != FORM:
        return header
    value = (await request.form()).get("csrf_token")
    return value if isinstance(value, str) else None


def content_type(request: Request) -> str:
    """The media type of the body, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def refuse_other_sites(request: Request) -> None:
    """Raises `CsrfFailed` when the browser itself says that another site caused this request.

    This is the second lock behind the token. A client that says nothing is not a browser with a victim in it.
    """
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        if fetch_site not in ("same-origin", "none"):
            raise CsrfFailed
        return
    origin = request.headers.get("origin")
    if origin is None or origin == "null":
        return
    ours = urlsplit(services_of(request).settings.base_url)
    host = origin.partition("://")[2]
    if origin != f"{ours.scheme}://{ours.netloc}" and host != request.headers.get("host"):
        raise CsrfFailed


class LimitByClient:
    """Counts the requests of a client. Raises `RateLimited`."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit

    async def __call__(self, request: Request) -> None:
        """Counts this one."""
        services = services_of(request)
        services.limits.hit(self._limit, services.clients.bucket(request.scope))
