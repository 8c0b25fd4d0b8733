"""What is for sale: plans, the versions of their terms, features, and which plan brings which feature."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class Plan(Base):
    """One way to buy: its name, its features (`PlanFeature`), and how its customers are treated.

    `currency` is the one its price is shown in first. `rules` is the document of `plan_rules.PlanRules`. What it costs
    and for how long is in `PlanPrice`.
    """

    __tablename__ = "plan"
    __table_args__ = (
        CheckConstraint("kind IN ('free', 'recurring', 'lifetime')", name="kind"),
        CheckConstraint("pause_access IN ('keep', 'period', 'none')", name="pause_access"),
        CheckConstraint("grace_days >= 0", name="grace_days"),
        Index("uq_plan_free", "kind", unique=True, postgresql_where="kind = 'free' AND archived_at IS NULL"),
        UniqueConstraint("id", "kind"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    code: Mapped[str] = business(Text, unique=True)
    name: Mapped[str] = business(Text)
    tagline: Mapped[str] = business(Text, server_default="")
    kind: Mapped[str] = business(Text)
    currency: Mapped[str] = business(Text)
    grace_days: Mapped[int] = business(Integer, server_default="7")
    pause_access: Mapped[str] = business(Text, server_default="period")
    rules: Mapped[dict[str, Any]] = business(JSONB, server_default="{}")
    highlighted: Mapped[bool] = business(Boolean, server_default="false")
    position: Mapped[int] = business(SmallInteger)
    whop_product_id: Mapped[str | None] = business(Text)
    created_at: Mapped[datetime] = business()
    updated_at: Mapped[datetime] = business()
    archived_at: Mapped[datetime | None] = business()


class PlanPrice(Base):
    """The terms of a plan in one version and one currency: one plan at Whop, where they can never change.

    Rows without `retired_at` are the plan's current version; the others say what earlier subscribers bought.
    `period_days` is None where nothing renews. `kind` repeats the plan's, so that the row can be checked against it and
    the plan cannot become another kind of thing. `whop_archived_at`: since when nobody can buy it at Whop either.
    """

    __tablename__ = "plan_price"
    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "kind"], ["plan.id", "plan.kind"]),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("(kind = 'recurring') = (period_days IS NOT NULL)", name="recurring_has_period"),
        CheckConstraint("price_minor >= 0 AND (kind = 'free') = (price_minor = 0)", name="price"),
        CheckConstraint("period_days > 0 AND trial_days >= 0", name="days"),
        Index("uq_plan_price_current", "plan_id", "currency", unique=True, postgresql_where="retired_at IS NULL"),
    )

    plan_id: Mapped[str] = business(Text, primary_key=True)
    version: Mapped[int] = business(Integer, primary_key=True)
    currency: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    price_minor: Mapped[int] = business(BigInteger)
    period_days: Mapped[int | None] = business(Integer)
    trial_days: Mapped[int] = business(Integer, server_default="0")
    whop_plan_id: Mapped[str | None] = business(Text, unique=True)
    valid_from: Mapped[datetime] = business()
    retired_at: Mapped[datetime | None] = business()
    whop_archived_at: Mapped[datetime | None] = business()


class Feature(Base):
    """Something an application can ask about: "may this user use it now, and how much of it?".

    `kind`: boolean (yes or no), limit (so many, in `unit`), or config (a text that the application understands).
    """

    __tablename__ = "feature"
    __table_args__ = (CheckConstraint("kind IN ('boolean', 'limit', 'config')", name="kind"),)

    code: Mapped[str] = business(Text, primary_key=True)
    name: Mapped[str] = business(Text)
    description: Mapped[str] = business(Text, server_default="")
    kind: Mapped[str] = business(Text, server_default="boolean")
    unit: Mapped[str] = business(Text, server_default="")
    position: Mapped[int] = business(SmallInteger)


class PlanFeature(Base):
    """A plan grants a feature. `value` is a limit in digits (None: without limit) or the text of a config."""

    __tablename__ = "plan_feature"

    plan_id: Mapped[str] = business(Text, ForeignKey("plan.id"), primary_key=True)
    feature_code: Mapped[str] = business(Text, ForeignKey("feature.code"), primary_key=True)
    value: Mapped[str | None] = business(Text)
