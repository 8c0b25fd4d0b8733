"""Queues the mails that facts cause, in the transaction of the facts; sending is a job of its own."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text

from quntedge.invoices.events import InvoicePaid
from quntedge.kit.ids import new_id
from quntedge.notifications import causes
from quntedge.notifications.causes import Cause
from quntedge.payments.events import PaymentRecorded
from quntedge.storage.jobs import JobQueue
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged

SEND_DUE = "notifications.send_due"
"""Name of the job that sends the mails that are due."""

_INSERT = text(
    """
    INSERT INTO notification (id, cause_key, user_id, kind, params, state, attempts, due_at, created_at)
    SELECT id, cause_key, user_id, kind, params, 'queued', 0, :now, :now
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
        await self.queue(unit, map(causes.of_subscription_change, facts))

    async def on_invoice_paid(self, unit: UnitOfWork, facts: Sequence[InvoicePaid]) -> None:
        """Queues renewal mails."""
        await self.queue(unit, map(causes.of_invoice_paid, facts))

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Queues mails about failed payments."""
        await self.queue(unit, map(causes.of_payment, facts))

    async def queue(self, unit: UnitOfWork, owed: Iterable[Cause | None]) -> int:
        """Queues the mails whose cause is new and returns how many; one job for all of them wakes the sender.

        Nothing is sent, and no job exists, unless the unit commits.
        """
        # Always in the same order, so that two transactions with the same causes wait for each other, not in a circle.
        new = sorted((cause for cause in owed if cause is not None), key=lambda cause: cause.key)
        if not new:
            return 0
        now = unit.clock.now()
        connection = await unit.connection()
        inserted = await connection.execute(
            _INSERT,
            {
                "now": now,
                "ids": Texts(new_id("ntf", now) for _ in new),
                "keys": Texts(cause.key for cause in new),
                "users": Texts(cause.user_id for cause in new),
                "kinds": Texts(cause.kind.value for cause in new),
                "params": Texts(json.dumps(cause.params) for cause in new),
            },
        )
        count = len(inserted.all())
        if count:
            await self._jobs.defer(unit, SEND_DUE)
        return count
