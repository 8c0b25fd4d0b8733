"""What the gateway exchanges from one currency into another, and months that differ, in ledger and reconciliation."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_KINDS = "payment fee refund dispute payout rounding conversion adjustment".split()
_MEASURES = "charge tax fee refund dispute dispute_fee payout payout_fee conversion other status month".split()
_CAUSES = (
    "timing missing_here missing_at_gateway status amount fee refund dispute payout movement ledger_missing"
    " ledger_amount ledger_orphan rounding moved conversion month"
).split()


def upgrade() -> None:
    op.execute(
        sa.text(
            "INSERT INTO ledger_account (code, kind, side, title)"
            " VALUES ('conversion', 'asset', 'debit', 'Exchanged by the gateway between currencies')"
        )
    )
    _one_of("ledger_entry", "kind", _KINDS)
    _one_of("money_difference", "measure", _MEASURES)
    _one_of("money_difference", "cause", _CAUSES)
    _one_of("reconciliation_sum", "measure", _MEASURES)
    # Payouts are looked for again when one of their movements was read lately.
    op.create_index(
        "ix_gateway_movement_payout_seen",
        "gateway_movement",
        ["seen_at"],
        unique=False,
        postgresql_where=sa.text("kind IN ('payout', 'payout_fee')"),
    )


def _one_of(table: str, column: str, words: list[str]) -> None:
    """Lets a column hold these words. What it holds already is read once, without anything to be found."""
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table, type_="check")
    listed = ", ".join(f"'{word}'" for word in words)
    op.create_check_constraint(name, table, f"{column} IN ({listed})")
