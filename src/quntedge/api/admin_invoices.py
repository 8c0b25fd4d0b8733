"""/api/admin/invoices… and /api/admin/credit-notes…: the documents of all customers, for those who keep the books."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.api.invoice_models import StaffCreditNoteOut, StaffInvoiceDetailOut, StaffInvoiceOut
from quntedge.api.models import Listing
from quntedge.api.paging import PagingParams
from quntedge.edge.callers import service
from quntedge.edge.files import PDF, download
from quntedge.edge.filters import id_filter, status_filter
from quntedge.edge.openapi import problems
from quntedge.edge.reads import RecordNotFound, credit_notes_of
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.invoices import queries
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.invoices.queries import STATUSES, InvoiceFilter

READ = "invoices:read"

router = APIRouter(prefix="/api/admin", tags=["invoices of all customers"])

_reader = service(READ)
_User = Annotated[str | None, Query(description="Only those of this customer.", max_length=64)]


@router.get("/invoices", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="Invoices")
async def list_all_invoices(
    unit: Unit,
    paging: PagingParams,
    status: Annotated[
        list[str] | None, Query(description=f"One of {', '.join(STATUSES)}; repeat it for several.")
    ] = None,
    user: _User = None,
    transaction: Annotated[str | None, Query(description="Only those of this payment.", max_length=64)] = None,
) -> Listing[StaffInvoiceOut]:
    """Invoices of all customers, newest first. All filters that are given have to fit."""
    wanted = InvoiceFilter(
        status_filter(status or (), STATUSES),
        id_filter("user", user, "usr"),
        id_filter("transaction", transaction, "txn"),
    )
    page = await queries.invoices(unit.session, wanted, paging.cursor, paging.limit)
    return Listing[StaffInvoiceOut](
        data=[StaffInvoiceOut.staff(row) for row in page.data], next_cursor=page.next_cursor
    )


@router.get(
    "/invoices/{invoice_id}",
    dependencies=[Depends(_reader)],
    responses=problems(401, 403, 404, 503),
    summary="One invoice",
)
async def get_any_invoice(request: Request, unit: Unit, invoice_id: str) -> StaffInvoiceDetailOut:
    """One invoice, by its id or its number, with its lines and parties and what has corrected it."""
    row = await _invoice(unit.session, invoice_id)
    document = await services_of(request).invoices.documents.read(unit, row)
    notes = await credit_notes_of(unit.session, row.id)
    return StaffInvoiceDetailOut.staff_document(row, document, notes)


@router.get(
    "/invoices/{invoice_id}/pdf",
    dependencies=[Depends(_reader)],
    responses={**problems(401, 403, 404, 409, 503), **PDF},
    response_class=Response,
    summary="An invoice as PDF",
)
async def get_any_invoice_pdf(request: Request, invoice_id: str) -> Response:
    """The very file that the customer gets: PDF/A-3 with structured data (Factur-X) inside."""
    services = services_of(request)
    async with services.units() as unit:
        found = (await _invoice(unit.session, invoice_id)).id
    return download(await services.invoices.documents.invoice(found))


@router.get(
    "/credit-notes", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="Credit notes"
)
async def list_all_credit_notes(unit: Unit, paging: PagingParams, user: _User = None) -> Listing[StaffCreditNoteOut]:
    """Credit notes of all customers, newest first."""
    page = await queries.credit_notes(unit.session, id_filter("user", user, "usr"), paging.cursor, paging.limit)
    return Listing[StaffCreditNoteOut](
        data=[StaffCreditNoteOut.staff(row) for row in page.data], next_cursor=page.next_cursor
    )


@router.get(
    "/credit-notes/{credit_note_id}/pdf",
    dependencies=[Depends(_reader)],
    responses={**problems(401, 403, 404, 503), **PDF},
    response_class=Response,
    summary="A credit note as PDF",
)
async def get_any_credit_note_pdf(request: Request, credit_note_id: str) -> Response:
    """The very file that the customer gets, by the id or the number of the credit note."""
    services = services_of(request)
    async with services.units() as unit:
        found = (await _credit_note(unit.session, credit_note_id)).id
    return download(await services.invoices.documents.credit_note(found))


async def _invoice(session: AsyncSession, text: str) -> Invoice:
    row = await queries.invoice(session, text)
    if row is None:
        raise RecordNotFound("There is no invoice with this id (inv_…) or number.")
    return row


async def _credit_note(session: AsyncSession, text: str) -> CreditNote:
    row = await queries.credit_note(session, text)
    if row is None:
        raise RecordNotFound("There is no credit note with this id (crn_…) or number.")
    return row
