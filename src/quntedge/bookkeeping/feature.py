"""The ledger and all that posts to it, built together."""

from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.bookkeeping.backfill import Backfill
from quntedge.bookkeeping.conversions import Conversions
from quntedge.bookkeeping.fees import AwaitedFees, FeeList
from quntedge.bookkeeping.records import RecordPosting
from quntedge.bookkeeping.service import BookkeepingService
from quntedge.bookkeeping.verify import Verification
from quntedge.disputes.events import AlertSeen, DisputeMoved
from quntedge.ledger.service import LedgerService
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService
from quntedge.refunds.events import RefundMoved
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory


class Bookkeeping:
    """The parts of the feature, by their names."""

    def __init__(self, units: UnitOfWorkFactory, *, gateway_remits: bool) -> None:
        """`gateway_remits`: the gateway passes tax on to the authorities, and takes it out of the payments."""
        self._units = units
        self._gateway_remits = gateway_remits
        self.ledger = LedgerService()
        self.service = BookkeepingService(self.ledger, gateway_remits=gateway_remits)
        self.records = RecordPosting(self.service)
        self.conversions = Conversions(self.service)
        self.backfill = Backfill(units, self.records)

    def listen(self, bus: EventBus) -> None:
        """Subscribes to what moves money."""
        bus.subscribe(PaymentRecorded, self.service.on_payments_recorded)
        bus.subscribe(RefundMoved, self.service.on_refunds_moved)
        bus.subscribe(DisputeMoved, self.service.on_disputes_moved)
        bus.subscribe(AlertSeen, self.service.on_alerts_seen)

    def awaited_fees(self, gateway: FeeList, payments: PaymentService, bus: EventBus) -> AwaitedFees:
        """What learns and posts the fees that nobody tells us of in time; it listens from here on."""
        awaited = AwaitedFees(self._units, gateway, payments, self.service)
        bus.subscribe(PaymentRecorded, awaited.on_payments_recorded)
        return awaited

    def verification(self, engine: AsyncEngine) -> Verification:
        """A comparison of the ledger with all records."""
        return Verification(engine, gateway_remits=self._gateway_remits)

    async def roll_up(self) -> int:
        """Brings the sums by day up to date; the number of entries added."""
        return await self.ledger.roll_up(self._units)
