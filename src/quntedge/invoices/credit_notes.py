"""Credit notes: what corrects a numbered invoice when money goes back, and when it did not after all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import aliased

from quntedge.invoices import rules
from quntedge.invoices.completing import Completer
from quntedge.invoices.entities import seller_at
from quntedge.invoices.events import CreditNoteIssued
from quntedge.invoices.lines import Line, credit_lines
from quntedge.invoices.models import CreditNote, Invoice, InvoiceLine
from quntedge.invoices.numbering import next_numbers, series_for
from quntedge.invoices.words import tax_word, words
from quntedge.invoices.writing import credit_rows, write_credit_lines
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.kit.money import Money
from quntedge.pricing.credits import Credited
from quntedge.refunds.events import RefundMoved
from quntedge.refunds.models import Refund
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork

log = get_logger(__name__)

# Whoever credits an invoice holds it: two refunds of one payment are credited one after the other.
_INVOICES = (
    select(Invoice)
    .where(among(Invoice.transaction_id), Invoice.number.is_not(None))
    .order_by(Invoice.id)
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)


@dataclass(frozen=True, slots=True)
class _Correction:
    """A credit note to be issued."""

    invoice: Invoice
    refund_id: str
    total: Money
    tax: Money
    lines: tuple[Line, ...]
    reverses_id: str | None = None
    occasion: int = 1


class CreditNotes:
    """Issues credit notes. What is owed follows from the refunds, so that issuing it twice is no danger."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer

    async def on_refund_moved(self, unit: UnitOfWork, facts: Sequence[RefundMoved]) -> None:
        """Subscriber: credits what went back, and cancels the credit of what came back again."""
        counted = [fact.transaction_id for fact in facts if fact.counted]
        await self._cancel(unit, [fact for fact in facts if fact.uncounted])
        await self.catch_up(unit, counted)

    async def catch_up(self, unit: UnitOfWork, transaction_ids: Sequence[str | None]) -> int:
        """Issues the credit notes that counted refunds of these payments are owed; how many.

        A payment whose invoice has no number yet is left: its refunds are credited when the number is given.
        """
        wanted = sorted({transaction_id for transaction_id in transaction_ids if transaction_id is not None})
        if not wanted:
            return 0
        invoices = {str(row.transaction_id): row for row in await self._held(unit, wanted)}
        if not invoices:
            return 0
        given, taken_back = aliased(CreditNote), aliased(CreditNote)
        # How often a refund was credited, and how often that was cancelled: it is owed a note while these are equal.
        refunds = await unit.session.execute(
            select(
                Refund.id,
                Refund.transaction_id,
                Refund.amount_minor,
                Refund.currency,
                func.count(given.id).label("credits"),
            )
            .outerjoin(given, (given.refund_id == Refund.id) & given.reverses_id.is_(None))
            .outerjoin(taken_back, taken_back.reverses_id == given.id)
            .where(Refund.transaction_id.in_(invoices), Refund.status == "succeeded")
            .group_by(Refund.id)
            .having(func.count(given.id) == func.count(taken_back.id))
            .order_by(Refund.occurred_at, Refund.id)
        )
        corrections = _Corrections(unit)
        for row in refunds.all():
            amount = Money(row.amount_minor, row.currency)
            await corrections.credit(invoices[row.transaction_id], row.id, amount, occasion=row.credits + 1)
        return await self._issue(unit, corrections.found)

    async def _cancel(self, unit: UnitOfWork, facts: Sequence[RefundMoved]) -> None:
        if not facts:
            return
        wanted = sorted({fact.transaction_id for fact in facts})
        invoices = {row.id: row for row in await self._held(unit, wanted)}
        later = aliased(CreditNote)
        notes = await unit.session.scalars(
            select(CreditNote)
            .outerjoin(later, later.reverses_id == CreditNote.id)
            .where(
                CreditNote.refund_id.in_({fact.refund_id for fact in facts}),
                CreditNote.reverses_id.is_(None),
                later.id.is_(None),
            )
            .order_by(CreditNote.id)
        )
        corrections = _Corrections(unit)
        for note in notes.all():
            await corrections.cancel(invoices[note.invoice_id], note)
        await self._issue(unit, corrections.found)

    async def _held(self, unit: UnitOfWork, transaction_ids: Sequence[str]) -> Sequence[Invoice]:
        """The numbered invoices of these payments, locked and complete."""
        parameters = {"values": list(transaction_ids)}
        held = (await unit.session.scalars(_INVOICES, parameters)).all()
        if await self._completer.complete(unit, [row.id for row in held if row.legal_entity_id is None]):
            held = (await unit.session.scalars(_INVOICES, parameters)).all()
        return held

    async def _issue(self, unit: UnitOfWork, corrections: Sequence[_Correction]) -> int:
        if not corrections:
            return 0
        now = unit.clock.now()
        # From whoever sold: a credit note belongs to the legal entity of its invoice.
        entities = {str(correction.invoice.legal_entity_id) for correction in corrections}
        series = {
            entity_id: series_for(await seller_at(unit.session, entity_id), rules.CREDIT_NOTES, now)
            for entity_id in sorted(entities)
        }
        numbers = await next_numbers(unit, [series[str(item.invoice.legal_entity_id)] for item in corrections])
        rows: list[dict[str, Any]] = []
        lines: list[dict[str, Any]] = []
        for correction, number in zip(corrections, numbers, strict=True):
            row = _row(correction, str(number), now)
            rows.append(row)
            lines += credit_rows(row["id"], correction.lines)
            unit.record(_fact(correction, row))
        connection = await unit.connection()
        await connection.execute(insert(CreditNote), rows)
        await write_credit_lines(await unit.driver_connection(), lines)
        for correction in corrections:
            await connection.execute(
                update(Invoice)
                .where(Invoice.id == correction.invoice.id)
                .values(credited_minor=Invoice.credited_minor + correction.total.amount_minor, updated_at=now)
            )
        return len(corrections)


class _Corrections:
    """Collects corrections; sums what each invoice has been credited with, those just collected included."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._credited: dict[str, Credited] = {}
        self.found: list[_Correction] = []

    async def credit(self, invoice: Invoice, refund_id: str, amount: Money, *, occasion: int) -> None:
        """Credits a refund, as far as there is something left of the invoice. `occasion` counts how often it is."""
        if amount.currency != invoice.currency:
            log.warning("credit_note.other_currency", invoice_id=invoice.id, refund_id=refund_id)
            return
        so_far = await self._so_far(invoice)
        if amount > so_far.left:
            log.warning("credit_note.more_than_left", invoice_id=invoice.id, refund_id=refund_id)
            amount = so_far.left
        if not amount:
            return
        tax = so_far.tax_of(amount)
        self._credited[invoice.id] = so_far.and_also(amount)
        lines = await self._lines(invoice, "refund", amount, tax)
        self.found.append(_Correction(invoice, refund_id, amount, tax, lines, occasion=occasion))

    async def cancel(self, invoice: Invoice, note: CreditNote) -> None:
        """Takes a credit note back, to the cent."""
        total, tax = Money(-note.total_minor, note.currency), Money(-note.tax_minor, note.currency)
        lines = await self._lines(invoice, "refund_failed", total, tax)
        self.found.append(_Correction(invoice, note.refund_id, total, tax, lines, note.id, note.occasion))

    async def _so_far(self, invoice: Invoice) -> Credited:
        if invoice.id not in self._credited:
            tax = await self._unit.session.scalar(
                select(func.coalesce(func.sum(CreditNote.tax_minor), 0)).where(CreditNote.invoice_id == invoice.id)
            )
            self._credited[invoice.id] = Credited(
                total=Money(invoice.total_minor, invoice.currency),
                tax=Money(invoice.tax_minor or 0, invoice.currency),
                credited=Money(invoice.credited_minor, invoice.currency),
                tax_credited=Money(int(tax or 0), invoice.currency),
            )
        return self._credited[invoice.id]

    async def _lines(self, invoice: Invoice, label: str, amount: Money, tax: Money) -> tuple[Line, ...]:
        language = invoice.locale or "en"
        known = await self._unit.session.execute(
            select(InvoiceLine.label, InvoiceLine.tax_basis_points).where(
                InvoiceLine.invoice_id == invoice.id, InvoiceLine.kind == "tax"
            )
        )
        taxed = known.one_or_none()
        return credit_lines(
            words(language)[label].format(number=invoice.number),
            taxed.label if taxed else tax_word(language, None),
            amount,
            tax,
            (taxed.tax_basis_points if taxed else None) or 0,
        )


def _row(correction: _Correction, number: str, now: datetime) -> dict[str, Any]:
    invoice = correction.invoice
    return {
        "id": new_id("crn", now),
        "number": number,
        "invoice_id": invoice.id,
        "user_id": invoice.user_id,
        "refund_id": correction.refund_id,
        "reverses_id": correction.reverses_id,
        "occasion": correction.occasion,
        "legal_entity_id": invoice.legal_entity_id,
        "billing_profile_id": invoice.billing_profile_id,
        "locale": invoice.locale or "en",
        "currency": invoice.currency,
        "tax_minor": correction.tax.amount_minor,
        "total_minor": correction.total.amount_minor,
        "issued_at": now,
        "created_at": now,
    }


def _fact(correction: _Correction, row: dict[str, Any]) -> CreditNoteIssued:
    invoice = correction.invoice
    return CreditNoteIssued(
        credit_note_id=row["id"],
        number=row["number"],
        invoice_id=invoice.id,
        invoice_number=str(invoice.number),
        user_id=invoice.user_id,
        subscription_id=invoice.subscription_id,
        plan_id=invoice.plan_id,
        refund_id=correction.refund_id,
        reverses_id=correction.reverses_id,
        currency=invoice.currency,
        total_minor=row["total_minor"],
        issued_at=row["issued_at"],
    )
