"""The webhook inbox. The narrow row is queue, de-duplication record and history; the body lives elsewhere.

`webhook_event` rows stay for ever, so a webhook id is never accepted twice. `webhook_body` is partitioned by week and
sealed under that week's key; after 90 days the partition is dropped and the key destroyed, which costs nothing.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, SealedText, business, personal, secret
from quntedge.storage.sealed import Sealed

STATES = ("received", "processing", "processed", "ignored", "stale", "retrying", "dead", "quarantined")
WAITING = "state IN ('received', 'processing', 'retrying')"


class WebhookEvent(Base):
    """One delivery that verified. `due_at` is when it may be claimed (next): arrival, end of back-off, end of lease."""

    __tablename__ = "webhook_event"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(state) for state in STATES)})", name="state"),
        Index("ix_webhook_event_due", "due_at", "id", postgresql_where=WAITING),
        Index(
            "ix_webhook_event_lane",
            "ordering_key",
            "id",
            postgresql_where="state IN ('processing', 'retrying')",
        ),
        Index("ix_webhook_event_trouble", "state", "id", postgresql_where="state IN ('dead', 'quarantined')"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    id: Mapped[str] = business(Text, primary_key=True)
    webhook_id: Mapped[str] = business(Text, unique=True)
    event_type: Mapped[str] = business(Text)
    ordering_key: Mapped[str] = business(Text)
    account_id: Mapped[str | None] = business(Text)
    state: Mapped[str] = business(Text)
    attempts: Mapped[int] = business(SmallInteger, server_default="0")
    due_at: Mapped[datetime] = business()
    occurred_at: Mapped[datetime | None] = business()
    received_at: Mapped[datetime] = business()
    processed_at: Mapped[datetime | None] = business()
    outcome: Mapped[str | None] = business(Text)
    error: Mapped[str | None] = business(Text)


class WebhookBody(Base):
    """The raw bytes of a delivery, sealed. Partitioned by `received_at`."""

    __tablename__ = "webhook_body"
    __table_args__ = {"postgresql_partition_by": "RANGE (received_at)"}  # noqa: RUF012 (SQLAlchemy's own protocol)

    event_id: Mapped[str] = business(Text, primary_key=True)
    received_at: Mapped[datetime] = business(primary_key=True)
    body: Mapped[Sealed] = personal(SealedText)


class InboxKey(Base):
    """The wrapped key under which one week's bodies are sealed."""

    __tablename__ = "inbox_key"

    week: Mapped[date] = business(Date, primary_key=True)
    wrapped: Mapped[bytes] = secret(LargeBinary)
