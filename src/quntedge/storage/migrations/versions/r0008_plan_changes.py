"""Plan changes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_RUNNING = "state IN ('running', 'awaiting_checkout', 'requires_action')"
_PLANNED = "state IN ('scheduling', 'scheduled', 'withdrawing', 'collecting')"
_STATES = (
    "state IN ('running', 'awaiting_checkout', 'requires_action', 'scheduling', 'scheduled', 'withdrawing',"
    " 'collecting', 'done', 'failed', 'withdrawn', 'replaced', 'dropped', 'expired')"
)


def upgrade() -> None:
    op.create_table(
        "plan_change",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("pay_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("from_plan_id", sa.Text(), nullable=False),
        sa.Column("to_plan_id", sa.Text(), nullable=False),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("to_whop_plan_id", sa.Text(), nullable=True),
        sa.Column("old_membership_id", sa.Text(), nullable=False),
        sa.Column("new_membership_id", sa.Text(), nullable=True),
        sa.Column("whop_member_id", sa.Text(), nullable=True),
        sa.Column("whop_method_id", sa.Text(), nullable=True),
        sa.Column("whop_payment_id", sa.Text(), nullable=True),
        sa.Column("whop_promo_id", sa.Text(), nullable=True),
        sa.Column("whop_checkout_id", sa.Text(), nullable=True),
        sa.Column("purchase_url", sa.Text(), nullable=True),
        sa.Column("refund_payment_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("charge_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("refund_minor", sa.BigInteger(), nullable=False),
        sa.Column("extension_days", sa.Integer(), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("review", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(_STATES, name=op.f("ck_plan_change_state")),
        sa.CheckConstraint("moment IN ('now', 'period_end')", name=op.f("ck_plan_change_moment")),
        sa.CheckConstraint("pay_by IN ('method', 'checkout', 'nothing')", name=op.f("ck_plan_change_pay_by")),
        sa.CheckConstraint(
            "charge_minor >= 0 AND credit_minor >= 0 AND refund_minor >= 0 AND extension_days >= 0",
            name=op.f("ck_plan_change_amounts"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_plan_change_user_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_plan_change_subscription_id")),
        sa.ForeignKeyConstraint(["process_id"], ["process.id"], name=op.f("fk_plan_change_process_id")),
        sa.ForeignKeyConstraint(["from_plan_id"], ["plan.id"], name=op.f("fk_plan_change_from_plan_id")),
        sa.ForeignKeyConstraint(["to_plan_id"], ["plan.id"], name=op.f("fk_plan_change_to_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_change")),
    )
    op.create_index(
        "uq_plan_change_running", "plan_change", ["subscription_id"], unique=True, postgresql_where=sa.text(_RUNNING)
    )
    op.create_index(
        "uq_plan_change_planned", "plan_change", ["subscription_id"], unique=True, postgresql_where=sa.text(_PLANNED)
    )
    op.create_index("ix_plan_change_subscription", "plan_change", ["subscription_id", "created_at"], unique=False)
    op.create_index("ix_plan_change_user", "plan_change", ["user_id", "created_at"], unique=False)
    op.create_index(
        "ix_plan_change_member",
        "plan_change",
        ["whop_member_id"],
        unique=False,
        postgresql_where=sa.text("new_membership_id IS NULL"),
    )
    op.create_index("ix_plan_change_new_membership", "plan_change", ["new_membership_id"], unique=False)
    op.create_index("ix_plan_change_payment", "plan_change", ["whop_payment_id"], unique=False)
    op.create_table(
        "plan_change_quote",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("to_plan_id", sa.Text(), nullable=False),
        sa.Column("terms", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_plan_change_quote_user_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_plan_change_quote_subscription_id")
        ),
        sa.ForeignKeyConstraint(["to_plan_id"], ["plan.id"], name=op.f("fk_plan_change_quote_to_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_change_quote")),
    )
    op.create_index("ix_plan_change_quote_expiry", "plan_change_quote", ["expires_at"], unique=False)
