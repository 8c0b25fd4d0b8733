"""Payments in full, and saved payment methods."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_PAYMENT_COLUMNS = (
    *((name, sa.Text) for name in ("whop_member_id", "whop_promo_code_id", "whop_method_id")),
    *((name, sa.Text) for name in ("presentment_currency", "dispute_status")),
    *((name, sa.BigInteger) for name in ("discount_minor", "presentment_minor", "fee_minor")),
    *((name, sa.SmallInteger) for name in ("method_exp_month", "method_exp_year")),
)
_PAYMENT_CHECKS = (
    ("discount", "discount_minor >= 0"),
    ("fee", "fee_minor >= 0"),
    ("disputed", "disputed_minor >= 0"),
    ("presentment", "(presentment_minor IS NULL) = (presentment_currency IS NULL)"),
    ("method_exp_month", "method_exp_month BETWEEN 1 AND 12"),
)


def upgrade() -> None:
    for name, kind in _PAYMENT_COLUMNS:
        op.add_column("payment_transaction", sa.Column(name, kind(), nullable=True))
    op.add_column(
        "payment_transaction", sa.Column("disputed_minor", sa.BigInteger(), server_default="0", nullable=False)
    )
    for name, condition in _PAYMENT_CHECKS:
        op.create_check_constraint(op.f(f"ck_payment_transaction_{name}"), "payment_transaction", condition)
    op.create_index("ix_payment_transaction_occurred", "payment_transaction", ["occurred_at", "id"])
    op.create_index("ix_payment_transaction_plan", "payment_transaction", ["plan_id", "occurred_at", "id"])
    op.create_index("ix_payment_transaction_membership", "payment_transaction", ["whop_membership_id"])
    op.create_index("ix_payment_transaction_currency", "payment_transaction", ["currency", "occurred_at", "id"])
    op.create_index(
        "ix_payment_transaction_status",
        "payment_transaction",
        ["status", "occurred_at", "id"],
        postgresql_where="status <> 'paid'",
    )
    _methods()


def _methods() -> None:
    op.create_table(
        "payment_method",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("whop_method_id", sa.Text(), nullable=False),
        sa.Column("whop_member_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("last4", sa.Text(), nullable=True),
        sa.Column("exp_month", sa.SmallInteger(), nullable=True),
        sa.Column("exp_year", sa.SmallInteger(), nullable=True),
        sa.Column("is_default", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("default_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("warned_for", sa.Text(), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("exp_month BETWEEN 1 AND 12", name=op.f("ck_payment_method_exp_month")),
        sa.CheckConstraint("NOT is_default OR removed_at IS NULL", name=op.f("ck_payment_method_default_exists")),
        sa.CheckConstraint("NOT is_default OR default_since IS NOT NULL", name=op.f("ck_payment_method_default_since")),
        sa.CheckConstraint("warn_at IS NULL OR is_default", name=op.f("ck_payment_method_warning")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_payment_method_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_method")),
        sa.UniqueConstraint("user_id", "whop_method_id", name=op.f("uq_payment_method_user_id_whop_method_id")),
    )
    op.create_index(
        "uq_payment_method_default", "payment_method", ["user_id"], unique=True, postgresql_where="is_default"
    )
    op.create_index(
        "ix_payment_method_warn", "payment_method", ["warn_at", "id"], postgresql_where="warn_at IS NOT NULL"
    )
    op.create_table(
        "method_member",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("whop_member_id", sa.Text(), nullable=False),
        sa.Column("sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_method_member_user_id")),
        sa.PrimaryKeyConstraint("user_id", "whop_member_id", name=op.f("pk_method_member")),
    )
    op.create_index("ix_method_member_due", "method_member", ["sync_at"], postgresql_where="sync_at IS NOT NULL")
    op.create_index("ix_method_member_member", "method_member", ["whop_member_id"])
    op.create_table(
        "method_setup",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("whop_checkout_id", sa.Text(), nullable=True),
        sa.Column("whop_member_id", sa.Text(), nullable=True),
        sa.Column("whop_method_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_method_setup_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_method_setup")),
    )
    op.create_index("ix_method_setup_user", "method_setup", ["user_id", "created_at"])
    op.create_index("ix_method_setup_open", "method_setup", ["created_at"], postgresql_where="ended_at IS NULL")
