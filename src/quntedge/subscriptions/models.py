"""Subscriptions, the Whop memberships behind them, and their history."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business
from quntedge.subscriptions import machine

STATUSES = tuple(status.value for status in machine.Status)
LIVE = tuple(status.value for status in machine.Status if status in machine.LIVE)


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Subscription(Base):
    """What a user has with us. Survives plan changes; its state is derived from its memberships.

    `version` is that of the newest row of its history, from which the whole row can be rebuilt but for
    `renewal_check_at`: when to look at the gateway for a renewal that nobody has told us of.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        CheckConstraint(_one_of("status", STATUSES), name="status"),
        Index("uq_subscription_live", "user_id", unique=True, postgresql_where=_one_of("status", LIVE)),
        Index("ix_subscription_user", "user_id", "created_at"),
        Index("ix_subscription_review", "id", postgresql_where="needs_review"),
        Index("ix_subscription_renewal_check", "renewal_check_at", postgresql_where="renewal_check_at IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    status: Mapped[str] = business(Text)
    whop_membership_id: Mapped[str] = business(Text, index=True)
    checkout_id: Mapped[str | None] = business(Text)
    cancel_at_period_end: Mapped[bool] = business(Boolean, server_default="false")
    needs_review: Mapped[bool] = business(Boolean, server_default="false")
    started_at: Mapped[datetime] = business()
    period_start: Mapped[datetime | None] = business()
    period_end: Mapped[datetime | None] = business()
    trial_end: Mapped[datetime | None] = business()
    grace_until: Mapped[datetime | None] = business()
    paused_at: Mapped[datetime | None] = business()
    resume_at: Mapped[datetime | None] = business()
    pause_access_until: Mapped[datetime | None] = business()
    canceled_at: Mapped[datetime | None] = business()
    ended_at: Mapped[datetime | None] = business()
    last_payment_at: Mapped[datetime | None] = business()
    renewal_price_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str | None] = business(Text)
    plan_version: Mapped[int] = business(Integer, server_default="1")
    version: Mapped[int] = business(Integer, server_default="1")
    renewal_check_at: Mapped[datetime | None] = business()
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()


class SubscriptionMembership(Base):
    """The latest snapshot of one Whop membership. `gateway_updated_at` orders snapshots; an older one never wins.

    Ours alone are `paused_at`, `resume_at` and `superseded_at`: since then another membership was to take its place,
    and its end is expected.
    """

    __tablename__ = "subscription_membership"
    __table_args__ = (
        Index("ix_subscription_membership_subscription", "subscription_id"),
        Index("ix_subscription_membership_member", "whop_member_id"),
    )

    whop_membership_id: Mapped[str] = business(Text, primary_key=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    whop_plan_id: Mapped[str] = business(Text)
    whop_user_id: Mapped[str | None] = business(Text)
    whop_member_id: Mapped[str | None] = business(Text)
    status: Mapped[str] = business(Text)
    raw_status: Mapped[str] = business(Text)
    cancel_at_period_end: Mapped[bool] = business(Boolean)
    paused: Mapped[bool] = business(Boolean, server_default="false")
    needs_review: Mapped[bool] = business(Boolean, server_default="false")
    canceled_at: Mapped[datetime | None] = business()
    period_start: Mapped[datetime | None] = business()
    period_end: Mapped[datetime | None] = business()
    expires_at: Mapped[datetime | None] = business()
    renewal_price_minor: Mapped[int | None] = business(BigInteger)
    currency: Mapped[str | None] = business(Text)
    past_due_since: Mapped[datetime | None] = business()
    paused_at: Mapped[datetime | None] = business()
    resume_at: Mapped[datetime | None] = business()
    superseded_at: Mapped[datetime | None] = business()
    plan_version: Mapped[int] = business(Integer, server_default="1")
    gateway_created_at: Mapped[datetime | None] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    first_seen_at: Mapped[datetime] = business()


class SubscriptionEvent(Base):
    """One change of a subscription. Never updated, never deleted: triggers refuse it.

    `version` counts from 1 without gaps. `after` of the first holds everything; that of later ones what has changed, at
    least: all of them put upon each other give the row (`history.fold`).
    """

    __tablename__ = "subscription_event"
    __table_args__ = (UniqueConstraint("subscription_id", "version"),)

    id: Mapped[str] = business(Text, primary_key=True)
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    version: Mapped[int] = business(Integer)
    user_id: Mapped[str] = business(Text)
    kind: Mapped[str] = business(Text)
    actor: Mapped[str] = business(Text)
    cause: Mapped[str] = business(Text)
    before: Mapped[dict[str, Any] | None] = business(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any]] = business(JSONB)
    at: Mapped[datetime] = business()


class GatewayAccount(Base):
    """How our account at the gateway is set, as far as it decides about subscriptions. One row, once it was asked.

    `unpaid` is what the gateway does with a membership that stays unpaid: it cancels it after some days, or keeps it.
    """

    __tablename__ = "gateway_account"
    __table_args__ = (CheckConstraint("unpaid IN ('cancel', 'none')", name="unpaid"),)

    account_id: Mapped[str] = business(Text, primary_key=True)
    unpaid: Mapped[str] = business(Text)
    read_at: Mapped[datetime] = business()
