"""What invoices keep of their making: the seller's logo, the mail an invoice went out with, further credit notes of a
refund that counted twice."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _logos()
    _mails()
    _occasions()


def _logos() -> None:
    op.create_table(
        "seller_logo",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("format IN ('svg', 'png', 'none')", name=op.f("ck_seller_logo_format")),
        sa.CheckConstraint(
            "length(content) <= 262144 AND (format = 'none') = (length(content) = 0)", name=op.f("ck_seller_logo_size")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seller_logo")),
    )
    # Documents that were made with it are made with it again.
    op.execute(
        "CREATE TRIGGER seller_logo_append_only BEFORE UPDATE OR DELETE ON seller_logo"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER seller_logo_no_truncate BEFORE TRUNCATE ON seller_logo"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.add_column("legal_entity", sa.Column("logo_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_legal_entity_logo_id"), "legal_entity", "seller_logo", ["logo_id"], ["id"])


def _mails() -> None:
    op.create_table(
        "invoice_mail",
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("notification_id", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_mail_invoice_id")),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoice_mail")),
    )


def _occasions() -> None:
    op.add_column("credit_note", sa.Column("occasion", sa.SmallInteger(), server_default="1", nullable=False))
    op.create_check_constraint(op.f("ck_credit_note_occasion"), "credit_note", "occasion > 0")
    op.drop_index("uq_credit_note_refund", table_name="credit_note")
    op.create_index(
        "uq_credit_note_refund",
        "credit_note",
        ["refund_id", "occasion"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NULL"),
    )
