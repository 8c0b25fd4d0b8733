"""Saved means of payment, whose they are, and the pages on which one is being added."""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, SmallInteger, Text, UniqueConstraint
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class PaymentMethod(Base):
    """One means of payment that a customer has saved at Whop, as far as it may be shown: never a full number.

    The default pays the customer's subscription; Whop does not tell which one that is, so it is the one chosen here or
    the one that paid last, whichever is later (`default_since`). `warn_at` is when its expiry has to be announced,
    `warned_for` the month of expiry (`2030-04`) that was announced already. A removed one stays as a record.
    """

    __tablename__ = "payment_method"
    __table_args__ = (
        CheckConstraint("exp_month BETWEEN 1 AND 12", name="exp_month"),
        CheckConstraint("NOT is_default OR removed_at IS NULL", name="default_exists"),
        CheckConstraint("NOT is_default OR default_since IS NOT NULL", name="default_since"),
        CheckConstraint("warn_at IS NULL OR is_default", name="warning"),
        UniqueConstraint("user_id", "whop_method_id"),
        Index("uq_payment_method_default", "user_id", unique=True, postgresql_where="is_default"),
        Index("ix_payment_method_warn", "warn_at", "id", postgresql_where="warn_at IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    whop_method_id: Mapped[str] = business(Text)
    whop_member_id: Mapped[str] = business(Text)
    kind: Mapped[str] = business(Text)
    brand: Mapped[str | None] = business(Text)
    last4: Mapped[str | None] = business(Text)
    exp_month: Mapped[int | None] = business(SmallInteger)
    exp_year: Mapped[int | None] = business(SmallInteger)
    is_default: Mapped[bool] = business(Boolean, server_default="false")
    default_since: Mapped[datetime | None] = business()
    warn_at: Mapped[datetime | None] = business()
    warned_for: Mapped[str | None] = business(Text)
    saved_at: Mapped[datetime | None] = business()
    removed_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class MethodMember(Base):
    """A member at Whop that a customer has paid or saved a card as. `sync_at` is when to look at its methods again."""

    __tablename__ = "method_member"
    __table_args__ = (
        Index("ix_method_member_due", "sync_at", postgresql_where="sync_at IS NOT NULL"),
        Index("ix_method_member_member", "whop_member_id"),
    )

    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"), primary_key=True)
    whop_member_id: Mapped[str] = business(Text, primary_key=True)
    sync_at: Mapped[datetime | None] = business()
    synced_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()


class MethodSetup(Base):
    """A hosted page that a customer was sent to in order to save a card, and what became of it.

    It has ended when a card was saved, or when nobody did so for a day; the page is made unusable then.
    """

    __tablename__ = "method_setup"
    __table_args__ = (
        Index("ix_method_setup_user", "user_id", "created_at"),
        Index("ix_method_setup_open", "created_at", postgresql_where="ended_at IS NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    whop_checkout_id: Mapped[str | None] = business(Text)
    whop_member_id: Mapped[str | None] = business(Text)
    whop_method_id: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()
    ended_at: Mapped[datetime | None] = business()
