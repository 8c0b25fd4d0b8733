"""Our invoices: made from payments; explicit Whop invoices are merged in by id."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Invoice(Base):
    """What a customer owes or paid for one period. The number is assigned once, when paid, and never reused."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint(
            "status IN ('draft', 'open', 'paid', 'payment_failed', 'past_due', 'partially_refunded', 'refunded',"
            " 'void', 'uncollectible')",
            name="status",
        ),
        CheckConstraint("whop_payment_id IS NOT NULL OR whop_invoice_id IS NOT NULL", name="has_origin"),
        CheckConstraint(
            "number IS NOT NULL OR status NOT IN ('paid', 'partially_refunded', 'refunded')", name="paid_is_numbered"
        ),
        Index("ix_invoice_user", "user_id", "issued_at", "id"),
        Index("ix_invoice_transaction", "transaction_id"),
        # For voiding what is unpaid when a subscription ends: few rows, however many invoices were paid.
        Index("ix_invoice_unpaid", "subscription_id", postgresql_where="number IS NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    number: Mapped[str | None] = business(Text, unique=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str | None] = business(Text, ForeignKey("subscription.id"))
    transaction_id: Mapped[str | None] = business(Text, ForeignKey("payment_transaction.id"))
    plan_id: Mapped[str | None] = business(Text, ForeignKey("plan.id"))
    whop_payment_id: Mapped[str | None] = business(Text, unique=True)
    whop_invoice_id: Mapped[str | None] = business(Text, unique=True)
    status: Mapped[str] = business(Text)
    currency: Mapped[str] = business(Text)
    subtotal_minor: Mapped[int | None] = business(BigInteger)
    tax_minor: Mapped[int | None] = business(BigInteger)
    total_minor: Mapped[int] = business(BigInteger)
    refunded_minor: Mapped[int] = business(BigInteger, server_default="0")
    attempts_failed: Mapped[int] = business(SmallInteger, server_default="0")
    due_at: Mapped[datetime | None] = business()
    issued_at: Mapped[datetime] = business()
    paid_at: Mapped[datetime | None] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class InvoiceCounter(Base):
    """The last number given in a series; the row's lock keeps the series free of gaps and doubles."""

    __tablename__ = "invoice_counter"

    series: Mapped[str] = business(Text, primary_key=True)
    last_number: Mapped[int] = business(Integer)
