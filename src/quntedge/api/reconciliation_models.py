"""What the API sends and reads about the reconciliation of money."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field
from sqlalchemy import Row

from quntedge.api.models import In, MoneyOut, Out
from quntedge.reconciliation.queries import CauseSum

State = Literal["open", "repaired", "explained", "adjusted", "accepted"]
CauseName = Literal[
    "timing",
    "missing_here",
    "missing_at_gateway",
    "status",
    "amount",
    "fee",
    "refund",
    "dispute",
    "payout",
    "movement",
    "ledger_missing",
    "ledger_amount",
    "ledger_orphan",
    "rounding",
    "moved",
    "conversion",
    "month",
]
Note = Annotated[str, Field(min_length=1, max_length=1000, examples=["The bank reversed it by itself."])]


class RunIn(In):
    """What is to be compared: everything created from `since` until `until`, by default until a few minutes ago."""

    since: AwareDatetime = Field(examples=["2026-10-01T00:00:00Z"])
    until: AwareDatetime | None = Field(None, examples=["2026-11-01T00:00:00Z"])


class ResolutionIn(In):
    """What became of a difference. `adjusted` proposes to post it to the ledger; `accepted` is a loss nobody
    corrects."""

    resolution: Literal["explained", "adjusted", "accepted"]
    note: Note


class OwnerIn(In):
    """Who looks at a difference."""

    owner: str = Field(min_length=1, max_length=100, examples=["finance"])


class RunOut(Out):
    """A comparison. While it is `running`, `stage` says how far it is, and `resume_at` when it goes on after a wait."""

    id: str
    state: Literal["running", "done", "failed"]
    trigger: Literal["nightly", "manual"]
    requested_by: str
    since: datetime
    until: datetime
    stage: str = Field(examples=["compare"])
    resume_at: datetime | None
    error: str | None
    feed_read: bool = Field(description="False when the key may not read balances: fees were not compared with Whop.")
    rows_read: int
    compared: int
    found: int = Field(description="Differences that this run saw first.")
    repaired: int = Field(description="Differences that were gone when it compared again.")
    worked_milliseconds: int
    started_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row[Any]) -> "RunOut":
        """A run's row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class SumOut(Out):
    """What the three sides come to. `moved` is what the gateway's own ledger has moved, null where only that ledger
    tells of the gateway's side. `recorded` is null where nothing but the ledger is kept; `unexplained` has to be 0: it
    is what of gateway less ledger no difference accounts for."""

    measure: str = Field(examples=["charge"])
    objects: int
    gateway: MoneyOut
    moved: MoneyOut | None
    recorded: MoneyOut | None
    ledger: MoneyOut
    explained: MoneyOut
    unexplained: MoneyOut

    @classmethod
    def of(cls, row: Row[Any]) -> "SumOut":
        """A sum's row."""
        return cls(
            measure=row.measure,
            objects=row.objects,
            gateway=_money(row.gateway_minor, row.currency),
            moved=_optional(row.moved_minor, row.currency),
            recorded=_optional(row.recorded_minor, row.currency),
            ledger=_money(row.ledger_minor, row.currency),
            explained=_money(row.explained_minor, row.currency),
            unexplained=_money(row.unexplained_minor, row.currency),
        )


class CauseOut(Out):
    """The open differences of one cause and currency. `gross` adds amounts up whatever their sign."""

    cause: str = Field(examples=["missing_here"])
    count: int
    amount: MoneyOut
    gross: MoneyOut

    @classmethod
    def of(cls, found: CauseSum) -> "CauseOut":
        """A sum of differences."""
        return cls(
            cause=found.cause,
            count=found.count,
            amount=_money(found.amount_minor, found.currency),
            gross=_money(found.gross_minor, found.currency),
        )


class RunDetailOut(RunOut):
    """A comparison with what it has come to, and what of its time is open now."""

    sums: list[SumOut]
    open: list[CauseOut]

    @classmethod
    def whole(cls, row: Row[Any], sums: Sequence[Row[Any]], causes: Sequence[CauseSum]) -> "RunDetailOut":
        """A run's row with its sums and the differences of its time."""
        known = RunOut.of(row).model_dump()
        return cls(**known, sums=[SumOut.of(one) for one in sums], open=[CauseOut.of(one) for one in causes])


class DifferenceOut(Out):
    """Something on which gateway, records and ledger do not agree. A side that does not tell is null.

    `gateway` is what the gateway lists, `moved` what its own ledger has moved. `amount` is what it has more than our
    ledger, or, where those agree, than our records. It is open while `resolution` is null; `proposed_by` wants it
    adjusted, and waits for somebody else to approve.
    """

    id: str
    cause: str = Field(examples=["missing_at_gateway"])
    measure: str = Field(examples=["charge"])
    object_kind: str = Field(examples=["payment"])
    object: str = Field(examples=["pay_A1"])
    transaction: str | None
    user: str | None
    gateway: MoneyOut | None
    moved: MoneyOut | None
    recorded: MoneyOut | None
    ledger: MoneyOut | None
    amount: MoneyOut
    detail: str
    period: str = Field(examples=["2026-10"])
    occurred_at: datetime
    first_seen_at: datetime
    last_seen_at: datetime
    owner: str = Field(examples=["finance"])
    run: str
    resolution: str | None = Field(examples=["explained"])
    resolved_at: datetime | None
    resolved_by: str | None
    proposed_by: str | None
    proposed_at: datetime | None
    note: str | None

    @classmethod
    def of(cls, row: Row[Any]) -> "DifferenceOut":
        """A difference's row."""
        same = ("id", "cause", "measure", "object_kind", "detail", "period", "occurred_at", "first_seen_at", "owner")
        ends = ("last_seen_at", "resolution", "resolved_at", "resolved_by", "proposed_by", "proposed_at", "note")
        return cls(
            **{name: getattr(row, name) for name in (*same, *ends)},
            object=row.object_id,
            transaction=row.transaction_id,
            user=row.user_id,
            gateway=_optional(row.gateway_minor, row.currency),
            moved=_optional(row.moved_minor, row.currency),
            recorded=_optional(row.recorded_minor, row.currency),
            ledger=_optional(row.ledger_minor, row.currency),
            amount=_money(row.amount_minor, row.currency),
            run=row.run_id,
        )


class PeriodOut(Out):
    """A month that was closed: nothing of it was unexplained then."""

    period: str = Field(examples=["2026-10"])
    run: str
    closed_at: datetime
    closed_by: str

    @classmethod
    def of(cls, row: Row[Any]) -> "PeriodOut":
        """A month's row."""
        return cls(period=row.period, run=row.run_id, closed_at=row.closed_at, closed_by=row.closed_by)


class PeriodsOut(Out):
    """All closed months, the newest first."""

    data: list[PeriodOut]


def _money(minor: int, currency: str) -> MoneyOut:
    return MoneyOut(amount_minor=minor, currency=currency)


def _optional(minor: int | None, currency: str) -> MoneyOut | None:
    return None if minor is None else _money(minor, currency)
