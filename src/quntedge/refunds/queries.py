"""What is read of refunds: lists for staff, one with its history, and what is left of a payment."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.kit.ids import is_id
from quntedge.kit.money import Money
from quntedge.kit.paging import Page, decode_cursor
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import is_paid
from quntedge.refunds.errors import PaymentNotFound, RefundNotFound
from quntedge.refunds.models import Refund, RefundEvent, RefundTally
from quntedge.refunds.rules import ENDED_WITHOUT, Standing, is_disputed

STATUSES = (
    "requested",
    "approved",
    "sending",
    "unknown",
    "pending",
    "requires_action",
    "succeeded",
    "failed",
    "canceled",
    "rejected",
)
"""All statuses of a refund, roughly in the order of its life."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which refunds are meant; None means any."""

    statuses: Sequence[str] | None = None
    user_id: str | None = None
    transaction_id: str | None = None
    requested_by: str | None = None


async def find(session: AsyncSession, which: Filter, cursor: str | None, limit: int) -> Page[Refund]:
    """Refunds, newest first. Raises `InvalidCursor`."""
    query = select(Refund)
    if which.statuses is not None:
        query = query.where(Refund.status.in_(sorted(set(which.statuses))))
    if which.user_id is not None:
        query = query.where(Refund.user_id == which.user_id)
    if which.transaction_id is not None:
        query = query.where(Refund.transaction_id == which.transaction_id)
    if which.requested_by is not None:
        query = query.where(Refund.requested_by == which.requested_by)
    if cursor is not None:
        query = query.where(tuple_(Refund.occurred_at, Refund.id) < tuple_(*decode_cursor(cursor, "ref")))
    rows = await session.scalars(query.order_by(Refund.occurred_at.desc(), Refund.id.desc()).limit(limit + 1))
    return Page.cut(rows.all(), limit, lambda row: (row.occurred_at, row.id))


async def one(session: AsyncSession, refund_id: str, *, lock: bool = False) -> Refund:
    """One refund, as it is now. Raises `RefundNotFound`."""
    row = None
    if is_id(refund_id, "ref"):
        row = await session.get(Refund, refund_id, populate_existing=True, with_for_update=lock or None)
    if row is None:
        raise RefundNotFound("There is no refund with this id. The list of refunds shows their ids, ref_…")
    return row


async def events(session: AsyncSession, refund_id: str) -> Sequence[RefundEvent]:
    """What happened to a refund, oldest first."""
    found = await session.scalars(
        select(RefundEvent).where(RefundEvent.refund_id == refund_id).order_by(RefundEvent.id)
    )
    return found.all()


async def payment(session: AsyncSession, transaction_id: str) -> PaymentTransaction:
    """The payment with this id, as it is now. Raises `PaymentNotFound`."""
    row = None
    if is_id(transaction_id, "txn"):
        row = await session.get(PaymentTransaction, transaction_id, populate_existing=True)
    if row is None:
        raise PaymentNotFound("There is no payment with this id. The list of payments shows their ids, txn_…")
    return row


async def held_of(session: AsyncSession, transaction_id: str) -> int:
    """How many minor units of a payment have gone back, are on their way or are promised."""
    held = await session.scalar(
        select(RefundTally.held_minor)
        .where(RefundTally.transaction_id == transaction_id)
        .execution_options(populate_existing=True)
    )
    return held or 0


async def standing(session: AsyncSession, row: PaymentTransaction) -> Standing:
    """What of a payment decides about refunds. Lock the payment first where something follows from it."""
    return Standing(
        paid=is_paid(row.status) and row.paid_at is not None,
        total=None if row.total_minor is None else Money(row.total_minor, row.currency),
        held=Money(await held_of(session, row.id), row.currency),
        disputed=is_disputed(row.disputed_minor, row.dispute_status),
    )


async def unapproved(session: AsyncSession, row: PaymentTransaction) -> Money:
    """What of a payment goes back, or has gone, without a second person having agreed."""
    total = await session.scalar(
        select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(
            Refund.transaction_id == row.id,
            Refund.requested_by.is_not(None),
            Refund.approval_required.is_(False),
            Refund.status.not_in(sorted(ENDED_WITHOUT)),
            Refund.currency == row.currency,
        )
    )
    return Money(int(total or 0), row.currency)
