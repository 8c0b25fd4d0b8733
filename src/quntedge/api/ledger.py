"""/api/admin/ledger…: what the books say, for the tools of those who run the installation."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime

from quntedge.api.ledger_models import (
    LedgerAccountOut,
    LedgerAccountsOut,
    LedgerActivityOut,
    LedgerBalancesOut,
    LedgerEntryOut,
    LedgerStatementLineOut,
)
from quntedge.api.models import Listing
from quntedge.api.paging import PagingParams
from quntedge.bookkeeping import backfill
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.transactions import Unit
from quntedge.kit.ids import is_id
from quntedge.ledger import queries
from quntedge.ledger.errors import LedgerEntryNotFound
from quntedge.ledger.queries import EntryFilter
from quntedge.ledger.rules import CHART, Account

router = APIRouter(prefix="/api/admin/ledger", tags=["ledger"])

READ = "ledger:read"
_reader = service(READ)


def _sensible_date(value: date) -> date:
    if not 2000 <= value.year < 2200:
        raise ValueError("the year must be from 2000 to 2199")
    return value


def _sensible_moment(value: datetime) -> datetime:
    _sensible_date(value)
    return value.astimezone(UTC)


Day = Annotated[date, AfterValidator(_sensible_date)]
Moment = Annotated[AwareDatetime, AfterValidator(_sensible_moment)]
Source = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.:\-]{1,100}$")]


@router.get("/accounts", dependencies=[Depends(_reader)], responses=problems(401, 403, 503), summary="All accounts")
async def list_ledger_accounts() -> LedgerAccountsOut:
    """The chart of accounts."""
    return LedgerAccountsOut(data=[LedgerAccountOut.of(account) for account in CHART])


@router.get("/balances", dependencies=[Depends(_reader)], responses=problems(401, 403, 422, 503), summary="Balances")
async def list_ledger_balances(
    unit: Unit,
    until: Annotated[
        Moment | None, Query(description="Of what happened before this moment; without it of everything.")
    ] = None,
) -> LedgerBalancesOut:
    """The trial balance: every account in every currency that was ever posted on it."""
    balances = await queries.balances(await unit.connection(), until)
    return LedgerBalancesOut.of(balances, complete=await backfill.is_finished(unit))


@router.get(
    "/activity",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 422, 503),
    summary="Revenue and costs of some days",
)
async def list_ledger_activity(
    unit: Unit,
    since: Annotated[Day, Query(description="The first day (UTC).", examples=["2026-09-01"])],
    until: Annotated[Day, Query(description="The day after the last (UTC).", examples=["2026-10-01"])],
) -> LedgerActivityOut:
    """What was posted on each account for these days, by when it happened: revenue, refunds, fees, losses."""
    balances = await queries.activity(await unit.connection(), since, until)
    summed = LedgerBalancesOut.of(balances, complete=await backfill.is_finished(unit))
    return LedgerActivityOut(data=summed.data, totals=summed.totals, complete=summed.complete, since=since, until=until)


@router.get(
    "/statement",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 422, 503),
    summary="Statement of an account",
)
async def list_ledger_statement(
    unit: Unit,
    paging: PagingParams,
    account: Annotated[Account, Query(description="Code of an account.")],
    currency: Annotated[str, Query(pattern=r"^[a-z]{3}$", description="Its currency (ISO 4217, lower case).")],
    since: Annotated[Moment | None, Query(description="Only what happened at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(description="Only what happened before this moment.")] = None,
) -> Listing[LedgerStatementLineOut]:
    """What was posted on an account in a currency, the latest first."""
    page = await queries.statement(
        unit.session, account, currency, paging.cursor, paging.limit, since=since, until=until
    )
    return Listing[LedgerStatementLineOut](
        data=[LedgerStatementLineOut.of_statement(line) for line in page.data], next_cursor=page.next_cursor
    )


@router.get(
    "/entries", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 422, 503), summary="Ledger entries"
)
async def list_ledger_entries(
    unit: Unit,
    paging: PagingParams,
    user: Annotated[Source | None, Query(description="Only entries about this user.")] = None,
    source: Annotated[
        Source | None, Query(description="Only entries about this payment, refund, dispute, payout or difference.")
    ] = None,
    transaction: Annotated[
        Source | None, Query(description="Only entries about this payment, its refunds and its disputes.")
    ] = None,
) -> Listing[LedgerEntryOut]:
    """Entries with their lines, the last posted first."""
    which = EntryFilter(user_id=user, source=source, transaction_id=transaction)
    page = await queries.entries(unit.session, which, paging.cursor, paging.limit)
    return Listing[LedgerEntryOut](data=[LedgerEntryOut.of(each) for each in page.data], next_cursor=page.next_cursor)


@router.get(
    "/entries/{entry_id}",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503),
    summary="One ledger entry",
)
async def get_ledger_entry(unit: Unit, entry_id: str) -> LedgerEntryOut:
    """One entry with its lines."""
    found = await queries.entry(unit.session, entry_id) if is_id(entry_id, "led") else None
    if found is None:
        raise LedgerEntryNotFound("There is no ledger entry with this id; ids begin with led_.")
    return LedgerEntryOut.of(found)
