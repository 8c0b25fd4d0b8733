"""Refunds that are asked for here: approved, limited by the database itself, and remembered with who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_STATUSES = (
    "'requested', 'approved', 'sending', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled', 'rejected',"
    " 'unknown'"
)
_ENDED_WITHOUT = "('failed', 'canceled', 'rejected')"


def upgrade() -> None:
    _wishes()
    _limits()
    _histories()
    _adopt_requests()


def _wishes() -> None:
    op.alter_column("refund", "whop_refund_id", nullable=True)
    for column in (
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("decision_note", sa.LargeBinary(), nullable=True),
        sa.Column("failure_detail", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approval_required", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rejected_by", sa.Text(), nullable=True),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refund_request_id", sa.Text(), nullable=True),
        sa.Column("process_id", sa.Text(), nullable=True),
    ):
        op.add_column("refund", column)
    op.create_foreign_key(
        op.f("fk_refund_refund_request_id"), "refund", "refund_request", ["refund_request_id"], ["id"]
    )
    op.create_foreign_key(op.f("fk_refund_process_id"), "refund", "process", ["process_id"], ["id"])
    op.drop_constraint(op.f("ck_refund_status"), "refund", type_="check")
    for name, condition in (
        ("status", f"status IN ({_STATUSES})"),
        ("two_people", "requested_by <> approved_by"),
        ("wished_or_reported", "whop_refund_id IS NOT NULL OR requested_by IS NOT NULL"),
        ("wish_is_dated", "(requested_by IS NULL) = (requested_at IS NULL)"),
        (
            "not_sent_unapproved",
            "requested_by IS NULL OR approved_at IS NOT NULL OR status IN ('requested', 'rejected', 'failed')"
            " OR whop_refund_id IS NOT NULL",
        ),
        ("second_person", "approved_at IS NULL OR approved_by IS NOT NULL OR NOT approval_required"),
        (
            "known_to_whop",
            "whop_refund_id IS NOT NULL OR status NOT IN ('pending', 'requires_action', 'succeeded', 'canceled')",
        ),
    ):
        op.create_check_constraint(op.f(f"ck_refund_{name}"), "refund", condition)
    op.create_index("ix_refund_status", "refund", ["status", "occurred_at", "id"], unique=False)
    op.create_index("ix_refund_occurred", "refund", ["occurred_at", "id"], unique=False)
    op.create_index(
        "ix_refund_requested_by",
        "refund",
        ["requested_by", "occurred_at", "id"],
        unique=False,
        postgresql_where="requested_by IS NOT NULL",
    )
    op.create_index(
        "uq_refund_request",
        "refund",
        ["refund_request_id"],
        unique=True,
        postgresql_where=f"status NOT IN {_ENDED_WITHOUT}",
    )


def _limits() -> None:
    """What is held of each payment is counted by the database, whoever writes: nothing can be promised twice."""
    op.create_table(
        "refund_tally",
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("held_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("held_minor >= 0", name=op.f("ck_refund_tally_held")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["payment_transaction.id"], name=op.f("fk_refund_tally_transaction_id")
        ),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_refund_tally")),
    )
    op.execute(
        """
        INSERT INTO refund_tally (transaction_id, held_minor)
        SELECT r.transaction_id, sum(r.amount_minor)
        FROM refund AS r JOIN payment_transaction AS p ON p.id = r.transaction_id AND p.currency = r.currency
        WHERE r.status NOT IN ('failed', 'canceled', 'rejected') GROUP BY r.transaction_id
        """
    )
    # The row that is updated keeps others waiting until we commit, and its condition is looked at again then. What Whop
    # reports is counted whatever it comes to; only what it has not heard of yet can be too much.
    op.execute(
        """
        CREATE FUNCTION refund_hold() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            kept text := (SELECT currency FROM payment_transaction WHERE id = NEW.transaction_id);
            before bigint := 0;
            after bigint := 0;
        BEGIN
            IF TG_OP = 'UPDATE' AND OLD.status NOT IN ('failed', 'canceled', 'rejected') AND OLD.currency = kept THEN
                before := OLD.amount_minor;
            END IF;
            IF NEW.status NOT IN ('failed', 'canceled', 'rejected') AND NEW.currency = kept THEN
                after := NEW.amount_minor;
            END IF;
            IF NEW.whop_refund_id IS NULL AND NEW.currency <> kept THEN
                RAISE EXCEPTION 'refund % is not in the currency of its payment', NEW.id
                    USING ERRCODE = 'check_violation', TABLE = 'refund', CONSTRAINT = 'refund_currency';
            END IF;
            IF before = after THEN
                RETURN NULL;
            END IF;
            INSERT INTO refund_tally (transaction_id) VALUES (NEW.transaction_id) ON CONFLICT DO NOTHING;
            UPDATE refund_tally AS t SET held_minor = t.held_minor + after - before
            FROM payment_transaction AS p
            WHERE t.transaction_id = NEW.transaction_id AND p.id = t.transaction_id
              AND (NEW.whop_refund_id IS NOT NULL OR after < before
                   OR p.paid_at IS NOT NULL AND t.held_minor + after - before <= p.total_minor);
            IF NOT FOUND THEN
                RAISE EXCEPTION 'refund % is more than what is left of its payment', NEW.id
                    USING ERRCODE = 'check_violation', TABLE = 'refund', CONSTRAINT = 'refund_within_payment';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER refund_hold AFTER INSERT OR UPDATE OF status, amount_minor, currency ON refund"
        " FOR EACH ROW EXECUTE FUNCTION refund_hold()"
    )


def _histories() -> None:
    op.create_table(
        "refund_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("refund_id", sa.Text(), nullable=True),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('moved', 'denied')", name=op.f("ck_refund_event_kind")),
        sa.CheckConstraint(
            "CASE kind WHEN 'moved' THEN refund_id IS NOT NULL AND after IS NOT NULL ELSE code IS NOT NULL END",
            name=op.f("ck_refund_event_content"),
        ),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_event_refund_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["payment_transaction.id"], name=op.f("fk_refund_event_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_event")),
    )
    op.create_index("ix_refund_event_refund", "refund_event", ["refund_id", "id"], unique=False)
    op.create_index("ix_refund_event_transaction", "refund_event", ["transaction_id", "id"], unique=False)
    op.execute(
        "CREATE TRIGGER refund_event_append_only BEFORE UPDATE OR DELETE ON refund_event"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER refund_event_no_truncate BEFORE TRUNCATE ON refund_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _adopt_requests() -> None:
    """What withdrawals are owed waits from now on as refunds, as far as nothing of the payment was promised before."""
    op.create_index("ix_refund_request_transaction", "refund_request", ["transaction_id"], unique=False)
    op.execute(
        """
        INSERT INTO refund (id, user_id, transaction_id, status, amount_minor, currency, reason, requested_by,
                            requested_at, approval_required, refund_request_id, occurred_at, created_at, updated_at)
        SELECT 'ref_' || substr(q.id, 5), q.user_id, q.transaction_id, 'requested',
               least(q.amount_minor, p.total_minor - coalesce(t.held_minor, 0)), q.currency, q.reason,
               q.requested_by, q.requested_at, true, q.id, q.requested_at, q.requested_at, q.requested_at
        FROM refund_request AS q
        JOIN payment_transaction AS p ON p.id = q.transaction_id AND p.currency = q.currency
        LEFT JOIN refund_tally AS t ON t.transaction_id = q.transaction_id
        WHERE q.state = 'requested' AND p.paid_at IS NOT NULL AND p.total_minor > coalesce(t.held_minor, 0)
        """
    )
