"""Payments as Whop made them, one row per Whop payment, with the failed attempts as children."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business

STATUSES = (
    "draft",
    "open",
    "requires_action",
    "failed",
    "pending",
    "authorized",
    "paid",
    "partially_refunded",
    "refunded",
    "void",
    "uncollectible",
    "unresolved",
)


class PaymentTransaction(Base):
    """One Whop payment. Its status never falls back to an earlier rank; refunds change it only upward.

    Amounts are in minor units of `currency`, but for `presentment_minor`: the total as it was shown to the buyer.
    `fee_minor` is what collecting the money cost, `disputed_minor` what the buyer's bank holds back or has taken.
    """

    __tablename__ = "payment_transaction"
    __table_args__ = (
        CheckConstraint(f"status IN ({', '.join(repr(status) for status in STATUSES)})", name="status"),
        CheckConstraint("refunded_minor >= 0", name="refunded"),
        CheckConstraint("discount_minor >= 0", name="discount"),
        CheckConstraint("fee_minor >= 0", name="fee"),
        CheckConstraint("disputed_minor >= 0", name="disputed"),
        CheckConstraint("(presentment_minor IS NULL) = (presentment_currency IS NULL)", name="presentment"),
        CheckConstraint("method_exp_month BETWEEN 1 AND 12", name="method_exp_month"),
        Index("ix_payment_transaction_user", "user_id", "occurred_at", "id"),
        Index("ix_payment_transaction_occurred", "occurred_at", "id"),
        Index("ix_payment_transaction_plan", "plan_id", "occurred_at", "id"),
        Index("ix_payment_transaction_membership", "whop_membership_id"),
        Index("ix_payment_transaction_currency", "currency", "occurred_at", "id"),
        # Nearly all are paid: those that are not are the ones that staff look for.
        Index(
            "ix_payment_transaction_status", "status", "occurred_at", "id", postgresql_where=text("status <> 'paid'")
        ),
        Index("ix_payment_transaction_subscription", "subscription_id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str | None] = business(Text, ForeignKey("subscription.id"))
    plan_id: Mapped[str | None] = business(Text, ForeignKey("plan.id"))
    whop_payment_id: Mapped[str] = business(Text, unique=True)
    whop_membership_id: Mapped[str | None] = business(Text)
    whop_member_id: Mapped[str | None] = business(Text)
    whop_promo_code_id: Mapped[str | None] = business(Text)
    status: Mapped[str] = business(Text)
    raw_status: Mapped[str] = business(Text)
    substatus: Mapped[str | None] = business(Text)
    billing_reason: Mapped[str | None] = business(Text)
    currency: Mapped[str] = business(Text)
    subtotal_minor: Mapped[int | None] = business(BigInteger)
    discount_minor: Mapped[int | None] = business(BigInteger)
    tax_minor: Mapped[int | None] = business(BigInteger)
    tax_behavior: Mapped[str | None] = business(Text)
    total_minor: Mapped[int | None] = business(BigInteger)
    presentment_minor: Mapped[int | None] = business(BigInteger)
    presentment_currency: Mapped[str | None] = business(Text)
    fee_minor: Mapped[int | None] = business(BigInteger)
    net_minor: Mapped[int | None] = business(BigInteger)
    refunded_minor: Mapped[int] = business(BigInteger, server_default="0")
    refund_pending: Mapped[bool] = business(Boolean, server_default="false")
    disputed_minor: Mapped[int] = business(BigInteger, server_default="0")
    dispute_status: Mapped[str | None] = business(Text)
    whop_method_id: Mapped[str | None] = business(Text)
    method_kind: Mapped[str | None] = business(Text)
    method_brand: Mapped[str | None] = business(Text)
    method_last4: Mapped[str | None] = business(Text)
    method_exp_month: Mapped[int | None] = business(SmallInteger)
    method_exp_year: Mapped[int | None] = business(SmallInteger)
    attempts_failed: Mapped[int] = business(SmallInteger, server_default="0")
    decline_code: Mapped[str | None] = business(Text)
    recovery_url: Mapped[str | None] = business(Text)
    next_attempt_at: Mapped[datetime | None] = business()
    paid_at: Mapped[datetime | None] = business()
    occurred_at: Mapped[datetime] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class PaymentAttempt(Base):
    """A failed attempt to collect a payment, numbered as Whop counts them."""

    __tablename__ = "payment_attempt"

    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"), primary_key=True)
    number: Mapped[int] = business(Integer, primary_key=True)
    user_id: Mapped[str] = business(Text)
    decline_code: Mapped[str | None] = business(Text)
    decline_class: Mapped[str] = business(Text)
    message: Mapped[str | None] = business(Text)
    at: Mapped[datetime] = business()
