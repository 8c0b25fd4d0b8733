"""Bringing the database to what the catalogue says, and the gateway to what the database says."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy import select, text

from quntedge.audit.writing import audit_done
from quntedge.catalog import records
from quntedge.catalog.gateway_sync import CatalogGateway, GatewaySync, OnStep, SyncReport
from quntedge.catalog.models import Plan
from quntedge.catalog.outlook import CatalogDiff, Subscribers, outlook
from quntedge.catalog.rules import CatalogFile, Change, diff
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

CountSubscribers = Callable[[UnitOfWork], Awaitable[Mapping[tuple[str, int], int]]]
"""Counts live subscribers by plan id and version."""


_TOLD = 100
"""Changes that the audit log tells one by one."""


class CatalogService:
    """Applies a catalogue and makes its plans known to the gateway. Opens and commits its own units of work.

    `count_subscribers` tells whom a change concerns; without it nobody is counted.
    """

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: CatalogGateway,
        product_title: str = "QuntEdge",
        *,
        count_subscribers: CountSubscribers | None = None,
    ) -> None:
        self._units = units
        self._sync = GatewaySync(units, gateway, product_title)
        self._count_subscribers = count_subscribers

    async def apply(self, catalog: CatalogFile) -> list[Change]:
        """Makes the tables say what the catalogue says and returns what changed; the second time that is nothing.

        Raises `PlanKindFixed` when a plan would become another kind, `InvalidCatalog` when a feature that an archived
        plan grants would disappear. Then nothing is changed at all.
        """
        async with self._units() as unit:
            # Two applies at once would both find the same things missing.
            await unit.session.execute(text("LOCK TABLE plan IN SHARE ROW EXCLUSIVE MODE"))
            held = await records.current(unit.session)
            changes = diff(held, catalog)
            if changes:
                await records.write(unit, changes, held, catalog)
                audit_done(unit, "catalog.apply", count=len(changes), changes=_told(changes))
                await unit.commit()
            return changes

    async def diff(self, catalog: CatalogFile) -> CatalogDiff:
        """What `apply` and `sync_gateway` would do, with the errors `apply` would raise. Changes nothing.

        The gateway is not asked: what is to do there follows from what we know to be done.
        """
        async with self._units() as unit:
            held = await records.current(unit.session)
            return outlook(held, catalog, diff(held, catalog), await self._subscribers(unit))

    async def current(self) -> CatalogFile:
        """The catalogue as it is, archived plans and earlier versions included."""
        async with self._units() as unit:
            return await records.current(unit.session)

    async def subscribers(self) -> Subscribers:
        """How many live subscribers each plan (by code) has in each version."""
        async with self._units() as unit:
            return await self._subscribers(unit)

    async def sync_gateway(self, on_step: OnStep | None = None) -> SyncReport:
        """Makes at the gateway what it lacks and takes off sale what we do not offer any more.

        See `GatewaySync.run`; an interrupted one is finished by the next.
        """
        return await self._sync.run(on_step)

    async def _subscribers(self, unit: UnitOfWork) -> Subscribers:
        if self._count_subscribers is None:
            return {}
        counts = await self._count_subscribers(unit)
        codes = {row.id: row.code for row in await unit.session.execute(select(Plan.id, Plan.code))}
        return {(codes[plan_id], version): count for (plan_id, version), count in counts.items()}


def _told(changes: Sequence[Change]) -> list[str]:
    return [change.describe()[:200] for change in changes[:_TOLD]]
