"""Keys that outlive their master keys, counters of sign-ins that all web processes share, and jobs that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _keys()
    _attempts()
    _failed_jobs()


def _keys() -> None:
    op.create_table(
        "index_key",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_index_key")),
    )
    # The name of the master key that wrapped it stands at the head of a wrapped key.
    op.create_index(
        "ix_data_key_wrapped_by",
        "data_key",
        [sa.text("(substring(wrapped, 3, get_byte(wrapped, 1)))"), "person_id"],
        unique=False,
        postgresql_where=sa.text("wrapped IS NOT NULL"),
    )


def _attempts() -> None:
    """Counters of a sliding window. Unlogged: after a crash of the database everybody begins anew, and nothing more."""
    op.create_table(
        "attempt_window",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("current", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rule", "digest", name=op.f("pk_attempt_window")),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_attempt_window_ends_at", "attempt_window", ["ends_at"], unique=False)


def _failed_jobs() -> None:
    op.execute(
        "CREATE INDEX ix_procrastinate_jobs_ended ON procrastinate_jobs (id)"
        " WHERE status IN ('failed', 'cancelled', 'aborted', 'succeeded')"
    )
