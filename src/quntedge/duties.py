"""What a worker does: deliveries, jobs, and everything that falls due by itself."""

from datetime import datetime, timedelta

from quntedge.checkout.idempotency import IdempotencyService
from quntedge.jobs import sweeps
from quntedge.jobs.ticker import NEVER, Awaited, Sweep
from quntedge.jobs.worker import Worker, WorkerServices
from quntedge.kit.following_clock import FollowingClock
from quntedge.notifications.enclosures import Enclosures
from quntedge.notifications.sender import MailSender
from quntedge.notifications.smtp import MailServer
from quntedge.notifications.staff import StaffMails
from quntedge.storage.notify import Listener
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.webhooks.inbox import CHANNEL
from quntedge.webhooks.worker import InboxWorker
from quntedge.wiring import Runtime


def build_worker(runtime: Runtime) -> tuple[Worker, Listener]:
    """A worker on a runtime of its own, and the listener that wakes it (to be started and stopped around it)."""
    settings = runtime.settings
    inbox = InboxWorker(runtime.webhooks)
    if isinstance(runtime.clock, FollowingClock):
        runtime.clock.subscribe(inbox.wake)
    listener = Listener(runtime.database_url)
    listener.subscribe(CHANNEL, inbox.wake)
    server = MailServer.parse(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
    services = WorkerServices(
        clock=runtime.clock,
        units=runtime.units,
        jobs=runtime.jobs,
        mail=MailSender(
            runtime.units,
            runtime.vault,
            runtime.services.mails.renderer,
            server,
            Enclosures(runtime.services.invoices.documents),
            StaffMails(runtime.jobs, runtime.vault, settings.staff_emails, settings.staff_locale),
        ),
        retire_checkout=runtime.gateway.retire_checkout,
        inspect_buyer=runtime.trial_signals.inspect,
        wake_plan_change=runtime.services.plan_changes.wake,
        sync_methods=runtime.services.methods.sync.sync,
        processes=runtime.processes,
        inbox=inbox,
        sweeps=_sweeps(runtime),
    )
    return Worker(services), listener


def _sweeps(runtime: Runtime) -> list[Sweep]:
    async def purge_sessions(unit: UnitOfWork, _now: datetime) -> int:
        return await runtime.services.accounts.purge_sessions(unit)

    async def index_mailboxes(unit: UnitOfWork, _now: datetime) -> int:
        return await runtime.services.accounts.index_mailboxes(unit)

    async def reconcile_recent() -> int:
        return await runtime.reconciler.recent(runtime.clock.now())

    async def reconcile_full() -> int:
        now = runtime.clock.now()
        return await runtime.reconciler.full(now) + await runtime.disputes.discover(now)

    return [
        *sweeps.housekeeping(
            runtime.units,
            expire_checkouts=runtime.outcomes.expire,
            purge_idempotency=IdempotencyService().purge,
            maintain_inbox=runtime.bodies.maintain,
        ),
        sweeps.tidying(
            "plan_changes.purge_quotes", timedelta(hours=6), runtime.units, runtime.services.plan_changes.purge
        ),
        sweeps.tidying("jobs.purge", timedelta(hours=1), runtime.units, runtime.jobs.purge),
        sweeps.tidying("sessions.purge", timedelta(hours=6), runtime.units, purge_sessions),
        sweeps.tidying(
            "invoices.complete", timedelta(minutes=1), runtime.units, runtime.services.invoices.complete_older
        ),
        sweeps.tidying("accounts.mailboxes", timedelta(minutes=1), runtime.units, index_mailboxes),
        sweeps.reminding("trials.remind", runtime.units, runtime.trials.remind, Awaited.TRIALS),
        sweeps.reminding("pauses.remind", runtime.units, runtime.pauses.remind, Awaited.PAUSE_REMINDERS),
        sweeps.checking("pauses.check", runtime.pauses.check_due, Awaited.PAUSE_CHECKS),
        sweeps.checking("dunning.due", runtime.services.dunning.service.work_due, Awaited.DUNNING),
        sweeps.checking("plan_migrations.due", runtime.services.plan_migrations.work_due, Awaited.PLAN_MIGRATIONS),
        sweeps.reminding(
            "methods.warn", runtime.units, runtime.services.methods.service.warn, Awaited.EXPIRING_METHODS
        ),
        sweeps.tidying(
            "methods.end_setups", timedelta(hours=1), runtime.units, runtime.services.methods.service.end_setups
        ),
        sweeps.looking_up("methods.sync", timedelta(minutes=1), runtime.services.methods.sync.sync_due),
        sweeps.reminding("disputes.remind", runtime.units, runtime.services.disputes.service.remind, Awaited.DEADLINES),
        sweeps.checking("disputes.check", runtime.disputes.check, Awaited.DISPUTES),
        sweeps.checking("renewals.check", runtime.renewals.check, Awaited.RENEWALS),
        sweeps.reconciling("money.reconcile", runtime.services.reconciliation.service.work_due),
        sweeps.adding_up("audit.seal", timedelta(seconds=10), runtime.services.audit.keep),
        sweeps.adding_up("ledger.roll_up", timedelta(minutes=1), runtime.bookkeeping.roll_up),
        sweeps.looking_up("ledger.fees", timedelta(seconds=30), runtime.awaited_fees.post_due),
        sweeps.adding_up("ledger.backfill", timedelta(minutes=1), runtime.bookkeeping.backfill.run),
        sweeps.comparing("gateway.reconcile_recent", timedelta(minutes=15), reconcile_recent),
        sweeps.comparing("gateway.reconcile_full", timedelta(hours=24), reconcile_full),
        Sweep("gateway.account", timedelta(hours=1), runtime.unpaid.check, in_leaps=sweeps.TIDYING_IN_LEAPS),
        Sweep("gateway.endpoint", timedelta(minutes=15), runtime.endpoint.check, in_leaps=NEVER),
    ]
