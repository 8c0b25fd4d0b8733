"""/api/account…: signing up, in and out without a page of ours."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from quntedge.accounts.people import people
from quntedge.accounts.service import SignedIn
from quntedge.api.account_models import AccountChangeIn, MeOut, SessionOut, SignInIn, SignUpIn
from quntedge.edge.callers import LimitByClient, SignedInCustomer, guest_of, json_visitor
from quntedge.edge.cookies import clear_session, clear_visitor, set_session
from quntedge.edge.errors import NotSignedIn
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import Services, services_of
from quntedge.edge.sign_ins import count_attempt
from quntedge.edge.transactions import Unit

router = APIRouter(prefix="/api/account", tags=["account"])

FormerToken = Annotated[str | None, Depends(json_visitor)]
_LIMITED = [Depends(LimitByClient(Limit.SIGN_IN))]


@router.post(
    "/sign-up",
    status_code=201,
    dependencies=_LIMITED,
    responses=problems(400, 403, 409, 415, 422, 503),
    summary="Make an account",
)
async def sign_up(request: Request, response: Response, unit: Unit, former: FormerToken, body: SignUpIn) -> SessionOut:
    """Makes an account and signs it in; the session token is in the cookie."""
    services = services_of(request)
    await count_attempt(request, unit, body.email)
    signed_in = await services.accounts.sign_up(
        unit, body.email, body.password, body.name, body.locale, body.accept_terms, client_address(request)
    )
    if former is not None:
        await services.accounts.sign_out(unit, former)
    return _session(services, response, signed_in)


@router.post("/sign-in", dependencies=_LIMITED, responses=problems(400, 401, 403, 415, 422, 503), summary="Sign in")
async def sign_in(request: Request, response: Response, unit: Unit, former: FormerToken, body: SignInIn) -> SessionOut:
    """Opens a new session; the one the browser came with ends."""
    services = services_of(request)
    await count_attempt(request, unit, body.email)
    signed_in = await services.accounts.sign_in(
        unit, body.email, body.password, client_address(request), replacing=former
    )
    return _session(services, response, signed_in)


@router.post("/sign-out", status_code=204, responses=problems(401, 403, 503), summary="Sign out")
async def sign_out(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """Ends the session."""
    services = services_of(request)
    guest = await guest_of(request)
    if guest.session_token is not None:
        await services.accounts.sign_out(unit, guest.session_token)
    answer = Response(status_code=204)
    clear_session(answer, services.settings)
    return answer


@router.patch("/me", responses=problems(401, 403, 422, 503), summary="Change what we know of the customer")
async def change_me(request: Request, unit: Unit, caller: SignedInCustomer, body: AccountChangeIn) -> MeOut:
    """The time zone decides at which hours a failed payment is tried again."""
    await services_of(request).accounts.set_time_zone(unit, caller.user_id, body.time_zone)
    return await me(request, unit, caller)


@router.get("/me", responses=problems(401, 503), summary="Who is signed in")
async def me(request: Request, unit: Unit, caller: SignedInCustomer) -> MeOut:
    """The customer, and the token to send as X-CSRF-Token."""
    services = services_of(request)
    guest = await guest_of(request)
    person = (await people(unit.session, services.vault, [caller.user_id])).get(caller.user_id)
    if person is None:
        raise NotSignedIn("This account does not exist any more.")
    return MeOut.of(person, guest.csrf_token(services))


def client_address(request: Request) -> str | None:
    """The client's address, for the session's record."""
    return services_of(request).clients.address(request.scope)


def _session(services: Services, response: Response, signed_in: SignedIn) -> SessionOut:
    set_session(response, services.settings, signed_in.token)
    clear_visitor(response, services.settings)
    response.headers["Cache-Control"] = "no-store"
    return SessionOut(
        user=signed_in.user_id,
        csrf_token=services.accounts.csrf_token(signed_in.token),
        expires_at=signed_in.expires_at,
    )
