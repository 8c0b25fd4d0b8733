"""Hands what Whop says about contested payments to those who keep disputes, alerts and complaints."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from quntedge.disputes.service import DisputedPayment, DisputeService, ObservedDispute
from quntedge.disputes.warnings import WarningService
from quntedge.gateway.disputed import CaseSnapshot, DisputeAlertSnapshot, DisputeSnapshot
from quntedge.gateway.port import Contested
from quntedge.payments.models import PaymentTransaction
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.webhooks.errors import ObjectOutOfReach

APPLIED, REREAD = "applied", "reread"

_PAYMENTS = select(
    PaymentTransaction.id,
    PaymentTransaction.user_id,
    PaymentTransaction.subscription_id,
    PaymentTransaction.whop_payment_id,
).where(among(PaymentTransaction.whop_payment_id))


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something contested, as somebody told us about it. `from_gateway`: we read it ourselves just now."""

    snapshot: Contested
    cause: str
    from_gateway: bool


class ContestedApplier:
    """Applies sightings; payments are applied before, so what is still unknown has to be read first."""

    def __init__(self, disputes: DisputeService, warnings: WarningService) -> None:
        self._disputes = disputes
        self._warnings = warnings

    async def apply(self, unit: UnitOfWork, sightings: Sequence[Sighting]) -> list[str]:
        """Applies in the order given and answers for each `applied`, `unchanged`, `stale` or `reread`.

        Raises `ObjectOutOfReach` for one about a payment that the gateway does not give us.
        """
        if not sightings:
            return []
        payments = await _payments(unit, {s.snapshot.payment_id for s in sightings if s.snapshot.payment_id})
        verdicts = [APPLIED if _placed(sighting, payments) else REREAD for sighting in sightings]
        if any(s.from_gateway and v == REREAD for s, v in zip(sightings, verdicts, strict=True)):
            raise ObjectOutOfReach("A dispute belongs to a payment that the gateway does not give us.")
        known = [index for index, verdict in enumerate(verdicts) if verdict == APPLIED]
        disputes: list[tuple[int, ObservedDispute]] = []
        alerts: list[DisputeAlertSnapshot] = []
        cases: list[CaseSnapshot] = []
        for index in known:
            sighting = sightings[index]
            match sighting.snapshot:
                case DisputeSnapshot() as dispute:
                    disputes.append((index, ObservedDispute(dispute, sighting.cause, sighting.from_gateway)))
                case DisputeAlertSnapshot() as alert:
                    alerts.append(alert)
                case CaseSnapshot() as complaint:
                    cases.append(complaint)
        found = await self._disputes.apply(unit, [item for _, item in disputes], payments)
        for (index, _), verdict in zip(disputes, found, strict=True):
            verdicts[index] = verdict.value
        if alerts:
            await self._warnings.apply_alerts(unit, alerts, payments)
        if cases:
            await self._warnings.apply_cases(unit, cases, payments)
        return verdicts


def _placed(sighting: Sighting, payments: Mapping[str, DisputedPayment]) -> bool:
    """Whether we know the payment it is about. An alert may be about none that anybody knows."""
    payment_id = sighting.snapshot.payment_id
    if payment_id is None:
        return isinstance(sighting.snapshot, DisputeAlertSnapshot)
    return payment_id in payments


async def _payments(unit: UnitOfWork, payment_ids: Collection[str]) -> dict[str, DisputedPayment]:
    if not payment_ids:
        return {}
    connection = await unit.connection()
    rows = await connection.execute(_PAYMENTS, {"values": sorted(payment_ids)})
    return {row.whop_payment_id: DisputedPayment(row.id, row.user_id, row.subscription_id) for row in rows}
