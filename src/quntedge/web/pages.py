"""Rendering: the template environment, what every page knows, and how errors look to people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from quntedge.accounts.people import Person, people
from quntedge.edge.callers import Guest, guest_of
from quntedge.edge.cookies import session_cookie, set_visitor
from quntedge.edge.errors import NotSignedIn
from quntedge.edge.info import info_of
from quntedge.edge.services import services_of
from quntedge.kit.errors import QuntedgeError
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import i18n
from quntedge.web.flash import clear_flash, take_flash
from quntedge.web.links import sign_in_path
from quntedge.web.static_files import StaticFiles

TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """The pages of one installation."""

    def __init__(self, settings: Settings) -> None:
        self.static = StaticFiles()
        self._settings = settings
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )
        i18n.install(self._environment)
        self._environment.globals.update(
            static=self.static.url,
            product_name=settings.product_name,
            demo=settings.demo,
            emulator_url=_origin(settings.whop_base_url) if settings.demo else None,
            support_email=settings.support_email,
        )

    async def page(
        self,
        request: Request,
        template: str,
        context: Mapping[str, Any],
        *,
        unit: UnitOfWork | None = None,
        status: int = 200,
    ) -> Response:
        """A page for whoever is looking. A handler that has a unit of work lends it: taking a second database
        connection while holding one is how a full pool comes to wait for itself."""
        guest = await guest_of(request)
        person = await _person(request, guest, unit)
        return self._response(request, template, context, guest, person, status)

    async def error(self, request: Request, error: QuntedgeError) -> Response:
        """An error as a page; somebody who only has to sign in is led there.

        Nothing is looked up for it: it may be the database that fails.
        """
        if isinstance(error, NotSignedIn):
            return _to_sign_in(request)
        i18n.choose(request)
        context = {
            "status": error.status,
            "title": i18n.gettext(error.title),
            "detail": _detail(error),
            "code": error.code,
            "request_id": info_of(request.scope).request_id,
            # Somebody who is signed in, as far as can be seen without looking it up, is not asked to sign in.
            "has_session": session_cookie(self._settings) in request.cookies,
        }
        guest: Guest | None = getattr(request.state, "guest", None)
        person: Person | None = getattr(request.state, "person", None)
        return self._response(request, "error.html", context, guest, person, error.status)

    def _response(
        self,
        request: Request,
        template: str,
        context: Mapping[str, Any],
        guest: Guest | None,
        person: Person | None,
        status: int,
    ) -> Response:
        services = services_of(request)
        # What handles an error may know nothing of who is looking.
        i18n.choose(request)
        if person is not None:
            i18n.settle(person.time_zone, self._settings.time_zone)
        # Neither a fragment that a script fetches nor an error is the page that the message was meant for.
        is_next_page = status < 400 and not template.startswith("_") and "hx-request" not in request.headers
        html = self._environment.get_template(template).render(
            csp_nonce=info_of(request.scope).csp_nonce(),
            csrf_token=guest.csrf_token(services) if guest else "",
            user=_user(person),
            path=request.url.path,
            locale=i18n.spoken(),
            flash=take_flash(request) if is_next_page else None,
            **{"has_session": False, **context},
        )
        response = HTMLResponse(html, status_code=status)
        if is_next_page:
            clear_flash(response, request)
        if guest is not None and guest.user is None and guest.binding_is_new:
            set_visitor(response, self._settings, guest.binding)
        return response


def pages_of(request: Request) -> Pages:
    """The pages of the application that a request reached."""
    return cast(Pages, request.app.state.pages)


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("hx-request") == "true":
        # A fragment must not be replaced by a whole page: the browser is told to go there.
        return Response(status_code=204, headers={"HX-Redirect": "/sign-in"})
    target = sign_in_path(request.scope) if request.method == "GET" else "/sign-in"
    return RedirectResponse(target, status_code=303)


async def _person(request: Request, guest: Guest, unit: UnitOfWork | None) -> Person | None:
    """Name and address for the header of the page, looked up once."""
    if guest.user is None:
        return None
    if not hasattr(request.state, "person"):
        services = services_of(request)
        wanted = [guest.user.user_id]
        if unit is not None:
            found = await people(unit.session, services.vault, wanted)
        else:
            async with services.units() as own:
                found = await people(own.session, services.vault, wanted)
        request.state.person = found.get(guest.user.user_id)
    return cast("Person | None", request.state.person)


def _detail(error: QuntedgeError) -> str | None:
    """What is wrong this time; nothing where the title says it all, or in a language that has no words for it."""
    translated = i18n.gettext(error.detail)
    if error.detail == error.title or (i18n.spoken() != "en" and translated == error.detail):
        return None
    return translated


def _user(person: Person | None) -> dict[str, str] | None:
    if person is None:
        return None
    email = person.email or ""
    return {"display_name": person.name or email, "email": email}


def _origin(url: str | None) -> str | None:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None
