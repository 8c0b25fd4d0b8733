"""/api/admin/reconciliation…: whether Whop, our records and the ledger agree, for the tools of those who run the
installation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, status
from starlette.responses import HTMLResponse

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.models import Listing
from quntedge.api.paging import PagingParams
from quntedge.api.reconciliation_models import (
    CauseName,
    DifferenceOut,
    OwnerIn,
    PeriodOut,
    PeriodsOut,
    ResolutionIn,
    RunDetailOut,
    RunIn,
    RunOut,
    State,
)
from quntedge.edge.audited import audited
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.reconciliation import queries, runs
from quntedge.reconciliation.feature import Reconciliation
from quntedge.reconciliation.queries import Filter
from quntedge.reconciliation.report import CONTENT_POLICY, html_of, report_of
from quntedge.reconciliation.settling import Verdict

router = APIRouter(prefix="/api/admin/reconciliation", tags=["reconciliation"])

READ, WRITE = "reconciliation:read", "reconciliation:write"
_reader = service(READ)
_writer = service(WRITE)
Writer = Annotated[ApiKeyCaller, Depends(_writer)]
Id = Annotated[str, Path(max_length=64)]
Period = Annotated[str, Path(max_length=10, examples=["2026-10"])]


@router.get("/runs", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="All comparisons")
async def list_reconciliation_runs(unit: Unit, paging: PagingParams) -> Listing[RunOut]:
    """Comparisons, the newest first."""
    page = await queries.runs(unit, paging.cursor, paging.limit)
    return Listing(data=[RunOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.post(
    "/runs",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[audited("reconciliation.run")],
    responses=problems(400, 401, 403, 409, 422, 503),
    summary="Compare a range",
)
async def start_reconciliation_run(request: Request, unit: Unit, caller: Writer, body: RunIn) -> RunOut:
    """Asks for a comparison; the worker does it. Follow it with GET /runs/{id}. One at a time."""
    run_id = await _feature(request).service.wish(
        unit, body.since, body.until, trigger="manual", requested_by=_actor(caller)
    )
    return RunOut.of(await runs.get(unit, run_id))


@router.get(
    "/runs/{run_id}", dependencies=[Depends(_reader)], responses=problems(401, 403, 404, 503), summary="One comparison"
)
async def get_reconciliation_run(unit: Unit, run_id: Id) -> RunDetailOut:
    """A comparison with the sums of the three sides, and what of its time is open now."""
    row = await runs.get(unit, run_id)
    causes = await queries.by_cause(unit, since=row.since, until=row.until)
    return RunDetailOut.whole(row, await queries.sums(unit, run_id), causes)


@router.get(
    "/runs/{run_id}/report",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503),
    response_class=HTMLResponse,
    summary="One comparison as a page",
)
async def get_reconciliation_report(request: Request, unit: Unit, run_id: Id) -> HTMLResponse:
    """The same for people, as one file that needs nothing else."""
    report = await report_of(unit, run_id, services_of(request).settings.product_name)
    return HTMLResponse(html_of(report), headers={"content-security-policy": CONTENT_POLICY})


@router.get(
    "/differences",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 422, 503),
    summary="Differences",
)
async def list_money_differences(
    unit: Unit,
    paging: PagingParams,
    state: Annotated[State | None, Query(description="Without it all of them.")] = None,
    cause: CauseName | None = None,
    period: Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}$", examples=["2026-10"])] = None,
    object: Annotated[str | None, Query(max_length=64, description="Id at Whop, or ours.")] = None,
) -> Listing[DifferenceOut]:
    """Differences, those that were seen first the longest ago first."""
    which = Filter(state=state, cause=cause, period=period, object_id=object)
    page = await queries.differences(unit, which, paging.cursor, paging.limit)
    return Listing(data=[DifferenceOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.get(
    "/differences/{difference_id}",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503),
    summary="One difference",
)
async def get_money_difference(unit: Unit, difference_id: Id) -> DifferenceOut:
    """A difference as it is now."""
    return DifferenceOut.of(await queries.difference(unit, difference_id))


@router.post(
    "/differences/{difference_id}/resolve",
    dependencies=[audited("reconciliation.resolve", "money_difference", "difference_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Say what became of a difference",
)
async def resolve_money_difference(
    request: Request, unit: Unit, caller: Writer, difference_id: Id, body: ResolutionIn
) -> DifferenceOut:
    """It is not found again unless something about it changes. `adjusted` is a proposal: once somebody else approves,
    the ledger gets an entry for it."""
    verdict = Verdict(body.resolution, body.note, _actor(caller))
    return DifferenceOut.of(await _feature(request).settling.resolve(unit, difference_id, verdict))


@router.post(
    "/differences/{difference_id}/approve",
    dependencies=[audited("reconciliation.approve", "money_difference", "difference_id")],
    responses=problems(401, 403, 404, 409, 503),
    summary="Approve of an adjustment",
)
async def approve_money_difference(request: Request, unit: Unit, caller: Writer, difference_id: Id) -> DifferenceOut:
    """Posts to the ledger what somebody else proposed. Nobody approves of their own proposal."""
    return DifferenceOut.of(await _feature(request).settling.approve(unit, difference_id, _actor(caller)))


@router.post(
    "/differences/{difference_id}/reject",
    dependencies=[audited("reconciliation.reject", "money_difference", "difference_id")],
    responses=problems(401, 403, 404, 409, 503),
    summary="Turn an adjustment down",
)
async def reject_money_difference(request: Request, unit: Unit, caller: Writer, difference_id: Id) -> DifferenceOut:
    """The difference stays open, and nothing is posted. Whoever proposed it may do so, too."""
    return DifferenceOut.of(await _feature(request).settling.reject(unit, difference_id, _actor(caller)))


@router.post(
    "/differences/{difference_id}/assign",
    dependencies=[audited("reconciliation.assign", "money_difference", "difference_id")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Say who looks at a difference",
)
async def assign_money_difference(
    request: Request, unit: Unit, _: Writer, difference_id: Id, body: OwnerIn
) -> DifferenceOut:
    """Gives an open difference to somebody."""
    return DifferenceOut.of(await _feature(request).settling.assign(unit, difference_id, body.owner))


@router.get("/periods", dependencies=[Depends(_reader)], responses=problems(401, 403, 503), summary="Closed months")
async def list_money_periods(unit: Unit) -> PeriodsOut:
    """The months that were closed."""
    return PeriodsOut(data=[PeriodOut.of(row) for row in await queries.periods(unit)])


@router.post(
    "/periods/{period}/close",
    dependencies=[audited("reconciliation.close_period", "period", "period")],
    responses=problems(400, 401, 403, 409, 422, 503),
    summary="Close a month",
)
async def close_money_period(request: Request, unit: Unit, caller: Writer, period: Period) -> PeriodOut:
    """Refused while anything of the month is unexplained, or before a comparison of all of it has been made three days
    after its end."""
    return PeriodOut.of(await _feature(request).settling.close(unit, period, _actor(caller)))


def _feature(request: Request) -> Reconciliation:
    return services_of(request).reconciliation


def _actor(caller: ApiKeyCaller) -> str:
    return caller.person
