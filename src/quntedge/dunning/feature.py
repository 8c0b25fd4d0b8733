"""The feature as the entry points know it: its services, its kinds of processes, and what it listens to."""

from quntedge.dunning.gateway_steps import DunningGateway, DunningProcesses
from quntedge.dunning.recovery import RecoveryService
from quntedge.dunning.service import DunningService
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn, SubscriptionChanged
from quntedge.subscriptions.service import SubscriptionService


class Dunning:
    """Unpaid renewals: `service` follows them, `recovery` is what their customers do about them."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: DunningGateway,
        subscriptions: SubscriptionService,
        payments: PaymentService,
        base_url: str,
        *,
        default_zone: str = "UTC",
    ) -> None:
        """Makes the kinds of processes known to the runner. `default_zone` is where customers live who do not tell."""
        for definition in DunningProcesses(gateway, subscriptions, payments, default_zone=default_zone).definitions():
            processes.add(definition)
        self.service = DunningService(units, processes, default_zone=default_zone)
        self.recovery = RecoveryService(units, processes, gateway, base_url, default_zone=default_zone)

    def listen(self, bus: EventBus) -> None:
        """Subscribes. Before the mails do: what they say depends on how a case ended."""
        bus.subscribe(PaymentRecorded, self.service.on_payments_recorded)
        bus.subscribe(SubscriptionChanged, self.service.on_subscriptions_changed)
        bus.subscribe(CancellationRequested, self.service.on_cancellation_requested)
        bus.subscribe(CancellationWithdrawn, self.service.on_cancellation_withdrawn)
