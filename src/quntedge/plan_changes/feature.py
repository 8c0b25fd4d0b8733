"""The feature as the entry points know it: its service, its process, and what it listens to."""

from datetime import datetime

from quntedge.payments.events import PaymentRecorded
from quntedge.plan_changes.changes import ChangeGateway, HeldOf, PayingMethod, Tools
from quntedge.plan_changes.outcomes import PlanChangeOutcomes
from quntedge.plan_changes.process import definition
from quntedge.plan_changes.service import PlanChangeService
from quntedge.plan_changes.versions import VersionMoves
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.events import EventBus
from quntedge.storage.jobs import JobQueue
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn, SubscriptionChanged
from quntedge.subscriptions.service import SubscriptionService


class PlanChanges:
    """Changes of plan: `service` previews, begins and takes them back, `outcomes` hears what happens meanwhile.

    `versions` moves subscribers to new terms of the plan they have.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: ChangeGateway,
        subscriptions: SubscriptionService,
        jobs: JobQueue,
        base_url: str,
        *,
        paying_method: PayingMethod,
        held_of: HeldOf,
    ) -> None:
        """Makes the kind of process known to the runner. `base_url` is where the checkout page leads back to;
        `paying_method` tells which saved method is charged unless the customer wants another, `held_of` how much of a
        payment goes back to the customer already."""
        tools = Tools(units, gateway, subscriptions, jobs, base_url.rstrip("/"), paying_method, held_of)
        processes.add(definition(tools))
        self.service = PlanChangeService(tools, processes)
        self.outcomes = PlanChangeOutcomes(tools)
        self.versions = VersionMoves(tools, processes)

    def listen(self, bus: EventBus) -> None:
        """Subscribes to payments that changes wait for, and to what makes a planned change pointless."""
        bus.subscribe(PaymentRecorded, self.outcomes.on_payment_recorded)
        bus.subscribe(SubscriptionChanged, self.outcomes.on_subscription_changed)
        bus.subscribe(CancellationRequested, self.outcomes.on_cancellation_requested)
        bus.subscribe(CancellationWithdrawn, self.outcomes.on_cancellation_withdrawn)

    async def wake(self, change_id: str) -> None:
        """Has a change go on; what the job of that name does."""
        await self.service.wake(change_id)

    async def purge(self, unit: UnitOfWork, now: datetime) -> int:
        """Deletes old previews."""
        return await self.service.purge_quotes(unit, now)
