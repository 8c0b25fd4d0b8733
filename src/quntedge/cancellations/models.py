"""Cancellations, offers to stay, withdrawals from contracts, and the refunds they are owed."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business, personal
from quntedge.storage.sealed import Sealed

OPEN = ("requested", "scheduled")
"""States of a cancellation that is still to come; a subscription has at most one such."""

_REASONS = "'too_expensive', 'switching', 'missing_features', 'technical_issues', 'bad_experience', 'unused', 'other'"


class Cancellation(Base):
    """One wish to end a subscription, now or with its period, and what came of it.

    `ends_at` is when the subscription ends, `access_until` until when access lasts. One with the actor `whop` was made
    there, by the buyer. `replaced` gave way to a cancellation at once.
    """

    __tablename__ = "cancellation"
    __table_args__ = (
        CheckConstraint("timing IN ('now', 'period_end')", name="timing"),
        CheckConstraint("state IN ('requested', 'scheduled', 'done', 'undone', 'replaced', 'failed')", name="state"),
        CheckConstraint(f"reason IS NULL OR reason IN ({_REASONS})", name="reason"),
        Index(
            "uq_cancellation_open",
            "subscription_id",
            unique=True,
            postgresql_where="state IN ('requested', 'scheduled')",
        ),
        Index("ix_cancellation_subscription", "subscription_id", "requested_at"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    whop_membership_id: Mapped[str] = business(Text)
    process_id: Mapped[str | None] = business(Text, ForeignKey("process.id"))
    timing: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    reason: Mapped[str | None] = business(Text)
    feedback: Mapped[Sealed | None] = personal()
    actor: Mapped[str] = business(Text)
    failure: Mapped[str | None] = business(Text)
    requested_at: Mapped[datetime] = business()
    ends_at: Mapped[datetime | None] = business()
    access_until: Mapped[datetime | None] = business()
    ended_at: Mapped[datetime | None] = business()
    undone_at: Mapped[datetime | None] = business()


class SaveOfferOutcome(Base):
    """What somebody was offered to stay, once in a customer's life, with its terms as they were shown."""

    __tablename__ = "save_offer"
    __table_args__ = (
        CheckConstraint("kind IN ('discount', 'pause')", name="kind"),
        CheckConstraint("state IN ('shown', 'accepting', 'accepted', 'declined', 'failed')", name="state"),
        CheckConstraint(
            "CASE kind WHEN 'pause' THEN days IS NOT NULL ELSE periods IS NOT NULL"
            " AND (percent_bp IS NULL) <> (amount_minor IS NULL) END",
            name="terms",
        ),
        Index("ix_save_offer_subscription", "subscription_id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"), unique=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    whop_membership_id: Mapped[str] = business(Text)
    process_id: Mapped[str | None] = business(Text, ForeignKey("process.id"))
    kind: Mapped[str] = business(Text)
    percent_bp: Mapped[int | None] = business(Integer)
    amount_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    periods: Mapped[int | None] = business(Integer)
    days: Mapped[int | None] = business(Integer)
    state: Mapped[str] = business(Text)
    failure: Mapped[str | None] = business(Text)
    shown_at: Mapped[datetime] = business()
    decided_at: Mapped[datetime | None] = business()


class Withdrawal(Base):
    """A consumer's declaration to withdraw from a contract, as it was received. At most one for each contract.

    `name` is what they signed with. `deadline` is the first moment that would have been too late.
    """

    __tablename__ = "withdrawal"
    __table_args__ = (CheckConstraint("basis IN ('full', 'pro_rata')", name="basis"),)

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"), unique=True)
    cancellation_id: Mapped[str | None] = business(Text, ForeignKey("cancellation.id"))
    name: Mapped[Sealed] = personal()
    basis: Mapped[str] = business(Text)
    time_zone: Mapped[str] = business(Text)
    concluded_at: Mapped[datetime] = business()
    deadline: Mapped[datetime] = business()
    received_at: Mapped[datetime] = business()


class ContractCalendar(Base):
    """The time zone by whose days the time for a withdrawal from a contract runs: the customer's when it was concluded.

    Whoever moves to another zone afterwards has neither more nor less time.
    """

    __tablename__ = "contract_calendar"

    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"), primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"), index=True)
    time_zone: Mapped[str] = business(Text)
    fixed_at: Mapped[datetime] = business()


class RefundRequest(Base):
    """Money that is owed to a customer. One for each payment and cause; what is done about it is a `refund`, and the
    state follows from that."""

    __tablename__ = "refund_request"
    __table_args__ = (
        UniqueConstraint("withdrawal_id", "transaction_id"),
        CheckConstraint("state IN ('requested', 'approved', 'done', 'refused')", name="state"),
        CheckConstraint("reason IN ('withdrawal')", name="reason"),
        CheckConstraint("amount_minor > 0", name="amount"),
        Index("ix_refund_request_open", "requested_at", "id", postgresql_where="state = 'requested'"),
        Index("ix_refund_request_user", "user_id"),
        Index("ix_refund_request_transaction", "transaction_id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"))
    withdrawal_id: Mapped[str] = business(Text, ForeignKey("withdrawal.id"))
    reason: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    requested_by: Mapped[str] = business(Text)
    requested_at: Mapped[datetime] = business()
