"""The files that go out with a mail: the invoice of what was paid, the credit note of what was given back."""

from collections.abc import Sequence

from quntedge.invoices.errors import DocumentFailed, DocumentNotFound, InvoiceNotNumbered
from quntedge.invoices.library import InvoiceDocuments, PdfFile
from quntedge.kit.logging import get_logger
from quntedge.notifications.outbox import Claimed
from quntedge.notifications.rules import Kind

log = get_logger(__name__)


class Enclosures:
    """Finds and makes what belongs to a mail."""

    def __init__(self, documents: InvoiceDocuments) -> None:
        self._documents = documents

    async def of(self, mail: Claimed) -> Sequence[PdfFile]:
        """The files for this mail, often none.

        A file that cannot be made keeps no mail back: it can be had on the billing pages when it can be made again.
        """
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
        if mail.kind == Kind.SUBSCRIPTION_CONFIRMED and mail.params.get("membership_id"):
            # A purchase has one mail, its confirmation; its payment is mostly known by the time that is written.
            return await self._documents.first_of_membership(mail.params["membership_id"])
        return None
