"""What the gateway moved, compared with what we know; older differences; two people for an adjustment; awaited fees."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_CAUSES = (
    "timing missing_here missing_at_gateway status amount fee refund dispute payout movement ledger_missing"
    " ledger_amount ledger_orphan rounding moved conversion"
).split()
_STAGES = "payments refunds movements payouts older compare done".split()


def upgrade() -> None:
    _moved()
    _two_people()
    _older()
    _awaited()


def _moved() -> None:
    op.add_column("money_difference", sa.Column("moved_minor", sa.BigInteger(), nullable=True))
    op.add_column("reconciliation_sum", sa.Column("moved_minor", sa.BigInteger(), nullable=True))
    _one_of("money_difference", "cause", _CAUSES)
    for column in ("resolution", "cause"):
        op.create_index(
            f"ix_money_difference_{column}", "money_difference", [column, "first_seen_at", "id"], unique=False
        )
    op.create_index(
        "ix_gateway_record_payment",
        "gateway_record",
        ["payment_id"],
        unique=False,
        postgresql_where=sa.text("payment_id IS NOT NULL"),
    )
    op.create_index(
        "ix_gateway_movement_source",
        "gateway_movement",
        ["source_id"],
        unique=False,
        postgresql_where=sa.text("kind IN ('payout', 'payout_fee')"),
    )
    op.create_index(
        "ix_gateway_movement_seen",
        "gateway_movement",
        ["seen_at"],
        unique=False,
        postgresql_where=sa.text("payment_id IS NOT NULL"),
    )


def _two_people() -> None:
    op.add_column("money_difference", sa.Column("proposed_by", sa.Text(), nullable=True))
    op.add_column("money_difference", sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_money_difference_proposed"), "money_difference", "(proposed_by IS NULL) = (proposed_at IS NULL)"
    )
    op.create_check_constraint(
        op.f("ck_money_difference_proposal_says_why"), "money_difference", "proposed_by IS NULL OR note IS NOT NULL"
    )
    op.create_check_constraint(
        op.f("ck_money_difference_two_people"),
        "money_difference",
        "resolution <> 'adjusted' OR proposed_by <> resolved_by",
    )
    # Until now the comparison itself asked for what one person approved of, and the ledger says so.
    op.execute(
        "UPDATE money_difference SET proposed_by = 'reconciliation', proposed_at = resolved_at"
        " WHERE resolution = 'adjusted' AND cause <> 'rounding'"
    )
    op.create_check_constraint(
        op.f("ck_money_difference_adjusted_by_two"),
        "money_difference",
        "resolution <> 'adjusted' OR proposed_by IS NOT NULL OR cause = 'rounding'",
    )


def _older() -> None:
    _one_of("reconciliation_run", "stage", _STAGES)
    op.create_table(
        "reconciliation_older",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "object_kind IN ('payment', 'refund', 'payout', 'movement', 'entry')",
            name=op.f("ck_reconciliation_older_object_kind"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_run.id"], name=op.f("fk_reconciliation_older_run_id")),
        sa.PrimaryKeyConstraint("run_id", "object_kind", "object_id", name=op.f("pk_reconciliation_older")),
    )
    op.create_index(
        "ix_reconciliation_older_waiting",
        "reconciliation_older",
        ["run_id", "object_id"],
        unique=False,
        postgresql_where=sa.text("looked_at IS NULL"),
    )


def _awaited() -> None:
    op.create_table(
        "fee_awaited",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_fee_awaited")),
    )
    op.create_index("ix_fee_awaited_due", "fee_awaited", ["due_at"], unique=False)


def _one_of(table: str, column: str, words: list[str]) -> None:
    """Lets a column hold these words. What it holds already is among them: nothing has to be read."""
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    listed = ", ".join(f"'{word}'" for word in words)
    op.create_check_constraint(name, table, f"{column} IN ({listed})")
