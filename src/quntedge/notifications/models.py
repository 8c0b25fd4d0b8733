"""Mails to be sent, one row per cause: the unique key is what makes a mail go out once; and templates of staff."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Notification(Base):
    """A mail with a cause. `params` hold no personal data; name and address are read when it is sent.

    One to staff, whose addresses are settings, has no `user_id`, and a kind that begins with `staff_`.
    """

    __tablename__ = "notification"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'sending', 'sent', 'failed', 'skipped')", name="state"),
        CheckConstraint("(user_id IS NULL) = starts_with(kind, 'staff_')", name="to_staff"),
        Index("ix_notification_due", "due_at", "id", postgresql_where="state IN ('queued', 'sending')"),
        Index("ix_notification_user", "user_id", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    cause_key: Mapped[str] = business(Text, unique=True)
    user_id: Mapped[str | None] = business(Text, ForeignKey("app_user.id"))
    kind: Mapped[str] = business(Text)
    params: Mapped[dict[str, Any]] = business(JSONB)
    state: Mapped[str] = business(Text)
    attempts: Mapped[int] = business(SmallInteger, server_default="0")
    due_at: Mapped[datetime] = business()
    created_at: Mapped[datetime] = business()
    sent_at: Mapped[datetime | None] = business()
    error: Mapped[str | None] = business(Text)


class MailTemplate(Base):
    """A wording that staff gave a mail, one row for each time they changed it: the words of a row never change.

    At most one version of a kind and language is active; without one the packaged wording is used. `switched_at` and
    `switched_by` say when and by whom it was last put into use or taken out of it.
    """

    __tablename__ = "mail_template"
    __table_args__ = (
        UniqueConstraint("kind", "locale", "version"),
        CheckConstraint("version > 0", name="version"),
        Index("uq_mail_template_active", "kind", "locale", unique=True, postgresql_where="active"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    locale: Mapped[str] = business(Text)
    version: Mapped[int] = business(Integer)
    subject: Mapped[str] = business(Text)
    text: Mapped[str] = business(Text)
    html: Mapped[str] = business(Text)
    active: Mapped[bool] = business(Boolean)
    created_at: Mapped[datetime] = business()
    created_by: Mapped[str] = business(Text)
    switched_at: Mapped[datetime] = business()
    switched_by: Mapped[str] = business(Text)
