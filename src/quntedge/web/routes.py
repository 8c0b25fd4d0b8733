"""All pages of an installation."""

from fastapi import APIRouter, Depends, FastAPI

from quntedge.edge.bare import BareRoute
from quntedge.settings import Settings
from quntedge.web import (
    account,
    actions,
    billing,
    cancellations,
    checkout,
    history,
    mail_preview,
    mailbox,
    pauses,
    plan_changes,
    pricing,
    recover,
    reference,
)
from quntedge.web.actions import Provider
from quntedge.web.i18n import speak
from quntedge.web.pages import Pages

MANAGE: tuple[Provider, ...] = (
    recover.offers,
    plan_changes.offers,
    pauses.offers,
    billing.portal,
    cancellations.offers,
)
"""What the billing page offers to do, in the order of the page: one line for each feature (`quntedge.web.actions`)."""


def routers(settings: Settings) -> list[APIRouter]:
    """The pages; the mailbox and the preview of mails exist in the demo alone."""
    pages = [
        pricing.router,
        account.router,
        checkout.router,
        billing.router,
        history.router,
        cancellations.router,
        plan_changes.router,
        pauses.router,
        recover.router,
        reference.router,
    ]
    if settings.demo:
        pages += [mailbox.router, mail_preview.router]
    # Each page knows its reader's language before its handler looks for words.
    speaking = APIRouter(dependencies=[Depends(speak)])
    for router in pages:
        speaking.include_router(router)
    return [speaking]


def bare_routes(pages: Pages) -> list[BareRoute]:
    """The static files."""
    return [pages.static.route()]


def install(app: FastAPI, pages: Pages) -> None:
    """Gives the routes their pages, and the billing page what it offers."""
    app.state.pages = pages
    actions.install(app, MANAGE)
