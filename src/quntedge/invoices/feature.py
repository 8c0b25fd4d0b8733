"""Invoices as a whole: the service, the documents, and who listens to what."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from quntedge.disputes.events import DisputeMoved
from quntedge.invoices.fonts import read_fonts
from quntedge.invoices.library import InvoiceDocuments
from quntedge.invoices.logo import Logo, UnusableLogo, read_logo
from quntedge.invoices.parties import Seller
from quntedge.invoices.pdf import PdfMaker
from quntedge.invoices.service import InvoiceService
from quntedge.refunds.events import RefundMoved
from quntedge.settings import ConfigurationError, Settings
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault


class Invoices:
    """Everything about invoices that other parts need. `close` ends the thread that makes files."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        vault: Vault,
        seller: Seller,
        logo: Logo | None = None,
        fonts: Sequence[Path] = (),
    ) -> None:
        """`logo` is the picture that the seller's `logo_id` names, `fonts` are files for what our own fonts lack.

        Raises `UnusableLogo` where it cannot be drawn.
        """
        self.service = InvoiceService(vault, seller, logo)
        self.profiles = self.service.profiles
        self._maker = PdfMaker(fonts)
        if logo is not None:
            self._maker.check_logo(logo)
        self.documents = InvoiceDocuments(units, self.profiles, self.service.completer, self._maker)

    @classmethod
    def from_settings(cls, units: UnitOfWorkFactory, vault: Vault, settings: Settings) -> "Invoices":
        """Invoices of the seller these settings describe. Raises `ConfigurationError`."""
        logo = read_logo(settings.seller_logo)
        fonts = read_fonts(settings.document_fonts)
        seller = Seller.from_settings(settings, None if logo is None else logo.id)
        try:
            return cls(units, vault, seller, logo, fonts)
        except UnusableLogo as error:
            raise ConfigurationError(f"QUNTEDGE_SELLER_LOGO is not usable: {error}") from None

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
