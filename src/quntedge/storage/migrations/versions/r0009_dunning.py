"""Dunning: a case for each renewal that failed, the attempts to collect it, and where its customer's day begins."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("app_user", sa.Column("time_zone", sa.Text(), nullable=True))
    op.create_table(
        "dunning_case",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("whop_payment_id", sa.Text(), nullable=False),
        sa.Column("whop_membership_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("decline_class", sa.Text(), nullable=False),
        sa.Column("attempts_gateway", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts_own", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("method_changes", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("retries_refused", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("ending", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("needs_review", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.DateTime(timezone=True), nullable=True)
            for name in (
                "grace_until",
                "gateway_next_at",
                "looked_at",
                "reminded_at",
                "access_paused_at",
                "next_attempt_at",
                "look_at",
                "remind_at",
                "pause_access_at",
                "end_at",
                "next_due_at",
            )
        ),
        sa.Column("process_id", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'recovered', 'exhausted', 'canceled', 'superseded')", name=op.f("ck_dunning_case_state")
        ),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("ck_dunning_case_closed")),
        sa.CheckConstraint("closed_by IN ('whop', 'us', 'customer')", name=op.f("ck_dunning_case_closed_by")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_dunning_case_user_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_dunning_case_subscription_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_dunning_case_plan_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["payment_transaction.id"], name=op.f("fk_dunning_case_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_case")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_dunning_case_transaction_id")),
        sa.UniqueConstraint("whop_payment_id", name=op.f("uq_dunning_case_whop_payment_id")),
    )
    op.create_index("ix_dunning_case_due", "dunning_case", ["next_due_at", "id"], postgresql_where="state = 'open'")
    op.create_index(
        "uq_dunning_case_open", "dunning_case", ["subscription_id"], unique=True, postgresql_where="state = 'open'"
    )
    op.create_index("ix_dunning_case_user", "dunning_case", ["user_id", "opened_at"])
    op.create_index("ix_dunning_case_subscription", "dunning_case", ["subscription_id", "opened_at"])
    op.create_index("ix_dunning_case_membership", "dunning_case", ["whop_membership_id"])
    op.create_index("ix_dunning_case_opened", "dunning_case", ["opened_at"])
    op.create_table(
        "dunning_attempt",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("failed_before", sa.Integer(), nullable=False),
        sa.Column("gateway_number", sa.Integer(), nullable=True),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("decline_class", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("actor IN ('whop', 'us', 'customer')", name=op.f("ck_dunning_attempt_actor")),
        sa.CheckConstraint("result IN ('open', 'failed', 'paid', 'refused')", name=op.f("ck_dunning_attempt_result")),
        sa.ForeignKeyConstraint(["case_id"], ["dunning_case.id"], name=op.f("fk_dunning_attempt_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_attempt")),
    )
    op.create_index(
        "uq_dunning_attempt_open", "dunning_attempt", ["case_id"], unique=True, postgresql_where="result = 'open'"
    )
    op.create_index("ix_dunning_attempt_case", "dunning_attempt", ["case_id", "started_at", "id"])
