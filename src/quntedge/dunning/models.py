"""Payments that failed, from the first failure to the money or the end, and everybody's attempts at them."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class DunningCase(Base):
    """A renewal that was not paid at its first attempt. What follows from payment and subscription is derived again
    whenever either changes; what only we know is `attempts_own`, `method_changes`, the flags (`ending`: we have the
    gateway end the subscription), and what was told when.

    `opened_at` is since when the subscription is unpaid: one that took the place of another goes on from there.
    `next_due_at` is the earliest of the times at which something has to be done without news; a sweep claims by it.
    While a process works on the case (`process_id`) nothing else is due but what is told to the customer.
    """

    __tablename__ = "dunning_case"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'recovered', 'exhausted', 'canceled', 'superseded')", name="state"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("closed_by IN ('whop', 'us', 'customer')", name="closed_by"),
        Index("ix_dunning_case_due", "next_due_at", "id", postgresql_where="state = 'open'"),
        Index("uq_dunning_case_open", "subscription_id", unique=True, postgresql_where="state = 'open'"),
        Index("ix_dunning_case_user", "user_id", "opened_at"),
        Index("ix_dunning_case_subscription", "subscription_id", "opened_at"),
        Index("ix_dunning_case_membership", "whop_membership_id"),
        Index("ix_dunning_case_review", "id", postgresql_where="needs_review"),
        Index("ix_dunning_case_opened", "opened_at"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"), unique=True)
    whop_payment_id: Mapped[str] = business(Text, unique=True)
    whop_membership_id: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    outcome: Mapped[str | None] = business(Text)
    closed_by: Mapped[str | None] = business(Text)
    amount_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    decline_code: Mapped[str | None] = business(Text)
    decline_class: Mapped[str] = business(Text)
    attempts_gateway: Mapped[int] = business(Integer, server_default="0")
    attempts_own: Mapped[int] = business(SmallInteger, server_default="0")
    method_changes: Mapped[int] = business(SmallInteger, server_default="0")
    retries_refused: Mapped[bool] = business(Boolean, server_default="false")
    cancel_requested: Mapped[bool] = business(Boolean, server_default="false")
    ending: Mapped[bool] = business(Boolean, server_default="false")
    needs_review: Mapped[bool] = business(Boolean, server_default="false")
    opened_at: Mapped[datetime] = business()
    last_failed_at: Mapped[datetime] = business()
    grace_until: Mapped[datetime | None] = business()
    gateway_next_at: Mapped[datetime | None] = business()
    looked_at: Mapped[datetime | None] = business()
    reminded_at: Mapped[datetime | None] = business()
    access_paused_at: Mapped[datetime | None] = business()
    next_attempt_at: Mapped[datetime | None] = business()
    look_at: Mapped[datetime | None] = business()
    remind_at: Mapped[datetime | None] = business()
    pause_access_at: Mapped[datetime | None] = business()
    end_at: Mapped[datetime | None] = business()
    next_due_at: Mapped[datetime | None] = business()
    process_id: Mapped[str | None] = business(Text)
    closed_at: Mapped[datetime | None] = business()
    updated_at: Mapped[datetime] = business()


class DunningAttempt(Base):
    """One attempt to collect a case's payment. `gateway_number` is the number of the failure as Whop counts them, once
    it is known; `failed_before` how many there were when we, or the customer through us, began."""

    __tablename__ = "dunning_attempt"
    __table_args__ = (
        CheckConstraint("actor IN ('whop', 'us', 'customer')", name="actor"),
        CheckConstraint("result IN ('open', 'failed', 'paid', 'refused')", name="result"),
        Index("uq_dunning_attempt_open", "case_id", unique=True, postgresql_where="result = 'open'"),
        Index("ix_dunning_attempt_case", "case_id", "started_at", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    case_id: Mapped[str] = business(Text, ForeignKey("dunning_case.id"))
    user_id: Mapped[str] = business(Text)
    actor: Mapped[str] = business(Text)
    result: Mapped[str] = business(Text)
    failed_before: Mapped[int] = business(Integer)
    gateway_number: Mapped[int | None] = business(Integer)
    decline_code: Mapped[str | None] = business(Text)
    decline_class: Mapped[str | None] = business(Text)
    started_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()
