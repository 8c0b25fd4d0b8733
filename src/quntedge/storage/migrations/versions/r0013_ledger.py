"""The ledger: balanced, append-only double entry."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_CHART = """
    INSERT INTO ledger_account (code, kind, side, title) VALUES
    ('gateway_clearing', 'asset', 'debit', 'Our money at the gateway'),
    ('payout_in_transit', 'asset', 'debit', 'Paid out by the gateway, not yet at the bank'),
    ('bank', 'asset', 'debit', 'Arrived at the bank'),
    ('disputed_funds', 'asset', 'debit', 'Held back until a dispute is decided'),
    ('suspense', 'asset', 'debit', 'Differences nobody has explained yet'),
    ('tax_payable', 'liability', 'credit', 'Tax collected from customers'),
    ('tax_remitted', 'liability', 'debit', 'Tax the gateway has passed on'),
    ('revenue', 'income', 'credit', 'Sales without tax, after discounts'),
    ('refunds', 'income', 'debit', 'Sales given back, without tax'),
    ('gateway_fees', 'expense', 'debit', 'What collecting payments costs'),
    ('dispute_fees', 'expense', 'debit', 'What disputes cost, won or lost'),
    ('dispute_losses', 'expense', 'debit', 'Money lost in disputes'),
    ('payout_fees', 'expense', 'debit', 'What payouts cost'),
    ('rounding', 'expense', 'debit', 'Fractions lost in conversion'),
    ('adjustments', 'expense', 'debit', 'Differences written off, each with an approval')
"""

# At the commit: all lines are there, of the entry's time and owner, and they come to nothing in each currency.
_BALANCED = """
    CREATE FUNCTION ledger_entry_is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        found bigint;
        crooked boolean;
    BEGIN
        SELECT coalesce(sum(each.lines), 0), coalesce(bool_or(each.total <> 0 OR each.strange), true)
        INTO found, crooked
        FROM (SELECT count(*) AS lines, sum(amount_minor) AS total,
                     bool_or(occurred_at <> NEW.occurred_at OR user_id IS DISTINCT FROM NEW.user_id) AS strange
              FROM ledger_line WHERE entry_id = NEW.id GROUP BY currency) AS each;
        IF crooked OR found <> NEW.line_count THEN
            RAISE EXCEPTION 'ledger entry % is not balanced, or not all of its % lines are there', NEW.id, NEW.line_count
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_is_balanced';
        END IF;
        RETURN NULL;
    END
    $$
"""
# Every line names an account, and an entry that has room for it. After an entry's commit all its places are taken (the
# primary key has no two lines in one place), so nothing can be slipped into it later. Once for a statement: a foreign
# key would be looked up for each line.
_FITS = """
    CREATE FUNCTION ledger_lines_fit() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan TO off AS $$
    BEGIN
        IF EXISTS (SELECT FROM (SELECT entry_id, max(position) AS last FROM added GROUP BY entry_id) AS line
                   LEFT JOIN ledger_entry AS entry ON entry.id = line.entry_id
                   WHERE entry.id IS NULL OR line.last > entry.line_count)
        THEN
            RAISE EXCEPTION 'a line belongs to no ledger entry, or to one that is complete'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_lines_fit';
        END IF;
        IF EXISTS (SELECT FROM (SELECT DISTINCT account FROM added) AS line
                   WHERE NOT EXISTS (SELECT FROM ledger_account AS known WHERE known.code = line.account))
        THEN
            RAISE EXCEPTION 'a line is on an account that is not in the chart of accounts'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_lines_fit';
        END IF;
        RETURN NULL;
    END
    $$
"""
_AWAIT = """
    CREATE FUNCTION ledger_entries_are_pending() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO ledger_pending (entry_id) SELECT id FROM added;
        RETURN NULL;
    END
    $$
"""
_TRIGGERS = (
    """
    CREATE CONSTRAINT TRIGGER ledger_entry_is_balanced AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entry_is_balanced()
    """,
    """
    CREATE TRIGGER ledger_entries_are_pending AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_are_pending()
    """,
    """
    CREATE TRIGGER ledger_lines_fit AFTER INSERT ON ledger_line REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_lines_fit()
    """,
)


def upgrade() -> None:
    _accounts()
    _entries()
    _sums()
    for statement in (_BALANCED, _FITS, _AWAIT, *_TRIGGERS):
        op.execute(statement)
    for table in ("ledger_entry", "ledger_line"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _accounts() -> None:
    op.create_table(
        "ledger_account",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('asset', 'liability', 'income', 'expense')", name=op.f("ck_ledger_account_kind")),
        sa.CheckConstraint("side IN ('debit', 'credit')", name=op.f("ck_ledger_account_side")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_ledger_account")),
    )
    op.execute(_CHART)


def _entries() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("line_count", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("transaction_id", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reverses", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('payment', 'fee', 'refund', 'dispute', 'payout', 'rounding', 'adjustment')",
            name=op.f("ck_ledger_entry_kind"),
        ),
        sa.CheckConstraint("sequence >= 0", name=op.f("ck_ledger_entry_sequence")),
        sa.CheckConstraint("line_count BETWEEN 2 AND 100", name=op.f("ck_ledger_entry_line_count")),
        sa.CheckConstraint(
            "kind <> 'adjustment' OR (reason IS NOT NULL AND requested_by IS NOT NULL AND approved_by IS NOT NULL)",
            name=op.f("ck_ledger_entry_adjustment_is_approved"),
        ),
        sa.CheckConstraint("requested_by <> approved_by", name=op.f("ck_ledger_entry_four_eyes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("source", "kind", "sequence", name=op.f("uq_ledger_entry_source_kind_sequence")),
    )
    op.create_index(
        "uq_ledger_entry_reverses",
        "ledger_entry",
        ["reverses"],
        unique=True,
        postgresql_where="reverses IS NOT NULL",
    )
    op.create_index("ix_ledger_entry_user", "ledger_entry", ["user_id", "id"])
    op.create_index(
        "ix_ledger_entry_transaction",
        "ledger_entry",
        ["transaction_id"],
        postgresql_where="transaction_id IS NOT NULL",
    )
    op.create_table(
        "ledger_line",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("position >= 1", name=op.f("ck_ledger_line_position")),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_ledger_line_amount")),
        sa.CheckConstraint("currency ~ '^[a-z]{3}$'", name=op.f("ck_ledger_line_currency")),
        sa.PrimaryKeyConstraint("entry_id", "position", name=op.f("pk_ledger_line")),
        sa.UniqueConstraint(
            "account",
            "currency",
            "occurred_at",
            "entry_id",
            name=op.f("uq_ledger_line_account_currency_occurred_at_entry_id"),
        ),
    )


def _sums() -> None:
    op.create_table(
        "ledger_pending",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_ledger_pending")),
    )
    op.create_table(
        "ledger_daily",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("debit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("line_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "currency", "day", name=op.f("pk_ledger_daily")),
    )
    op.create_table(
        "ledger_progress",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ledger_progress")),
    )
    # What was collected before is posted by the workers, from its beginning.
    op.execute("INSERT INTO ledger_progress (name, cursor, updated_at) VALUES ('payments', '', now())")
