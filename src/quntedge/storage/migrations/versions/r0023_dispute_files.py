"""Files sent as evidence, reminders that go by stages, mails to staff, and the calendar of a contract."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# What was concluded before is fixed to the calendar that its customer has now: it is the one we told them of.
_FIX_CALENDARS = """
    INSERT INTO contract_calendar (subscription_id, user_id, time_zone, fixed_at)
    SELECT s.id, s.user_id, coalesce(u.time_zone, 'UTC'), s.created_at
      FROM subscription AS s JOIN app_user AS u ON u.id = s.user_id
     WHERE s.status <> 'incomplete'
"""
# The alarm two days before was the only reminder. Whoever waits for it is due for the mail three days before, whoever
# had it for the mail one day before.
_BEGIN_STAGES = """
    UPDATE dispute
       SET reminded_until = reminded_for - interval '48 hours',
           remind_at = CASE WHEN remind_at IS NOT NULL THEN evidence_due_at - interval '72 hours'
                            WHEN status IN ('needs_response', 'warning_needs_response') AND editable
                             AND reminded_for = evidence_due_at THEN evidence_due_at - interval '24 hours' END
     WHERE reminded_for IS NOT NULL OR remind_at IS NOT NULL
"""


def upgrade() -> None:
    _create_files()
    op.add_column("dispute", sa.Column("reminded_until", sa.DateTime(timezone=True), nullable=True))
    op.execute(_BEGIN_STAGES)
    op.create_index("ix_dispute_status", "dispute", ["status", "opened_at", "id"])
    op.alter_column("notification", "user_id", existing_type=sa.Text(), nullable=True)
    op.create_check_constraint(
        op.f("ck_notification_to_staff"), "notification", "(user_id IS NULL) = starts_with(kind, 'staff_')"
    )
    op.create_table(
        "contract_calendar",
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("fixed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_contract_calendar_subscription_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_contract_calendar_user_id")),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_contract_calendar")),
    )
    op.create_index("ix_contract_calendar_user_id", "contract_calendar", ["user_id"])
    op.execute(_FIX_CALENDARS)


def _create_files() -> None:
    op.create_table(
        "dispute_document",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("response_id", sa.Text(), nullable=False),
        sa.Column("dispute_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document_type", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("whop_file_id", sa.Text(), nullable=True),
        sa.Column("upload_to", sa.LargeBinary(), nullable=True),
        sa.Column("renewals", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('planned', 'announced', 'uploaded', 'attached', 'sent', 'not_sent')",
            name=op.f("ck_dispute_document_state"),
        ),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_dispute_document_size")),
        sa.CheckConstraint(
            "(state IN ('sent', 'not_sent')) = (ended_at IS NOT NULL)", name=op.f("ck_dispute_document_ended")
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'not_sent') OR whop_file_id IS NOT NULL", name=op.f("ck_dispute_document_at_whop")
        ),
        sa.ForeignKeyConstraint(["response_id"], ["dispute_response.id"], name=op.f("fk_dispute_document_response_id")),
        sa.ForeignKeyConstraint(["dispute_id"], ["dispute.id"], name=op.f("fk_dispute_document_dispute_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_dispute_document_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute_document")),
        sa.UniqueConstraint("response_id", "position", name=op.f("uq_dispute_document_response_id_position")),
        sa.UniqueConstraint("whop_file_id", name=op.f("uq_dispute_document_whop_file_id")),
    )
    op.create_index("ix_dispute_document_dispute", "dispute_document", ["dispute_id", "id"])
