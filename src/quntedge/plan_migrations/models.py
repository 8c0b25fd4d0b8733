"""Migrations of a plan's subscribers to its current terms, and what has become of each subscriber."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business

OPEN = ("enrolling", "running", "withdrawing")
"""States of a migration of which something is still to come."""

UNSETTLED = ("waiting", "moving")
"""States of a subscriber of whom something is still to come."""


class PlanMigration(Base):
    """One decision to move the subscribers of earlier versions of a plan to a newer one. One at a time for each plan.

    `enrolling`: subscribers are being told; `cursor` is the last subscription looked at. `running`: everybody has been
    told, and moves when their period ends. `withdrawing`: those not moved yet are being told that they keep their
    terms. `work_at` is set while a worker has something to do in portions.
    """

    __tablename__ = "plan_migration"
    __table_args__ = (
        CheckConstraint("state IN ('enrolling', 'running', 'withdrawing', 'done', 'withdrawn')", name="state"),
        CheckConstraint("(state IN ('enrolling', 'withdrawing')) = (work_at IS NOT NULL)", name="work"),
        CheckConstraint("(state IN ('done', 'withdrawn')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
        CheckConstraint("notice_days >= 30", name="notice"),
        CheckConstraint("from_version < to_version", name="versions"),
        Index(
            "uq_plan_migration_open",
            "plan_id",
            unique=True,
            postgresql_where="state IN ('enrolling', 'running', 'withdrawing')",
        ),
        Index("ix_plan_migration_work", "work_at", postgresql_where="work_at IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    to_version: Mapped[int] = business(Integer)
    from_version: Mapped[int | None] = business(Integer)
    notice_days: Mapped[int] = business(Integer)
    state: Mapped[str] = business(Text)
    cursor: Mapped[str] = business(Text, server_default="")
    work_at: Mapped[datetime | None] = business()
    requested_by: Mapped[str] = business(Text)
    created_at: Mapped[datetime] = business()
    withdrawn_by: Mapped[str | None] = business(Text)
    withdrawn_at: Mapped[datetime | None] = business()
    ended_at: Mapped[datetime | None] = business()


class PlanMigrationItem(Base):
    """One subscriber of a migration. Prices in minor units of `currency`, for one period.

    `waiting` until the last days of the first period that ends at `not_before` or later, `moving` while the change of
    plan `change_id` is planned or done, then `moved`, `left` (cancelled, changed plan, was not paid for: `reason`) or
    `withdrawn`. `skipped`: cannot be moved at all, `reason` says why; nobody has told them anything. A sweep looks at
    them by `due_at`.
    """

    __tablename__ = "plan_migration_item"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'moving', 'moved', 'left', 'withdrawn', 'skipped')", name="state"),
        CheckConstraint("(state IN ('waiting', 'moving')) = (due_at IS NOT NULL)", name="due"),
        CheckConstraint("state NOT IN ('moving', 'moved') OR change_id IS NOT NULL", name="change"),
        CheckConstraint("state NOT IN ('left', 'skipped') OR reason IS NOT NULL", name="reason"),
        CheckConstraint("state = 'skipped' OR (new_price_minor > 0 AND not_before IS NOT NULL)", name="told"),
        Index("ix_plan_migration_item_due", "due_at", postgresql_where="due_at IS NOT NULL"),
        Index("ix_plan_migration_item_state", "migration_id", "state", "subscription_id"),
        Index("ix_plan_migration_item_subscription", "subscription_id"),
        Index("ix_plan_migration_item_change", "change_id", postgresql_where="change_id IS NOT NULL"),
    )

    migration_id: Mapped[str] = business(Text, ForeignKey("plan_migration.id"), primary_key=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"), primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    from_version: Mapped[int] = business(Integer)
    currency: Mapped[str] = business(Text)
    old_price_minor: Mapped[int] = business(BigInteger)
    new_price_minor: Mapped[int | None] = business(BigInteger)
    state: Mapped[str] = business(Text)
    reason: Mapped[str | None] = business(Text)
    noticed_at: Mapped[datetime | None] = business()
    not_before: Mapped[datetime | None] = business()
    move_at: Mapped[datetime | None] = business()
    due_at: Mapped[datetime | None] = business()
    change_id: Mapped[str | None] = business(Text, ForeignKey("plan_change.id"))
    settled_at: Mapped[datetime | None] = business()
