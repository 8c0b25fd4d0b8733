"""What facts of one feature mean for the tables of another: subscribers that need to know both."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from quntedge.invoices.service import InvoiceService
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.rules import is_paid
from quntedge.payments.service import PaymentLink, PaymentService
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions import receipts
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.machine import ENDED
from quntedge.subscriptions.models import Subscription
from quntedge.subscriptions.receipts import Receipt
from quntedge.subscriptions.rules import RENEWING
from quntedge.webhooks import difference

_ENDED = select(Subscription.id).where(among(Subscription.id), Subscription.status.in_(sorted(ENDED)))


class Effects:
    """Subscribed in `wiring`, inside the transaction of the facts."""

    def __init__(self, invoices: InvoiceService, payments: PaymentService) -> None:
        self._invoices = invoices
        self._payments = payments

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """A subscription remembers when it was last paid for."""
        paid = [
            Receipt(fact.subscription_id, fact.paid_at, fact.cause)
            for fact in facts
            if fact.subscription_id and fact.paid_at and fact.total_minor
        ]
        await receipts.note(unit, paid)

    async def on_unpaid(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """The end may have been told before the failure that led to it. Comes after the invoices of these payments."""
        unpaid = {f.subscription_id for f in facts if f.subscription_id and not is_paid(f.status)}
        if unpaid:
            await self._void(unit, [row.id for row in await unit.fetch(_ENDED, {"values": Texts(unpaid)})])

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """What is unpaid when a subscription ends stays unpaid; a renewal that came is not missed any more; payments
        that were told of before their membership learn what they belong to."""
        joined = {fact.membership_id: fact for fact in facts if fact.touches("membership_id")}
        if joined:
            links = {key: PaymentLink(f.user_id, f.subscription_id, f.plan_id) for key, f in joined.items()}
            await self._payments.complete_links(unit, links, next(iter(joined.values())).cause)
        await self._void(unit, sorted({fact.subscription_id for fact in facts if fact.ended}))
        now = unit.clock.now()
        settled = {fact.membership_id for fact in facts if not _awaits_renewal(fact, now)}
        if settled:
            await difference.close_renewals(await unit.connection(), sorted(settled), now)

    async def _void(self, unit: UnitOfWork, ended: Sequence[str]) -> None:
        if ended:
            await self._invoices.void_unpaid(unit, ended)


def _awaits_renewal(fact: SubscriptionChanged, now: datetime) -> bool:
    return fact.status in RENEWING and fact.period_end is not None and fact.period_end <= now
