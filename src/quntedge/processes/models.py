"""Processes that outlive a crash, and every step they took."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Process(Base):
    """Something that takes several steps, some of them at the gateway. At most one of a kind runs for a subject.

    `data` and the steps' answers hold ids, amounts and times, never personal data. `tries` counts how often a step was
    begun and fences out a runner that was believed dead. One that is `waiting` is left alone until `due_at`.
    """

    __tablename__ = "process"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
        Index("uq_process_running", "kind", "subject_id", unique=True, postgresql_where="state = 'running'"),
        Index("ix_process_due", "due_at", "id", postgresql_where="state = 'running'"),
        Index("ix_process_stuck", "id", postgresql_where="stuck"),
        Index("ix_process_subject", "subject_id", "created_at"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    subject_id: Mapped[str] = business(Text)
    user_id: Mapped[str | None] = business(Text, ForeignKey("app_user.id"))
    state: Mapped[str] = business(Text)
    step: Mapped[str] = business(Text)
    ordinal: Mapped[int] = business(Integer, server_default="1")
    data: Mapped[dict[str, Any]] = business(JSONB)
    tries: Mapped[int] = business(Integer, server_default="0")
    failures: Mapped[int] = business(SmallInteger, server_default="0")
    waiting: Mapped[bool] = business(Boolean, server_default="false")
    stuck: Mapped[bool] = business(Boolean, server_default="false")
    error: Mapped[str | None] = business(Text)
    due_at: Mapped[datetime] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()


class ProcessStep(Base):
    """One step of a process: intended before its call, with its answer afterwards."""

    __tablename__ = "process_step"
    __table_args__ = (CheckConstraint("state IN ('intended', 'done', 'refused')", name="state"),)

    process_id: Mapped[str] = business(Text, ForeignKey("process.id"), primary_key=True)
    ordinal: Mapped[int] = business(Integer, primary_key=True)
    name: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    attempts: Mapped[int] = business(SmallInteger)
    answer: Mapped[dict[str, Any] | None] = business(JSONB(none_as_null=True))
    error: Mapped[str | None] = business(Text)
    started_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()
