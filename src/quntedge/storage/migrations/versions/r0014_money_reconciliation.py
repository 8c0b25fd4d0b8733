"""What the gateway says about money, and differences."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _records()
    _movements()
    _runs()
    _sums()
    _differences()
    _periods()


def _records() -> None:
    op.create_table(
        "gateway_record",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gateway_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('payment', 'refund', 'payout')", name=op.f("ck_gateway_record_kind")),
        sa.CheckConstraint(
            "amount_minor >= 0 AND tax_minor >= 0 AND fee_minor >= 0", name=op.f("ck_gateway_record_amounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_record")),
    )
    op.create_index("ix_gateway_record_kind", "gateway_record", ["kind", "occurred_at", "id"], unique=False)


def _movements() -> None:
    op.create_table(
        "gateway_movement",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("line_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("residue", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("residue BETWEEN -50000000 AND 50000000", name=op.f("ck_gateway_movement_residue")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_movement")),
    )
    op.create_index(
        "ix_gateway_movement_alone",
        "gateway_movement",
        ["posted_at"],
        unique=False,
        postgresql_where=sa.text("payment_id IS NULL OR kind = 'other'"),
    )
    op.create_index(
        "ix_gateway_movement_payment",
        "gateway_movement",
        ["payment_id"],
        unique=False,
        postgresql_where=sa.text("payment_id IS NOT NULL"),
    )


def _runs() -> None:
    op.create_table(
        "reconciliation_run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("position", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resume_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("interruptions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("feed_read", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("rows_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("compared", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("found", sa.Integer(), server_default="0", nullable=False),
        sa.Column("repaired", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worked_milliseconds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'running') = (finished_at IS NULL)", name=op.f("ck_reconciliation_run_finished")),
        sa.CheckConstraint(
            "stage IN ('payments', 'refunds', 'movements', 'payouts', 'compare', 'done')",
            name=op.f("ck_reconciliation_run_stage"),
        ),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_reconciliation_run_state")),
        sa.CheckConstraint("trigger IN ('nightly', 'manual')", name=op.f("ck_reconciliation_run_trigger")),
        sa.CheckConstraint("since < until", name=op.f("ck_reconciliation_run_window")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_run")),
    )
    op.create_index("ix_reconciliation_run_started", "reconciliation_run", ["started_at", "id"], unique=False)
    op.create_index(
        "uq_reconciliation_run_running",
        "reconciliation_run",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )


def _sums() -> None:
    op.create_table(
        "reconciliation_sum",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("gateway_minor", sa.BigInteger(), nullable=False),
        sa.Column("recorded_minor", sa.BigInteger(), nullable=True),
        sa.Column("ledger_minor", sa.BigInteger(), nullable=False),
        sa.Column("explained_minor", sa.BigInteger(), nullable=False),
        sa.Column("unexplained_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "measure IN ('charge', 'tax', 'fee', 'refund', 'dispute', 'dispute_fee', 'payout', 'payout_fee', 'other', 'status')",
            name=op.f("ck_reconciliation_sum_measure"),
        ),
        sa.CheckConstraint(
            "unexplained_minor = gateway_minor - ledger_minor - explained_minor",
            name=op.f("ck_reconciliation_sum_unexplained"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_run.id"], name=op.f("fk_reconciliation_sum_run_id")),
        sa.PrimaryKeyConstraint("run_id", "currency", "measure", name=op.f("pk_reconciliation_sum")),
    )


def _differences() -> None:
    op.create_table(
        "money_difference",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("last_run_id", sa.Text(), nullable=False),
        sa.Column("last_pass", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gateway_minor", sa.BigInteger(), nullable=True),
        sa.Column("recorded_minor", sa.BigInteger(), nullable=True),
        sa.Column("ledger_minor", sa.BigInteger(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "cause IN ('timing', 'missing_here', 'missing_at_gateway', 'status', 'amount', 'fee', 'refund', 'dispute', 'payout', 'movement', 'ledger_missing', 'ledger_amount', 'ledger_orphan', 'rounding')",
            name=op.f("ck_money_difference_cause"),
        ),
        sa.CheckConstraint(
            "measure IN ('charge', 'tax', 'fee', 'refund', 'dispute', 'dispute_fee', 'payout', 'payout_fee', 'other', 'status')",
            name=op.f("ck_money_difference_measure"),
        ),
        sa.CheckConstraint("period ~ '^[0-9]{4}-[0-9]{2}$'", name=op.f("ck_money_difference_period")),
        sa.CheckConstraint(
            "resolution IN ('repaired') OR resolution IS NULL OR note IS NOT NULL",
            name=op.f("ck_money_difference_note"),
        ),
        sa.CheckConstraint(
            "resolution IN ('repaired', 'explained', 'adjusted', 'accepted')",
            name=op.f("ck_money_difference_resolution"),
        ),
        sa.CheckConstraint("(resolution IS NULL) = (resolved_at IS NULL)", name=op.f("ck_money_difference_resolved")),
        sa.CheckConstraint(
            "(resolution IS NULL) = (resolved_by IS NULL)", name=op.f("ck_money_difference_resolved_by")
        ),
        sa.ForeignKeyConstraint(
            ["last_run_id"], ["reconciliation_run.id"], name=op.f("fk_money_difference_last_run_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_run.id"], name=op.f("fk_money_difference_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_difference")),
    )
    op.create_index(
        "ix_money_difference_object", "money_difference", ["object_id", "measure", "currency"], unique=False
    )
    op.create_index(
        "ix_money_difference_occurred",
        "money_difference",
        ["occurred_at"],
        unique=False,
        postgresql_where=sa.text("resolution IS NULL"),
    )
    op.create_index(
        "ix_money_difference_open",
        "money_difference",
        ["period", "id"],
        unique=False,
        postgresql_where=sa.text("resolution IS NULL"),
    )
    op.create_index("ix_money_difference_seen", "money_difference", ["first_seen_at", "id"], unique=False)
    op.create_index(
        "uq_money_difference_open",
        "money_difference",
        ["object_id", "measure", "currency"],
        unique=True,
        postgresql_where=sa.text("resolution IS NULL"),
    )


def _periods() -> None:
    op.create_table(
        "money_period",
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.CheckConstraint("period ~ '^[0-9]{4}-[0-9]{2}$'", name=op.f("ck_money_period_period")),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_run.id"], name=op.f("fk_money_period_run_id")),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_money_period")),
    )
