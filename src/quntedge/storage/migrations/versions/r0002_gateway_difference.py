"""What reconciliation found different between the gateway and us. Adds a table and touches no other."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateway_difference",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repaired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("whop_object_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('membership', 'payment', 'missing_at_gateway')", name=op.f("ck_gateway_difference_kind")
        ),
        sa.CheckConstraint("outcome IN ('repaired', 'open')", name=op.f("ck_gateway_difference_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_difference")),
    )
    op.create_index(
        "uq_gateway_difference_open",
        "gateway_difference",
        ["whop_object_id"],
        unique=True,
        postgresql_where="outcome = 'open'",
    )
