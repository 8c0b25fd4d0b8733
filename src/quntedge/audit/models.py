"""The audit log's tables. Triggers of revision 0021 refuse to change what was written, and queue it to be sealed."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class AuditEvent(Base):
    """Who did what, or was denied what. Never changed, never deleted.

    `actor_id` is the customer's id, the API key's id or the operator's name; `holder` the person behind a key or at the
    terminal. `code` is that of the error with which something was denied. `details` are ids, amounts and names of our
    own making, never what somebody typed freely.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('customer', 'api_key', 'operator', 'system')", name="actor_kind"),
        CheckConstraint("(actor_id IS NULL) = (actor_kind = 'system')", name="actor_is_named"),
        CheckConstraint("outcome IN ('done', 'denied')", name="outcome"),
        CheckConstraint("(outcome = 'denied') = (code IS NOT NULL)", name="denial_has_code"),
        CheckConstraint("subject_id IS NULL OR subject_kind IS NOT NULL", name="subject"),
        CheckConstraint("act ~ '^[a-z][a-z_]*([.][a-z][a-z_]*)+$'", name="act"),
        Index("ix_audit_event_at", "at", "id"),
        Index("ix_audit_event_actor", "actor_id", "at", "id", postgresql_where="actor_id IS NOT NULL"),
        Index("ix_audit_event_holder", "holder", "at", "id", postgresql_where="holder IS NOT NULL"),
        Index("ix_audit_event_act", "act", "at", "id"),
        Index("ix_audit_event_subject", "subject_id", "at", "id", postgresql_where="subject_id IS NOT NULL"),
        Index("ix_audit_event_denied", "at", "id", postgresql_where="outcome = 'denied'"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    at: Mapped[datetime] = business()
    actor_kind: Mapped[str] = business(Text)
    actor_id: Mapped[str | None] = business(Text)
    holder: Mapped[str | None] = business(Text)
    act: Mapped[str] = business(Text)
    subject_kind: Mapped[str | None] = business(Text)
    subject_id: Mapped[str | None] = business(Text)
    outcome: Mapped[str] = business(Text)
    code: Mapped[str | None] = business(Text)
    details: Mapped[dict[str, Any]] = business(JSONB)
    request_id: Mapped[str | None] = business(Text)


class AuditUnsealed(Base):
    """Events that have no place in the chain yet. Filled by a trigger, emptied by the sweep that seals."""

    __tablename__ = "audit_unsealed"

    event_id: Mapped[str] = business(Text, primary_key=True)


class AuditSeal(Base):
    """An event's place in the chain: SHA-256 over the seal before it, this number, and all that the event says."""

    __tablename__ = "audit_seal"
    __table_args__ = (
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
    )

    number: Mapped[int] = business(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = business(Text, ForeignKey("audit_event.id"), unique=True)
    hash: Mapped[bytes] = business(LargeBinary)
    sealed_at: Mapped[datetime] = business()


class AuditHead(Base):
    """The one row that says where the chain ends. Whoever seals holds it; it never moves back."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("single", name="single"),)

    single: Mapped[bool] = business(Boolean, primary_key=True)
    number: Mapped[int] = business(BigInteger)
    hash: Mapped[bytes] = business(LargeBinary)


class AuditDenial(Base):
    """What was denied within the last minute, so that a flood of the same becomes one row and a number.

    Empty texts stand for nothing. `subject_id` is empty too once somebody was denied many things: then they count
    together.
    """

    __tablename__ = "audit_denial"
    __table_args__ = (Index("ix_audit_denial_opened", "opened_at"),)

    actor_kind: Mapped[str] = business(Text, primary_key=True)
    actor_id: Mapped[str] = business(Text, primary_key=True)
    act: Mapped[str] = business(Text, primary_key=True)
    subject_kind: Mapped[str] = business(Text, primary_key=True)
    subject_id: Mapped[str] = business(Text, primary_key=True)
    code: Mapped[str] = business(Text, primary_key=True)
    holder: Mapped[str | None] = business(Text)
    opened_at: Mapped[datetime] = business()
    last_at: Mapped[datetime] = business()
    repeats: Mapped[int] = business(Integer, server_default="0")
