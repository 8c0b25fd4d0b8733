"""All pages of an installation."""

from functools import cache

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
    invoices,
    mail_preview,
    mailbox,
    methods,
    pause_moves,
    pauses,
    plan_changes,
    plan_migrations,
    pricing,
    promotions,
    recover,
    reference,
    refunds,
    transactions,
)
from quntedge.web.actions import Provider
from quntedge.web.i18n import speak
from quntedge.web.pages import Pages

MANAGE: tuple[Provider, ...] = (
    recover.offers,
    plan_migrations.offers,
    plan_changes.offers,
    pauses.offers,
    methods.offers,
    billing.portal,
    cancellations.offers,
)
"""What the billing page offers to do, in the order of the page: one line for each feature (`quntedge.web.actions`)."""


def routers(settings: Settings) -> list[APIRouter]:
    """The pages; the mailbox and the preview of mails exist in the demo alone."""
    return [_pages(settings.demo)]


@cache
def _pages(demo: bool) -> APIRouter:
    pages = [
        pricing.router,
        account.router,
        checkout.router,
        promotions.router,
        billing.router,
        transactions.router,
        refunds.router,
        methods.router,
        history.router,
        invoices.router,
        cancellations.router,
        plan_changes.router,
        pauses.router,
        pause_moves.router,
        recover.router,
        reference.router,
    ]
    if demo:
        pages += [mailbox.router, mail_preview.router]
    # Each page knows its reader's language before its handler looks for words.
    speaking = APIRouter(dependencies=[Depends(speak)])
    for router in pages:
        speaking.include_router(router)
    return speaking


def bare_routes(pages: Pages) -> list[BareRoute]:
    """The static files."""
    return [pages.static.route()]


def install(app: FastAPI, pages: Pages) -> None:
    """Gives the routes their pages, and the billing page what it offers."""
    app.state.pages = pages
    actions.install(app, MANAGE)
