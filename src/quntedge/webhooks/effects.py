"""What facts of one feature mean for the tables of another: subscribers that need to know both."""

from collections.abc import Sequence

from sqlalchemy import select, text

from quntedge.invoices.service import InvoiceService
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.rules import is_paid
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import Subscription

# Sorted, as everybody locks subscriptions, so that two batches cannot wait for each other.
_LAST_PAYMENT = text(
    """
    UPDATE subscription AS s SET last_payment_at = greatest(s.last_payment_at, p.paid_at)
    FROM (SELECT id, max(paid_at) AS paid_at
          FROM unnest(CAST(:ids AS text[]), CAST(:paid_at AS timestamptz[])) AS t (id, paid_at)
          GROUP BY id ORDER BY id) AS p
    WHERE s.id = p.id
    """
)
_ENDED = select(Subscription.id).where(among(Subscription.id), Subscription.status.in_(("canceled", "expired")))


class Effects:
    """Subscribed in `wiring`, inside the transaction of the facts."""

    def __init__(self, invoices: InvoiceService) -> None:
        self._invoices = invoices

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """A subscription remembers when it was last paid for."""
        paid = [(f.subscription_id, f.paid_at) for f in facts if f.subscription_id and f.paid_at and f.total_minor]
        if paid:
            connection = await unit.connection()
            await connection.execute(
                _LAST_PAYMENT, {"ids": Texts(i for i, _ in paid), "paid_at": [at for _, at in paid]}
            )
        unpaid = {f.subscription_id for f in facts if f.subscription_id and not is_paid(f.status)}
        if unpaid:
            # The end may have been told before the failure that led to it.
            connection = await unit.connection()
            ended = await connection.scalars(_ENDED, {"values": sorted(unpaid)})
            await self._void(unit, ended.all())

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """What is unpaid when a subscription ends stays unpaid."""
        await self._void(unit, sorted({fact.subscription_id for fact in facts if fact.ended}))

    async def _void(self, unit: UnitOfWork, ended: Sequence[str]) -> None:
        if ended:
            await self._invoices.void_unpaid(unit, ended)
