"""The one place where services are built and facts find their subscribers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.access.service import AccessService
from quntedge.accounts.api_keys import ApiKeyService
from quntedge.accounts.service import AccountService
from quntedge.audit.log import AuditLog
from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.bookkeeping.fees import AwaitedFees
from quntedge.cancellations.events import CancellationScheduled, CancellationUndone, WithdrawalReceived
from quntedge.cancellations.feature import Cancellations
from quntedge.catalog.service import CatalogService
from quntedge.checkout.discounts import PromotionUses
from quntedge.checkout.outcomes import CheckoutOutcomes
from quntedge.checkout.service import CheckoutService
from quntedge.disputes.feature import Disputes
from quntedge.dunning.events import AccessPaused, GraceEnding
from quntedge.dunning.feature import Dunning
from quntedge.edge.services import Services
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.invoices.events import CreditNoteIssued, InvoicePaid
from quntedge.invoices.feature import Invoices
from quntedge.jobs import tasks
from quntedge.kit.clock import Clock, SystemClock
from quntedge.kit.following_clock import FollowingClock
from quntedge.methods.events import MethodExpiring
from quntedge.methods.feature import Methods
from quntedge.methods.queries import default_method
from quntedge.notifications.editing import MailTemplateService
from quntedge.notifications.render import renderer_for
from quntedge.notifications.service import NotificationService
from quntedge.notifications.staff import StaffMails
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding, PauseMoved
from quntedge.pauses.service import PauseService
from quntedge.pauses.watch import PauseWatch
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService
from quntedge.plan_changes.events import PlanChangeNews
from quntedge.plan_changes.feature import PlanChanges
from quntedge.plan_changes.views import credit_promos
from quntedge.plan_migrations.events import NewTermsAnnounced, NewTermsWithdrawn
from quntedge.plan_migrations.service import PlanMigrationService
from quntedge.processes.runner import ProcessRunner
from quntedge.promotions.feature import Promotions
from quntedge.reconciliation.feature import Reconciliation
from quntedge.refunds.events import RefundMoved
from quntedge.refunds.feature import Refunds
from quntedge.refunds.queries import held_of
from quntedge.schema import KEY_STORES
from quntedge.settings import ConfigurationError, Settings
from quntedge.storage.embedded import EmbeddedServer
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.queries import live_subscribers
from quntedge.subscriptions.service import SubscriptionService
from quntedge.subscriptions.unpaid import UnpaidWatch
from quntedge.trials.events import TrialEndAnnounced, TrialEnding
from quntedge.trials.service import TrialService
from quntedge.trials.signals import TrialSignals
from quntedge.webhooks.apply import Applier
from quntedge.webhooks.bodies import BodyStore
from quntedge.webhooks.dispute_effects import DisputeEffects
from quntedge.webhooks.dispute_watch import DisputeWatch
from quntedge.webhooks.effects import Effects
from quntedge.webhooks.endpoint import PATH, EndpointWatch
from quntedge.webhooks.inbox import Inbox
from quntedge.webhooks.reader import GatewayReader
from quntedge.webhooks.reconcile import Reconciler
from quntedge.webhooks.renewals import RenewalGaps
from quntedge.webhooks.service import WebhookService

ENDS_OF_OTHERS = ("plan_change",)
"""Kinds of processes that let a membership run out because another takes its place: no cancellation by the buyer."""

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
    bookkeeping: Bookkeeping
    awaited_fees: AwaitedFees
    catalog: CatalogService
    services: Services
    bodies: BodyStore
    inbox: Inbox
    webhooks: WebhookService
    reconciler: Reconciler
    renewals: RenewalGaps
    endpoint: EndpointWatch
    unpaid: UnpaidWatch
    disputes: DisputeWatch
    outcomes: CheckoutOutcomes
    pauses: PauseWatch
    trials: TrialService
    trial_signals: TrialSignals

    async def start(self) -> None:
        """Follows the emulator's clock, where one is configured, and opens the keys. Raises `ConfigurationError`."""
        if isinstance(self.clock, FollowingClock):
            await self.clock.start()
        async with self.engine.begin() as connection:
            await self.vault.open(connection, KEY_STORES, self.clock.now())

    async def close(self) -> None:
        """Lets go of connections."""
        await self.webhooks.settle_readings()
        self.services.invoices.close()
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
    billing = Invoices.from_settings(units, vault, settings)
    invoices = billing.service
    promotions = Promotions(units, processes, gateway)
    outcomes = CheckoutOutcomes(retire_later, promotions.desk.release)
    renewal_gap = timedelta(hours=settings.renewal_gap_hours)
    subscriptions = SubscriptionService(renewal_gap)
    pauses = PauseWatch(units, gateway, subscriptions)
    trials = TrialService()
    trial_signals = TrialSignals(units, vault, gateway, tasks.inspect_later(jobs))
    pause_service = PauseService(units, processes, gateway, subscriptions)

    async def pause_for(user_id: str, days: int) -> None:
        await pause_service.pause(user_id, days=days)

    cancellations = Cancellations(
        units,
        processes,
        gateway,
        subscriptions,
        vault,
        pause=pause_for,
        withdrawal_refund=settings.withdrawal_refund,
        ends_of_others=ENDS_OF_OTHERS,
    )
    dunning = Dunning(
        units, processes, gateway, subscriptions, payments, settings.base_url, default_zone=settings.time_zone
    )
    refunds = Refunds(
        units, processes, gateway, payments, cancellations.service, vault, limits=settings.refund_limits()
    )
    plan_changes = PlanChanges(
        units, processes, gateway, subscriptions, jobs, settings.base_url, paying_method=default_method, held_of=held_of
    )
    methods = Methods(
        units,
        processes,
        gateway,
        subscriptions,
        settings.base_url,
        sync_later=tasks.sync_methods_later(jobs),
        retire_later=retire_later,
    )
    disputes = Disputes(units, processes, gateway, subscriptions, payments, vault)
    notifications = NotificationService(jobs)
    StaffMails(jobs, vault, settings.staff_emails, settings.staff_locale).listen(bus)
    bookkeeping = Bookkeeping(units, gateway_remits=settings.tax_remitted_by == "gateway")
    bookkeeping.listen(bus)
    awaited_fees = bookkeeping.awaited_fees(gateway, payments, bus)
    # First: what they note tells the mails how a subscription came to be.
    _subscribe_trials(bus, trials, trial_signals, notifications)
    # Before the mails: what they say depends on how an unpaid renewal ended.
    _subscribe_dunning(bus, dunning, notifications)
    effects = Effects(invoices, payments)
    _subscribe(bus, effects, outcomes, notifications)
    bus.subscribe(PaymentRecorded, PromotionUses(promotions.redemptions, credit_promos).on_payment_recorded)
    _subscribe_pauses(bus, pauses, notifications)
    _subscribe_cancellations(bus, cancellations, notifications)
    _subscribe_plan_changes(bus, plan_changes, notifications)
    plan_migrations = PlanMigrationService(units, plan_changes.versions)
    _subscribe_plan_migrations(bus, plan_migrations, notifications)
    methods.listen(bus)
    bus.subscribe(MethodExpiring, notifications.on_method_expiring)
    refunds.listen(bus)
    bus.subscribe(RefundMoved, notifications.on_refund_moved)
    disputes.listen(bus)
    DisputeEffects(disputes.ending).listen(bus)
    _subscribe_invoices(bus, billing, effects, notifications)
    bodies = BodyStore(settings.key_ring())
    applier = Applier(subscriptions, payments, refunds.service, invoices, vault)
    reconciler = Reconciler(units, gateway, applier)
    dispute_watch = DisputeWatch(units, gateway, applier)
    reconciliation = Reconciliation(units, gateway, reconciler, bookkeeping, dispute_watch.discover)

    async def catch_up() -> int:
        return await reconciler.full(clock.now())

    catalog = CatalogService(units, gateway, settings.product_name, count_subscribers=live_subscribers)
    services = Services(
        settings=settings,
        engine=engine,
        units=units,
        clock=clock,
        vault=vault,
        accounts=AccountService(vault, settings.secret_key.get_secret_value()),
        api_keys=ApiKeyService(),
        catalog=catalog,
        checkout=CheckoutService(
            units, gateway, settings.base_url, retire_later=retire_later, promotions=promotions.desk
        ),
        promotions=promotions,
        access=AccessService(engine, clock),
        pauses=pause_service,
        cancellations=cancellations,
        dunning=dunning,
        plan_changes=plan_changes,
        refunds=refunds,
        invoices=billing,
        disputes=disputes,
        methods=methods,
        plan_migrations=plan_migrations,
        reconciliation=reconciliation,
        gateway=gateway,
        checkout_origins=_checkout_origins(settings),
        mails=MailTemplateService(renderer_for(settings)),
        audit=AuditLog(units),
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
        bookkeeping=bookkeeping,
        awaited_fees=awaited_fees,
        catalog=catalog,
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
        renewals=RenewalGaps(units, reconciler, renewal_gap),
        unpaid=UnpaidWatch(units, gateway, settings.whop_account_id),
        endpoint=EndpointWatch(gateway, f"{settings.base_url}{PATH}", clock, catch_up),
        disputes=dispute_watch,
        outcomes=outcomes,
        pauses=pauses,
        trials=trials,
        trial_signals=trial_signals,
    )


def _subscribe(bus: EventBus, effects: Effects, outcomes: CheckoutOutcomes, notifications: NotificationService) -> None:
    """Who hears of what, all inside the transaction that records it."""
    bus.subscribe(PaymentRecorded, effects.on_payment_recorded)
    bus.subscribe(PaymentRecorded, outcomes.on_payment_recorded)
    bus.subscribe(PaymentRecorded, notifications.on_payment_recorded)
    bus.subscribe(SubscriptionChanged, effects.on_subscription_changed)
    bus.subscribe(SubscriptionChanged, outcomes.on_subscription_changed)
    bus.subscribe(SubscriptionChanged, notifications.on_subscription_changed)


def _subscribe_trials(
    bus: EventBus, trials: TrialService, signals: TrialSignals, notifications: NotificationService
) -> None:
    bus.subscribe(SubscriptionChanged, trials.on_subscription_changed)
    bus.subscribe(SubscriptionChanged, signals.on_subscription_changed)
    bus.subscribe(PaymentRecorded, trials.on_payment_recorded)
    bus.subscribe(TrialEndAnnounced, trials.on_end_announced)
    bus.subscribe(TrialEnding, notifications.on_trial_ending)


def _subscribe_dunning(bus: EventBus, dunning: Dunning, notifications: NotificationService) -> None:
    dunning.listen(bus)
    bus.subscribe(GraceEnding, notifications.on_grace_ending)
    bus.subscribe(AccessPaused, notifications.on_access_paused)


def _subscribe_pauses(bus: EventBus, pauses: PauseWatch, notifications: NotificationService) -> None:
    bus.subscribe(SubscriptionChanged, pauses.on_subscription_changed)
    bus.subscribe(PaymentRecorded, pauses.on_payment_recorded)
    bus.subscribe(PauseBegan, notifications.on_pause_began)
    bus.subscribe(PauseMoved, notifications.on_pause_moved)
    bus.subscribe(PauseEnding, notifications.on_pause_ending)
    bus.subscribe(PauseEnded, notifications.on_pause_ended)


def _subscribe_cancellations(bus: EventBus, cancellations: Cancellations, notifications: NotificationService) -> None:
    cancellations.listen(bus)
    bus.subscribe(CancellationScheduled, notifications.on_cancellation_scheduled)
    bus.subscribe(CancellationUndone, notifications.on_cancellation_undone)
    bus.subscribe(WithdrawalReceived, notifications.on_withdrawal_received)


def _subscribe_plan_changes(bus: EventBus, plan_changes: PlanChanges, notifications: NotificationService) -> None:
    plan_changes.listen(bus)
    bus.subscribe(PlanChangeNews, notifications.on_plan_change_news)


def _subscribe_plan_migrations(
    bus: EventBus, plan_migrations: PlanMigrationService, notifications: NotificationService
) -> None:
    bus.subscribe(PlanChangeNews, plan_migrations.on_plan_change_news)
    bus.subscribe(NewTermsAnnounced, notifications.on_new_terms_announced)
    bus.subscribe(NewTermsWithdrawn, notifications.on_new_terms_withdrawn)


def _subscribe_invoices(bus: EventBus, billing: Invoices, effects: Effects, notifications: NotificationService) -> None:
    # Last: from the first number given until the commit, whoever else has an invoice to number waits.
    bus.subscribe(PaymentRecorded, billing.service.on_payments_recorded)
    bus.subscribe(PaymentRecorded, effects.on_unpaid)
    billing.listen(bus)
    bus.subscribe(InvoicePaid, notifications.on_invoice_paid)
    bus.subscribe(CreditNoteIssued, notifications.on_credit_note_issued)


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
