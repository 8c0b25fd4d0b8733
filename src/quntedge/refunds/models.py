"""Refunds as Whop made them, one row per Whop refund."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Refund(Base):
    """Money on its way back, or back already. Whether it changes access is a policy of its own."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled', 'unknown')", name="status"
        ),
        CheckConstraint("amount_minor > 0", name="amount"),
        Index("ix_refund_transaction", "transaction_id"),
        Index("ix_refund_user", "user_id", "occurred_at", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    transaction_id: Mapped[str] = business(Text, ForeignKey("payment_transaction.id"))
    whop_refund_id: Mapped[str] = business(Text, unique=True)
    status: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    reason: Mapped[str | None] = business(Text)
    failure_reason: Mapped[str | None] = business(Text)
    occurred_at: Mapped[datetime] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()
