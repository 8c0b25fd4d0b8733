"""A shop for HTTP tests: the real application on the test's database, its catalogue on sale at an emulated gateway."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import APIRouter
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.access.service import AccessService
from quntedge.accounts.api_keys import ApiKeyService
from quntedge.accounts.passwords import Passwords
from quntedge.accounts.service import AccountService
from quntedge.api import routes as api
from quntedge.audit.log import AuditLog
from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.cancellations.feature import Cancellations
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.checkout.service import CheckoutService
from quntedge.disputes.feature import Disputes
from quntedge.dunning.feature import Dunning
from quntedge.edge.app import Application, build
from quntedge.edge.bare import BareRoute
from quntedge.edge.cookies import session_cookie
from quntedge.edge.limits import RateLimits
from quntedge.edge.services import Services
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.invoices.feature import Invoices
from quntedge.invoices.models import Invoice
from quntedge.invoices.parties import Seller
from quntedge.invoices.service import InvoiceService
from quntedge.kit.clock import FrozenClock
from quntedge.kit.ids import new_id
from quntedge.methods.feature import Methods
from quntedge.methods.queries import default_method
from quntedge.notifications.editing import MailTemplateService
from quntedge.notifications.render import renderer_for
from quntedge.pauses.service import PauseService
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.service import PaymentService
from quntedge.plan_changes.feature import PlanChanges
from quntedge.plan_migrations.service import PlanMigrationService
from quntedge.processes.runner import ProcessRunner
from quntedge.promotions.feature import Promotions
from quntedge.reconciliation.feature import Reconciliation
from quntedge.refunds.feature import Refunds
from quntedge.refunds.models import Refund
from quntedge.refunds.queries import held_of
from quntedge.refunds.service import RefundService
from quntedge.settings import Settings
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import Subscription, SubscriptionEvent
from quntedge.subscriptions.queries import live_subscribers
from quntedge.subscriptions.service import SubscriptionService
from quntedge.web import routes as web
from quntedge.web.pages import Pages
from quntedge.webhooks.apply import Applier
from quntedge.webhooks.dispute_watch import DisputeWatch
from quntedge.webhooks.reconcile import Reconciler

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "three quiet green lamps"


@dataclass
class Person:
    """A customer with a browser of their own."""

    user_id: str
    email: str
    csrf: str
    http: httpx.AsyncClient

    def headers(self, **more: str) -> dict[str, str]:
        """The headers an unsafe call needs."""
        return {"X-CSRF-Token": self.csrf, **more}


@dataclass
class Shop:
    """The application and ways to fill it."""

    app: Application
    services: Services
    clock: FrozenClock
    units: UnitOfWorkFactory
    emulator: RunningEmulator | None = None
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    people: int = 0

    def client(self, *, address: str = "198.51.100.7", **options: Any) -> httpx.AsyncClient:
        """A browser. Every test client of one shop shares no cookies with another."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 50000), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", **options)
        self.clients.append(client)
        return client

    async def sign_up(self, email: str | None = None, name: str = "Kim Example") -> Person:
        """A new customer through the API, each from an address of their own."""
        self.people += 1
        email = email or f"kim{self.people}@customer.test"
        http = self.client(address=f"203.0.113.{self.people}")
        body = {"email": email, "password": PASSWORD, "name": name, "accept_terms": True}
        answer = await http.post("/api/account/sign-up", json=body)
        assert answer.status_code == 201, answer.text
        return Person(answer.json()["user"], email, answer.json()["csrf_token"], http)

    async def api_key(self, *scopes: str) -> str:
        """A service key with these scopes (all by default)."""
        async with self.units() as unit:
            _, token = await self.services.api_keys.create(
                unit, "host app", scopes or ("access:read", "subscription:read")
            )
            await unit.commit()
        return token

    async def plan(self, code: str) -> PlanView:
        async with self.units() as unit:
            found = await catalog.plan_by_code(unit.session, code)
        assert found is not None
        return found

    async def subscribe(self, user_id: str, code: str = "monthly", **values: Any) -> str:
        """A subscription row, as the webhooks would have made it."""
        plan = await self.plan(code)
        now = self.clock.now()
        row = {
            "id": new_id("sub", now),
            "user_id": user_id,
            "plan_id": plan.id,
            "status": "active",
            "whop_membership_id": new_id("mem", now),
            "period_start": now,
            "period_end": now + timedelta(days=30),
            "renewal_price_minor": plan.price.amount_minor,
            "currency": plan.price.currency,
            "started_at": now,
            "created_at": now,
            "updated_at": now,
        } | values
        await self._insert(Subscription, row)
        return str(row["id"])

    async def event(
        self, user_id: str, subscription_id: str, at: datetime, kind: str = "subscription.renewed", **values: Any
    ) -> str:
        now = self.clock.now()
        earlier = select(func.count() + 1).where(SubscriptionEvent.subscription_id == subscription_id)
        row = {
            "id": new_id("sev", now),
            "subscription_id": subscription_id,
            "version": earlier.scalar_subquery(),
            "user_id": user_id,
            "kind": kind,
            "actor": "gateway",
            "cause": "test",
            "before": None,
            "after": {"status": "active"},
            "at": at,
        } | values
        await self._insert(SubscriptionEvent, row)
        return str(row["id"])

    async def payment(self, user_id: str, at: datetime | None = None, **values: Any) -> str:
        now = self.clock.now()
        row = {
            "id": new_id("txn", now),
            "user_id": user_id,
            "whop_payment_id": new_id("pay", now),
            "status": "paid",
            "raw_status": "paid",
            "billing_reason": "subscription_cycle",
            "currency": "usd",
            "total_minor": 2900,
            "method_kind": "card",
            "method_brand": "visa",
            "method_last4": "4242",
            "occurred_at": at or now,
            "created_at": now,
            "updated_at": now,
        } | values
        await self._insert(PaymentTransaction, row)
        return str(row["id"])

    async def invoice(self, user_id: str, at: datetime | None = None, **values: Any) -> str:
        now = self.clock.now()
        row = {
            "id": new_id("inv", now),
            "number": f"T-{new_id('no', now)}",
            "user_id": user_id,
            "whop_payment_id": new_id("pay", now),
            "status": "paid",
            "currency": "usd",
            "total_minor": 2900,
            "issued_at": at or now,
            "created_at": now,
            "updated_at": now,
        } | values
        await self._insert(Invoice, row)
        return str(row["id"])

    async def refund(self, user_id: str, transaction_id: str, at: datetime | None = None) -> str:
        now = self.clock.now()
        row = {
            "id": new_id("ref", now),
            "user_id": user_id,
            "transaction_id": transaction_id,
            "whop_refund_id": new_id("rf", now),
            "status": "succeeded",
            "amount_minor": 500,
            "currency": "usd",
            "occurred_at": at or now,
            "created_at": now,
            "updated_at": now,
        }
        await self._insert(Refund, row)
        return str(row["id"])

    def cookie(self, person: Person) -> str | None:
        """The session token in a browser."""
        return person.http.cookies.get(session_cookie(self.services.settings))

    async def _insert(self, table: type[Any], row: dict[str, Any]) -> None:
        async with self.units() as unit:
            await unit.session.execute(insert(table).values(**row))
            await unit.commit()


async def no_retiring(unit: UnitOfWork, checkout_ids: list[str]) -> None:
    """No jobs in these tests."""


async def no_syncing(unit: UnitOfWork, members: list[tuple[str, str]]) -> None:
    """No jobs in these tests."""


@asynccontextmanager
async def open_shop(
    settings: Settings,
    engine: AsyncEngine,
    units: UnitOfWorkFactory,
    clock: FrozenClock,
    vault: Vault,
    *,
    emulator: RunningEmulator | None = None,
    extra: Sequence[APIRouter] = (),
    bare: Sequence[BareRoute] = (),
    changes: Mapping[str, Any] | None = None,
) -> AsyncIterator[Shop]:
    """A shop. With an emulator the catalogue is on sale there, else no checkout can be opened."""
    gateway = _gateway(settings, emulator)
    catalogue = CatalogService(units, gateway, count_subscribers=live_subscribers)
    await catalogue.apply(packaged())
    if emulator is not None:
        await catalogue.sync_gateway()
    jobs = JobQueue(create_job_app(settings.database_url or ""))
    processes = ProcessRunner(units, engine, jobs)
    promotions = Promotions(units, processes, gateway)
    canceling = Cancellations(units, processes, gateway, SubscriptionService(), vault)
    plan_changes = PlanChanges(
        units,
        processes,
        gateway,
        SubscriptionService(),
        jobs,
        base_url=settings.base_url,
        paying_method=default_method,
        held_of=held_of,
    )
    services = replace(
        Services(
            settings=settings,
            engine=engine,
            units=units,
            clock=clock,
            # However slow the machine is, what is counted in a test falls into one window.
            limits=RateLimits(lambda: 0.0),
            vault=vault,
            accounts=AccountService(vault, settings.secret_key.get_secret_value(), Passwords(CHEAP)),
            api_keys=ApiKeyService(),
            catalog=catalogue,
            checkout=CheckoutService(
                units, gateway, settings.base_url, retire_later=no_retiring, promotions=promotions.desk
            ),
            promotions=promotions,
            access=AccessService(engine, clock),
            pauses=PauseService(units, processes, gateway, SubscriptionService()),
            dunning=Dunning(units, processes, gateway, SubscriptionService(), PaymentService(), settings.base_url),
            cancellations=canceling,
            plan_changes=plan_changes,
            plan_migrations=PlanMigrationService(units, plan_changes.versions),
            refunds=Refunds(
                units, processes, gateway, PaymentService(), canceling.service, vault, limits=settings.refund_limits()
            ),
            invoices=Invoices(units, vault, Seller.from_settings(settings)),
            methods=Methods(
                units,
                processes,
                gateway,
                SubscriptionService(),
                settings.base_url,
                sync_later=no_syncing,
                retire_later=no_retiring,
            ),
            disputes=Disputes(units, processes, gateway, SubscriptionService(), PaymentService(), vault),
            reconciliation=_reconciliation(settings, units, vault, gateway),
            gateway=gateway,
            mails=MailTemplateService(renderer_for(settings)),
            audit=AuditLog(units),
            checkout_origins=(emulator.url if emulator is not None else "https://checkout.example",),
        ),
        **(changes or {}),
    )
    pages = Pages(settings)
    app = build(
        services,
        [*api.routers(), *web.routers(settings), *extra],
        [*api.bare_routes(services), *web.bare_routes(pages), *bare],
        error_page=pages.error,
    )
    web.install(app, pages)
    shop = Shop(app, services, clock, units, emulator)
    yield shop
    for client in shop.clients:
        await client.aclose()
    await gateway.close()


def _reconciliation(settings: Settings, units: UnitOfWorkFactory, vault: Vault, gateway: WhopGateway) -> Reconciliation:
    payments = PaymentService()
    invoices = InvoiceService(vault, Seller.from_settings(settings))
    applier = Applier(SubscriptionService(), payments, RefundService(payments), invoices, vault)
    bookkeeping = Bookkeeping(units, gateway_remits=settings.tax_remitted_by == "gateway")
    watch = DisputeWatch(units, gateway, applier)
    return Reconciliation(units, gateway, Reconciler(units, gateway, applier), bookkeeping, watch.discover)


def _gateway(settings: Settings, emulator: RunningEmulator | None) -> WhopGateway:
    if emulator is None:
        # Nobody listens there: whatever calls the gateway in such a test fails for real.
        return connect(WhopSettings("custom", "test-key", settings.whop_account_id, "http://127.0.0.1:1/api/v1"))
    config = emulator.config
    return connect(WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url))
