"""Pauses, trial reminders, signs of trial abuse."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _pauses()
    _trials()
    _signals()
    _take_over()


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _pauses() -> None:
    op.create_table(
        "pause",
        _text("id"),
        _text("subscription_id"),
        _text("user_id"),
        _text("plan_id"),
        _text("whop_membership_id"),
        _text("state"),
        _text("actor"),
        _time("requested_at", nullable=False),
        _time("paused_at"),
        _time("resume_at"),
        _time("access_until"),
        _time("remind_at"),
        _time("check_at"),
        _time("ended_at"),
        _text("ended_by", nullable=True),
        _text("error", nullable=True),
        sa.CheckConstraint("state IN ('requested', 'running', 'ended', 'failed')", name=op.f("ck_pause_state")),
        _foreign("pause", "subscription_id", "subscription"),
        _foreign("pause", "user_id", "app_user"),
        _foreign("pause", "plan_id", "plan"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pause")),
    )
    op.create_index(
        "uq_pause_open",
        "pause",
        ["whop_membership_id"],
        unique=True,
        postgresql_where="state IN ('requested', 'running')",
    )
    op.create_index("ix_pause_subscription", "pause", ["subscription_id", "requested_at"])
    op.create_index("ix_pause_remind", "pause", ["remind_at"], postgresql_where="remind_at IS NOT NULL")
    op.create_index("ix_pause_check", "pause", ["check_at"], postgresql_where="check_at IS NOT NULL")


def _trials() -> None:
    op.create_table(
        "trial",
        _text("whop_membership_id"),
        _text("subscription_id"),
        _text("user_id"),
        _text("plan_id"),
        _text("state"),
        _time("started_at", nullable=False),
        _time("trial_end"),
        _time("remind_at"),
        _time("announced_end"),
        _time("ended_at"),
        _text("transaction_id", nullable=True),
        sa.CheckConstraint("state IN ('running', 'converted', 'ended')", name=op.f("ck_trial_state")),
        _foreign("trial", "subscription_id", "subscription"),
        _foreign("trial", "user_id", "app_user"),
        _foreign("trial", "plan_id", "plan"),
        sa.PrimaryKeyConstraint("whop_membership_id", name=op.f("pk_trial")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_trial_transaction_id")),
    )
    op.create_index("ix_trial_subscription", "trial", ["subscription_id"])
    op.create_index("ix_trial_user", "trial", ["user_id"])
    op.create_index("ix_trial_remind", "trial", ["remind_at"], postgresql_where="remind_at IS NOT NULL")


def _signals() -> None:
    op.add_column("app_user", sa.Column("mailbox_index", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_app_user_mailbox_index"), "app_user", ["mailbox_index"])
    op.create_index(
        "ix_app_user_mailbox_missing",
        "app_user",
        ["id"],
        postgresql_where="mailbox_index IS NULL AND email IS NOT NULL",
    )
    op.create_table(
        "card_fingerprint",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _text("user_id"),
        _time("first_seen_at", nullable=False),
        _foreign("card_fingerprint", "user_id", "app_user"),
        sa.PrimaryKeyConstraint("digest", "user_id", name=op.f("pk_card_fingerprint")),
    )
    op.create_table(
        "trial_signal",
        _text("id"),
        _text("user_id"),
        _text("kind"),
        _text("other_user_id"),
        _text("whop_membership_id"),
        _time("at", nullable=False),
        sa.CheckConstraint("kind IN ('same_email_normalised', 'same_card')", name=op.f("ck_trial_signal_kind")),
        sa.CheckConstraint("user_id <> other_user_id", name=op.f("ck_trial_signal_two_people")),
        _foreign("trial_signal", "user_id", "app_user"),
        _foreign("trial_signal", "other_user_id", "app_user"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial_signal")),
    )
    op.create_index(
        "uq_trial_signal", "trial_signal", ["user_id", "kind", "other_user_id", "whop_membership_id"], unique=True
    )
    op.create_index("ix_trial_signal_at", "trial_signal", ["at"])


def _take_over() -> None:
    """Trials there were so far, from the history, and pauses that are running."""
    op.execute(
        """
        INSERT INTO trial (whop_membership_id, subscription_id, user_id, plan_id, state, started_at, trial_end,
                           remind_at, ended_at)
        SELECT t.membership_id, s.id, s.user_id, m.plan_id,
               CASE WHEN t.running THEN 'running'
                    WHEN s.status IN ('canceled', 'expired') THEN 'ended' ELSE 'converted' END,
               t.started_at, t.trial_end,
               CASE WHEN t.running AND NOT s.cancel_at_period_end
                    THEN t.trial_end - least(interval '3 days', (t.trial_end - t.started_at) / 2) END,
               CASE WHEN NOT t.running THEN coalesce(s.ended_at, s.updated_at) END
          FROM (SELECT e.after ->> 'membership_id' AS membership_id, e.subscription_id, min(e.at) AS started_at,
                       max((e.after ->> 'trial_end')::timestamptz) AS trial_end,
                       bool_or(s.status = 'trialing' AND s.whop_membership_id = e.after ->> 'membership_id') AS running
                  FROM subscription_event e JOIN subscription s ON s.id = e.subscription_id
                 WHERE e.after ->> 'status' = 'trialing'
                 GROUP BY 1, 2) t
          JOIN subscription s ON s.id = t.subscription_id
          JOIN subscription_membership m ON m.whop_membership_id = t.membership_id
        ON CONFLICT DO NOTHING
        """
    )
    # What made a subscription of those that were converted: the first renewal that was paid.
    op.execute(
        """
        UPDATE trial SET transaction_id = p.id
          FROM (SELECT DISTINCT ON (whop_membership_id) whop_membership_id, id FROM payment_transaction
                 WHERE billing_reason = 'subscription_cycle' AND paid_at IS NOT NULL AND total_minor > 0
                 ORDER BY whop_membership_id, paid_at, id) p
         WHERE p.whop_membership_id = trial.whop_membership_id AND trial.state = 'converted'
        """
    )
    op.execute(
        """
        INSERT INTO pause (id, subscription_id, user_id, plan_id, whop_membership_id, state, actor, requested_at,
                           paused_at, resume_at, access_until, check_at)
        SELECT 'pau' || substr(id, 4), id, user_id, plan_id, whop_membership_id, 'running', 'whop',
               coalesce(paused_at, updated_at), coalesce(paused_at, updated_at), resume_at, pause_access_until,
               resume_at + interval '10 minutes'
          FROM subscription WHERE status = 'paused'
        """
    )
