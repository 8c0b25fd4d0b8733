"""What the gateway says about money, the runs that compared it with ours, and what they found."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped

from quntedge.reconciliation.rules import CAUSES, MEASURES, OLDER_KINDS, RECORD_KINDS, RESOLUTIONS, STAGES, TRIGGERS
from quntedge.storage.base import Base, business


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class GatewayRecord(Base):
    """A payment, refund or payout as the gateway listed it last. Minor units of `currency`.

    `counted`: the money moved (collected, given back, left the balance). `occurred_at` is when the gateway made it,
    `gateway_updated_at` when it changed it last, `seen_at` when we read it.
    """

    __tablename__ = "gateway_record"
    __table_args__ = (
        CheckConstraint(_one_of("kind", RECORD_KINDS), name="kind"),
        CheckConstraint("amount_minor >= 0 AND tax_minor >= 0 AND fee_minor >= 0", name="amounts"),
        Index("ix_gateway_record_kind", "kind", "occurred_at", "id"),
        Index("ix_gateway_record_payment", "payment_id", postgresql_where=text("payment_id IS NOT NULL")),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    kind: Mapped[str] = business(Text)
    payment_id: Mapped[str | None] = business(Text)
    status: Mapped[str] = business(Text)
    counted: Mapped[bool] = business(Boolean)
    currency: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    tax_minor: Mapped[int] = business(BigInteger, server_default="0")
    fee_minor: Mapped[int] = business(BigInteger, server_default="0")
    occurred_at: Mapped[datetime] = business()
    settled_at: Mapped[datetime | None] = business()
    gateway_updated_at: Mapped[datetime | None] = business()
    seen_at: Mapped[datetime] = business()


class GatewayMovement(Base):
    """A line of the gateway's own ledger, signed: what comes to us is positive.

    The exact amount is `amount_minor` and `residue` hundred-millionths of a minor unit. `seen_at` is when we read it
    first.
    """

    __tablename__ = "gateway_movement"
    __table_args__ = (
        CheckConstraint("residue BETWEEN -50000000 AND 50000000", name="residue"),
        Index("ix_gateway_movement_payment", "payment_id", postgresql_where=text("payment_id IS NOT NULL")),
        Index("ix_gateway_movement_alone", "posted_at", postgresql_where=text("payment_id IS NULL OR kind = 'other'")),
        Index("ix_gateway_movement_source", "source_id", postgresql_where=text("kind IN ('payout', 'payout_fee')")),
        Index("ix_gateway_movement_seen", "seen_at", postgresql_where=text("payment_id IS NOT NULL")),
        Index("ix_gateway_movement_payout_seen", "seen_at", postgresql_where=text("kind IN ('payout', 'payout_fee')")),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    line_type: Mapped[str] = business(Text)
    kind: Mapped[str] = business(Text)
    payment_id: Mapped[str | None] = business(Text)
    source_id: Mapped[str | None] = business(Text)
    currency: Mapped[str] = business(Text)
    amount_minor: Mapped[int] = business(BigInteger)
    residue: Mapped[int] = business(BigInteger, server_default="0")
    posted_at: Mapped[datetime] = business()
    seen_at: Mapped[datetime] = business()


class ReconciliationRun(Base):
    """One comparison of what was created from `since` until `until`. At most one is under way.

    `stage` and `position` say how far it is: everything of the stage before `position` is done and committed, so that
    whoever takes it up goes on there. Whoever works on it holds it until `lease_until`, under the name in `holder`;
    `resume_at` is when it is to be taken up again.
    """

    __tablename__ = "reconciliation_run"
    __table_args__ = (
        CheckConstraint(_one_of("trigger", TRIGGERS), name="trigger"),
        CheckConstraint(_one_of("stage", STAGES), name="stage"),
        CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
        CheckConstraint("since < until", name="window"),
        CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="finished"),
        Index("uq_reconciliation_run_running", "state", unique=True, postgresql_where=text("state = 'running'")),
        Index("ix_reconciliation_run_started", "started_at", "id"),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    trigger: Mapped[str] = business(Text)
    requested_by: Mapped[str] = business(Text)
    since: Mapped[datetime] = business()
    until: Mapped[datetime] = business()
    state: Mapped[str] = business(Text)
    stage: Mapped[str] = business(Text)
    position: Mapped[datetime] = business()
    holder: Mapped[str | None] = business(Text)
    lease_until: Mapped[datetime | None] = business()
    resume_at: Mapped[datetime | None] = business()
    interruptions: Mapped[int] = business(Integer, server_default="0")
    feed_read: Mapped[bool] = business(Boolean, server_default="true")
    rows_read: Mapped[int] = business(BigInteger, server_default="0")
    compared: Mapped[int] = business(BigInteger, server_default="0")
    found: Mapped[int] = business(Integer, server_default="0")
    repaired: Mapped[int] = business(Integer, server_default="0")
    worked_milliseconds: Mapped[int] = business(BigInteger, server_default="0")
    error: Mapped[str | None] = business(Text)
    started_at: Mapped[datetime] = business()
    finished_at: Mapped[datetime | None] = business()


class ReconciliationOlder(Base):
    """Something from before the range of the run under way that it looks at all the same: a difference of it is still
    open, or something has moved because of it. `looked_at` is when it was read again; the next run takes its place."""

    __tablename__ = "reconciliation_older"
    __table_args__ = (
        CheckConstraint(_one_of("object_kind", OLDER_KINDS), name="object_kind"),
        Index("ix_reconciliation_older_waiting", "run_id", "object_id", postgresql_where=text("looked_at IS NULL")),
    )

    run_id: Mapped[str] = business(Text, ForeignKey("reconciliation_run.id"), primary_key=True)
    object_kind: Mapped[str] = business(Text, primary_key=True)
    object_id: Mapped[str] = business(Text, primary_key=True)
    occurred_at: Mapped[datetime | None] = business()
    looked_at: Mapped[datetime | None] = business()


class ReconciliationSum(Base):
    """What the three sides come to in one run, by currency and measure. Minor units.

    `explained_minor` is how much of gateway less ledger the differences found make up; the rest, which has to be
    nothing, is `unexplained_minor`. `gateway_minor` and `ledger_minor` leave out what the gateway does not tell;
    `recorded_minor` is None where we keep no record but the ledger, `moved_minor` where the gateway's own ledger is the
    only thing that tells of the gateway's side.
    """

    __tablename__ = "reconciliation_sum"
    __table_args__ = (
        CheckConstraint(_one_of("measure", MEASURES), name="measure"),
        CheckConstraint("unexplained_minor = gateway_minor - ledger_minor - explained_minor", name="unexplained"),
    )

    run_id: Mapped[str] = business(Text, ForeignKey("reconciliation_run.id"), primary_key=True)
    currency: Mapped[str] = business(Text, primary_key=True)
    measure: Mapped[str] = business(Text, primary_key=True)
    objects: Mapped[int] = business(BigInteger)
    gateway_minor: Mapped[int] = business(BigInteger)
    recorded_minor: Mapped[int | None] = business(BigInteger)
    ledger_minor: Mapped[int] = business(BigInteger)
    moved_minor: Mapped[int | None] = business(BigInteger)
    explained_minor: Mapped[int] = business(BigInteger)
    unexplained_minor: Mapped[int] = business(BigInteger)


class MoneyDifference(Base):
    """Something about one object on which the three sides do not agree. Minor units of `currency`.

    A side that does not tell is None. `amount_minor` is what the gateway has more than the ledger; where those two
    agree, what the gateway has more than our records. Open until `resolved_at`; an object has at most one open
    difference of a measure and currency, however often it is found. `object_id` is the gateway's id where there is one;
    `last_pass` is the comparison that found it last. `moved_minor` is what the gateway's own ledger has moved.

    `proposed_by` wants it posted to the ledger; somebody else has to agree.
    """

    __tablename__ = "money_difference"
    __table_args__ = (
        CheckConstraint(_one_of("cause", CAUSES), name="cause"),
        CheckConstraint(_one_of("measure", MEASURES), name="measure"),
        CheckConstraint(_one_of("resolution", RESOLUTIONS), name="resolution"),
        CheckConstraint("(resolution IS NULL) = (resolved_at IS NULL)", name="resolved"),
        CheckConstraint("(resolution IS NULL) = (resolved_by IS NULL)", name="resolved_by"),
        CheckConstraint("resolution IN ('repaired') OR resolution IS NULL OR note IS NOT NULL", name="note"),
        CheckConstraint("(proposed_by IS NULL) = (proposed_at IS NULL)", name="proposed"),
        CheckConstraint("proposed_by IS NULL OR note IS NOT NULL", name="proposal_says_why"),
        CheckConstraint("resolution <> 'adjusted' OR proposed_by <> resolved_by", name="two_people"),
        CheckConstraint(
            "resolution <> 'adjusted' OR proposed_by IS NOT NULL OR cause = 'rounding'", name="adjusted_by_two"
        ),
        CheckConstraint("period ~ '^[0-9]{4}-[0-9]{2}$'", name="period"),
        Index(
            "uq_money_difference_open",
            "object_id",
            "measure",
            "currency",
            unique=True,
            postgresql_where=text("resolution IS NULL"),
        ),
        Index("ix_money_difference_object", "object_id", "measure", "currency"),
        Index("ix_money_difference_open", "period", "id", postgresql_where=text("resolution IS NULL")),
        Index("ix_money_difference_seen", "first_seen_at", "id"),
        Index("ix_money_difference_resolution", "resolution", "first_seen_at", "id"),
        Index("ix_money_difference_cause", "cause", "first_seen_at", "id"),
        Index("ix_money_difference_occurred", "occurred_at", postgresql_where=text("resolution IS NULL")),
    )

    id: Mapped[str] = business(Text, primary_key=True)
    run_id: Mapped[str] = business(Text, ForeignKey("reconciliation_run.id"))
    last_run_id: Mapped[str] = business(Text, ForeignKey("reconciliation_run.id"))
    last_pass: Mapped[str] = business(Text)
    cause: Mapped[str] = business(Text)
    measure: Mapped[str] = business(Text)
    object_kind: Mapped[str] = business(Text)
    object_id: Mapped[str] = business(Text)
    transaction_id: Mapped[str | None] = business(Text)
    user_id: Mapped[str | None] = business(Text)
    currency: Mapped[str] = business(Text)
    gateway_minor: Mapped[int | None] = business(BigInteger)
    recorded_minor: Mapped[int | None] = business(BigInteger)
    ledger_minor: Mapped[int | None] = business(BigInteger)
    moved_minor: Mapped[int | None] = business(BigInteger)
    amount_minor: Mapped[int] = business(BigInteger)
    detail: Mapped[str] = business(Text)
    period: Mapped[str] = business(Text)
    occurred_at: Mapped[datetime] = business()
    first_seen_at: Mapped[datetime] = business()
    last_seen_at: Mapped[datetime] = business()
    owner: Mapped[str] = business(Text)
    resolution: Mapped[str | None] = business(Text)
    resolved_at: Mapped[datetime | None] = business()
    resolved_by: Mapped[str | None] = business(Text)
    proposed_by: Mapped[str | None] = business(Text)
    proposed_at: Mapped[datetime | None] = business()
    note: Mapped[str | None] = business(Text)


class MoneyPeriod(Base):
    """A month (UTC) that was closed: at that time nothing of it was unexplained."""

    __tablename__ = "money_period"
    __table_args__ = (CheckConstraint("period ~ '^[0-9]{4}-[0-9]{2}$'", name="period"),)

    period: Mapped[str] = business(Text, primary_key=True)
    run_id: Mapped[str] = business(Text, ForeignKey("reconciliation_run.id"))
    closed_at: Mapped[datetime] = business()
    closed_by: Mapped[str] = business(Text)
