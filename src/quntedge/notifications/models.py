"""Mails to be sent, one row per cause: the unique key is what makes a mail go out once."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Notification(Base):
    """A mail with a cause. `params` hold no personal data; name and address are read when it is sent."""

    __tablename__ = "notification"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed', 'skipped')", name="state"),
        Index("ix_notification_due", "due_at", "id", postgresql_where="state IN ('queued', 'sending')"),
        Index("ix_notification_user", "user_id", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    cause_key: Mapped[str] = business(Text, unique=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    kind: Mapped[str] = business(Text)
    params: Mapped[dict[str, Any]] = business(JSONB)
    state: Mapped[str] = business(Text)
    attempts: Mapped[int] = business(SmallInteger, server_default="0")
    due_at: Mapped[datetime] = business()
    created_at: Mapped[datetime] = business()
    sent_at: Mapped[datetime | None] = business()
    error: Mapped[str | None] = business(Text)
