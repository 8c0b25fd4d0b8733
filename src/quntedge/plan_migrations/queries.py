"""What is shown of migrations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.models import Plan
from quntedge.kit.money import Money
from quntedge.kit.paging import Page, decode_cursor
from quntedge.plan_migrations.models import PlanMigration, PlanMigrationItem

ITEM_STATES = ("waiting", "moving", "moved", "left", "withdrawn", "skipped")


@dataclass(frozen=True, slots=True)
class MigrationView:
    """A migration as it stands. `counts` has a number for each of `ITEM_STATES`, `reasons` for why some do not move."""

    id: str
    plan_code: str
    to_version: int
    from_version: int | None
    notice_days: int
    state: str
    requested_by: str
    created_at: datetime
    withdrawn_by: str | None
    ended_at: datetime | None
    next_move_at: datetime | None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubscriberView:
    """One subscriber of a migration; prices of one period. `change_id` is the change of plan that moves them."""

    subscription_id: str
    user_id: str
    state: str
    reason: str | None
    from_version: int
    old: Money
    new: Money | None
    noticed_at: datetime | None
    move_at: datetime | None
    change_id: str | None
    settled_at: datetime | None


async def migrations(session: AsyncSession, cursor: str | None, limit: int) -> Page[MigrationView]:
    """All migrations, newest first."""
    query = select(PlanMigration, Plan.code).join(Plan, Plan.id == PlanMigration.plan_id)
    if cursor is not None:
        at, last = decode_cursor(cursor)
        before = (PlanMigration.created_at < at) | ((PlanMigration.created_at == at) & (PlanMigration.id < last))
        query = query.where(before)
    rows = (
        await session.execute(query.order_by(PlanMigration.created_at.desc(), PlanMigration.id.desc()).limit(limit + 1))
    ).all()
    views = await _views(session, [(row.PlanMigration, row.code) for row in rows])
    return Page.cut(views, limit, lambda view: (view.created_at, view.id))


async def migration(session: AsyncSession, migration_id: str) -> MigrationView | None:
    """One migration; None for an unknown id."""
    row = (
        await session.execute(
            select(PlanMigration, Plan.code)
            .join(Plan, Plan.id == PlanMigration.plan_id)
            .where(PlanMigration.id == migration_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    return None if row is None else (await _views(session, [(row.PlanMigration, row.code)]))[0]


async def subscribers(
    session: AsyncSession, migration_id: str, state: str | None, after: str, limit: int
) -> Sequence[SubscriberView]:
    """The subscribers of a migration in the order of their ids, behind this subscription; all, or those in a state."""
    rows = await session.scalars(
        select(PlanMigrationItem)
        .where(
            PlanMigrationItem.migration_id == migration_id,
            PlanMigrationItem.subscription_id > after,
            *([] if state is None else [PlanMigrationItem.state == state]),
        )
        .order_by(PlanMigrationItem.subscription_id)
        .limit(limit)
    )
    return [
        SubscriberView(
            subscription_id=row.subscription_id,
            user_id=row.user_id,
            state=row.state,
            reason=row.reason,
            from_version=row.from_version,
            old=Money(row.old_price_minor, row.currency),
            new=None if row.new_price_minor is None else Money(row.new_price_minor, row.currency),
            noticed_at=row.noticed_at,
            move_at=row.move_at,
            change_id=row.change_id,
            settled_at=row.settled_at,
        )
        for row in rows
    ]


async def _views(session: AsyncSession, found: Sequence[tuple[PlanMigration, str]]) -> list[MigrationView]:
    ids = [row.id for row, _ in found]
    counted = await session.execute(
        select(
            PlanMigrationItem.migration_id,
            PlanMigrationItem.state,
            PlanMigrationItem.reason,
            func.count().label("number"),
            func.min(PlanMigrationItem.move_at).label("first"),
        )
        .where(PlanMigrationItem.migration_id.in_(ids))
        .group_by(PlanMigrationItem.migration_id, PlanMigrationItem.state, PlanMigrationItem.reason)
    )
    counts: dict[str, dict[str, int]] = {one: dict.fromkeys(ITEM_STATES, 0) for one in ids}
    reasons: dict[str, dict[str, int]] = {one: {} for one in ids}
    first: dict[str, datetime] = {}
    for row in counted:
        counts[row.migration_id][row.state] += row.number
        if row.reason is not None:
            told = reasons[row.migration_id]
            told[row.reason] = told.get(row.reason, 0) + row.number
        if row.state in ("waiting", "moving") and row.first is not None:
            first[row.migration_id] = min(row.first, first.get(row.migration_id, row.first))
    return [
        MigrationView(
            id=row.id,
            plan_code=code,
            to_version=row.to_version,
            from_version=row.from_version,
            notice_days=row.notice_days,
            state=row.state,
            requested_by=row.requested_by,
            created_at=row.created_at,
            withdrawn_by=row.withdrawn_by,
            ended_at=row.ended_at,
            next_move_at=first.get(row.id),
            counts=counts[row.id],
            reasons=reasons[row.id],
        )
        for row, code in found
    ]
