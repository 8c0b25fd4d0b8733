"""The ledger's tables. Triggers (revision 0013) keep entries balanced and refuse every change of what was posted."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, Integer, SmallInteger, Text, UniqueConstraint
from sqlalchemy.orm import Mapped

from quntedge.storage.base import Base, business


class LedgerAccount(Base):
    """The chart of accounts, as `rules.CHART` has it. Lines name one of these, and a currency."""

    __tablename__ = "ledger_account"
    __table_args__ = (
        CheckConstraint("kind IN ('asset', 'liability', 'income', 'expense')", name="kind"),
        CheckConstraint("side IN ('debit', 'credit')", name="side"),
    )

    code: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    side: Mapped[str] = business(Text)
    title: Mapped[str] = business(Text)


class LedgerEntry(Base):
    """Something that happened to money. Never changed, never deleted; what was wrong is undone by another entry.

    `occurred_at` is when it happened, `posted_at` when we wrote it down. `line_count` says how many lines it has: at
    the commit they must all be there and come to nothing in each currency, and no further one fits in afterwards.
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('payment', 'fee', 'refund', 'dispute', 'payout', 'rounding', 'conversion', 'adjustment')",
            name="kind",
        ),
        CheckConstraint("sequence >= 0", name="sequence"),
        CheckConstraint("line_count BETWEEN 2 AND 100", name="line_count"),
        CheckConstraint(
            "kind <> 'adjustment' OR (reason IS NOT NULL AND requested_by IS NOT NULL AND approved_by IS NOT NULL)",
            name="adjustment_is_approved",
        ),
        CheckConstraint("requested_by <> approved_by", name="four_eyes"),
        UniqueConstraint("source", "kind", "sequence"),
        Index("uq_ledger_entry_reverses", "reverses", unique=True, postgresql_where="reverses IS NOT NULL"),
        Index("ix_ledger_entry_user", "user_id", "id"),
        Index("ix_ledger_entry_transaction", "transaction_id", postgresql_where="transaction_id IS NOT NULL"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    source: Mapped[str] = business(Text)
    sequence: Mapped[int] = business(Integer)
    line_count: Mapped[int] = business(SmallInteger)
    user_id: Mapped[str | None] = business(Text)
    transaction_id: Mapped[str | None] = business(Text)
    occurred_at: Mapped[datetime] = business()
    posted_at: Mapped[datetime] = business()
    cause: Mapped[str] = business(Text)
    reverses: Mapped[str | None] = business(Text)
    reason: Mapped[str | None] = business(Text)
    requested_by: Mapped[str | None] = business(Text)
    approved_by: Mapped[str | None] = business(Text)


class LedgerLine(Base):
    """An amount on an account, in minor units of its currency: debits are positive, credits negative.

    That the entry and the account exist is checked by a trigger for each statement; a foreign key would be looked up
    for each row, and every payment has three or four. `occurred_at` and `user_id` are the entry's.
    """

    __tablename__ = "ledger_line"
    __table_args__ = (
        CheckConstraint("position >= 1", name="position"),
        CheckConstraint("amount_minor <> 0", name="amount"),
        CheckConstraint("currency ~ '^[a-z]{3}$'", name="currency"),
        # The pages of an account's statement; an entry has one line for an account and a currency.
        UniqueConstraint("account", "currency", "occurred_at", "entry_id"),
    )

    entry_id: Mapped[str] = business(Text, primary_key=True)
    position: Mapped[int] = business(SmallInteger, primary_key=True)
    user_id: Mapped[str | None] = business(Text)
    account: Mapped[str] = business(Text)
    currency: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    occurred_at: Mapped[datetime] = business()


class LedgerPending(Base):
    """Entries that `LedgerDaily` does not hold yet. Filled by a trigger, emptied by the sweep that adds them up."""

    __tablename__ = "ledger_pending"

    entry_id: Mapped[str] = business(Text, primary_key=True)


class LedgerDaily(Base):
    """What was posted on an account for a day (UTC, by `occurred_at`), so that balances are not summed from the
    beginning each time. Made from the lines, and can be made from them again."""

    __tablename__ = "ledger_daily"

    account: Mapped[str] = business(Text, primary_key=True)
    currency: Mapped[str] = business(Text, primary_key=True)
    day: Mapped[date] = business(Date, primary_key=True)
    debit_minor: Mapped[int] = business(BigInteger)
    credit_minor: Mapped[int] = business(BigInteger)
    line_count: Mapped[int] = business(BigInteger)


class LedgerProgress(Base):
    """How far a piece of work on old records has come: everything up to `cursor` is done."""

    __tablename__ = "ledger_progress"

    name: Mapped[str] = business(Text, primary_key=True)
    cursor: Mapped[str] = business(Text)
    finished_at: Mapped[datetime | None] = business()
    updated_at: Mapped[datetime] = business()
