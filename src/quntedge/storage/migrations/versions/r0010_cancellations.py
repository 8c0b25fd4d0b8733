"""Cancellations, surveys, save offers, withdrawals."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_REASONS = "'too_expensive', 'switching', 'missing_features', 'technical_issues', 'bad_experience', 'unused', 'other'"


def upgrade() -> None:
    op.create_table(
        "cancellation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("whop_membership_id", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Text(), nullable=True),
        sa.Column("timing", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("feedback", sa.LargeBinary(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("access_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"reason IS NULL OR reason IN ({_REASONS})", name=op.f("ck_cancellation_reason")),
        sa.CheckConstraint(
            "state IN ('requested', 'scheduled', 'done', 'undone', 'replaced', 'failed')",
            name=op.f("ck_cancellation_state"),
        ),
        sa.CheckConstraint("timing IN ('now', 'period_end')", name=op.f("ck_cancellation_timing")),
        sa.ForeignKeyConstraint(["process_id"], ["process.id"], name=op.f("fk_cancellation_process_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_cancellation_subscription_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_cancellation_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cancellation")),
    )
    op.create_index("ix_cancellation_subscription", "cancellation", ["subscription_id", "requested_at"], unique=False)
    op.create_index(
        "uq_cancellation_open",
        "cancellation",
        ["subscription_id"],
        unique=True,
        postgresql_where="state IN ('requested', 'scheduled')",
    )
    op.create_table(
        "save_offer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("whop_membership_id", sa.Text(), nullable=False),
        sa.Column("process_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("percent_bp", sa.Integer(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('discount', 'pause')", name=op.f("ck_save_offer_kind")),
        sa.CheckConstraint(
            "state IN ('shown', 'accepting', 'accepted', 'declined', 'failed')", name=op.f("ck_save_offer_state")
        ),
        sa.CheckConstraint(
            "CASE kind WHEN 'pause' THEN days IS NOT NULL ELSE periods IS NOT NULL"
            " AND (percent_bp IS NULL) <> (amount_minor IS NULL) END",
            name=op.f("ck_save_offer_terms"),
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_save_offer_plan_id")),
        sa.ForeignKeyConstraint(["process_id"], ["process.id"], name=op.f("fk_save_offer_process_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_save_offer_subscription_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_save_offer_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_save_offer")),
        sa.UniqueConstraint("user_id", name=op.f("uq_save_offer_user_id")),
    )
    op.create_index("ix_save_offer_subscription", "save_offer", ["subscription_id"], unique=False)
    op.create_table(
        "withdrawal",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("cancellation_id", sa.Text(), nullable=True),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("concluded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("basis IN ('full', 'pro_rata')", name=op.f("ck_withdrawal_basis")),
        sa.ForeignKeyConstraint(["cancellation_id"], ["cancellation.id"], name=op.f("fk_withdrawal_cancellation_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_withdrawal_subscription_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_withdrawal_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal")),
        sa.UniqueConstraint("subscription_id", name=op.f("uq_withdrawal_subscription_id")),
    )
    op.create_table(
        "refund_request",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("withdrawal_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_request_amount")),
        sa.CheckConstraint("reason IN ('withdrawal')", name=op.f("ck_refund_request_reason")),
        sa.CheckConstraint(
            "state IN ('requested', 'approved', 'done', 'refused')", name=op.f("ck_refund_request_state")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_refund_request_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["payment_transaction.id"], name=op.f("fk_refund_request_transaction_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_refund_request_user_id")),
        sa.ForeignKeyConstraint(["withdrawal_id"], ["withdrawal.id"], name=op.f("fk_refund_request_withdrawal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_request")),
        sa.UniqueConstraint(
            "withdrawal_id", "transaction_id", name=op.f("uq_refund_request_withdrawal_id_transaction_id")
        ),
    )
    op.create_index(
        "ix_refund_request_open",
        "refund_request",
        ["requested_at", "id"],
        unique=False,
        postgresql_where="state = 'requested'",
    )
    op.create_index("ix_refund_request_user", "refund_request", ["user_id"], unique=False)
