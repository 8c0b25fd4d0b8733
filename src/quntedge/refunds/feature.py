"""The feature as the entry points know it: its services, its kinds of processes, and what it listens to."""

from collections.abc import Mapping

from quntedge.cancellations.events import RefundOwed
from quntedge.cancellations.service import CancellationService
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.processes.runner import ProcessRunner
from quntedge.refunds.access import RefundAccess
from quntedge.refunds.desk import RefundDesk
from quntedge.refunds.events import PaymentRefunded, RefundMoved
from quntedge.refunds.owed import OwedRefunds
from quntedge.refunds.service import RefundService
from quntedge.refunds.steps import RefundGateway, RefundSteps
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault


class Refunds:
    """Giving money back: `desk` is where staff ask and agree, `service` keeps what the gateway says, `owed` is what
    withdrawals are owed, `access` what a full refund does to the subscription."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: RefundGateway,
        payments: PaymentService,
        cancellations: CancellationService,
        vault: Vault,
        limits: Mapping[str, Money],
    ) -> None:
        """Makes the kinds of processes known to the runner. `limits` are those of `RefundDesk`."""
        self.service = RefundService(payments)
        self.owed = OwedRefunds(payments)
        self.access = RefundAccess(processes, cancellations)
        processes.add(RefundSteps(units, gateway, payments, self.service, self.owed).definition())
        processes.add(self.access.definition())
        self.desk = RefundDesk(units, processes, payments, vault, self.owed, limits)

    def listen(self, bus: EventBus) -> None:
        """Subscribes to what is owed, to what became of it, and to what went back in all."""
        bus.subscribe(RefundOwed, self.owed.on_refund_owed)
        bus.subscribe(RefundMoved, self.owed.on_refund_moved)
        bus.subscribe(PaymentRefunded, self.access.on_payment_refunded)
