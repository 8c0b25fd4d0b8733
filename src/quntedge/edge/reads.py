"""What customers read about themselves, shared by API and pages. Every query is bound to one user."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.kit.errors import NotFound
from quntedge.kit.ids import is_id
from quntedge.kit.paging import Page, decode_cursor
from quntedge.payments import queries as payments
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.queries import TransactionFilter
from quntedge.refunds.models import Refund
from quntedge.refunds.rules import SENT
from quntedge.subscriptions.models import LIVE, Subscription, SubscriptionEvent

Row = TypeVar("Row")


class RecordNotFound(NotFound):
    """No such record, or one of somebody else: the answer is the same."""

    code = "record_not_found"
    title = "There is no such record"


async def current_subscription(
    session: AsyncSession, user_id: str, now: datetime
) -> tuple[Subscription, PlanView] | None:
    """The subscription that speaks for a user, chosen as for access: the live one, else one whose time still runs,
    else the newest. None for somebody who never had one."""
    subscription = await session.scalar(
        select(Subscription)
        .where(Subscription.user_id == user_id)
        .order_by(
            Subscription.status.in_(LIVE).desc(),
            (Subscription.ended_at > now).desc().nulls_last(),
            Subscription.created_at.desc(),
            Subscription.id.desc(),
        )
        .limit(1)
    )
    if subscription is None:
        return None
    plans = await catalog.plans_by_id(session, [subscription.plan_id])
    return subscription, plans[subscription.plan_id]


async def transactions(session: AsyncSession, user_id: str, cursor: str | None, limit: int) -> Page[PaymentTransaction]:
    """Payments, newest first. Raises `InvalidCursor`."""
    return await payments.find(session, TransactionFilter(user_id=user_id), cursor, limit)


async def transaction(session: AsyncSession, user_id: str, transaction_id: str) -> PaymentTransaction:
    """One payment. Raises `RecordNotFound`."""
    mine = PaymentTransaction.user_id == user_id
    query = select(PaymentTransaction).where(mine, PaymentTransaction.id == transaction_id)
    return await _own(session, query, transaction_id, "txn")


async def invoices(session: AsyncSession, user_id: str, cursor: str | None, limit: int) -> Page[Invoice]:
    """Invoices, newest first. Raises `InvalidCursor`."""
    query = select(Invoice).where(Invoice.user_id == user_id)
    rows = await _newest_first(session, query, Invoice.issued_at, Invoice.id, cursor, limit, "inv")
    return Page.cut(rows, limit, lambda row: (row.issued_at, row.id))


async def invoice(session: AsyncSession, user_id: str, invoice_id: str) -> Invoice:
    """One invoice. Raises `RecordNotFound`."""
    query = select(Invoice).where(Invoice.user_id == user_id, Invoice.id == invoice_id)
    return await _own(session, query, invoice_id, "inv")


async def credit_notes(session: AsyncSession, user_id: str, cursor: str | None, limit: int) -> Page[CreditNote]:
    """Credit notes, newest first. Raises `InvalidCursor`."""
    query = select(CreditNote).where(CreditNote.user_id == user_id)
    rows = await _newest_first(session, query, CreditNote.issued_at, CreditNote.id, cursor, limit, "crn")
    return Page.cut(rows, limit, lambda row: (row.issued_at, row.id))


async def credit_notes_of(session: AsyncSession, invoice_id: str) -> Sequence[CreditNote]:
    """What has corrected an invoice, in the order of time."""
    query = select(CreditNote).where(CreditNote.invoice_id == invoice_id)
    return (await session.scalars(query.order_by(CreditNote.issued_at, CreditNote.id))).all()


async def refunds(session: AsyncSession, user_id: str, cursor: str | None, limit: int) -> Page[Refund]:
    """Refunds, newest first, those left out that are (still) our own affair. Raises `InvalidCursor`."""
    theirs = Refund.whop_refund_id.is_not(None) | Refund.status.in_(SENT) | Refund.refund_request_id.is_not(None)
    query = select(Refund).where(Refund.user_id == user_id, theirs)
    rows = await _newest_first(session, query, Refund.occurred_at, Refund.id, cursor, limit, "ref")
    return Page.cut(rows, limit, lambda row: (row.occurred_at, row.id))


async def subscription_events(
    session: AsyncSession, user_id: str, cursor: str | None, limit: int
) -> Page[SubscriptionEvent]:
    """The history of all subscriptions of a user, newest first. Raises `InvalidCursor`."""
    own = select(Subscription.id).where(Subscription.user_id == user_id)
    query = select(SubscriptionEvent).where(SubscriptionEvent.subscription_id.in_(own))
    rows = await _newest_first(session, query, SubscriptionEvent.at, SubscriptionEvent.id, cursor, limit, "sev")
    return Page.cut(rows, limit, lambda row: (row.at, row.id))


async def _newest_first(
    session: AsyncSession,
    query: Select[Row],
    at: InstrumentedAttribute[datetime],
    id_: InstrumentedAttribute[str],
    cursor: str | None,
    limit: int,
    prefix: str,
) -> Sequence[Row]:
    """The rows after the cursor, one more than the limit, so that it shows whether there is another page.

    `prefix` is that of their ids.
    """
    if cursor is not None:
        query = query.where(tuple_(at, id_) < tuple_(*decode_cursor(cursor, prefix)))
    return (await session.scalars(query.order_by(at.desc(), id_.desc()).limit(limit + 1))).all()


async def _own(session: AsyncSession, query: Select[Row], id_: str, prefix: str) -> Row:
    row = await session.scalar(query) if is_id(id_, prefix) else None
    if row is None:
        raise RecordNotFound("There is no record with this id among yours.")
    return row
