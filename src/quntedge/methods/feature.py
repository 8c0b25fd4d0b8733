"""The feature as the entry points know it: its service, its kinds of processes, and what it listens to."""

from quntedge.methods.events import MethodSaved
from quntedge.methods.service import MethodService, RetireLater, SyncLater
from quntedge.methods.steps import MethodGateway, MethodProcesses
from quntedge.methods.sync import MethodSync
from quntedge.payments.events import PaymentRecorded
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.service import SubscriptionService


class Methods:
    """Saved means of payment: `service` is what customers do with them, `sync` keeps them in step with the gateway."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: MethodGateway,
        subscriptions: SubscriptionService,
        base_url: str,
        *,
        sync_later: SyncLater,
        retire_later: RetireLater,
    ) -> None:
        """Makes the kinds of processes known to the runner."""
        for definition in MethodProcesses(gateway, subscriptions).definitions():
            processes.add(definition)
        self.sync = MethodSync(units, gateway)
        self.service = MethodService(
            units, processes, gateway, base_url, sync_later=sync_later, retire_later=retire_later
        )

    def listen(self, bus: EventBus) -> None:
        """Subscribes."""
        bus.subscribe(SubscriptionChanged, self.service.on_subscription_changed)
        bus.subscribe(PaymentRecorded, self.service.on_payments_recorded)
        bus.subscribe(MethodSaved, self.service.on_method_saved)
