"""All routes of the API, apart from the webhook."""

from fastapi import APIRouter

from quntedge.api import (
    access,
    account,
    admin_invoices,
    attention,
    audit,
    cancellations,
    catalog,
    disputes,
    dunning,
    gateway_return,
    invoices,
    ledger,
    mails,
    methods,
    operations,
    pauses,
    payment,
    plan_changes,
    plan_migrations,
    promotions,
    reconciliation,
    refunds,
    subscription,
    transactions,
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
        promotions.customer_router,
        promotions.router,
        transactions.router,
        transactions.admin,
        methods.router,
        invoices.router,
        invoices.details,
        admin_invoices.router,
        dunning.router,
        disputes.router,
        account.router,
        gateway_return.router,
        catalog.router,
        mails.router,
        refunds.router,
        plan_migrations.router,
        ledger.router,
        reconciliation.router,
        audit.router,
        attention.router,
        operations.router,
    ]


def bare_routes(services: Services) -> list[BareRoute]:
    """The routes below the framework."""
    return access.bare_routes(services)
