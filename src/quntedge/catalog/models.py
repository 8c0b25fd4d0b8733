"""What is for sale: plans, features, and which plan brings which feature."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Plan(Base):
    """One way to buy. `period_days` is None for a plan without renewals (free or lifetime)."""

    __tablename__ = "plan"
    __table_args__ = (
        CheckConstraint("kind IN ('free', 'recurring', 'lifetime')", name="kind"),
        CheckConstraint("(kind = 'recurring') = (period_days IS NOT NULL)", name="recurring_has_period"),
        CheckConstraint("price_minor >= 0 AND (kind = 'free') = (price_minor = 0)", name="price"),
        CheckConstraint("pause_access IN ('keep', 'period', 'none')", name="pause_access"),
        CheckConstraint("trial_days >= 0 AND grace_days >= 0", name="days"),
        Index("uq_plan_free", "kind", unique=True, postgresql_where="kind = 'free' AND archived_at IS NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    code: Mapped[str] = business(Text, unique=True)
    name: Mapped[str] = business(Text)
    tagline: Mapped[str] = business(Text, server_default="")
    kind: Mapped[str] = business(Text)
    price_minor: Mapped[int] = business(BigInteger)
    currency: Mapped[str] = business(Text)
    period_days: Mapped[int | None] = business(Integer)
    trial_days: Mapped[int] = business(Integer, server_default="0")
    grace_days: Mapped[int] = business(Integer, server_default="7")
    pause_access: Mapped[str] = business(Text, server_default="period")
    highlighted: Mapped[bool] = business(Boolean, server_default="false")
    position: Mapped[int] = business(SmallInteger)
    whop_plan_id: Mapped[str | None] = business(Text, unique=True)
    whop_product_id: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()
    archived_at: Mapped[datetime | None] = business()


class Feature(Base):
    """Something an application can ask about: "may this user use it now?"."""

    __tablename__ = "feature"

    code: Mapped[str] = business(Text, primary_key=True)
    name: Mapped[str] = business(Text)
    description: Mapped[str] = business(Text, server_default="")
    position: Mapped[int] = business(SmallInteger)


class PlanFeature(Base):
    """A plan grants a feature."""

    __tablename__ = "plan_feature"

    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"), primary_key=True)
    feature_code: Mapped[str] = business(Text, ForeignKey("feature.code"), primary_key=True)
