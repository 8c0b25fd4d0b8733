"""The history of a subscription: numbered without gaps, and complete; when to look for a renewal that was not seen."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _number_the_history()
    _record_what_it_lacks()
    _watch_renewals()
    _find_expired_checkouts()


def _number_the_history() -> None:
    op.add_column("subscription_event", sa.Column("version", sa.Integer(), nullable=True))
    # The rows stay as they were written; only their numbers are new.
    op.execute("ALTER TABLE subscription_event DISABLE TRIGGER subscription_event_append_only")
    op.execute(
        """
        UPDATE subscription_event AS e SET version = n.version
        FROM (SELECT id, row_number() OVER (PARTITION BY subscription_id ORDER BY id) AS version
              FROM subscription_event) AS n
        WHERE e.id = n.id
        """
    )
    op.execute("ALTER TABLE subscription_event ENABLE TRIGGER subscription_event_append_only")


def _record_what_it_lacks() -> None:
    # Until now the history did not tell when a subscription began, was last paid for, or which checkout it came from.
    op.execute("SET LOCAL TIME ZONE 'UTC'")
    op.execute(
        """
        INSERT INTO subscription_event (id, subscription_id, user_id, kind, actor, cause, before, after, at, version)
        SELECT 'sev_' || substr(s.id, 5), s.id, s.user_id, 'subscription.recorded', 'system', 'migration:0006',
               NULL,
               jsonb_build_object(
                   'status', s.status, 'plan_id', s.plan_id, 'membership_id', s.whop_membership_id,
                   'cancel_at_period_end', s.cancel_at_period_end, 'needs_review', s.needs_review,
                   'period_start', s.period_start, 'period_end', s.period_end, 'trial_end', s.trial_end,
                   'grace_until', s.grace_until, 'paused_at', s.paused_at, 'resume_at', s.resume_at,
                   'pause_access_until', s.pause_access_until, 'canceled_at', s.canceled_at, 'ended_at', s.ended_at,
                   'renewal_price_minor', s.renewal_price_minor, 'currency', s.currency,
                   'plan_version', s.plan_version, 'checkout_id', s.checkout_id, 'started_at', s.started_at,
                   'created_at', s.created_at, 'last_payment_at', s.last_payment_at),
               s.updated_at,
               1 + coalesce(told.version, 0)
        FROM subscription AS s
        LEFT JOIN (SELECT subscription_id, max(version) AS version FROM subscription_event GROUP BY subscription_id)
             AS told ON told.subscription_id = s.id
        """
    )
    op.execute(
        """
        UPDATE subscription AS s SET version = e.version
        FROM (SELECT subscription_id, max(version) AS version FROM subscription_event GROUP BY subscription_id) AS e
        WHERE e.subscription_id = s.id
        """
    )
    op.alter_column("subscription_event", "version", nullable=False)
    op.create_unique_constraint(
        op.f("uq_subscription_event_subscription_id_version"),
        "subscription_event",
        ["subscription_id", "version"],
    )
    op.drop_index("ix_subscription_event_subscription", table_name="subscription_event")


def _watch_renewals() -> None:
    op.add_column("subscription", sa.Column("renewal_check_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        """
        UPDATE subscription SET renewal_check_at = period_end + interval '6 hours'
        WHERE status IN ('trialing', 'active') AND NOT cancel_at_period_end
        """
    )
    op.create_index(
        "ix_subscription_renewal_check",
        "subscription",
        ["renewal_check_at"],
        unique=False,
        postgresql_where="renewal_check_at IS NOT NULL",
    )
    op.drop_constraint(op.f("ck_gateway_difference_kind"), "gateway_difference", type_="check")
    op.create_check_constraint(
        op.f("ck_gateway_difference_kind"),
        "gateway_difference",
        "kind IN ('membership', 'payment', 'missing_at_gateway', 'renewal_not_seen')",
    )


def _find_expired_checkouts() -> None:
    # They are looked for by the end of their time; the index by their beginning had every open one read.
    op.drop_index("ix_checkout_intent_open", table_name="checkout_intent")
    op.create_index(
        "ix_checkout_intent_expiry",
        "checkout_intent",
        ["expires_at"],
        unique=False,
        postgresql_where="state IN ('created', 'open', 'unknown')",
    )
