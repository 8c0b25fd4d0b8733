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
    # First payments forgot which membership they were for when their reports came together. Where a subscription has
    # had one only, it was that.
    op.execute(
        """
        UPDATE payment_transaction AS t SET whop_membership_id = m.whop_membership_id
        FROM (SELECT subscription_id, min(whop_membership_id) AS whop_membership_id FROM subscription_membership
              GROUP BY subscription_id HAVING count(*) = 1) AS m
        WHERE t.subscription_id = m.subscription_id AND t.whop_membership_id IS NULL
        """
    )
