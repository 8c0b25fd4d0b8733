"""Reading disputes, alerts, complaints and alarms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.disputes.models import Dispute, DisputeAlarm, DisputeAlert, DisputeDocument, DisputeResponse
from quntedge.disputes.rules import OPEN, REMIND_BEFORE, TO_ANSWER
from quntedge.kit.ids import is_id
from quntedge.kit.metrics import DISPUTE_ALARMS_OPEN, DISPUTES_DUE_SOON, DISPUTES_OPEN
from quntedge.kit.paging import Page, decode_cursor
from quntedge.storage.unit_of_work import UnitOfWorkFactory

PREFIX = "dsp"


@dataclass(frozen=True, slots=True)
class DisputeFilter:
    """Which disputes are wanted. `waiting`: only those to which no evidence was sent yet, by their deadline."""

    status: str | None = None
    user_id: str | None = None
    transaction_id: str | None = None
    waiting: bool = False


async def dispute(session: AsyncSession, dispute_id: str) -> Dispute | None:
    """The dispute with this id of ours or of Whop's; None when there is none."""
    if is_id(dispute_id, PREFIX):
        return await session.get(Dispute, dispute_id)
    found: Dispute | None = await session.scalar(select(Dispute).where(Dispute.whop_dispute_id == dispute_id))
    return found


async def disputes(session: AsyncSession, wanted: DisputeFilter, limit: int, cursor: str | None) -> Page[Dispute]:
    """Disputes, the newest first; those that wait for evidence by their deadline. Raises `InvalidCursor`."""
    query: Select[Any] = select(Dispute)
    if wanted.status is not None:
        query = query.where(Dispute.status == wanted.status)
    if wanted.user_id is not None:
        query = query.where(Dispute.user_id == wanted.user_id)
    if wanted.transaction_id is not None:
        query = query.where(Dispute.transaction_id == wanted.transaction_id)
    if wanted.waiting:
        return await _waiting(session, query, limit, cursor)
    return await _newest(session, query, Dispute.opened_at, Dispute.id, limit, cursor, PREFIX)


async def _waiting(session: AsyncSession, query: Select[Any], limit: int, cursor: str | None) -> Page[Dispute]:
    # Written out: the index holds these statuses only, which no plan for unknown ones could use.
    statuses: BindParameter[Any] = bindparam("to_answer", sorted(TO_ANSWER), expanding=True, literal_execute=True)
    query = query.where(Dispute.status.in_(statuses), Dispute.evidence_due_at.is_not(None))
    if cursor is not None:
        query = query.where(tuple_(Dispute.evidence_due_at, Dispute.id) > decode_cursor(cursor, PREFIX))
    found = await session.scalars(query.order_by(Dispute.evidence_due_at, Dispute.id).limit(limit + 1))
    rows: Sequence[Dispute] = found.all()
    return Page.cut(rows, limit, lambda row: (row.evidence_due_at or row.opened_at, row.id))


async def alerts(session: AsyncSession, limit: int, cursor: str | None) -> Page[DisputeAlert]:
    """Alerts, the newest first. Raises `InvalidCursor`."""
    return await _newest(session, select(DisputeAlert), DisputeAlert.occurred_at, DisputeAlert.id, limit, cursor, "dpa")


async def alarms(session: AsyncSession, *, resolved: bool, limit: int, cursor: str | None) -> Page[DisputeAlarm]:
    """Alarms, the newest first; without `resolved` only those that somebody has to look at. Raises `InvalidCursor`."""
    query = select(DisputeAlarm)
    if not resolved:
        query = query.where(DisputeAlarm.resolved_at.is_(None))
    return await _newest(session, query, DisputeAlarm.raised_at, DisputeAlarm.id, limit, cursor, "dal")


async def responses(session: AsyncSession, dispute_id: str) -> Sequence[DisputeResponse]:
    """What was answered to a dispute, oldest first."""
    found = await session.scalars(
        select(DisputeResponse).where(DisputeResponse.dispute_id == dispute_id).order_by(DisputeResponse.requested_at)
    )
    return found.all()


async def documents(session: AsyncSession, dispute_id: str) -> Sequence[DisputeDocument]:
    """The files that went with answers to a dispute, in the order in which they were sent. Without their content."""
    found = await session.scalars(
        select(DisputeDocument)
        .join(DisputeResponse, DisputeResponse.id == DisputeDocument.response_id)
        .where(DisputeDocument.dispute_id == dispute_id)
        .order_by(DisputeResponse.requested_at, DisputeResponse.id, DisputeDocument.position)
    )
    return found.all()


async def alarms_about(session: AsyncSession, row: Dispute) -> Sequence[DisputeAlarm]:
    """Alarms about a dispute or its payment, oldest first."""
    found = await session.scalars(
        select(DisputeAlarm)
        .where(DisputeAlarm.subject_id.in_((row.id, row.transaction_id)))
        .order_by(DisputeAlarm.raised_at, DisputeAlarm.id)
    )
    return found.all()


async def _newest(
    session: AsyncSession, query: Select[Any], at: Any, row_id: Any, limit: int, cursor: str | None, prefix: str
) -> Page[Any]:
    if cursor is not None:
        query = query.where(tuple_(at, row_id) < decode_cursor(cursor, prefix))
    rows = (await session.scalars(query.order_by(at.desc(), row_id.desc()).limit(limit + 1))).all()
    return Page.cut(rows, limit, lambda row: (getattr(row, at.key), row.id))


async def update_gauges(units: UnitOfWorkFactory) -> None:
    """Counts what is open now, for the metrics."""
    async with units() as unit:
        soon: datetime = unit.clock.now() + REMIND_BEFORE
        found = await unit.session.execute(
            select(
                select(func.count()).where(Dispute.closed_at.is_(None), Dispute.status.in_(OPEN)).scalar_subquery(),
                select(func.count())
                .where(Dispute.status.in_(TO_ANSWER), Dispute.evidence_due_at <= soon)
                .scalar_subquery(),
                select(func.count()).where(DisputeAlarm.resolved_at.is_(None)).scalar_subquery(),
            )
        )
        is_open, due_soon, unresolved = found.one()
    DISPUTES_OPEN.set(is_open)
    DISPUTES_DUE_SOON.set(due_soon)
    DISPUTE_ALARMS_OPEN.set(unresolved)
