"""Pauses, from the wish to their end: how long each lasted is what reports leave out of recurring revenue."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Pause(Base):
    """One pause of a subscription, asked for here or noticed at the gateway. At most one of a membership is open.

    `resume_at` is when it ends by itself; None for one without an end, or whose end only the gateway knows.
    `remind_at` and `check_at` are when something is due: the reminder, and a look at whether it has ended.
    """

    __tablename__ = "pause"
    __table_args__ = (
        CheckConstraint("state IN ('requested', 'running', 'ended', 'failed')", name="state"),
        Index("uq_pause_open", "whop_membership_id", unique=True, postgresql_where="state IN ('requested', 'running')"),
        Index("ix_pause_subscription", "subscription_id", "requested_at"),
        Index("ix_pause_remind", "remind_at", postgresql_where="remind_at IS NOT NULL"),
        Index("ix_pause_check", "check_at", postgresql_where="check_at IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    whop_membership_id: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    actor: Mapped[str] = business(Text)
    requested_at: Mapped[datetime] = business()
    paused_at: Mapped[datetime | None] = business()
    resume_at: Mapped[datetime | None] = business()
    access_until: Mapped[datetime | None] = business()
    remind_at: Mapped[datetime | None] = business()
    check_at: Mapped[datetime | None] = business()
    ended_at: Mapped[datetime | None] = business()
    ended_by: Mapped[str | None] = business(Text)
    error: Mapped[str | None] = business(Text)
