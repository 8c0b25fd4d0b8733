"""Moving subscribers to a new version of their plan."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plan_migration",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("notice_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), server_default="", nullable=False),
        sa.Column("work_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('enrolling', 'running', 'withdrawing', 'done', 'withdrawn')",
            name=op.f("ck_plan_migration_state"),
        ),
        sa.CheckConstraint(
            "(state IN ('enrolling', 'withdrawing')) = (work_at IS NOT NULL)", name=op.f("ck_plan_migration_work")
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'withdrawn')) = (ended_at IS NOT NULL)", name=op.f("ck_plan_migration_ended")
        ),
        sa.CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name=op.f("ck_plan_migration_withdrawn")),
        sa.CheckConstraint("notice_days >= 30", name=op.f("ck_plan_migration_notice")),
        sa.CheckConstraint("from_version < to_version", name=op.f("ck_plan_migration_versions")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_plan_migration_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan_migration")),
    )
    op.create_index(
        "uq_plan_migration_open",
        "plan_migration",
        ["plan_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('enrolling', 'running', 'withdrawing')"),
    )
    op.create_index(
        "ix_plan_migration_work", "plan_migration", ["work_at"], postgresql_where=sa.text("work_at IS NOT NULL")
    )
    _create_items()


def _create_items() -> None:
    op.create_table(
        "plan_migration_item",
        sa.Column("migration_id", sa.Text(), nullable=False),
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("old_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("new_price_minor", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("move_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("change_id", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'moving', 'moved', 'left', 'withdrawn', 'skipped')",
            name=op.f("ck_plan_migration_item_state"),
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'moving')) = (due_at IS NOT NULL)", name=op.f("ck_plan_migration_item_due")
        ),
        sa.CheckConstraint(
            "state NOT IN ('moving', 'moved') OR change_id IS NOT NULL", name=op.f("ck_plan_migration_item_change")
        ),
        sa.CheckConstraint(
            "state NOT IN ('left', 'skipped') OR reason IS NOT NULL", name=op.f("ck_plan_migration_item_reason")
        ),
        sa.CheckConstraint(
            "state = 'skipped' OR (new_price_minor > 0 AND not_before IS NOT NULL)",
            name=op.f("ck_plan_migration_item_told"),
        ),
        sa.ForeignKeyConstraint(
            ["migration_id"], ["plan_migration.id"], name=op.f("fk_plan_migration_item_migration_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_plan_migration_item_subscription_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_plan_migration_item_user_id")),
        sa.ForeignKeyConstraint(["change_id"], ["plan_change.id"], name=op.f("fk_plan_migration_item_change_id")),
        sa.PrimaryKeyConstraint("migration_id", "subscription_id", name=op.f("pk_plan_migration_item")),
    )
    op.create_index(
        "ix_plan_migration_item_due", "plan_migration_item", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index("ix_plan_migration_item_state", "plan_migration_item", ["migration_id", "state", "subscription_id"])
    op.create_index("ix_plan_migration_item_subscription", "plan_migration_item", ["subscription_id"])
    op.create_index(
        "ix_plan_migration_item_change",
        "plan_migration_item",
        ["change_id"],
        postgresql_where=sa.text("change_id IS NOT NULL"),
    )
