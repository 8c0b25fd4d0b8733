"""The files that belong to the file about a dispute: what we have written, the invoice, and its credit notes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from quntedge.disputes.errors import EvidenceFileRefused
from quntedge.disputes.evidence import DisputeFile
from quntedge.disputes.package import own_papers
from quntedge.disputes.papers import MOST_FILES, Paper, room_beside
from quntedge.edge.services import Services
from quntedge.invoices.errors import DocumentFailed
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.kit.logging import get_logger

_PROVES = "customer_order_history"

log = get_logger(__name__)


async def dispute_papers(
    services: Services, file: DisputeFile, transaction_id: str
) -> tuple[DisputeFile, tuple[Paper, ...]]:
    """The file, with what it lacks, and all files about it. Call it with no transaction open: making files takes time.

    An invoice that cannot be made keeps no evidence back: a deadline counts for more. It is listed as missing.
    """
    bills, gaps = await _bills(services, transaction_id)
    whole = replace(file, missing=(*file.missing, *gaps))
    return whole, (*await asyncio.to_thread(own_papers, whole), *bills)


def for_bank(papers: Sequence[Paper], added: Sequence[Paper] = (), *, hanging: int = 0) -> tuple[Paper, ...]:
    """Those that are sent: what a person `added` goes first, and as many of ours as a dispute takes beside the files
    that hang there already. Raises `EvidenceFileRefused` where there is no room for what was added."""
    room = room_beside(hanging)
    if hanging and len(added) > room:
        raise EvidenceFileRefused(
            f"{hanging} files hang on the dispute already, attached in Whop's dashboard, and it takes {MOST_FILES}: "
            f"add {room} at most, or remove some there."
        )
    return (*added, *papers[: max(0, room - len(added))])


async def _bills(services: Services, transaction_id: str) -> tuple[list[Paper], list[str]]:
    documents, found, gaps = services.invoices.documents, [], []
    try:
        invoice = await documents.of_payment(transaction_id)
        if invoice is None:
            gaps.append("an invoice of the payment")
        else:
            found.append(Paper(f"invoice-{invoice.name}", _PROVES, invoice.content))
        for note_id in await _credit_notes(services, transaction_id):
            note = await documents.credit_note(note_id)
            found.append(Paper(f"credit-note-{note.name}", _PROVES, note.content))
    except DocumentFailed:
        log.exception("dispute.document_failed", transaction_id=transaction_id)
        gaps.append("the invoice or a credit note as a file: it could not be made")
    return found, gaps


async def _credit_notes(services: Services, transaction_id: str) -> Sequence[str]:
    async with services.units() as unit:
        rows = await unit.session.scalars(
            select(CreditNote.id)
            .join(Invoice, Invoice.id == CreditNote.invoice_id)
            .where(Invoice.transaction_id == transaction_id)
            .order_by(CreditNote.issued_at, CreditNote.id)
        )
        return rows.all()
