"""Invoices and credit notes as data and as files, and the details customers want to read on them."""

from fastapi import APIRouter, Request, Response

from quntedge.api.invoice_models import BillingDetailsIn, BillingDetailsOut, CreditNoteOut, InvoiceDetailOut
from quntedge.api.models import InvoiceOut, Listing
from quntedge.api.paging import PagingParams
from quntedge.edge import reads
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.files import PDF, download
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.invoices.parties import check_details

router = APIRouter(prefix="/api/payment", tags=["payment"])
details = APIRouter(prefix="/api/account", tags=["account"])


@router.get("/invoices", responses=problems(400, 401, 503), summary="Invoices")
async def list_invoices(unit: Unit, caller: SignedInCustomer, paging: PagingParams) -> Listing[InvoiceOut]:
    """All invoices, newest first."""
    page = await reads.invoices(unit.session, caller.user_id, paging.cursor, paging.limit)
    return Listing[InvoiceOut](data=[InvoiceOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.get(
    "/invoices/{invoice_id}",
    dependencies=[audited("invoice.read", "invoice", "invoice_id")],
    responses=problems(401, 404, 503),
    summary="One invoice",
)
async def get_invoice(request: Request, unit: Unit, caller: SignedInCustomer, invoice_id: str) -> InvoiceDetailOut:
    """One invoice of the customer, with its lines and parties and what has corrected it."""
    row = await reads.invoice(unit.session, caller.user_id, invoice_id)
    document = await services_of(request).invoices.documents.read(unit, row)
    notes = await reads.credit_notes_of(unit.session, row.id)
    return InvoiceDetailOut.of_document(row, document, notes)


@router.get(
    "/invoices/{invoice_id}/pdf",
    dependencies=[audited("invoice.read", "invoice", "invoice_id")],
    responses={**problems(401, 404, 409, 429, 503), **PDF},
    response_class=Response,
    summary="An invoice as PDF",
)
async def get_invoice_pdf(request: Request, caller: SignedInCustomer, invoice_id: str) -> Response:
    """PDF/A-3 with structured data (Factur-X) inside. An invoice is a document once it is paid and has its number."""
    services = services_of(request)
    services.limits.hit(Limit.DOCUMENTS, caller.user_id)
    return download(await services.invoices.documents.invoice(invoice_id, caller.user_id))


@router.get("/credit-notes", responses=problems(400, 401, 503), summary="Credit notes")
async def list_credit_notes(unit: Unit, caller: SignedInCustomer, paging: PagingParams) -> Listing[CreditNoteOut]:
    """All credit notes, newest first."""
    page = await reads.credit_notes(unit.session, caller.user_id, paging.cursor, paging.limit)
    return Listing[CreditNoteOut](data=[CreditNoteOut.of(row) for row in page.data], next_cursor=page.next_cursor)


@router.get(
    "/credit-notes/{credit_note_id}/pdf",
    dependencies=[audited("credit_note.read", "credit_note", "credit_note_id")],
    responses={**problems(401, 404, 429, 503), **PDF},
    response_class=Response,
    summary="A credit note as PDF",
)
async def get_credit_note_pdf(request: Request, caller: SignedInCustomer, credit_note_id: str) -> Response:
    """PDF/A-3 with structured data (Factur-X) inside."""
    services = services_of(request)
    services.limits.hit(Limit.DOCUMENTS, caller.user_id)
    return download(await services.invoices.documents.credit_note(credit_note_id, caller.user_id))


@details.get("/billing-details", responses=problems(401, 503), summary="What stands on invoices")
async def get_billing_details(request: Request, unit: Unit, caller: SignedInCustomer) -> BillingDetailsOut:
    """The details that the next invoice will bear."""
    return BillingDetailsOut.of_profile(
        await services_of(request).invoices.profiles.current(unit.session, caller.user_id)
    )


@details.put(
    "/billing-details",
    dependencies=[audited("billing_details.save")],
    responses=problems(401, 403, 422, 503),
    summary="Change what stands on invoices",
)
async def put_billing_details(
    request: Request, unit: Unit, caller: SignedInCustomer, body: BillingDetailsIn
) -> BillingDetailsOut:
    """Replaces the details. Invoices that have their number keep what they say."""
    checked = check_details(body.model_dump())
    return BillingDetailsOut.of_profile(
        await services_of(request).invoices.profiles.save(unit, caller.user_id, checked)
    )
