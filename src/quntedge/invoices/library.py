"""Hands out documents as files. They are made when they are asked for: the same document gives the same bytes."""

from dataclasses import dataclass

from sqlalchemy import Select, select

from quntedge.invoices.completing import Completer
from quntedge.invoices.documents import Document, credit_note_document, invoice_document
from quntedge.invoices.errors import DocumentNotFound, InvoiceNotNumbered
from quntedge.invoices.mailing import take
from quntedge.invoices.models import CreditNote, Invoice
from quntedge.invoices.pdf import PdfMaker
from quntedge.invoices.profiles import BillingProfiles
from quntedge.kit.ids import is_id
from quntedge.payments.models import PaymentTransaction
from quntedge.plan_changes.models import PlanChange
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class PdfFile:
    """A document as it is sent: a name that fits any file system, and the content."""

    name: str
    content: bytes


class InvoiceDocuments:
    """Reads documents and makes files of them. No transaction is open while a file is made.

    All methods raise `DocumentFailed` when a file cannot be made.
    """

    def __init__(
        self, units: UnitOfWorkFactory, profiles: BillingProfiles, completer: Completer, maker: PdfMaker
    ) -> None:
        self._units = units
        self._profiles = profiles
        self._completer = completer
        self._maker = maker

    async def invoice(self, invoice_id: str, user_id: str | None = None) -> PdfFile:
        """A numbered invoice; of this customer, where one is named.

        Raises `DocumentNotFound`, `InvoiceNotNumbered`.
        """
        query = select(Invoice).where(Invoice.id == invoice_id)
        if user_id is not None:
            query = query.where(Invoice.user_id == user_id)
        found = await self._invoice(query) if is_id(invoice_id, "inv") else None
        if found is None:
            raise DocumentNotFound("There is no invoice with this id among yours.")
        return await self._file(found)

    async def credit_note(self, credit_note_id: str, user_id: str | None = None) -> PdfFile:
        """A credit note; of this customer, where one is named. Raises `DocumentNotFound`."""
        query = select(CreditNote).where(CreditNote.id == credit_note_id)
        if user_id is not None:
            query = query.where(CreditNote.user_id == user_id)
        async with self._units() as unit:
            note = await unit.session.scalar(query) if is_id(credit_note_id, "crn") else None
            if note is None:
                raise DocumentNotFound("There is no credit note with this id among yours.")
            document = await credit_note_document(unit.session, self._profiles, note)
            await unit.commit()
        return await self._file(document)

    async def of_payment(self, transaction_id: str) -> PdfFile | None:
        """The numbered invoice of a payment; None where there is none."""
        found = await self._invoice(_numbered().where(Invoice.transaction_id == transaction_id))
        return None if found is None else await self._file(found)

    async def first_of_membership(self, membership_id: str) -> str | None:
        """The id of the numbered invoice of the first payment for a membership; None while there is none."""
        async with self._units() as unit:
            found: str | None = await unit.session.scalar(
                select(Invoice.id)
                .join(PaymentTransaction, PaymentTransaction.id == Invoice.transaction_id)
                .where(PaymentTransaction.whop_membership_id == membership_id, Invoice.number.is_not(None))
                .order_by(Invoice.paid_at, Invoice.id)
                .limit(1)
            )
        return found

    async def of_plan_change(self, change_id: str) -> str | None:
        """The id of the numbered invoice of what a change of plan charged; None while there is none."""
        async with self._units() as unit:
            found: str | None = await unit.session.scalar(
                select(Invoice.id)
                .join(PlanChange, PlanChange.whop_payment_id == Invoice.whop_payment_id)
                .where(PlanChange.id == change_id, Invoice.number.is_not(None))
            )
        return found

    async def take_for_mail(self, invoice_id: str, notification_id: str) -> bool:
        """Whether an invoice goes out with this mail, and so with no other; see `mailing.take`."""
        async with self._units() as unit:
            taken = await take(unit, invoice_id, notification_id)
            await unit.commit()
        return taken

    async def read(self, unit: UnitOfWork, invoice: Invoice) -> Document | None:
        """What stands on an invoice; None for one without a number."""
        if invoice.number is None:
            return None
        return await invoice_document(unit.session, self._profiles, await self._complete(unit, invoice))

    async def _invoice(self, query: Select[Invoice]) -> Document | None:
        async with self._units() as unit:
            invoice = await unit.session.scalar(query)
            if invoice is None:
                return None
            document = await self.read(unit, invoice)
            if document is None:
                raise InvoiceNotNumbered("It gets its number, and becomes a document, when it is paid.")
            await unit.commit()
        return document

    async def _complete(self, unit: UnitOfWork, invoice: Invoice) -> Invoice:
        if invoice.legal_entity_id is None:
            await self._completer.complete(unit, [invoice.id])
            await unit.session.refresh(invoice)
        return invoice

    async def _file(self, document: Document) -> PdfFile:
        return PdfFile(f"{document.number}.pdf", await self._maker.make(document))


def _numbered() -> Select[Invoice]:
    return select(Invoice).where(Invoice.number.is_not(None))
