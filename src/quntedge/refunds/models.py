"""Refunds, those asked for here and those that Whop tells of; how much of each payment they hold; what was done."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business, personal
from quntedge.storage.sealed import Sealed

_ENDED_WITHOUT = "('failed', 'canceled', 'rejected')"


class Refund(Base):
    """Money on its way back, or back already. Whether it changes access is a policy of its own.

    One asked for here has `requested_by`, and `whop_refund_id` once Whop has told which of its refunds it became; until
    then it is `requested` (waits for a second person), `approved`, `sending`, or `unknown`: sent, and nobody knows yet
    whether it was done. All others were made at Whop. `note` and `decision_note` are free texts of staff.
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint(
            "status IN ('requested', 'approved', 'sending', 'pending', 'requires_action', 'succeeded', 'failed',"
            " 'canceled', 'rejected', 'unknown')",
            name="status",
        ),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("requested_by <> approved_by", name="two_people"),
        CheckConstraint("whop_refund_id IS NOT NULL OR requested_by IS NOT NULL", name="wished_or_reported"),
        CheckConstraint("(requested_by IS NULL) = (requested_at IS NULL)", name="wish_is_dated"),
        CheckConstraint(
            "requested_by IS NULL OR approved_at IS NOT NULL OR status IN ('requested', 'rejected', 'failed')"
            " OR whop_refund_id IS NOT NULL",
            name="not_sent_unapproved",
        ),
        CheckConstraint(
            "approved_at IS NULL OR approved_by IS NOT NULL OR NOT approval_required", name="second_person"
        ),
        CheckConstraint(
            "whop_refund_id IS NOT NULL OR status NOT IN ('pending', 'requires_action', 'succeeded', 'canceled')",
            name="known_to_whop",
        ),
        Index("ix_refund_transaction", "transaction_id"),
        Index("ix_refund_user", "user_id", "occurred_at", "id"),
        Index("ix_refund_status", "status", "occurred_at", "id"),
        Index("ix_refund_occurred", "occurred_at", "id"),
        Index(
            "ix_refund_requested_by",
            "requested_by",
            "occurred_at",
            "id",
            postgresql_where="requested_by IS NOT NULL",
        ),
        Index(
            "uq_refund_request",
            "refund_request_id",
            unique=True,
            postgresql_where=f"status NOT IN {_ENDED_WITHOUT}",
        ),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"))
    whop_refund_id: Mapped[str | None] = business(Text, unique=True)
    status: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    reason: Mapped[str | None] = business(Text)
    note: Mapped[Sealed | None] = personal()
    decision_note: Mapped[Sealed | None] = personal()
    failure_reason: Mapped[str | None] = business(Text)
    failure_detail: Mapped[str | None] = business(Text)
    requested_by: Mapped[str | None] = business(Text)
    requested_at: Mapped[datetime | None] = business()
    approval_required: Mapped[bool] = business(Boolean, server_default="false")
    approved_by: Mapped[str | None] = business(Text)
    approved_at: Mapped[datetime | None] = business()
    rejected_by: Mapped[str | None] = business(Text)
    rejected_at: Mapped[datetime | None] = business()
    refund_request_id: Mapped[str | None] = business(Text, ForeignKey("refund_request.id"))
    process_id: Mapped[str | None] = business(Text, ForeignKey("process.id"))
    occurred_at: Mapped[datetime] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class RefundTally(Base):
    """How much of a payment is held by refunds that were made, are under way or are promised.

    Kept by a trigger on `refund`, which refuses what would promise more than is left; nobody else writes it. Refunds in
    another currency than the payment's are not counted.
    """

    __tablename__ = "refund_tally"
    __table_args__ = (CheckConstraint("held_minor >= 0", name="held"),)

    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"), primary_key=True)
    held_minor: Mapped[int] = business(BigInteger, server_default="0")


class RefundEvent(Base):
    """One thing that happened to a refund, or an attempt that was denied (then without a refund, and with the error's
    code). Never changed or deleted; ids sort by time."""

    __tablename__ = "refund_event"
    __table_args__ = (
        CheckConstraint("kind IN ('moved', 'denied')", name="kind"),
        CheckConstraint(
            "CASE kind WHEN 'moved' THEN refund_id IS NOT NULL AND after IS NOT NULL ELSE code IS NOT NULL END",
            name="content",
        ),
        Index("ix_refund_event_refund", "refund_id", "id"),
        Index("ix_refund_event_transaction", "transaction_id", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    refund_id: Mapped[str | None] = business(Text, ForeignKey("refund.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"))
    user_id: Mapped[str] = business(Text)
    kind: Mapped[str] = business(Text)
    actor: Mapped[str] = business(Text)
    cause: Mapped[str] = business(Text)
    before: Mapped[str | None] = business(Text)
    after: Mapped[str | None] = business(Text)
    amount_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str | None] = business(Text)
    code: Mapped[str | None] = business(Text)
    at: Mapped[datetime] = business()
