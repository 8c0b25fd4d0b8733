"""All pages of an installation."""

from fastapi import APIRouter, FastAPI

from quntedge.edge.bare import BareRoute
from quntedge.settings import Settings
from quntedge.web import account, billing, checkout, mailbox, pricing, reference
from quntedge.web.pages import Pages


def routers(settings: Settings) -> list[APIRouter]:
    """The pages; the mailbox exists in the demo alone."""
    pages = [pricing.router, account.router, checkout.router, billing.router, reference.router]
    return [*pages, mailbox.router] if settings.demo else pages


def bare_routes(pages: Pages) -> list[BareRoute]:
    """The static files."""
    return [pages.static.route()]


def install(app: FastAPI, pages: Pages) -> None:
    """Gives the routes their pages."""
    app.state.pages = pages
