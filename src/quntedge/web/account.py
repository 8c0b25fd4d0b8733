"""Sign-up, sign-in and sign-out pages."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from quntedge.accounts.errors import EmailTaken, WrongCredentials
from quntedge.accounts.rules import PASSWORD_MINIMUM, InvalidAccount, check_locale
from quntedge.accounts.service import SignedIn
from quntedge.edge.callers import LimitByClient, PageGuest, SignedInCustomer, guest_of
from quntedge.edge.cookies import clear_session, clear_visitor, set_language, set_session
from quntedge.edge.limits import Limit
from quntedge.edge.services import Services, services_of
from quntedge.edge.sign_ins import count_attempt
from quntedge.edge.transactions import Unit
from quntedge.web import i18n
from quntedge.web.flash import set_flash
from quntedge.web.forms import FormView, errors_by_field, read_form
from quntedge.web.i18n import gettext
from quntedge.web.links import HOME, local_path
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_LIMITED = [Depends(LimitByClient(Limit.SIGN_IN))]
_FORM_NAMES = {"accept_terms": "terms"}


@router.get("/sign-up")
async def show_sign_up(request: Request, guest: PageGuest) -> Response:
    """The form. `?plan=` remembers which plan somebody wanted before they had an account."""
    plan = request.query_params.get("plan")
    wanted = f"/pricing#plan-{plan}" if plan else request.query_params.get("next")
    target = local_path(wanted, default="/pricing")
    if guest.user is not None:
        return RedirectResponse(target, status_code=303)
    return await _sign_up_page(request, FormView(), target)


@router.post("/sign-up", dependencies=_LIMITED)
async def sign_up(request: Request, unit: Unit, guest: PageGuest) -> Response:
    """Makes the account and signs it in, or shows the form again with what is wrong at each field."""
    form = await read_form(request)
    services = services_of(request)
    email, name, terms = form.get("email", ""), form.get("name", ""), form.get("terms", "")
    await count_attempt(request, unit, email)
    try:
        signed_in = await services.accounts.sign_up(
            unit, email, form.get("password", ""), name, i18n.spoken(), terms == "yes", _address(request)
        )
    except (InvalidAccount, EmailTaken) as error:
        await unit.rollback()
        errors = errors_by_field(error.extra.get("errors", ()), _FORM_NAMES)
        view = FormView({"email": email, "name": name, "terms": terms}, errors)
        return await _sign_up_page(request, view, form.get("next"), status=422)
    return _signed_in(services, signed_in, local_path(form.get("next"), default="/pricing"))


@router.get("/sign-in")
async def show_sign_in(request: Request, guest: PageGuest) -> Response:
    """The form."""
    target = request.query_params.get("next")
    if guest.user is not None:
        return RedirectResponse(local_path(target), status_code=303)
    return await _sign_in_page(request, FormView(), target)


@router.post("/sign-in", dependencies=_LIMITED)
async def sign_in(request: Request, unit: Unit, guest: PageGuest) -> Response:
    """Opens a new session. What is wrong is said without telling which of the two it is."""
    form = await read_form(request)
    services = services_of(request)
    email = form.get("email", "")
    await count_attempt(request, unit, email)
    try:
        signed_in = await services.accounts.sign_in(
            unit, email, form.get("password", ""), _address(request), replacing=guest.session_token
        )
    except WrongCredentials as error:
        await unit.rollback()
        view = FormView({"email": email}, {"password": gettext(f"{error.title}.")})
        return await _sign_in_page(request, view, form.get("next"), status=422)
    return _signed_in(services, signed_in, local_path(form.get("next")))


@router.post("/language")
async def choose_language(request: Request, unit: Unit, guest: PageGuest) -> Response:
    """Changes the language: a customer's for pages and mails, a visitor's for this browser."""
    form = await read_form(request)
    services, locale = services_of(request), form.get("locale", "")
    check_locale(locale)
    if guest.user is not None:
        await services.accounts.set_locale(unit, guest.user.user_id, locale)
    response = RedirectResponse(local_path(form.get("next"), default="/"), status_code=303)
    set_language(response, services.settings, locale)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """Ends the session."""
    services = services_of(request)
    guest = await guest_of(request)
    if guest.session_token is not None:
        await services.accounts.sign_out(unit, guest.session_token)
    response = RedirectResponse("/pricing", status_code=303)
    clear_session(response, services.settings)
    set_flash(response, request, "signed_out", kind="info")
    return response


def _signed_in(services: Services, signed_in: SignedIn, target: str) -> Response:
    response = RedirectResponse(target, status_code=303)
    set_session(response, services.settings, signed_in.token)
    clear_visitor(response, services.settings)
    return response


async def _sign_up_page(request: Request, form: FormView, target: str | None, *, status: int = 200) -> Response:
    context = {
        "form": form,
        "next": local_path(target, default="/pricing"),
        "password_min_length": PASSWORD_MINIMUM,
    }
    return await pages_of(request).page(request, "sign_up.html", context, status=status)


async def _sign_in_page(request: Request, form: FormView, target: str | None, *, status: int = 200) -> Response:
    context = {"form": form, "next": local_path(target, default=HOME)}
    return await pages_of(request).page(request, "sign_in.html", context, status=status)


def _address(request: Request) -> str | None:
    return services_of(request).clients.address(request.scope)
