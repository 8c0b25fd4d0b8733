"""The audit log: who did what, and what was refused; and who holds an API key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_AWAIT_SEAL = """
    CREATE FUNCTION audit_event_awaits_seal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO audit_unsealed (event_id) SELECT id FROM added;
        RETURN NULL;
    END $$
"""
_AWAIT_SEAL_TRIGGER = """
    CREATE TRIGGER audit_event_awaits_seal AFTER INSERT ON audit_event REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit_event_awaits_seal()
"""
_FORWARD = """
    CREATE FUNCTION audit_head_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.number <= OLD.number THEN
            RAISE EXCEPTION 'the audit chain only grows' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END $$
"""
_FORWARD_TRIGGER = """
    CREATE TRIGGER audit_head_moves_forward BEFORE UPDATE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_head_moves_forward()
"""


def upgrade() -> None:
    _events()
    _chain()
    _denials()
    for statement in (_AWAIT_SEAL, _AWAIT_SEAL_TRIGGER, _FORWARD, _FORWARD_TRIGGER):
        op.execute(statement)
    for table, acts in (
        ("audit_event", "UPDATE OR DELETE"),
        ("audit_seal", "UPDATE OR DELETE"),
        ("audit_head", "DELETE"),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE {acts} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    # Operators are the machine's users from now on, written small: whoever asked must not be able to agree as well.
    op.execute(
        "UPDATE refund SET requested_by = lower(requested_by) WHERE status = 'requested' AND requested_by LIKE 'staff:%'"
    )
    # Keys that exist stand for themselves.
    op.add_column("api_key", sa.Column("holder", sa.Text(), nullable=True))


def _events() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=True),
        sa.Column("subject_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "actor_kind IN ('customer', 'api_key', 'operator', 'system')", name=op.f("ck_audit_event_actor_kind")
        ),
        sa.CheckConstraint("(actor_id IS NULL) = (actor_kind = 'system')", name=op.f("ck_audit_event_actor_is_named")),
        sa.CheckConstraint("outcome IN ('done', 'denied')", name=op.f("ck_audit_event_outcome")),
        sa.CheckConstraint("(outcome = 'denied') = (code IS NOT NULL)", name=op.f("ck_audit_event_denial_has_code")),
        sa.CheckConstraint("subject_id IS NULL OR subject_kind IS NOT NULL", name=op.f("ck_audit_event_subject")),
        sa.CheckConstraint("act ~ '^[a-z][a-z_]*([.][a-z][a-z_]*)+$'", name=op.f("ck_audit_event_act")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    for name, columns, where in (
        ("at", ["at", "id"], None),
        ("actor", ["actor_id", "at", "id"], "actor_id IS NOT NULL"),
        ("holder", ["holder", "at", "id"], "holder IS NOT NULL"),
        ("act", ["act", "at", "id"], None),
        ("subject", ["subject_id", "at", "id"], "subject_id IS NOT NULL"),
        ("denied", ["at", "id"], "outcome = 'denied'"),
    ):
        op.create_index(f"ix_audit_event_{name}", "audit_event", columns, postgresql_where=where)


def _chain() -> None:
    op.create_table(
        "audit_unsealed",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_unsealed")),
    )
    op.create_table(
        "audit_seal",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_audit_seal_number")),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_audit_seal_hash")),
        sa.ForeignKeyConstraint(["event_id"], ["audit_event.id"], name=op.f("fk_audit_seal_event_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_seal")),
        sa.UniqueConstraint("event_id", name=op.f("uq_audit_seal_event_id")),
    )
    op.create_table(
        "audit_head",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_audit_head_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_audit_head")),
    )
    op.execute(r"INSERT INTO audit_head (single, number, hash) VALUES (true, 0, decode(repeat('00', 32), 'hex'))")


def _denials() -> None:
    key = ("actor_kind", "actor_id", "act", "subject_kind", "subject_id", "code")
    op.create_table(
        "audit_denial",
        *(sa.Column(name, sa.Text(), nullable=False) for name in key),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repeats", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_audit_denial")),
    )
    op.create_index("ix_audit_denial_opened", "audit_denial", ["opened_at"])
