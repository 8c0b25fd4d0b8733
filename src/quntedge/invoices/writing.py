"""Lines as rows and back."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from quntedge.invoices.lines import Line
from quntedge.invoices.models import CreditNoteLine, InvoiceLine
from quntedge.kit.money import Money
from quntedge.storage.rows import insert_rows


def line_rows(invoice_id: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The rows of an invoice's lines, in order."""
    return [
        {
            "invoice_id": invoice_id,
            "position": position,
            "kind": line.kind,
            "label": line.label,
            "plan_id": line.plan_id,
            "period_start": line.period_start,
            "period_end": line.period_end,
            "unit_minor": line.amount.amount_minor,
            "amount_minor": line.amount.amount_minor,
            "tax_basis_points": line.tax_basis_points,
        }
        for position, line in enumerate(lines, start=1)
    ]


def credit_rows(credit_note_id: str, lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The rows of a credit note's lines, in order."""
    return [
        {
            "credit_note_id": credit_note_id,
            "position": position,
            "kind": line.kind,
            "label": line.label,
            "amount_minor": line.amount.amount_minor,
            "tax_basis_points": line.tax_basis_points,
        }
        for position, line in enumerate(lines, start=1)
    ]


async def write_lines(connection: AsyncConnection[Any], rows: Sequence[dict[str, Any]]) -> None:
    """Writes lines of invoices: all of an invoice at once, after the invoice, or the database refuses their sum."""
    await insert_rows(connection, InvoiceLine.__table__, rows)


async def write_credit_lines(connection: AsyncConnection[Any], rows: Sequence[dict[str, Any]]) -> None:
    """The same for credit notes."""
    await insert_rows(connection, CreditNoteLine.__table__, rows)


def line_of(row: InvoiceLine | CreditNoteLine, currency: str) -> Line:
    """A stored line."""
    amount = Money(row.amount_minor, currency)
    if isinstance(row, CreditNoteLine):
        return Line(row.kind, row.label, amount, tax_basis_points=row.tax_basis_points)
    return Line(row.kind, row.label, amount, row.plan_id, row.period_start, row.period_end, row.tax_basis_points)
