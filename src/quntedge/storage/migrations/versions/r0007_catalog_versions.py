"""Versions of plans, prices per currency, values of features."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint(op.f("uq_plan_id_kind"), "plan", ["id", "kind"])
    op.create_table(
        "plan_price",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("period_days", sa.Integer(), nullable=True),
        sa.Column("trial_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("whop_plan_id", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("whop_archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("version >= 1", name=op.f("ck_plan_price_version")),
        sa.CheckConstraint(
            "(kind = 'recurring') = (period_days IS NOT NULL)", name=op.f("ck_plan_price_recurring_has_period")
        ),
        sa.CheckConstraint(
            "price_minor >= 0 AND (kind = 'free') = (price_minor = 0)", name=op.f("ck_plan_price_price")
        ),
        sa.CheckConstraint("period_days > 0 AND trial_days >= 0", name=op.f("ck_plan_price_days")),
        sa.ForeignKeyConstraint(["plan_id", "kind"], ["plan.id", "plan.kind"], name=op.f("fk_plan_price_plan_id_kind")),
        sa.PrimaryKeyConstraint("plan_id", "version", "currency", name=op.f("pk_plan_price")),
        sa.UniqueConstraint("whop_plan_id", name=op.f("uq_plan_price_whop_plan_id")),
    )
    op.create_index(
        "uq_plan_price_current",
        "plan_price",
        ["plan_id", "currency"],
        unique=True,
        postgresql_where="retired_at IS NULL",
    )
    # What was sold so far is the first version of each plan.
    op.execute(
        "INSERT INTO plan_price (plan_id, version, currency, kind, price_minor, period_days, trial_days, whop_plan_id,"
        " valid_from) SELECT id, 1, currency, kind, price_minor, period_days, trial_days, whop_plan_id, created_at"
        " FROM plan"
    )
    op.drop_constraint(op.f("ck_plan_recurring_has_period"), "plan")
    op.drop_constraint(op.f("ck_plan_price"), "plan")
    op.drop_constraint(op.f("ck_plan_days"), "plan")
    op.drop_constraint(op.f("uq_plan_whop_plan_id"), "plan")
    for column in ("price_minor", "period_days", "trial_days", "whop_plan_id"):
        op.drop_column("plan", column)
    op.create_check_constraint(op.f("ck_plan_grace_days"), "plan", "grace_days >= 0")
    op.add_column("plan", sa.Column("rules", postgresql.JSONB(), server_default="{}", nullable=False))
    op.add_column("feature", sa.Column("kind", sa.Text(), server_default="boolean", nullable=False))
    op.create_check_constraint(op.f("ck_feature_kind"), "feature", "kind IN ('boolean', 'limit', 'config')")
    op.add_column("feature", sa.Column("unit", sa.Text(), server_default="", nullable=False))
    op.add_column("plan_feature", sa.Column("value", sa.Text(), nullable=True))
    # A purchase keeps to the terms it began with.
    op.add_column("checkout_intent", sa.Column("plan_version", sa.Integer(), server_default="1", nullable=False))
