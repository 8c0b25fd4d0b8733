"""Queues the mails that facts cause, in the transaction of the facts; sending is a job of its own."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import text

from quntedge.cancellations.events import CancellationScheduled, CancellationUndone, WithdrawalReceived
from quntedge.dunning.events import AccessPaused, GraceEnding
from quntedge.dunning.queries import recovered, unpaid_ends
from quntedge.invoices.events import CreditNoteIssued, InvoicePaid
from quntedge.kit.ids import new_id
from quntedge.methods.events import MethodExpiring
from quntedge.notifications import causes
from quntedge.notifications.causes import Cause
from quntedge.notifications.methods import of_method_expiring
from quntedge.notifications.plan_changes import of_new_terms, of_new_terms_withdrawn, of_plan_change
from quntedge.notifications.refunds import of_refund_failed
from quntedge.notifications.rules import INVOICE_WAITS
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding, PauseMoved
from quntedge.payments.events import PaymentRecorded
from quntedge.plan_changes.events import PlanChangeNews
from quntedge.plan_migrations.events import NewTermsAnnounced, NewTermsWithdrawn
from quntedge.refunds.events import RefundMoved
from quntedge.storage.jobs import JobQueue
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.trials.events import TrialEnding
from quntedge.trials.queries import converted_by

SEND_DUE = "notifications.send_due"
"""Name of the job that sends the mails that are due."""

_AT_ONCE = timedelta(0)

_INSERT = text(
    """
    INSERT INTO notification (id, cause_key, user_id, kind, params, state, attempts, due_at, created_at)
    SELECT id, cause_key, user_id, kind, params, 'queued', 0, :due, :now
      FROM unnest(CAST(:ids AS text[]), CAST(:keys AS text[]), CAST(:users AS text[]), CAST(:kinds AS text[]),
                  CAST(:params AS jsonb[])) AS due (id, cause_key, user_id, kind, params)
    ON CONFLICT (cause_key) DO NOTHING
    RETURNING id
    """
)


class NotificationService:
    """The subscribers by which mails come about."""

    def __init__(self, jobs: JobQueue) -> None:
        self._jobs = jobs

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Queues confirmations, trial starts and ends."""
        unpaid = await unpaid_ends(unit.session, {fact.membership_id for fact in facts if fact.ended})
        await self.queue(
            unit, (causes.of_subscription_change(fact, unpaid=fact.membership_id in unpaid) for fact in facts)
        )

    async def on_invoice_paid(self, unit: UnitOfWork, facts: Sequence[InvoicePaid]) -> None:
        """Queues mails about renewals and about trials that became subscriptions, and the invoices of purchases."""
        renewals = [fact.transaction_id for fact in facts if fact.billing_reason in causes.RENEWALS]
        converting = await converted_by(unit, [transaction_id for transaction_id in renewals if transaction_id])
        back = await recovered(unit, [transaction_id for transaction_id in renewals if transaction_id])
        await self.queue(
            unit,
            (
                causes.of_invoice_paid(
                    fact, converts_trial=fact.transaction_id in converting, recovered=fact.transaction_id in back
                )
                for fact in facts
            ),
        )
        await self.queue(unit, map(causes.of_purchase_invoice, facts), after=INVOICE_WAITS)

    async def on_credit_note_issued(self, unit: UnitOfWork, facts: Sequence[CreditNoteIssued]) -> None:
        """Queues the mails that credit notes go out with."""
        await self.queue(unit, map(causes.of_credit_note, facts))

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Queues mails about failed payments."""
        await self.queue(unit, map(causes.of_payment, facts))

    async def on_grace_ending(self, unit: UnitOfWork, facts: Sequence[GraceEnding]) -> None:
        """Queues reminders that access is about to be paused."""
        await self.queue(unit, map(causes.of_grace_ending, facts))

    async def on_refund_moved(self, unit: UnitOfWork, facts: Sequence[RefundMoved]) -> None:
        """Queues mails about refunds that did not arrive."""
        await self.queue(unit, map(of_refund_failed, facts))

    async def on_method_expiring(self, unit: UnitOfWork, facts: Sequence[MethodExpiring]) -> None:
        """Queues warnings of cards that expire."""
        await self.queue(unit, map(of_method_expiring, facts))

    async def on_access_paused(self, unit: UnitOfWork, facts: Sequence[AccessPaused]) -> None:
        """Queues mails that say that access is paused until the renewal is paid."""
        await self.queue(unit, map(causes.of_access_paused, facts))

    async def on_cancellation_scheduled(self, unit: UnitOfWork, facts: Sequence[CancellationScheduled]) -> None:
        """Queues confirmations of cancellations."""
        await self.queue(unit, map(causes.of_cancellation_scheduled, facts))

    async def on_cancellation_undone(self, unit: UnitOfWork, facts: Sequence[CancellationUndone]) -> None:
        """Queues confirmations that subscriptions go on."""
        await self.queue(unit, map(causes.of_cancellation_undone, facts))

    async def on_withdrawal_received(self, unit: UnitOfWork, facts: Sequence[WithdrawalReceived]) -> None:
        """Queues the confirmations of receipt."""
        await self.queue(unit, map(causes.of_withdrawal, facts))

    async def on_trial_ending(self, unit: UnitOfWork, facts: Sequence[TrialEnding]) -> None:
        """Queues reminders of the ends of trials."""
        await self.queue(unit, map(causes.of_trial_ending, facts))

    async def on_pause_began(self, unit: UnitOfWork, facts: Sequence[PauseBegan]) -> None:
        """Queues mails that say what a pause means."""
        await self.queue(unit, map(causes.of_pause_began, facts))

    async def on_pause_moved(self, unit: UnitOfWork, facts: Sequence[PauseMoved]) -> None:
        """Queues mails that say when a pause ends now."""
        await self.queue(unit, map(causes.of_pause_moved, facts))

    async def on_pause_ending(self, unit: UnitOfWork, facts: Sequence[PauseEnding]) -> None:
        """Queues reminders of the ends of pauses."""
        await self.queue(unit, map(causes.of_pause_ending, facts))

    async def on_pause_ended(self, unit: UnitOfWork, facts: Sequence[PauseEnded]) -> None:
        """Queues mails about subscriptions that go on after a pause."""
        await self.queue(unit, map(causes.of_pause_ended, facts))

    async def on_plan_change_news(self, unit: UnitOfWork, facts: Sequence[PlanChangeNews]) -> None:
        """Queues mails about changes of plan."""
        await self.queue(unit, map(of_plan_change, facts))

    async def on_new_terms_announced(self, unit: UnitOfWork, facts: Sequence[NewTermsAnnounced]) -> None:
        """Queues notices of new prices."""
        await self.queue(unit, map(of_new_terms, facts))

    async def on_new_terms_withdrawn(self, unit: UnitOfWork, facts: Sequence[NewTermsWithdrawn]) -> None:
        """Queues mails that say that the price stays as it is."""
        await self.queue(unit, map(of_new_terms_withdrawn, facts))

    async def queue(self, unit: UnitOfWork, owed: Iterable[Cause | None], *, after: timedelta = _AT_ONCE) -> int:
        """Queues the mails whose cause is new and returns how many; one job for all of them wakes the sender, unless
        they are to go out later.

        Nothing is sent, and no job exists, unless the unit commits.
        """
        # Always in the same order, so that two transactions with the same causes wait for each other, not in a circle.
        new = sorted((cause for cause in owed if cause is not None), key=lambda cause: cause.key)
        if not new:
            return 0
        now = unit.clock.now()
        inserted = await unit.fetch(
            _INSERT,
            {
                "now": now,
                "due": now + after,
                "ids": Texts(new_id("ntf", now) for _ in new),
                "keys": Texts(cause.key for cause in new),
                "users": Texts(cause.user_id for cause in new),
                "kinds": Texts(cause.kind.value for cause in new),
                "params": Texts(json.dumps(cause.params) for cause in new),
            },
        )
        if inserted and not after:
            await self._jobs.defer(unit, SEND_DUE)
        return len(inserted)
