"""Reading the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.audit.models import AuditEvent, AuditUnsealed
from quntedge.kit.metrics import AUDIT_UNSEALED_OLDEST
from quntedge.kit.paging import Page, decode_cursor
from quntedge.storage.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What is looked for; None leaves nothing out. `since` is included, `until` is not."""

    actor: str | None = None
    holder: str | None = None
    act: str | None = None
    subject: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def find(session: AsyncSession, which: AuditFilter, cursor: str | None, limit: int) -> Page[AuditEvent]:
    """Rows, the latest first. Raises `InvalidCursor`."""
    wanted = select(AuditEvent).where(*_conditions(which))
    if cursor is not None:
        wanted = wanted.where(tuple_(AuditEvent.at, AuditEvent.id) < decode_cursor(cursor))
    rows = await session.scalars(wanted.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit + 1))
    return Page.cut(rows.all(), limit, lambda row: (row.at, row.id))


def _conditions(which: AuditFilter) -> Sequence[ColumnElement[bool]]:
    equal = (
        (AuditEvent.actor_id, which.actor),
        (AuditEvent.holder, which.holder),
        (AuditEvent.act, which.act),
        (AuditEvent.subject_id, which.subject),
        (AuditEvent.outcome, which.outcome),
    )
    conditions = [column == value for column, value in equal if value is not None]
    if which.since is not None:
        conditions.append(AuditEvent.at >= which.since)
    if which.until is not None:
        conditions.append(AuditEvent.at < which.until)
    return conditions


async def update_gauges(units: UnitOfWorkFactory) -> None:
    """Measures how long the oldest event has been waiting for its seal."""
    async with units() as unit:
        oldest = await unit.session.scalar(
            select(func.min(AuditEvent.at)).join(AuditUnsealed, AuditUnsealed.event_id == AuditEvent.id)
        )
        now = unit.clock.now()
    AUDIT_UNSEALED_OLDEST.set(0 if oldest is None else max(0.0, (now - oldest).total_seconds()))
