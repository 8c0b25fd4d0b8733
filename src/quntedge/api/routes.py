"""All routes of the API, apart from the webhook."""

from fastapi import APIRouter

from quntedge.api import access, account, gateway_return, operations, payment, subscription
from quntedge.edge.bare import BareRoute
from quntedge.edge.services import Services


def routers() -> list[APIRouter]:
    """The framework's routes."""
    return [subscription.router, payment.router, account.router, gateway_return.router, operations.router]


def bare_routes(services: Services) -> list[BareRoute]:
    """The routes below the framework."""
    return access.bare_routes(services)
