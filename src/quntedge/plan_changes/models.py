"""Changes of plan, and the previews they were confirmed from."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business

RUNNING = ("running", "awaiting_checkout", "requires_action")
"""Being done now."""
PLANNED = ("scheduling", "scheduled", "withdrawing", "collecting")
"""To be done when the period ends, or being collected since it has ended."""
OPEN = RUNNING + PLANNED
ENDED = ("done", "failed", "withdrawn", "replaced", "dropped", "expired")
STATES = OPEN + ENDED


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class PlanChange(Base):
    """One change of a subscription from one plan to another, with everything that was agreed upon.

    `direction` and `lines` are what the customer was shown; `charge_minor` is what is collected now, `credit_minor`
    what a one-time code takes off, `refund_minor` what goes back of `refund_payment_id`. At most one is being done now,
    and at most one is planned, for each subscription. `review` says what somebody should look at.
    """

    __tablename__ = "plan_change"
    __table_args__ = (
        CheckConstraint(_one_of("state", STATES), name="state"),
        CheckConstraint("moment IN ('now', 'period_end')", name="moment"),
        CheckConstraint("pay_by IN ('method', 'checkout', 'nothing')", name="pay_by"),
        CheckConstraint(
            "charge_minor >= 0 AND credit_minor >= 0 AND refund_minor >= 0 AND extension_days >= 0", name="amounts"
        ),
        Index("uq_plan_change_running", "subscription_id", unique=True, postgresql_where=_one_of("state", RUNNING)),
        Index("uq_plan_change_planned", "subscription_id", unique=True, postgresql_where=_one_of("state", PLANNED)),
        Index("ix_plan_change_subscription", "subscription_id", "created_at"),
        Index("ix_plan_change_user", "user_id", "created_at"),
        Index("ix_plan_change_member", "whop_member_id", postgresql_where="new_membership_id IS NULL"),
        Index("ix_plan_change_new_membership", "new_membership_id"),
        Index("ix_plan_change_review", "id", postgresql_where="review IS NOT NULL"),
        Index("ix_plan_change_payment", "whop_payment_id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    process_id: Mapped[str] = business(Text, ForeignKey("process.id"))
    direction: Mapped[str] = business(Text)
    moment: Mapped[str] = business(Text)
    pay_by: Mapped[str] = business(Text)
    state: Mapped[str] = business(Text)
    from_plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    to_plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    to_version: Mapped[int] = business(Integer)
    to_whop_plan_id: Mapped[str | None] = business(Text)
    old_membership_id: Mapped[str] = business(Text)
    new_membership_id: Mapped[str | None] = business(Text)
    whop_member_id: Mapped[str | None] = business(Text)
    whop_method_id: Mapped[str | None] = business(Text)
    whop_payment_id: Mapped[str | None] = business(Text)
    whop_promo_id: Mapped[str | None] = business(Text)
    whop_checkout_id: Mapped[str | None] = business(Text)
    purchase_url: Mapped[str | None] = business(Text)
    refund_payment_id: Mapped[str | None] = business(Text)
    currency: Mapped[str] = business(Text)
    price_minor: Mapped[int] = business(BigInteger)
    charge_minor: Mapped[int] = business(BigInteger)
    credit_minor: Mapped[int] = business(BigInteger)
    refund_minor: Mapped[int] = business(BigInteger)
    extension_days: Mapped[int] = business(Integer)
    lines: Mapped[list[dict[str, Any]]] = business(JSONB)
    attempt: Mapped[int] = business(SmallInteger, server_default="1")
    failure: Mapped[str | None] = business(Text)
    review: Mapped[str | None] = business(Text)
    actor: Mapped[str] = business(Text)
    created_at: Mapped[datetime] = business()
    effective_at: Mapped[datetime | None] = business()
    ended_at: Mapped[datetime | None] = business()


class PlanChangeQuote(Base):
    """A preview as it was shown. Confirming it charges exactly what stands here, or nothing.

    `basis` is what the amounts were computed from: when it is another at the confirmation, the preview is outdated.
    `change_id` is the change it was confirmed as; a quote serves once.
    """

    __tablename__ = "plan_change_quote"
    __table_args__ = (Index("ix_plan_change_quote_expiry", "expires_at"),)

    id: Mapped[str] = business(Text, primary_key=True)
    user_id: Mapped[str] = business(Text, ForeignKey("app_user.id"))
    subscription_id: Mapped[str] = business(Text, ForeignKey("subscription.id"))
    to_plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"))
    terms: Mapped[dict[str, Any]] = business(JSONB)
    basis: Mapped[str] = business(Text)
    change_id: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()
    expires_at: Mapped[datetime] = business()
