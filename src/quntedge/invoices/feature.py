"""Invoices as a whole: the service, the documents, and who listens to what."""

from datetime import datetime

from quntedge.disputes.events import DisputeMoved
from quntedge.invoices.library import InvoiceDocuments
from quntedge.invoices.parties import Seller
from quntedge.invoices.pdf import PdfMaker
from quntedge.invoices.service import InvoiceService
from quntedge.refunds.events import RefundMoved
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault


class Invoices:
    """Everything about invoices that other parts need. `close` ends the thread that makes files."""

    def __init__(self, units: UnitOfWorkFactory, vault: Vault, seller: Seller) -> None:
        self.service = InvoiceService(vault, seller)
        self.profiles = self.service.profiles
        self._maker = PdfMaker()
        self.documents = InvoiceDocuments(units, self.profiles, self.service.completer, self._maker)

    def listen(self, bus: EventBus) -> None:
        """Subscribes to what happens to paid invoices. After whatever else hears of refunds: numbers are locked."""
        bus.subscribe(DisputeMoved, self.service.on_dispute_moved)
        bus.subscribe(RefundMoved, self.service.credit_notes.on_refund_moved)

    async def complete_older(self, unit: UnitOfWork, _now: datetime) -> int:
        """Chore: gives lines and parties to invoices from before there were any; how many."""
        return await self.service.completer.complete_some(unit)

    def close(self) -> None:
        """Lets go of the thread."""
        self._maker.close()
