"""The one place where services are built and facts find their subscribers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.access.service import AccessService
from quntedge.accounts.api_keys import ApiKeyService
from quntedge.accounts.service import AccountService
from quntedge.catalog.service import CatalogService
from quntedge.checkout.idempotency import IdempotencyService
from quntedge.checkout.outcomes import CheckoutOutcomes
from quntedge.checkout.service import CheckoutService
from quntedge.edge.services import Services
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.invoices.events import InvoicePaid
from quntedge.invoices.service import InvoiceService
from quntedge.jobs import sweeps, tasks
from quntedge.jobs.ticker import NEVER, Sweep
from quntedge.jobs.worker import Worker, WorkerServices
from quntedge.kit.clock import Clock, SystemClock
from quntedge.kit.following_clock import FollowingClock
from quntedge.notifications.render import MailRenderer, Sender
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.smtp import MailServer
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService
from quntedge.processes.runner import ProcessRunner
from quntedge.refunds.service import RefundService
from quntedge.settings import ConfigurationError, Settings
from quntedge.storage.embedded import EmbeddedServer
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.notify import Listener
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.service import SubscriptionService
from quntedge.webhooks.apply import Applier
from quntedge.webhooks.bodies import BodyStore
from quntedge.webhooks.effects import Effects
from quntedge.webhooks.endpoint import PATH, EndpointWatch
from quntedge.webhooks.inbox import CHANNEL, Inbox
from quntedge.webhooks.reader import GatewayReader
from quntedge.webhooks.reconcile import Reconciler
from quntedge.webhooks.service import WebhookService
from quntedge.webhooks.worker import InboxWorker

# Deliveries share inserts, so the intake needs one connection at a time; the second is for when that one breaks.
INBOX_POOL_SIZE = 2


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The address of the database: the configured one, or that of the embedded server, running while we are here."""
    if settings.database_url is not None:
        yield libpq_url(settings.database_url)
        return
    server = EmbeddedServer(settings.data_dir)
    try:
        yield server.url()
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a process is made of. Entry points take from it what they need and close it at the end."""

    settings: Settings
    database_url: str
    clock: Clock
    engine: AsyncEngine
    inbox_engine: AsyncEngine
    units: UnitOfWorkFactory
    vault: Vault
    gateway: WhopGateway
    jobs: JobQueue
    processes: ProcessRunner
    catalog: CatalogService
    services: Services
    bodies: BodyStore
    inbox: Inbox
    webhooks: WebhookService
    reconciler: Reconciler
    endpoint: EndpointWatch
    outcomes: CheckoutOutcomes

    async def start(self) -> None:
        """Begins to follow the emulator's clock, where one is configured."""
        if isinstance(self.clock, FollowingClock):
            await self.clock.start()

    async def close(self) -> None:
        """Lets go of connections."""
        await self.webhooks.settle_readings()
        await self.gateway.close()
        await self.engine.dispose()
        await self.inbox_engine.dispose()
        if isinstance(self.clock, FollowingClock):
            await self.clock.stop()


def build(settings: Settings, database_url: str, clock: Clock | None = None) -> Runtime:
    """Builds all services on one database. Nothing is connected to yet."""
    clock = clock or _clock(settings)
    bus = EventBus()
    engine = create_engine(database_url, pool_size=settings.pool_size)
    # Connections of its own: sign-ins that hold all others must not delay the intake.
    inbox_engine = create_engine(database_url, pool_size=INBOX_POOL_SIZE)
    units = UnitOfWorkFactory(session_factory(engine), clock, bus)
    vault = Vault(settings.key_ring())
    gateway = _gateway(settings)
    jobs = JobQueue(create_job_app(database_url))
    processes = ProcessRunner(units, engine, jobs)
    retire_later = tasks.retire_later(jobs)
    payments = PaymentService()
    invoices = InvoiceService()
    outcomes = CheckoutOutcomes(retire_later)
    _subscribe(bus, invoices, Effects(invoices), outcomes, NotificationService(jobs))
    bodies = BodyStore(settings.key_ring())
    applier = Applier(SubscriptionService(), payments, RefundService(payments), invoices, vault)
    reconciler = Reconciler(units, gateway, applier)

    async def catch_up() -> int:
        return await reconciler.full(clock.now())

    services = Services(
        settings=settings,
        engine=engine,
        units=units,
        clock=clock,
        vault=vault,
        accounts=AccountService(vault, settings.secret_key.get_secret_value()),
        api_keys=ApiKeyService(),
        checkout=CheckoutService(units, gateway, settings.base_url, retire_later=retire_later),
        access=AccessService(engine, clock),
        gateway=gateway,
        checkout_origins=_checkout_origins(settings),
    )
    return Runtime(
        settings=settings,
        database_url=database_url,
        clock=clock,
        engine=engine,
        inbox_engine=inbox_engine,
        units=units,
        vault=vault,
        gateway=gateway,
        jobs=jobs,
        processes=processes,
        catalog=CatalogService(units, gateway, settings.product_name),
        services=services,
        bodies=bodies,
        inbox=Inbox(inbox_engine, bodies, clock, settings.whop_account_id),
        webhooks=WebhookService(
            units,
            bodies,
            applier,
            GatewayReader(gateway),
            batch_size=settings.worker_batch,
            jitter=random.Random(),  # noqa: S311 (spreads retries, guards nothing)
        ),
        reconciler=reconciler,
        endpoint=EndpointWatch(gateway, f"{settings.base_url}{PATH}", clock, catch_up),
        outcomes=outcomes,
    )


def _subscribe(
    bus: EventBus,
    invoices: InvoiceService,
    effects: Effects,
    outcomes: CheckoutOutcomes,
    notifications: NotificationService,
) -> None:
    """Who hears of what, all inside the transaction that records it."""
    bus.subscribe(PaymentRecorded, invoices.on_payments_recorded)
    bus.subscribe(PaymentRecorded, effects.on_payment_recorded)
    bus.subscribe(PaymentRecorded, outcomes.on_payment_recorded)
    bus.subscribe(PaymentRecorded, notifications.on_payment_recorded)
    bus.subscribe(SubscriptionChanged, effects.on_subscription_changed)
    bus.subscribe(SubscriptionChanged, outcomes.on_subscription_changed)
    bus.subscribe(SubscriptionChanged, notifications.on_subscription_changed)
    bus.subscribe(InvoicePaid, notifications.on_invoice_paid)


def build_worker(runtime: Runtime) -> tuple[Worker, Listener]:
    """A worker on a runtime of its own, and the listener that wakes it (to be started and stopped around it)."""
    settings = runtime.settings
    inbox = InboxWorker(runtime.webhooks)
    if isinstance(runtime.clock, FollowingClock):
        runtime.clock.subscribe(inbox.wake)
    listener = Listener(runtime.database_url)
    listener.subscribe(CHANNEL, inbox.wake)
    sender = Sender.parse(settings.mail_from)
    renderer = MailRenderer(
        sender,
        product_name=settings.product_name,
        support_email=settings.support_email,
        base_url=settings.base_url,
    )
    server = MailServer.parse(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
    services = WorkerServices(
        clock=runtime.clock,
        units=runtime.units,
        jobs=runtime.jobs,
        mail=MailSender(runtime.units, runtime.vault, renderer, server),
        retire_checkout=runtime.gateway.retire_checkout,
        processes=runtime.processes,
        inbox=inbox,
        sweeps=_sweeps(runtime),
    )
    return Worker(services), listener


def _sweeps(runtime: Runtime) -> list[Sweep]:
    async def purge_sessions(unit: UnitOfWork, _now: datetime) -> int:
        return await runtime.services.accounts.purge_sessions(unit)

    async def reconcile_recent() -> int:
        return await runtime.reconciler.recent(runtime.clock.now())

    async def reconcile_full() -> int:
        return await runtime.reconciler.full(runtime.clock.now())

    return [
        *sweeps.housekeeping(
            runtime.units,
            expire_checkouts=runtime.outcomes.expire,
            purge_idempotency=IdempotencyService().purge,
            maintain_inbox=runtime.bodies.maintain,
        ),
        sweeps.tidying("sessions.purge", timedelta(hours=6), runtime.units, purge_sessions),
        sweeps.comparing("gateway.reconcile_recent", timedelta(minutes=15), reconcile_recent),
        sweeps.comparing("gateway.reconcile_full", timedelta(hours=24), reconcile_full),
        Sweep("gateway.endpoint", timedelta(minutes=15), runtime.endpoint.check, in_leaps=NEVER),
    ]


def _clock(settings: Settings) -> Clock:
    return FollowingClock(settings.clock_url) if settings.clock_url else SystemClock()


def _whop_settings(settings: Settings) -> WhopSettings:
    try:
        return WhopSettings(
            environment=settings.whop_environment,
            api_key=settings.whop_api_key.get_secret_value(),
            account_id=settings.whop_account_id,
            base_url=settings.whop_base_url,
        )
    except ValueError as error:
        raise ConfigurationError(f"{error}.") from None


def _gateway(settings: Settings) -> WhopGateway:
    return connect(_whop_settings(settings))


def _checkout_origins(settings: Settings) -> tuple[str, ...]:
    return (_whop_settings(settings).storefront,)
