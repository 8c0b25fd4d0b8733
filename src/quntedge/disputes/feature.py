"""The feature as the entry points know it: its services, its kinds of processes, and what it listens to."""

from typing import Protocol

from quntedge.disputes.answers import DisputeAnswers
from quntedge.disputes.ending import DisputedEnding
from quntedge.disputes.service import DisputeService
from quntedge.gateway.acts import DisputeActs, MembershipActs
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.service import SubscriptionService


class DisputeGateway(DisputeActs, MembershipActs, Protocol):
    """What disputes need of the gateway."""


class Disputes:
    """`service` keeps disputes in step with Whop, `answers` sends evidence and concedes, `ending` ends subscriptions
    where the plan says so."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: DisputeGateway,
        subscriptions: SubscriptionService,
        payments: PaymentService,
        vault: Vault,
    ) -> None:
        """Makes the kinds of processes known to the runner."""
        self.service = DisputeService(payments)
        self.answers = DisputeAnswers(units, processes, gateway, self.service, vault)
        self.ending = DisputedEnding(processes, gateway, subscriptions)

    def listen(self, bus: EventBus) -> None:
        """Subscribes to what tells of money that went back twice."""
        bus.subscribe(PaymentRecorded, self.service.on_payments_recorded)
