"""The feature as the entry points know it."""

from quntedge.gateway.acts import PromoActs
from quntedge.processes.runner import ProcessRunner
from quntedge.promotions.redemptions import Redemptions
from quntedge.promotions.release import Release
from quntedge.promotions.reserving import PromotionDesk
from quntedge.promotions.service import PromotionService
from quntedge.promotions.sync import PromotionSync
from quntedge.storage.unit_of_work import UnitOfWorkFactory


class Promotions:
    """`service` is for staff, `desk` for checkouts, `redemptions` hears of payments, `sync` keeps codes at the
    gateway."""

    def __init__(self, units: UnitOfWorkFactory, processes: ProcessRunner, gateway: PromoActs) -> None:
        """Makes the kinds of processes known to the runner."""
        processes.add(Release(units, gateway).definition())
        self.service = PromotionService()
        self.desk = PromotionDesk(processes)
        self.redemptions = Redemptions(self.desk)
        self.sync = PromotionSync(units, processes, gateway)
