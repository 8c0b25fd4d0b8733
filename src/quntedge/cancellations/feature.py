"""The feature as the entry points know it: its services, its kinds of processes, and what it listens to."""

from collections.abc import Collection

from quntedge.cancellations.beginning import KIND, WITHDRAWAL_KIND
from quntedge.cancellations.calendars import fix_calendars
from quntedge.cancellations.offer_steps import OfferGateway, SaveOfferSteps
from quntedge.cancellations.offers import Pause, SaveOfferService
from quntedge.cancellations.outcomes import CancellationOutcomes
from quntedge.cancellations.rules import Basis
from quntedge.cancellations.service import CancellationService
from quntedge.cancellations.steps import CancellationSteps
from quntedge.cancellations.withdrawals import WithdrawalService
from quntedge.payments.events import PaymentRecorded
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.service import SubscriptionService


class Cancellations:
    """Ending subscriptions: `service` cancels and resumes, `offers` are what is offered to stay, `withdrawals` take
    contracts back, `outcomes` keeps all of it in step with the subscriptions."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: OfferGateway,
        subscriptions: SubscriptionService,
        vault: Vault,
        *,
        pause: Pause | None = None,
        withdrawal_refund: Basis = "full",
        ends_of_others: Collection[str] = (),
    ) -> None:
        """Makes the kinds of processes known to the runner. See the services for the options."""
        self.outcomes = CancellationOutcomes(processes, ends_of_others)
        steps = CancellationSteps(gateway, subscriptions, self.outcomes)
        for kind in (KIND, WITHDRAWAL_KIND):
            processes.add(steps.definition(kind))
        processes.add(SaveOfferSteps(gateway, subscriptions).definition())
        self.offers = SaveOfferService(units, processes, pause)
        self.service = CancellationService(units, processes, vault, self.offers, self.outcomes)
        self.withdrawals = WithdrawalService(units, processes, vault, self.service, withdrawal_refund)

    def listen(self, bus: EventBus) -> None:
        """Subscribes to what decides how a cancellation ends and what a withdrawal is owed."""
        bus.subscribe(SubscriptionChanged, self.outcomes.on_subscription_changed)
        bus.subscribe(SubscriptionChanged, fix_calendars)
        bus.subscribe(PaymentRecorded, self.withdrawals.on_payments_recorded)
