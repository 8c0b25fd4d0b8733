"""What the entry points need, built once in `wiring` and handed to the application."""

from dataclasses import dataclass, field
from typing import cast

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import HTTPConnection

from quntedge.access.service import AccessService
from quntedge.accounts.api_keys import ApiKeyService
from quntedge.accounts.service import AccountService
from quntedge.audit.log import AuditLog
from quntedge.cancellations.feature import Cancellations
from quntedge.catalog.service import CatalogService
from quntedge.checkout.service import CheckoutService
from quntedge.disputes.feature import Disputes
from quntedge.dunning.feature import Dunning
from quntedge.edge.clients import Clients
from quntedge.edge.limits import RateLimits
from quntedge.gateway.port import Gateway
from quntedge.invoices.feature import Invoices
from quntedge.kit.clock import Clock
from quntedge.methods.feature import Methods
from quntedge.notifications.editing import MailTemplateService
from quntedge.pauses.service import PauseService
from quntedge.plan_changes.feature import PlanChanges
from quntedge.plan_migrations.service import PlanMigrationService
from quntedge.promotions.feature import Promotions
from quntedge.reconciliation.feature import Reconciliation
from quntedge.refunds.feature import Refunds
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one web process.

    `checkout_origins` are the origins of the gateway's hosted checkout: the browser must be told that our forms may
    lead there.
    """

    settings: Settings
    engine: AsyncEngine
    units: UnitOfWorkFactory
    clock: Clock
    vault: Vault
    accounts: AccountService
    api_keys: ApiKeyService
    catalog: CatalogService
    checkout: CheckoutService
    access: AccessService
    pauses: PauseService
    cancellations: Cancellations
    dunning: Dunning
    plan_changes: PlanChanges
    plan_migrations: PlanMigrationService
    methods: Methods
    refunds: Refunds
    invoices: Invoices
    disputes: Disputes
    promotions: Promotions
    reconciliation: Reconciliation
    gateway: Gateway
    mails: MailTemplateService
    audit: AuditLog
    limits: RateLimits = field(default_factory=RateLimits)
    checkout_origins: tuple[str, ...] = ()
    clients: Clients = field(init=False)

    def __post_init__(self) -> None:
        """Raises `ConfigurationError` when the settings name a proxy that is no address."""
        object.__setattr__(self, "clients", Clients(self.settings.trusted_proxies))


def services_of(request: HTTPConnection) -> Services:
    """The services of the application that a request reached."""
    return cast(Services, request.app.state.services)
