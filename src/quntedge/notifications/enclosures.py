"""The files that go out with a mail: the invoice of what was paid, the credit note of what was given back."""

from collections.abc import Sequence

from quntedge.invoices.errors import DocumentFailed, DocumentNotFound, InvoiceNotNumbered
from quntedge.invoices.library import InvoiceDocuments, PdfFile
from quntedge.kit.logging import get_logger
from quntedge.notifications.outbox import Claimed
from quntedge.notifications.rules import Kind

log = get_logger(__name__)


class NothingToSend(Exception):
    """The mail was there for a file that has gone out with another mail."""


class Enclosures:
    """Finds and makes what belongs to a mail."""

    def __init__(self, documents: InvoiceDocuments) -> None:
        self._documents = documents

    async def of(self, mail: Claimed) -> Sequence[PdfFile]:
        """The files for this mail, often none.

        A file that cannot be made keeps no mail back: it can be had on the billing pages when it can be made again.
        The mail that is about nothing but its file waits for it: raises what making it raises, and `NothingToSend`
        where the customer has it already.
        """
        if mail.kind == Kind.INVOICE:
            return (await self._last_chance(mail),)
        try:
            found = await self._find(mail)
        except (DocumentFailed, DocumentNotFound, InvoiceNotNumbered):
            log.exception("mail.without_document", notification_id=mail.id, kind=mail.kind)
            return ()
        return () if found is None else (found,)

    async def _find(self, mail: Claimed) -> PdfFile | None:
        if mail.params.get("credit_note_id"):
            return await self._documents.credit_note(mail.params["credit_note_id"], mail.user_id)
        if mail.params.get("invoice_id"):
            return await self._documents.invoice(mail.params["invoice_id"], mail.user_id)
        return await self._along(mail)

    async def _along(self, mail: Claimed) -> PdfFile | None:
        """What confirms a purchase or a change of plan takes the invoice along where that is there by now. It is taken
        only once the file is made: otherwise the invoice's own mail sends it."""
        invoice_id = None
        if mail.kind == Kind.SUBSCRIPTION_CONFIRMED and mail.params.get("membership_id"):
            invoice_id = await self._documents.first_of_membership(mail.params["membership_id"])
        elif mail.kind in (Kind.PLAN_CHANGED, Kind.PLAN_CHANGE_DONE) and mail.params.get("change_id"):
            invoice_id = await self._documents.of_plan_change(mail.params["change_id"])
        if invoice_id is None:
            return None
        made = await self._documents.invoice(invoice_id, mail.user_id)
        return made if await self._documents.take_for_mail(invoice_id, mail.id) else None

    async def _last_chance(self, mail: Claimed) -> PdfFile:
        invoice_id = str(mail.params["invoice_id"])
        if not await self._documents.take_for_mail(invoice_id, mail.id):
            raise NothingToSend("the invoice went out with another mail")
        return await self._documents.invoice(invoice_id, mail.user_id)
