"""Reading invoices and credit notes of all customers, newest first: for those who keep the books."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.invoices.models import CreditNote, Invoice
from quntedge.invoices.rules import SETTLED
from quntedge.kit.ids import is_id
from quntedge.kit.paging import Page, decode_cursor

STATUSES = (
    "draft",
    "open",
    "payment_failed",
    "past_due",
    "paid",
    "partially_refunded",
    "refunded",
    "void",
    "uncollectible",
)
"""All statuses of an invoice, roughly in the order of its life."""
INVOICE, CREDIT_NOTE = "inv", "crn"


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which invoices are wanted; what is None (or empty) does not narrow."""

    statuses: Collection[str] = ()
    user_id: str | None = None
    transaction_id: str | None = None


async def invoices(session: AsyncSession, wanted: InvoiceFilter, cursor: str | None, limit: int) -> Page[Invoice]:
    """Invoices as they came to be, newest first. Raises `InvalidCursor`."""
    query = select(Invoice)
    if wanted.statuses:
        query = query.where(Invoice.status.in_(sorted(wanted.statuses)))
        if not SETTLED & set(wanted.statuses):
            # Follows from the status; written out, because the few that are owed have an index of their own.
            query = query.where(Invoice.number.is_(None))
    if wanted.user_id is not None:
        query = query.where(Invoice.user_id == wanted.user_id)
    if wanted.transaction_id is not None:
        query = query.where(Invoice.transaction_id == wanted.transaction_id)
    if cursor is not None:
        # Ids begin with their time, so that the primary key is the order in which invoices came to be.
        query = query.where(Invoice.id < decode_cursor(cursor, INVOICE)[1])
    rows = (await session.scalars(query.order_by(Invoice.id.desc()).limit(limit + 1))).all()
    return Page.cut(rows, limit, lambda row: (row.created_at, row.id))


async def credit_notes(session: AsyncSession, user_id: str | None, cursor: str | None, limit: int) -> Page[CreditNote]:
    """Credit notes, newest first; of one customer, where one is named. Raises `InvalidCursor`."""
    query = select(CreditNote)
    if user_id is not None:
        query = query.where(CreditNote.user_id == user_id)
    if cursor is not None:
        query = query.where(CreditNote.id < decode_cursor(cursor, CREDIT_NOTE)[1])
    rows = (await session.scalars(query.order_by(CreditNote.id.desc()).limit(limit + 1))).all()
    return Page.cut(rows, limit, lambda row: (row.created_at, row.id))


async def invoice(session: AsyncSession, text: str) -> Invoice | None:
    """One invoice, by its id or by its number."""
    column = Invoice.id if is_id(text, INVOICE) else Invoice.number
    return await session.scalar(select(Invoice).where(column == text))


async def credit_note(session: AsyncSession, text: str) -> CreditNote | None:
    """One credit note, by its id or by its number."""
    column = CreditNote.id if is_id(text, CREDIT_NOTE) else CreditNote.number
    return await session.scalar(select(CreditNote).where(column == text))
