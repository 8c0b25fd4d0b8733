"""Purchases under way, and the remembered answers of idempotent requests."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class CheckoutIntent(Base):
    """One wish to buy. Its id travels in Whop's metadata and links what comes back to the customer.

    `price_minor` is the plan's price, `discount_minor` what a promotion takes off it, held by `reservation_id`.
    """

    __tablename__ = "checkout_intent"
    __table_args__ = (
        CheckConstraint("state IN ('created', 'open', 'completed', 'failed', 'expired', 'unknown')", name="state"),
        CheckConstraint(
            "discount_minor >= 0 AND discount_minor <= price_minor"
            " AND (discount_minor > 0) = (reservation_id IS NOT NULL)",
            name="discount",
        ),
        Index("ix_checkout_intent_user", "user_id", "created_at"),
        Index("ix_checkout_intent_expiry", "expires_at", postgresql_where="state IN ('created', 'open', 'unknown')"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    plan_version: Mapped[int] = business(Integer, server_default="1")
    state: Mapped[str] = business(Text)
    price_minor: Mapped[int] = business(BigInteger)
    discount_minor: Mapped[int] = business(BigInteger, server_default="0")
    reservation_id: Mapped[str | None] = business(Text, ForeignKey("promotion_reservation.id"))
    currency: Mapped[str] = business(Text)
    whop_checkout_id: Mapped[str | None] = business(Text, unique=True)
    purchase_url: Mapped[str | None] = business(Text)
    subscription_id: Mapped[str | None] = business(Text, ForeignKey("subscription.id"))
    whop_membership_id: Mapped[str | None] = business(Text)
    failure: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()
    completed_at: Mapped[datetime | None] = business()
    expires_at: Mapped[datetime] = business()


class IdempotencyRecord(Base):
    """The answer to a request that carried an Idempotency-Key, so that a repetition gets the same one."""

    __tablename__ = "idempotency_record"

    caller: Mapped[str] = business(Text, primary_key=True)
    key: Mapped[str] = business(Text, primary_key=True)
    operation: Mapped[str] = business(Text)
    request_digest: Mapped[str] = business(Text)
    resource_id: Mapped[str] = business(Text)
    status: Mapped[int | None] = business(SmallInteger)
    answer: Mapped[dict[str, Any] | None] = business(JSONB)
    created_at: Mapped[datetime] = business(index=True)
    locked_until: Mapped[datetime] = business()
