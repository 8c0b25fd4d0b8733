"""What the gateway does with memberships that stay unpaid: it decides how long a customer's grace can be.

And ways to what waits for a person, which is next to nothing among a million rows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateway_account",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("unpaid", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("unpaid IN ('cancel', 'none')", name=op.f("ck_gateway_account_unpaid")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_gateway_account")),
    )
    op.create_index("ix_subscription_review", "subscription", ["id"], postgresql_where=sa.text("needs_review"))
    op.create_index("ix_dunning_case_review", "dunning_case", ["id"], postgresql_where=sa.text("needs_review"))
    op.create_index("ix_process_stuck", "process", ["id"], postgresql_where=sa.text("stuck"))
    op.create_index("ix_plan_change_review", "plan_change", ["id"], postgresql_where=sa.text("review IS NOT NULL"))
