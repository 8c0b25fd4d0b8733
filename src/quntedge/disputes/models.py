"""Contested payments: disputes, warnings of them, complaints; what we answered, and what somebody has to look at."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, SmallInteger, Text, UniqueConstraint
from sqlalchemy.orm import Mapped

from quntedge.disputes.papers import DOCUMENT_STATES
from quntedge.disputes.rules import ALARMS, OPEN, STATUSES, TO_ANSWER
from quntedge.storage.base import Base, business, personal, secret
from quntedge.storage.sealed import Sealed


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Dispute(Base):
    """A payment that its buyer's bank disputes, or (an inquiry) asks about. One row per dispute at Whop.

    `withdrawn_minor` is what Whop holds back or has taken because of it, `fee_minor` what it charges for it, in
    `fee_currency`. `remind_at`: when staff is to be told next that the deadline is near; the reminders up to
    `reminded_until` for the deadline `reminded_for` have been. `look_at`: when to read it again, whether or not anybody
    tells us of it.
    """

    __tablename__ = "dispute"
    __table_args__ = (
        CheckConstraint(_one_of("status", STATUSES), name="status"),
        CheckConstraint("amount_minor >= 0 AND withdrawn_minor BETWEEN 0 AND amount_minor", name="amount"),
        CheckConstraint("withdrawn_minor = 0 OR NOT inquiry AND status <> 'won'", name="withdrawn"),
        CheckConstraint("fee_minor >= 0 AND (fee_minor = 0 OR fee_currency IS NOT NULL)", name="fee"),
        CheckConstraint(f"(closed_at IS NULL) = ({_one_of('status', OPEN)})", name="closed"),
        Index("ix_dispute_user", "user_id", "opened_at", "id"),
        Index("ix_dispute_transaction", "transaction_id"),
        Index("ix_dispute_subscription", "subscription_id"),
        Index("ix_dispute_opened", "opened_at", "id"),
        Index("ix_dispute_status", "status", "opened_at", "id"),
        Index("ix_dispute_to_answer", "evidence_due_at", "id", postgresql_where=_one_of("status", TO_ANSWER)),
        Index("ix_dispute_remind", "remind_at", postgresql_where="remind_at IS NOT NULL"),
        Index("ix_dispute_look", "look_at", postgresql_where="look_at IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"))
    subscription_id: Mapped[str | None] = business(Text, ForeignKey("subscription.id"))
    whop_dispute_id: Mapped[str] = business(Text, unique=True)
    status: Mapped[str] = business(Text)
    raw_status: Mapped[str] = business(Text)
    inquiry: Mapped[bool] = business(Boolean)
    amount_minor: Mapped[int] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    withdrawn_minor: Mapped[int] = business(BigInteger)
    fee_minor: Mapped[int] = business(BigInteger, server_default="0")
    fee_currency: Mapped[str | None] = business(Text)
    reason: Mapped[str | None] = business(Text)
    reason_code: Mapped[str | None] = business(Text)
    evidence_due_at: Mapped[datetime | None] = business()
    evidence_submitted_at: Mapped[datetime | None] = business()
    editable: Mapped[bool] = business(Boolean)
    locked_reason: Mapped[str | None] = business(Text)
    acceptable: Mapped[bool] = business(Boolean)
    opened_at: Mapped[datetime] = business()
    closed_at: Mapped[datetime | None] = business()
    remind_at: Mapped[datetime | None] = business()
    reminded_for: Mapped[datetime | None] = business()
    reminded_until: Mapped[datetime | None] = business()
    look_at: Mapped[datetime | None] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class DisputeResponse(Base):
    """What a person had us answer: evidence sent, or a dispute conceded. `texts` is what the bank is told, as JSON.

    A dispute has at most one that is `requested`: nobody can concede what is just being contested.
    """

    __tablename__ = "dispute_response"
    __table_args__ = (
        CheckConstraint("kind IN ('evidence', 'accept')", name="kind"),
        CheckConstraint("state IN ('requested', 'done', 'failed')", name="state"),
        CheckConstraint("(state = 'requested') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(kind = 'evidence') = (texts IS NOT NULL)", name="texts"),
        Index("ix_dispute_response_dispute", "dispute_id", "requested_at"),
        Index("uq_dispute_response_requested", "dispute_id", unique=True, postgresql_where="state = 'requested'"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    dispute_id: Mapped[str] = business(Text, ForeignKey("dispute.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    kind: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    actor: Mapped[str] = business(Text)
    process_id: Mapped[str] = business(Text)
    texts: Mapped[Sealed | None] = personal()
    error: Mapped[str | None] = business(Text)
    requested_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()


class DisputeDocument(Base):
    """A file that goes to the bank with an answer, exactly as it is sent.

    `announced`: Whop has made a place for it, at the address `upload_to`, which lets whoever has it put the bytes.
    `attached`: it hangs on the dispute at Whop; `not_sent`: the answer it was made for failed. `renewals` counts the
    places that expired before the bytes were there.
    """

    __tablename__ = "dispute_document"
    __table_args__ = (
        CheckConstraint(_one_of("state", DOCUMENT_STATES), name="state"),
        CheckConstraint("size_bytes > 0", name="size"),
        CheckConstraint("(state IN ('sent', 'not_sent')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("state IN ('planned', 'not_sent') OR whop_file_id IS NOT NULL", name="at_whop"),
        UniqueConstraint("response_id", "position"),
        Index("ix_dispute_document_dispute", "dispute_id", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    response_id: Mapped[str] = business(Text, ForeignKey("dispute_response.id"))
    dispute_id: Mapped[str] = business(Text, ForeignKey("dispute.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    position: Mapped[int] = business(SmallInteger)
    name: Mapped[str] = business(Text)
    document_type: Mapped[str] = business(Text)
    content_type: Mapped[str] = business(Text)
    size_bytes: Mapped[int] = business(BigInteger)
    sha256: Mapped[str] = business(Text)
    content: Mapped[Sealed] = personal(deferred=True)
    state: Mapped[str] = business(Text)
    whop_file_id: Mapped[str | None] = business(Text, unique=True)
    upload_to: Mapped[Sealed | None] = secret(deferred=True)
    renewals: Mapped[int] = business(SmallInteger, server_default="0")
    created_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()


class DisputeAlert(Base):
    """A warning that a payment is about to be disputed. Without a transaction nobody could tell which payment."""

    __tablename__ = "dispute_alert"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('early_fraud_warning', 'dispute_alert', 'rapid_dispute_resolution', 'unknown')", name="kind"
        ),
        CheckConstraint("amount_minor >= 0 AND fee_minor >= 0", name="amounts"),
        CheckConstraint("(transaction_id IS NULL) = (user_id IS NULL)", name="linked"),
        Index("ix_dispute_alert_transaction", "transaction_id"),
        Index("ix_dispute_alert_occurred", "occurred_at", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str | None] = business(Text, ForeignKey("app_user.id"))
    transaction_id: Mapped[str | None] = business(Text, ForeignKey("payment_transaction.id"))
    whop_alert_id: Mapped[str] = business(Text, unique=True)
    kind: Mapped[str] = business(Text)
    raw_kind: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    auto_refunded: Mapped[bool] = business(Boolean)
    fee_charged: Mapped[bool] = business(Boolean)
    fee_minor: Mapped[int] = business(BigInteger, server_default="0")
    fee_currency: Mapped[str | None] = business(Text)
    occurred_at: Mapped[datetime] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class ResolutionCase(Base):
    """A complaint inside Whop's resolution center; if money moves, a refund says so."""

    __tablename__ = "resolution_case"
    __table_args__ = (
        CheckConstraint(
            "status IN ('awaiting_merchant', 'awaiting_customer', 'under_review', 'closed', 'unknown')", name="status"
        ),
        Index("ix_resolution_case_transaction", "transaction_id"),
        Index("ix_resolution_case_opened", "opened_at", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"))
    whop_case_id: Mapped[str] = business(Text, unique=True)
    status: Mapped[str] = business(Text)
    raw_status: Mapped[str] = business(Text)
    amount_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str | None] = business(Text)
    reason: Mapped[str | None] = business(Text)
    outcome: Mapped[str | None] = business(Text)
    refund: Mapped[str | None] = business(Text)
    escalated: Mapped[bool] = business(Boolean)
    response_due_at: Mapped[datetime | None] = business()
    opened_at: Mapped[datetime] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class DisputeAlarm(Base):
    """Something about a contested payment that somebody has to look at, raised once for each cause.

    `subject_id` is the dispute, alert or complaint; `detail` says in one sentence what is wrong. It is open until
    somebody says what became of it (`resolved_by`, `note`).
    """

    __tablename__ = "dispute_alarm"
    __table_args__ = (
        CheckConstraint(_one_of("kind", ALARMS), name="kind"),
        CheckConstraint("(resolved_at IS NULL) = (resolved_by IS NULL)", name="resolved"),
        Index("ix_dispute_alarm_open", "raised_at", "id", postgresql_where="resolved_at IS NULL"),
        Index("ix_dispute_alarm_raised", "raised_at", "id"),
        Index("ix_dispute_alarm_subject", "subject_id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    cause_key: Mapped[str] = business(Text, unique=True)
    kind: Mapped[str] = business(Text)
    subject_id: Mapped[str] = business(Text)
    user_id: Mapped[str | None] = business(Text, ForeignKey("app_user.id"))
    transaction_id: Mapped[str | None] = business(Text, ForeignKey("payment_transaction.id"))
    amount_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str | None] = business(Text)
    detail: Mapped[str] = business(Text)
    raised_at: Mapped[datetime] = business()
    resolved_at: Mapped[datetime | None] = business()
    resolved_by: Mapped[str | None] = business(Text)
    note: Mapped[str | None] = business(Text)
