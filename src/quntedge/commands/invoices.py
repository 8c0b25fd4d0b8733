"""Invoices and credit notes: which there are, what stands on one, and the file. Nothing here changes anything."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, aside, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.edge.filters import InvalidFilter, id_filter, status_filter
from quntedge.edge.reads import credit_notes_of
from quntedge.invoices import queries
from quntedge.invoices.documents import Document
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.invoices.queries import STATUSES, InvoiceFilter
from quntedge.kit.money import Money

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Invoices and credit notes: lists, contents, files.")

_MOST = 1000
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead, for programs.")]
InvoiceName = Annotated[str, typer.Argument(help="Id (inv_…) or number of the invoice.")]
_User = Annotated[str | None, typer.Option("--user", help="Only of this customer, usr_…")]
_Limit = Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="How many at most.")]


@app.command("list")
def list_invoices(
    status: Annotated[
        list[str] | None, typer.Option("--status", help=f"Only these; may be repeated: {', '.join(STATUSES)}.")
    ] = None,
    user: _User = None,
    payment: Annotated[str | None, typer.Option("--payment", help="Only of this payment, txn_…")] = None,
    limit: _Limit = 50,
    as_json: Json = False,
) -> None:
    """List invoices, newest first."""
    try:
        wanted = InvoiceFilter(
            status_filter(status or (), STATUSES),
            id_filter("--user", user, "usr"),
            id_filter("--payment", payment, "txn"),
        )
    except InvalidFilter as error:
        raise CommandError(error.detail) from error
    run(_list(wanted, limit, as_json))


@app.command("credit-notes")
def list_credit_notes(user: _User = None, limit: _Limit = 50, as_json: Json = False) -> None:
    """List credit notes, newest first."""
    try:
        user_id = id_filter("--user", user, "usr")
    except InvalidFilter as error:
        raise CommandError(error.detail) from error
    run(_credit_notes(user_id, limit, as_json))


@app.command()
def show(invoice: InvoiceName, as_json: Json = False) -> None:
    """Show an invoice: its lines, its parties, and what has corrected it."""
    run(_show(invoice, as_json))


@app.command()
def pdf(
    document: Annotated[str, typer.Argument(help="Id or number of an invoice (inv_…) or a credit note (crn_…).")],
    to: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, writable=True, help="Where to. Default: its number, here.")
    ] = None,
) -> None:
    """Write the file that the customer gets: PDF/A-3 with structured data inside."""
    run(_pdf(document, to))


async def _list(wanted: InvoiceFilter, limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.invoices(unit.session, wanted, None, limit)
    if as_json:
        out().print(json.dumps([_columns(row) for row in page.data], indent=2))
        return
    shown = table("Number", "Issued (UTC)", "Status", "Total", "Tax", "Credited", "Customer", "Id")
    for row in page.data:
        shown.add_row(
            row.number or "–",
            moment(row.paid_at or row.issued_at),
            row.status,
            _money(row.total_minor, row.currency),
            _money(row.tax_minor, row.currency),
            _money(row.credited_minor or None, row.currency),
            row.user_id,
            row.id,
        )
    show_table(shown)
    _say_more(page.next_cursor, limit)


async def _credit_notes(user_id: str | None, limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.credit_notes(unit.session, user_id, None, limit)
    if as_json:
        out().print(json.dumps([_columns(row) for row in page.data], indent=2))
        return
    show_table(_notes_table(page.data))
    _say_more(page.next_cursor, limit)


async def _show(text: str, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await queries.invoice(unit.session, text)
        if row is None:
            raise CommandError(f"There is no invoice {text}; `quntedge invoices list` shows ids and numbers.")
        document = await runtime.services.invoices.documents.read(unit, row)
        notes = await credit_notes_of(unit.session, row.id)
        await unit.commit()
    if as_json:
        told = {"lines": _lines(document), "credit_notes": [_columns(note) for note in notes]}
        out().print(json.dumps(_columns(row) | told, indent=2, ensure_ascii=False))
        return
    for name, value in _columns(row).items():
        if value is not None:
            out().print(f"{name:<20} {Money(value, row.currency) if name.endswith('_minor') else value}")
    if document is not None:
        _print_document(document)
    if notes:
        out().print()
        show_table(_notes_table(notes))


def _print_document(document: Document) -> None:
    out().print(f"{'seller':<20} {document.seller.name}")
    out().print(f"{'buyer':<20} {document.buyer.title or document.buyer_id}")
    out().print()
    shown = table("Line", "Text", "Amount")
    for line in document.lines:
        shown.add_row(line.kind, line.label, str(line.amount))
    show_table(shown)


async def _pdf(text: str, to: Path | None) -> None:
    async with opened() as runtime:
        async with runtime.units() as unit:
            invoice = await queries.invoice(unit.session, text)
            note = None if invoice is not None else await queries.credit_note(unit.session, text)
        documents = runtime.services.invoices.documents
        if invoice is not None:
            file = await documents.invoice(invoice.id)
        elif note is not None:
            file = await documents.credit_note(note.id)
        else:
            raise CommandError(f"There is no invoice and no credit note {text}; `list` and `credit-notes` show them.")
    path = to or Path(file.name)
    try:
        path.write_bytes(file.content)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}.") from None
    out().print(f"{path}: {len(file.content)} bytes")


def _notes_table(notes: Sequence[CreditNote]) -> Any:
    shown = table("Credit note", "Issued (UTC)", "Total", "Tax", "Invoice", "Refund", "Cancels")
    for note in notes:
        shown.add_row(
            note.number,
            moment(note.issued_at),
            _money(note.total_minor, note.currency),
            _money(note.tax_minor, note.currency),
            note.invoice_id,
            note.refund_id,
            note.reverses_id or "–",
        )
    return shown


def _lines(document: Document | None) -> list[dict[str, Any]]:
    if document is None:
        return []
    return [
        {
            "kind": line.kind,
            "label": line.label,
            "amount_minor": line.amount.amount_minor,
            "tax_basis_points": line.tax_basis_points,
        }
        for line in document.lines
    ]


def _columns(row: Invoice | CreditNote) -> dict[str, Any]:
    """All columns; amounts in minor units, times in ISO 8601."""
    return {column.name: _plain(getattr(row, column.name)) for column in row.__table__.columns}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _money(minor: int | None, currency: str) -> str:
    return "–" if minor is None else str(Money(minor, currency))


def _say_more(cursor: str | None, limit: int) -> None:
    if cursor is not None:
        aside(f"There are more than these {limit}: narrow the list, or raise --limit.")


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="invoices")
