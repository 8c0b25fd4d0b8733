"""Payments as a table that spreadsheets read: one line each, amounts in major units with their currency beside them."""

import csv
from collections.abc import Mapping, Sequence
from io import SEEK_END, StringIO

from quntedge.catalog.queries import PlanView
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction

COLUMNS = (
    "date",
    "payment",
    "plan",
    "reason",
    "status",
    "currency",
    "subtotal",
    "discount",
    "tax",
    "total",
    "refunded",
    "method",
    "paid_at",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def transactions_csv(rows: Sequence[PaymentTransaction], plans: Mapping[str, PlanView]) -> str:
    """The lines of these payments under a heading. RFC 4180; times are ISO 8601 in UTC.

    The mark at its beginning tells spreadsheets that it is UTF-8.
    """
    text = StringIO("\ufeff", newline="")
    text.seek(0, SEEK_END)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        plan = plans.get(row.plan_id or "")
        method = " ".join(part for part in (row.method_brand or row.method_kind, row.method_last4) if part)
        cells = (
            row.occurred_at.isoformat(),
            row.id,
            plan.name if plan is not None else "",
            row.billing_reason or "",
            row.status,
            row.currency,
            _major(row.subtotal_minor, row.currency),
            _major(row.discount_minor, row.currency),
            _major(row.tax_minor, row.currency),
            _major(row.total_minor, row.currency),
            _major(row.refunded_minor, row.currency),
            method,
            row.paid_at.isoformat() if row.paid_at is not None else "",
        )
        writer.writerow(map(_harmless, cells))
    return text.getvalue()


def _major(minor: int | None, currency: str) -> str:
    return "" if minor is None else str(Money(minor, currency).to_major())


def _harmless(cell: str) -> str:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
