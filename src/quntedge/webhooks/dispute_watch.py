"""Looks at Whop for disputes of which we have not heard (anything for a while): nobody may miss a bank's deadline."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from quntedge.disputes.models import Dispute, DisputeAlert
from quntedge.disputes.rules import LOOK_EVERY
from quntedge.gateway.disputed import DisputeAlertSnapshot, DisputeSnapshot
from quntedge.gateway.errors import GatewayNotFound, GatewayRateLimited, GatewayUnavailable
from quntedge.gateway.port import Gateway
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.logging import get_logger
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.webhooks import difference
from quntedge.webhooks.apply import Applier
from quntedge.webhooks.contested import APPLIED
from quntedge.webhooks.difference import Difference
from quntedge.webhooks.needs import Needs
from quntedge.webhooks.reader import GatewayReader

LOOKED_BACK = timedelta(days=90)
"""How old a dispute may be to be found in a list: what is open and known is read by itself, however old."""

_AT_ONCE = 50

log = get_logger(__name__)


class DisputeWatch:
    """Reads again what is open, and compares Whop's lists with what we hold. Several may run at the same time."""

    def __init__(self, units: UnitOfWorkFactory, gateway: Gateway, applier: Applier) -> None:
        self._units = units
        self._gateway = gateway
        self._reader = GatewayReader(gateway)
        self._applier = applier

    async def check(self) -> int:
        """Reads the disputes again whose time has come; how many there were."""
        checked = 0
        while due := await self._claim():
            checked += len(due)
            for dispute_id in due:
                await self._look_at(dispute_id, Needs(disputes=frozenset({dispute_id})))
            if len(due) < _AT_ONCE:
                break
        return checked

    async def discover(self, now: datetime) -> int:
        """Compares Whop's disputes and alerts of the last 90 days with ours; how many were not as they are there."""
        missed = 0
        try:
            async for disputes in self._gateway.disputes_since(now - LOOKED_BACK):
                for dispute_id in await self._new_disputes(disputes):
                    missed += await self._look_at(dispute_id, Needs(disputes=frozenset({dispute_id})))
            async for alerts in self._gateway.dispute_alerts_since(now - LOOKED_BACK):
                for alert_id in await self._new_alerts(alerts):
                    missed += await self._look_at(alert_id, Needs(alerts=frozenset({alert_id})))
        except (GatewayRateLimited, GatewayUnavailable) as error:
            log.warning("disputes.interrupted", error=error.code)
        return missed

    async def _claim(self) -> Sequence[str]:
        """Whoever claims them looks again tomorrow at the latest, even if this attempt comes to nothing."""
        async with self._units() as unit:
            now = unit.clock.now()
            due = (
                select(Dispute.id)
                .where(Dispute.look_at <= now)
                .order_by(Dispute.look_at)
                .limit(_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            claimed = await unit.session.scalars(
                update(Dispute)
                .where(Dispute.id.in_(due.scalar_subquery()))
                .values(look_at=now + LOOK_EVERY)
                .returning(Dispute.whop_dispute_id)
                .execution_options(synchronize_session=False)
            )
            ids = claimed.all()
            await unit.commit()
        return ids

    async def _new_disputes(self, listed: Sequence[DisputeSnapshot]) -> list[str]:
        if not listed:
            return []
        async with self._units() as unit:
            rows = await unit.session.execute(
                select(Dispute.whop_dispute_id, Dispute.raw_status, Dispute.gateway_updated_at).where(
                    among(Dispute.whop_dispute_id)
                ),
                {"values": [one.dispute_id for one in listed]},
            )
            held = {row.whop_dispute_id: (row.raw_status, row.gateway_updated_at) for row in rows}
        return [one.dispute_id for one in listed if held.get(one.dispute_id) != (one.raw_status, one.updated_at)]

    async def _new_alerts(self, listed: Sequence[DisputeAlertSnapshot]) -> list[str]:
        if not listed:
            return []
        async with self._units() as unit:
            rows = await unit.session.execute(
                select(DisputeAlert.whop_alert_id, DisputeAlert.gateway_updated_at).where(
                    among(DisputeAlert.whop_alert_id)
                ),
                {"values": [one.alert_id for one in listed]},
            )
            held = {row.whop_alert_id: row.gateway_updated_at for row in rows}
        return [one.alert_id for one in listed if held.get(one.alert_id) != one.updated_at]

    async def _look_at(self, object_id: str, needs: Needs) -> int:
        """Reads one with all that belongs to it, with no transaction open, and applies it in one of its own; 1 when it
        was not with us as it is there.

        Raises `GatewayRateLimited` and `GatewayUnavailable`; any other trouble is that of this object alone.
        """
        try:
            evidence = await self._reader.gather(needs)
            async with self._units() as unit:
                (verdict,) = await self._applier.apply(unit, [(f"reconcile:{unit.clock.now():%Y-%m-%d}", evidence)])
                await unit.commit()
        except (GatewayRateLimited, GatewayUnavailable):
            raise
        except GatewayNotFound as error:
            async with self._units() as unit:
                await difference.record(unit, [Difference("missing_at_gateway", object_id, "open", error.code)])
                await unit.commit()
            return 0
        except QuntedgeError as error:
            log.warning("disputes.not_applied", object_id=object_id, error=error.code)
            return 0
        return 1 if verdict == APPLIED else 0
