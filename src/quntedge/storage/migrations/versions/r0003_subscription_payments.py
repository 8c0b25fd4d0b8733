"""When a subscription was last paid for; one membership may have had several subscriptions; unpaid invoices by index."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("last_payment_at", sa.DateTime(timezone=True), nullable=True))
    # What is paid already is known from the payments; a column that began empty would say "never".
    op.execute(
        """
        UPDATE subscription AS s SET last_payment_at = p.paid_at
        FROM (SELECT subscription_id, max(paid_at) AS paid_at FROM payment_transaction
              WHERE paid_at IS NOT NULL AND total_minor > 0 GROUP BY subscription_id) AS p
        WHERE s.id = p.subscription_id
        """
    )
    op.drop_constraint(op.f("uq_subscription_whop_membership_id"), "subscription", type_="unique")
    op.create_index(op.f("ix_subscription_whop_membership_id"), "subscription", ["whop_membership_id"], unique=False)
    op.create_index(
        "ix_invoice_unpaid", "invoice", ["subscription_id"], unique=False, postgresql_where="number IS NULL"
    )
