"""Pages about invoices: the list with its files, and what customers want to read on them."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.edge import reads
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.files import download
from quntedge.edge.limits import Limit
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.invoices.parties import UnusableBillingDetails, check_details, countries
from quntedge.invoices.profiles import Profile
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import i18n, words
from quntedge.web.flash import set_flash
from quntedge.web.forms import FormView, errors_by_field, read_form
from quntedge.web.i18n import gettext
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_PAGE = 20


@router.get("/billing/invoices")
async def invoices(request: Request, unit: Unit, caller: SignedInCustomer, cursor: str | None = None) -> Response:
    """All invoices, a page at a time, and the latest credit notes."""
    page = await reads.invoices(unit.session, caller.user_id, cursor or None, _PAGE)
    notes = await reads.credit_notes(unit.session, caller.user_id, None, _PAGE)
    context = {
        "invoices": [invoice_row(row) for row in page.data],
        "credit_notes": [_credit_note_row(row) for row in notes.data] if not cursor else [],
        "next_cursor": page.next_cursor,
        "prev": "/billing/invoices" if cursor else None,
    }
    return await pages_of(request).page(request, "billing_invoices.html", context, unit=unit)


@router.get("/billing/invoices/{invoice_id}/pdf", dependencies=[audited("invoice.read", "invoice", "invoice_id")])
async def invoice_pdf(request: Request, caller: SignedInCustomer, invoice_id: str) -> Response:
    """An invoice as a file."""
    services = services_of(request)
    services.limits.hit(Limit.DOCUMENTS, caller.user_id)
    return download(await services.invoices.documents.invoice(invoice_id, caller.user_id))


@router.get(
    "/billing/credit-notes/{credit_note_id}/pdf",
    dependencies=[audited("credit_note.read", "credit_note", "credit_note_id")],
)
async def credit_note_pdf(request: Request, caller: SignedInCustomer, credit_note_id: str) -> Response:
    """A credit note as a file."""
    services = services_of(request)
    services.limits.hit(Limit.DOCUMENTS, caller.user_id)
    return download(await services.invoices.documents.credit_note(credit_note_id, caller.user_id))


@router.get("/billing/details")
async def details(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """The form, filled with what stands on the next invoice."""
    profile = await services_of(request).invoices.profiles.current(unit.session, caller.user_id)
    return await _details_page(request, FormView(_values(profile)), unit)


@router.post("/billing/details")
async def save_details(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """Takes the details for invoices from now on, or shows the form again with what is wrong at each field."""
    form = await read_form(request)
    try:
        checked = check_details(form)
    except UnusableBillingDetails as error:
        view = FormView(form, errors_by_field(error.extra.get("errors", ()), {}))
        return await _details_page(request, view, unit, status=422)
    await services_of(request).invoices.profiles.save(unit, caller.user_id, checked)
    response = RedirectResponse("/billing/details", status_code=303)
    set_flash(response, request, "billing_details_saved")
    return response


def invoice_row(row: Invoice) -> dict[str, Any]:
    """An invoice as the lists of the billing pages show it."""
    return {
        "id": row.id,
        "number": row.number or gettext("Not numbered yet"),
        "pdf_url": f"/billing/invoices/{row.id}/pdf" if row.number else None,
        "at": row.paid_at or row.issued_at,
        "amount": Money(row.total_minor, row.currency),
        "status": row.status,
        "status_label": words.invoice_status(row.status),
    }


def _credit_note_row(row: CreditNote) -> dict[str, Any]:
    return {
        "number": row.number,
        "pdf_url": f"/billing/credit-notes/{row.id}/pdf",
        "at": row.issued_at,
        "amount": Money(-row.total_minor, row.currency),
    }


def _values(profile: Profile | None) -> dict[str, str]:
    known = asdict(profile.details) if profile is not None else {}
    return {name: value for name, value in known.items() if value}


async def _details_page(request: Request, form: FormView, unit: UnitOfWork, *, status: int = 200) -> Response:
    context = {"form": form, "countries": countries(i18n.spoken())}
    return await pages_of(request).page(request, "billing_details.html", context, unit=unit, status=status)
