"""What we know of memberships besides what the gateway says: pauses, successors, the version of the plan."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("paused_at", "resume_at", "superseded_at"):
        op.add_column("subscription_membership", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "subscription_membership", sa.Column("plan_version", sa.Integer(), server_default="1", nullable=False)
    )
    for column in ("paused_at", "resume_at", "pause_access_until"):
        op.add_column("subscription", sa.Column(column, sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription", sa.Column("plan_version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("plan", sa.Column("pause_access", sa.Text(), server_default="period", nullable=False))
    op.create_check_constraint(op.f("ck_plan_pause_access"), "plan", "pause_access IN ('keep', 'period', 'none')")
    # Until now access during a pause lasted as long as the period that was paid for.
    op.execute("UPDATE subscription SET pause_access_until = period_end WHERE status = 'paused'")
