"""All routes of the API, apart from the webhook."""

from fastapi import APIRouter

from quntedge.api import (
    access,
    account,
    cancellations,
    catalog,
    dunning,
    gateway_return,
    mails,
    operations,
    pauses,
    payment,
    plan_changes,
    subscription,
)
from quntedge.edge.bare import BareRoute
from quntedge.edge.services import Services


def routers() -> list[APIRouter]:
    """The framework's routes."""
    return [
        subscription.router,
        cancellations.router,
        pauses.router,
        plan_changes.router,
        payment.router,
        dunning.router,
        account.router,
        gateway_return.router,
        catalog.router,
        mails.router,
        operations.router,
    ]


def bare_routes(services: Services) -> list[BareRoute]:
    """The routes below the framework."""
    return access.bare_routes(services)
