"""The reconciliation of money, built together."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.reconciliation.older import MoneyGateway
from quntedge.reconciliation.repairs import Repairs
from quntedge.reconciliation.service import ReconciliationService
from quntedge.reconciliation.settling import Settling
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.webhooks.reconcile import Reconciler


class Reconciliation:
    """The parts of the feature, by their names."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: MoneyGateway,
        reconciler: Reconciler,
        bookkeeping: Bookkeeping,
        discover_disputes: Callable[[datetime], Awaitable[int]],
    ) -> None:
        self.service = ReconciliationService(units, gateway, Repairs(units, reconciler, bookkeeping, discover_disputes))
        self.settling = Settling(bookkeeping)
