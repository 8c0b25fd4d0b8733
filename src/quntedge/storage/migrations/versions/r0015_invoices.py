"""Invoice lines, parties and credit notes."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('plan', 'proration', 'discount', 'tax', 'adjustment')"


def upgrade() -> None:
    _parties()
    _invoice()
    _lines()
    _credit_notes()
    _guards()


def _parties() -> None:
    op.create_table(
        "legal_entity",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("line1", sa.Text(), nullable=True),
        sa.Column("line2", sa.Text(), nullable=True),
        sa.Column("postcode", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("vat_id", sa.Text(), nullable=True),
        sa.Column("registration", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_entity")),
    )
    op.create_table(
        "billing_profile",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("company", sa.LargeBinary(), nullable=True),
        sa.Column("name", sa.LargeBinary(), nullable=True),
        sa.Column("email", sa.LargeBinary(), nullable=True),
        sa.Column("line1", sa.LargeBinary(), nullable=True),
        sa.Column("line2", sa.LargeBinary(), nullable=True),
        sa.Column("postcode", sa.LargeBinary(), nullable=True),
        sa.Column("city", sa.LargeBinary(), nullable=True),
        sa.Column("vat_id", sa.LargeBinary(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_billing_profile_version")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_billing_profile_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_profile")),
        sa.UniqueConstraint("user_id", "version", name=op.f("uq_billing_profile_user_id_version")),
    )
    op.create_index(
        "uq_billing_profile_current", "billing_profile", ["user_id"], unique=True, postgresql_where=sa.text("current")
    )


def _invoice() -> None:
    op.add_column("invoice", sa.Column("credited_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("invoice", sa.Column("dispute_status", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("legal_entity_id", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("billing_profile_id", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("locale", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_invoice_legal_entity_id"), "invoice", "legal_entity", ["legal_entity_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_invoice_billing_profile_id"), "invoice", "billing_profile", ["billing_profile_id"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_invoice_numbered_is_paid"),
        "invoice",
        "number IS NULL OR status IN ('paid', 'partially_refunded', 'refunded')",
    )
    op.create_check_constraint(
        op.f("ck_invoice_credited"), "invoice", "credited_minor BETWEEN 0 AND greatest(total_minor, 0)"
    )
    op.create_check_constraint(
        op.f("ck_invoice_has_both_parties"),
        "invoice",
        "(legal_entity_id IS NULL) = (billing_profile_id IS NULL) AND (legal_entity_id IS NULL) = (locale IS NULL)",
    )
    op.create_check_constraint(
        op.f("ck_invoice_dispute_status"),
        "invoice",
        "dispute_status IS NULL OR dispute_status IN ('open', 'won', 'lost')",
    )
    op.create_index(
        "ix_invoice_incomplete",
        "invoice",
        ["id"],
        unique=False,
        postgresql_where=sa.text("number IS NOT NULL AND legal_entity_id IS NULL"),
    )


def _lines() -> None:
    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=True),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quantity", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("unit_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_basis_points", sa.Integer(), nullable=True),
        sa.CheckConstraint(_KINDS, name=op.f("ck_invoice_line_kind")),
        sa.CheckConstraint("position > 0", name=op.f("ck_invoice_line_position")),
        sa.CheckConstraint("quantity = 1 AND amount_minor = unit_minor", name=op.f("ck_invoice_line_amount")),
        sa.CheckConstraint("(kind = 'tax') = (tax_basis_points IS NOT NULL)", name=op.f("ck_invoice_line_rate_of_tax")),
        sa.CheckConstraint(
            "period_start IS NULL OR period_end IS NULL OR period_start <= period_end",
            name=op.f("ck_invoice_line_period"),
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_line_invoice_id")),
        sa.PrimaryKeyConstraint("invoice_id", "position", name=op.f("pk_invoice_line")),
    )


def _credit_notes() -> None:
    op.create_table(
        "credit_note",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("refund_id", sa.Text(), nullable=False),
        sa.Column("reverses_id", sa.Text(), nullable=True),
        sa.Column("legal_entity_id", sa.Text(), nullable=False),
        sa.Column("billing_profile_id", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN reverses_id IS NULL THEN total_minor > 0 AND tax_minor >= 0"
            " ELSE total_minor < 0 AND tax_minor <= 0 END",
            name=op.f("ck_credit_note_direction"),
        ),
        sa.ForeignKeyConstraint(
            ["billing_profile_id"], ["billing_profile.id"], name=op.f("fk_credit_note_billing_profile_id")
        ),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_credit_note_invoice_id")),
        sa.ForeignKeyConstraint(["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_credit_note_legal_entity_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_credit_note_refund_id")),
        sa.ForeignKeyConstraint(["reverses_id"], ["credit_note.id"], name=op.f("fk_credit_note_reverses_id")),
        sa.ForeignKeyConstraint(["user_id"], ["app_user.id"], name=op.f("fk_credit_note_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note")),
        sa.UniqueConstraint("number", name=op.f("uq_credit_note_number")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_credit_note_reverses_id")),
    )
    op.create_index(
        "uq_credit_note_refund",
        "credit_note",
        ["refund_id"],
        unique=True,
        postgresql_where=sa.text("reverses_id IS NULL"),
    )
    op.create_index("ix_credit_note_invoice", "credit_note", ["invoice_id"], unique=False)
    op.create_index("ix_credit_note_user", "credit_note", ["user_id", "issued_at", "id"], unique=False)
    op.create_table(
        "credit_note_line",
        sa.Column("credit_note_id", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_basis_points", sa.Integer(), nullable=True),
        sa.CheckConstraint(_KINDS, name=op.f("ck_credit_note_line_kind")),
        sa.CheckConstraint("position > 0", name=op.f("ck_credit_note_line_position")),
        sa.CheckConstraint(
            "(kind = 'tax') = (tax_basis_points IS NOT NULL)", name=op.f("ck_credit_note_line_rate_of_tax")
        ),
        sa.ForeignKeyConstraint(
            ["credit_note_id"], ["credit_note.id"], name=op.f("fk_credit_note_line_credit_note_id")
        ),
        sa.PrimaryKeyConstraint("credit_note_id", "position", name=op.f("pk_credit_note_line")),
    )


def _guards() -> None:
    for table in ("legal_entity", "invoice_line", "credit_note", "credit_note_line"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    for table in ("invoice", "legal_entity", "billing_profile", "invoice_line", "credit_note", "credit_note_line"):
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    _numbered_invoices()
    _sums_of_lines()
    op.execute(
        # A version may only stop being the current one.
        """
        CREATE TRIGGER billing_profile_append_only BEFORE UPDATE ON billing_profile FOR EACH ROW
        WHEN ((to_jsonb(NEW) - 'current') IS DISTINCT FROM (to_jsonb(OLD) - 'current') OR NOT OLD.current)
        EXECUTE FUNCTION refuse_change()
        """
    )
    op.execute(
        "CREATE TRIGGER billing_profile_no_delete BEFORE DELETE ON billing_profile"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def _numbered_invoices() -> None:
    # What is left free follows the payment and the explicit invoice at the gateway; what was unknown may become known.
    op.execute(
        """
        CREATE FUNCTION keep_numbered_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                RAISE EXCEPTION 'invoice % is numbered and cannot be deleted', OLD.number
                    USING ERRCODE = 'restrict_violation';
            END IF;
            IF (NEW.id, NEW.number, NEW.user_id, NEW.currency, NEW.subtotal_minor, NEW.tax_minor, NEW.total_minor,
                NEW.issued_at, NEW.paid_at, NEW.created_at)
               IS DISTINCT FROM
               (OLD.id, OLD.number, OLD.user_id, OLD.currency, OLD.subtotal_minor, OLD.tax_minor, OLD.total_minor,
                OLD.issued_at, OLD.paid_at, OLD.created_at)
               OR NEW.legal_entity_id IS DISTINCT FROM coalesce(OLD.legal_entity_id, NEW.legal_entity_id)
               OR NEW.billing_profile_id IS DISTINCT FROM coalesce(OLD.billing_profile_id, NEW.billing_profile_id)
               OR NEW.locale IS DISTINCT FROM coalesce(OLD.locale, NEW.locale)
               OR NEW.transaction_id IS DISTINCT FROM coalesce(OLD.transaction_id, NEW.transaction_id)
               OR NEW.subscription_id IS DISTINCT FROM coalesce(OLD.subscription_id, NEW.subscription_id)
               OR NEW.plan_id IS DISTINCT FROM coalesce(OLD.plan_id, NEW.plan_id)
               OR NEW.whop_payment_id IS DISTINCT FROM coalesce(OLD.whop_payment_id, NEW.whop_payment_id)
               OR NEW.whop_invoice_id IS DISTINCT FROM coalesce(OLD.whop_invoice_id, NEW.whop_invoice_id)
            THEN
                RAISE EXCEPTION 'invoice % is numbered: what it says cannot be changed', OLD.number
                    USING ERRCODE = 'restrict_violation',
                          HINT = 'Correct it with a credit note.';
            END IF;
            RETURN NEW;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER invoice_keep_numbered BEFORE UPDATE OR DELETE ON invoice
        FOR EACH ROW WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION keep_numbered_invoice()
        """
    )


def _sums_of_lines() -> None:
    # One look for all rows of a statement: a document's lines come at once, after the document itself.
    for table, document, key, whole in (
        ("invoice_line", "invoice", "invoice_id", "d.number IS NOT NULL AND"),
        ("credit_note_line", "credit_note", "credit_note_id", ""),
    ):
        op.execute(
            f"""
            CREATE FUNCTION check_sum_of_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE wrong text;
            BEGIN
                SELECT d.id INTO wrong
                  FROM {document} AS d
                 WHERE d.id IN (SELECT {key} FROM new_lines)
                   AND NOT ({whole} d.total_minor = (SELECT sum(l.amount_minor) FROM {table} AS l WHERE l.{key} = d.id))
                 LIMIT 1;
                IF wrong IS NOT NULL THEN
                    RAISE EXCEPTION 'the lines of % do not make up its total', wrong USING ERRCODE = 'check_violation';
                END IF;
                RETURN NULL;
            END
            $$
            """  # noqa: S608 (names from above)
        )
        op.execute(
            f"""
            CREATE TRIGGER {table}_make_up_total AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_lines
            FOR EACH STATEMENT EXECUTE FUNCTION check_sum_of_{table}()
            """
        )
