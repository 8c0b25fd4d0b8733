"""/api/payment/transactions… and /api/admin/transactions…: what was paid, how, and what went wrong on the way."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from quntedge.api.models import Listing
from quntedge.api.paging import PagingParams
from quntedge.api.transaction_models import (
    StaffTransactionDetailOut,
    StaffTransactionOut,
    TransactionDetailOut,
    TransactionOut,
)
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.edge import reads
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer, required_user, service
from quntedge.edge.filters import Asked, transaction_filter
from quntedge.edge.openapi import problems
from quntedge.edge.receipts import receipt_url
from quntedge.edge.services import services_of
from quntedge.edge.transaction_csv import transactions_csv
from quntedge.edge.transactions import Unit
from quntedge.payments import queries
from quntedge.payments.models import PaymentTransaction

READ = "payments:read"

router = APIRouter(prefix="/api/payment", tags=["payment"])
admin = APIRouter(prefix="/api/admin/transactions", tags=["payments of all customers"])

_reader = service(READ)
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}}, "description": "One line for each payment, newest first."}
}
_REDIRECT: dict[int | str, dict[str, Any]] = {
    303: {"description": "To the receipt. The address holds for a short time."}
}


async def _asked(
    status: Annotated[
        list[str] | None, Query(description="Only payments in this status; repeat it for several.")
    ] = None,
    since: Annotated[
        str | None, Query(alias="from", description="From this day or time on.", examples=["2026-09-01"])
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", description="Up to this day, the whole of it, or time.", examples=["2026-09-30"])
    ] = None,
    plan: Annotated[str | None, Query(description="Code of a plan.", examples=["monthly"])] = None,
    currency: Annotated[str | None, Query(description="ISO 4217, lower case.", examples=["usd"])] = None,
    named: Annotated[
        str | None,
        Query(alias="id", description="An id: `txn_…`, or Whop's `pay_…`; also `sub_…` and `mem_…`."),
    ] = None,
) -> Asked:
    return Asked(status or (), since, until, plan, currency, named)


Filter = Annotated[Asked, Depends(_asked)]


@router.get("/transactions", responses=problems(400, 401, 503), summary="Payments")
async def list_transactions(
    unit: Unit, caller: SignedInCustomer, paging: PagingParams, asked: Filter
) -> Listing[TransactionOut]:
    """Payments, newest first. All filters that are given have to fit."""
    wanted = await transaction_filter(unit.session, asked, caller.user_id)
    page = await queries.find(unit.session, wanted, paging.cursor, paging.limit)
    plans = await _plans(unit.session, page.data)
    return Listing[TransactionOut](
        data=[TransactionOut.of(row, plans.get(row.plan_id or "")) for row in page.data], next_cursor=page.next_cursor
    )


@router.get(
    "/transactions.csv",
    response_class=Response,
    responses={**problems(400, 401, 503), **_CSV},
    summary="Payments as a table",
)
async def download_transactions(unit: Unit, caller: SignedInCustomer, asked: Filter) -> Response:
    """All payments that fit the filters, as CSV."""
    wanted = await transaction_filter(unit.session, asked, caller.user_id)
    rows = [row async for chunk in queries.stream(unit.session, wanted) for row in chunk]
    headers = {"Content-Disposition": 'attachment; filename="payments.csv"'}
    text = transactions_csv(rows, await _plans(unit.session, rows))
    return Response(text, media_type="text/csv", headers=headers)


@router.get(
    "/transactions/{transaction_id}",
    dependencies=[audited("payment.read", "payment", "transaction_id")],
    responses=problems(401, 404, 503),
    summary="One payment",
)
async def get_transaction(unit: Unit, caller: SignedInCustomer, transaction_id: str) -> TransactionDetailOut:
    """One payment of the customer, with the attempts that failed."""
    row = await reads.transaction(unit.session, caller.user_id, transaction_id)
    attempts = await queries.attempts_of(unit.session, [row.id])
    plans = await _plans(unit.session, [row])
    return TransactionDetailOut.detail(row, plans.get(row.plan_id or ""), attempts[row.id], caller.locale)


@router.get(
    "/transactions/{transaction_id}/receipt",
    status_code=303,
    response_class=RedirectResponse,
    dependencies=[audited("payment.read", "payment", "transaction_id")],
    responses={**problems(401, 404, 409, 502, 503), **_REDIRECT},
    summary="The receipt of a payment",
)
async def get_receipt(request: Request, caller: SignedInCustomer, transaction_id: str) -> RedirectResponse:
    """Leads to the payment provider's receipt, a PDF. The address is made anew each time and does not last."""
    services = services_of(request)
    async with services.units() as unit:
        row = await reads.transaction(unit.session, caller.user_id, transaction_id)
    return RedirectResponse(await receipt_url(services, row), status_code=303)


@admin.get("", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="Payments")
async def list_all(
    unit: Unit,
    paging: PagingParams,
    asked: Filter,
    user: Annotated[str | None, Query(description="Only payments of this customer.", max_length=64)] = None,
) -> Listing[StaffTransactionOut]:
    """Payments of all customers, newest first. All filters that are given have to fit."""
    wanted = await transaction_filter(unit.session, asked, required_user(user) if user else None)
    page = await queries.find(unit.session, wanted, paging.cursor, paging.limit)
    plans = await _plans(unit.session, page.data)
    return Listing[StaffTransactionOut](
        data=[StaffTransactionOut.staff(row, plans.get(row.plan_id or "")) for row in page.data],
        next_cursor=page.next_cursor,
    )


@admin.get(
    "/{transaction_id}", dependencies=[Depends(_reader)], responses=problems(401, 403, 404, 503), summary="One payment"
)
async def get_any(unit: Unit, transaction_id: str) -> StaffTransactionDetailOut:
    """One payment, by our id or by Whop's, with the attempts that failed in the gateway's own words."""
    row = await _any(unit.session, transaction_id)
    attempts = await queries.attempts_of(unit.session, [row.id])
    plans = await _plans(unit.session, [row])
    return StaffTransactionDetailOut.staff_detail(row, plans.get(row.plan_id or ""), attempts[row.id])


@admin.get(
    "/{transaction_id}/receipt",
    status_code=303,
    dependencies=[Depends(_reader)],
    response_class=RedirectResponse,
    responses={**problems(401, 403, 404, 409, 502, 503), **_REDIRECT},
    summary="The receipt of a payment",
)
async def get_any_receipt(request: Request, transaction_id: str) -> RedirectResponse:
    """Leads to the payment provider's receipt, a PDF. The address is made anew each time and does not last."""
    services = services_of(request)
    async with services.units() as unit:
        row = await _any(unit.session, transaction_id)
    return RedirectResponse(await receipt_url(services, row), status_code=303)


async def _any(session: AsyncSession, text: str) -> PaymentTransaction:
    row = await queries.by_id(session, text)
    if row is None:
        raise reads.RecordNotFound("There is no payment with this id.")
    return row


async def _plans(session: AsyncSession, rows: Sequence[PaymentTransaction]) -> dict[str, PlanView]:
    return await catalog.plans_by_id(session, {row.plan_id for row in rows if row.plan_id is not None})
