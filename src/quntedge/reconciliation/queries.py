"""What runs have found, for people: runs, sums, differences, months."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, func, select, tuple_

from quntedge.kit.paging import Page, decode_cursor
from quntedge.payments.models import PaymentTransaction
from quntedge.reconciliation.errors import DifferenceNotFound
from quntedge.reconciliation.models import MoneyDifference, MoneyPeriod, ReconciliationRun, ReconciliationSum
from quntedge.reconciliation.rules import FEES_KNOWN_AFTER
from quntedge.storage.unit_of_work import UnitOfWork

_RUN: Final = ReconciliationRun.__table__
_DIFFERENCE: Final = MoneyDifference.__table__
OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which differences are meant. `state` is `open`, one of the resolutions, or None for all; `since` and `until` are
    about the time of the object."""

    state: str | None = OPEN
    cause: str | None = None
    period: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CauseSum:
    """The differences of one cause and currency: how many, and what they come to. `gross_minor` adds up amounts
    whatever their sign, so that two mistakes do not hide each other."""

    cause: str
    currency: str
    count: int
    amount_minor: int
    gross_minor: int


async def runs(unit: UnitOfWork, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Runs, the newest first."""
    query = select(_RUN).order_by(_RUN.c.started_at.desc(), _RUN.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(tuple_(_RUN.c.started_at, _RUN.c.id) < decode_cursor(cursor))
    rows = (await (await unit.connection()).execute(query)).all()
    return Page.cut(rows, limit, lambda row: (row.started_at, row.id))


async def running(unit: UnitOfWork) -> Row[Any] | None:
    """The run that is not done."""
    return (await (await unit.connection()).execute(select(_RUN).where(_RUN.c.state == "running"))).one_or_none()


async def first_payment_at(unit: UnitOfWork) -> datetime | None:
    """When the oldest payment came to be."""
    query = select(PaymentTransaction.occurred_at).order_by(PaymentTransaction.occurred_at).limit(1)
    found: datetime | None = await (await unit.connection()).scalar(query)
    return found


async def sums(unit: UnitOfWork, run_id: str) -> Sequence[Row[Any]]:
    """What the sides come to in a run, by currency and measure."""
    table = ReconciliationSum.__table__
    query = select(table).where(table.c.run_id == run_id).order_by(table.c.currency, table.c.measure)
    return (await (await unit.connection()).execute(query)).all()


async def differences(unit: UnitOfWork, which: Filter, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Differences, those seen first the longest ago first: the oldest wait for somebody."""
    query = _chosen(select(_DIFFERENCE), which).order_by(_DIFFERENCE.c.first_seen_at, _DIFFERENCE.c.id).limit(limit + 1)
    if cursor is not None:
        query = query.where(tuple_(_DIFFERENCE.c.first_seen_at, _DIFFERENCE.c.id) > decode_cursor(cursor))
    rows = (await (await unit.connection()).execute(query)).all()
    return Page.cut(rows, limit, lambda row: (row.first_seen_at, row.id))


def _chosen(query: Select[Any], which: Filter) -> Select[Any]:
    table = _DIFFERENCE.c
    if which.state == OPEN:
        query = query.where(table.resolution.is_(None))
    elif which.state is not None:
        query = query.where(table.resolution == which.state)
    for column, value in ((table.cause, which.cause), (table.period, which.period), (table.object_id, which.object_id)):
        if value is not None:
            query = query.where(column == value)
    if which.since is not None:
        query = query.where(table.occurred_at >= which.since)
    if which.until is not None:
        query = query.where(table.occurred_at < which.until)
    return query


async def difference(unit: UnitOfWork, difference_id: str) -> Row[Any]:
    """One difference. Raises `DifferenceNotFound`."""
    query = select(_DIFFERENCE).where(_DIFFERENCE.c.id == difference_id)
    found = (await (await unit.connection()).execute(query)).one_or_none()
    if found is None:
        raise DifferenceNotFound(f"There is no difference {difference_id}.")
    return found


async def by_cause(unit: UnitOfWork, *, since: datetime | None = None, until: datetime | None = None) -> list[CauseSum]:
    """The open differences by cause and currency, of all times or of what came to be in a range."""
    table = _DIFFERENCE.c
    query = (
        select(
            table.cause,
            table.currency,
            func.count().label("number"),
            func.sum(table.amount_minor).label("amount"),
            func.sum(func.abs(table.amount_minor)).label("gross"),
        )
        .where(table.resolution.is_(None))
        .group_by(table.cause, table.currency)
        .order_by(table.cause, table.currency)
    )
    if since is not None:
        query = query.where(table.occurred_at >= since)
    if until is not None:
        query = query.where(table.occurred_at < until)
    rows = await (await unit.connection()).execute(query)
    return [CauseSum(row.cause, row.currency, row.number, int(row.amount), int(row.gross)) for row in rows]


async def count_open(unit: UnitOfWork) -> int:
    """How many differences nobody has explained."""
    query = select(func.count()).select_from(_DIFFERENCE).where(_DIFFERENCE.c.resolution.is_(None))
    return (await (await unit.connection()).execute(query)).scalar_one()


async def covering(unit: UnitOfWork, since: datetime, until: datetime) -> Row[Any] | None:
    """The newest run that compared all of a range, begun when the fees of its last payments were known as well."""
    query = (
        select(_RUN)
        .where(
            _RUN.c.state == "done",
            _RUN.c.since <= since,
            _RUN.c.until >= until,
            _RUN.c.started_at >= until + FEES_KNOWN_AFTER,
        )
        .order_by(_RUN.c.started_at.desc())
        .limit(1)
    )
    return (await (await unit.connection()).execute(query)).one_or_none()


async def periods(unit: UnitOfWork) -> Sequence[Row[Any]]:
    """The months that are closed, the newest first."""
    table = MoneyPeriod.__table__
    return (await (await unit.connection()).execute(select(table).order_by(table.c.period.desc()))).all()
