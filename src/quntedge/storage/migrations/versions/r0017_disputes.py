"""Disputes, alerts and their evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_STATUSES = (
    "'needs_response', 'under_review', 'won', 'lost', 'prevented', 'warning_needs_response',"
    " 'warning_under_review', 'warning_closed', 'unknown'"
)
_OPEN = "'needs_response', 'under_review', 'warning_needs_response', 'warning_under_review', 'unknown'"


def _text(name: str, *args: sa.schema.SchemaItem, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), *args, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _amount(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, server_default=default)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _user(*, nullable: bool = False) -> sa.Column[str]:
    return _text("user_id", sa.ForeignKey("app_user.id"), nullable=nullable)


def _transaction(*, nullable: bool = False) -> sa.Column[str]:
    return _text("transaction_id", sa.ForeignKey("payment_transaction.id"), nullable=nullable)


def upgrade() -> None:
    _disputes()
    _responses()
    _alerts()
    _cases()
    _alarms()
    _holds()


def _disputes() -> None:
    op.create_table(
        "dispute",
        sa.Column("id", sa.Text(), primary_key=True),
        _user(),
        _transaction(),
        _text("subscription_id", sa.ForeignKey("subscription.id"), nullable=True),
        sa.Column("whop_dispute_id", sa.Text(), nullable=False, unique=True),
        _text("status"),
        _text("raw_status"),
        _flag("inquiry"),
        _amount("amount_minor"),
        _text("currency"),
        _amount("withdrawn_minor"),
        _amount("fee_minor", default="0"),
        _text("fee_currency", nullable=True),
        _text("reason", nullable=True),
        _text("reason_code", nullable=True),
        _time("evidence_due_at", nullable=True),
        _time("evidence_submitted_at", nullable=True),
        _flag("editable"),
        _text("locked_reason", nullable=True),
        _flag("acceptable"),
        _time("opened_at"),
        _time("closed_at", nullable=True),
        _time("remind_at", nullable=True),
        _time("reminded_for", nullable=True),
        _time("look_at", nullable=True),
        _time("gateway_updated_at", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        sa.CheckConstraint("amount_minor >= 0 AND withdrawn_minor BETWEEN 0 AND amount_minor", name="amount"),
        sa.CheckConstraint("withdrawn_minor = 0 OR NOT inquiry AND status <> 'won'", name="withdrawn"),
        sa.CheckConstraint("fee_minor >= 0 AND (fee_minor = 0 OR fee_currency IS NOT NULL)", name="fee"),
        sa.CheckConstraint(f"(closed_at IS NULL) = (status IN ({_OPEN}))", name="closed"),
    )
    op.create_index("ix_dispute_user", "dispute", ["user_id", "opened_at", "id"])
    op.create_index("ix_dispute_transaction", "dispute", ["transaction_id"])
    op.create_index("ix_dispute_subscription", "dispute", ["subscription_id"])
    op.create_index("ix_dispute_opened", "dispute", ["opened_at", "id"])
    op.create_index(
        "ix_dispute_to_answer",
        "dispute",
        ["evidence_due_at", "id"],
        postgresql_where="status IN ('needs_response', 'warning_needs_response')",
    )
    op.create_index("ix_dispute_remind", "dispute", ["remind_at"], postgresql_where="remind_at IS NOT NULL")
    op.create_index("ix_dispute_look", "dispute", ["look_at"], postgresql_where="look_at IS NOT NULL")


def _responses() -> None:
    op.create_table(
        "dispute_response",
        sa.Column("id", sa.Text(), primary_key=True),
        _text("dispute_id", sa.ForeignKey("dispute.id")),
        _user(),
        _text("kind"),
        _text("state"),
        _text("actor"),
        _text("process_id"),
        sa.Column("texts", sa.LargeBinary(), nullable=True),
        _text("error", nullable=True),
        _time("requested_at"),
        _time("ended_at", nullable=True),
        sa.CheckConstraint("kind IN ('evidence', 'accept')", name="kind"),
        sa.CheckConstraint("state IN ('requested', 'done', 'failed')", name="state"),
        sa.CheckConstraint("(state = 'requested') = (ended_at IS NULL)", name="ended"),
        sa.CheckConstraint("(kind = 'evidence') = (texts IS NOT NULL)", name="texts"),
    )
    op.create_index("ix_dispute_response_dispute", "dispute_response", ["dispute_id", "requested_at"])
    op.create_index(
        "uq_dispute_response_requested",
        "dispute_response",
        ["dispute_id"],
        unique=True,
        postgresql_where="state = 'requested'",
    )


def _alerts() -> None:
    op.create_table(
        "dispute_alert",
        sa.Column("id", sa.Text(), primary_key=True),
        _user(nullable=True),
        _transaction(nullable=True),
        sa.Column("whop_alert_id", sa.Text(), nullable=False, unique=True),
        _text("kind"),
        _text("raw_kind"),
        _amount("amount_minor"),
        _text("currency"),
        _flag("auto_refunded"),
        _flag("fee_charged"),
        _amount("fee_minor", default="0"),
        _text("fee_currency", nullable=True),
        _time("occurred_at"),
        _time("gateway_updated_at", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint(
            "kind IN ('early_fraud_warning', 'dispute_alert', 'rapid_dispute_resolution', 'unknown')", name="kind"
        ),
        sa.CheckConstraint("amount_minor >= 0 AND fee_minor >= 0", name="amounts"),
        sa.CheckConstraint("(transaction_id IS NULL) = (user_id IS NULL)", name="linked"),
    )
    op.create_index("ix_dispute_alert_transaction", "dispute_alert", ["transaction_id"])
    op.create_index("ix_dispute_alert_occurred", "dispute_alert", ["occurred_at", "id"])


def _cases() -> None:
    op.create_table(
        "resolution_case",
        sa.Column("id", sa.Text(), primary_key=True),
        _user(),
        _transaction(),
        sa.Column("whop_case_id", sa.Text(), nullable=False, unique=True),
        _text("status"),
        _text("raw_status"),
        _amount("amount_minor", nullable=True),
        _text("currency", nullable=True),
        _text("reason", nullable=True),
        _text("outcome", nullable=True),
        _text("refund", nullable=True),
        _flag("escalated"),
        _time("response_due_at", nullable=True),
        _time("opened_at"),
        _time("gateway_updated_at", nullable=True),
        _time("created_at"),
        _time("updated_at"),
        sa.CheckConstraint(
            "status IN ('awaiting_merchant', 'awaiting_customer', 'under_review', 'closed', 'unknown')", name="status"
        ),
    )
    op.create_index("ix_resolution_case_transaction", "resolution_case", ["transaction_id"])
    op.create_index("ix_resolution_case_opened", "resolution_case", ["opened_at", "id"])


def _alarms() -> None:
    op.create_table(
        "dispute_alarm",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("cause_key", sa.Text(), nullable=False, unique=True),
        _text("kind"),
        _text("subject_id"),
        _user(nullable=True),
        _transaction(nullable=True),
        _amount("amount_minor", nullable=True),
        _text("currency", nullable=True),
        _text("detail"),
        _time("raised_at"),
        _time("resolved_at", nullable=True),
        _text("resolved_by", nullable=True),
        _text("note", nullable=True),
        sa.CheckConstraint(
            "kind IN ('double_loss', 'deadline', 'alert', 'complaint', 'unknown_status', 'policy_failed',"
            " 'response_failed')",
            name="kind",
        ),
        sa.CheckConstraint("(resolved_at IS NULL) = (resolved_by IS NULL)", name="resolved"),
    )
    op.create_index(
        "ix_dispute_alarm_open", "dispute_alarm", ["raised_at", "id"], postgresql_where="resolved_at IS NULL"
    )
    op.create_index("ix_dispute_alarm_raised", "dispute_alarm", ["raised_at", "id"])
    op.create_index("ix_dispute_alarm_subject", "dispute_alarm", ["subject_id"])


def _holds() -> None:
    op.create_table(
        "access_hold",
        sa.Column("subscription_id", sa.Text(), sa.ForeignKey("subscription.id"), primary_key=True),
        sa.Column("cause", sa.Text(), primary_key=True),
        _user(),
        _text("reason"),
        _time("held_at"),
        _time("released_at", nullable=True),
        sa.CheckConstraint("reason IN ('payment_disputed')", name="reason"),
    )
    op.create_index(
        "ix_access_hold_running", "access_hold", ["subscription_id"], postgresql_where="released_at IS NULL"
    )
