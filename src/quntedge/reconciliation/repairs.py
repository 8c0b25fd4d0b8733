"""Mends what can be mended without a person: objects are read again, and what the ledger lacks is posted.

Nothing is decided here that comparing has not decided; whether it helped, the next comparison says.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, text

from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.bookkeeping.positions import Payout
from quntedge.bookkeeping.rules import PayoutState
from quntedge.gateway.finance import MovementKind
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.logging import get_logger
from quntedge.kit.money import Money
from quntedge.reconciliation.exchanged import exchange_of
from quntedge.reconciliation.models import GatewayRecord
from quntedge.reconciliation.rules import Repair, Sides, at_gateway, gain_of
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.webhooks.reconcile import Reconciler

log = get_logger(__name__)

BATCH: Final = 200
BY_US: Final = "reconciliation"

_PAYOUTS = select(GatewayRecord.__table__).where(among(GatewayRecord.id), GatewayRecord.kind == "payout")
_REFUNDED = select(GatewayRecord.payment_id).where(among(GatewayRecord.id), GatewayRecord.payment_id.is_not(None))
# What was kept of one payment, exactly: the fractions of all movements are added up before anything is rounded.
_KEPT = text(
    "SELECT kind, currency, (-sum(amount_minor) - round(sum(residue) / 1e8))::bigint AS amount, max(posted_at) AS at"
    " FROM gateway_movement WHERE payment_id = :payment AND kind IN ('fee', 'tax') GROUP BY 1, 2"
)
_ROUNDED = text(
    "UPDATE money_difference SET resolution = 'adjusted', resolved_at = :now, resolved_by = :by, note = :note"
    " WHERE object_id = :object AND measure = :measure AND currency = :currency AND resolution IS NULL RETURNING id"
)


class Repairs:
    """Each kind of repair, many at a time, in transactions of their own."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        reconciler: Reconciler,
        bookkeeping: Bookkeeping,
        discover_disputes: Callable[[datetime], Awaitable[int]],
    ) -> None:
        """`discover_disputes` compares the gateway's list of disputes with ours."""
        self._units = units
        self._reconciler = reconciler
        self._bookkeeping = bookkeeping
        self._discover = discover_disputes
        self._ways: dict[Repair, Callable[[Sequence[Sides]], Awaitable[None]]] = {
            Repair.READ_PAYMENT: self._read_payments,
            Repair.READ_DISPUTES: self._read_disputes,
            Repair.POST_RECORDS: self._post_records,
            Repair.POST_FEE: self._post_fees,
            Repair.POST_PAYOUT: self._post_payouts,
            Repair.POST_ROUNDING: self._post_roundings,
            Repair.POST_CONVERSION: self._post_conversions,
        }

    async def mend(self, repairs: Sequence[tuple[Repair, Sides]]) -> None:
        """Does all of them. What cannot be mended stays a difference; the gateway being away is raised."""
        wanted: dict[Repair, list[Sides]] = defaultdict(list)
        for repair, sides in repairs:
            wanted[repair].append(sides)
        # In the order of their names here: what is read brings its own postings along.
        for repair in self._ways:
            found = wanted.get(repair, [])
            for start in range(0, len(found), BATCH):
                await self._try(repair, found[start : start + BATCH])

    async def post_payouts(self, unit: UnitOfWork, payout_ids: Sequence[str]) -> None:
        """Posts what has become of these payouts as they were listed last, in the caller's unit of work.

        Nobody else tells us of payouts: that one was not posted before is no difference.
        """
        for row in (await (await unit.connection()).execute(_PAYOUTS, {"values": list(payout_ids)})).all():
            await self._bookkeeping.service.post_payout(unit, _payout(row))

    async def _try(self, repair: Repair, batch: Sequence[Sides]) -> None:
        """A batch that fails is done again one by one, so that one object keeps no other from being mended."""
        try:
            await self._ways[repair](batch)
        except Exception as error:
            if len(batch) > 1:
                for sides in batch:
                    await self._try(repair, [sides])
                return
            expected = isinstance(error, QuntedgeError)
            log.warning(
                "reconciliation.repair_failed",
                repair=repair.value,
                object_id=batch[0].object_id,
                reason=error.code if isinstance(error, QuntedgeError) else type(error).__name__,
                exc_info=None if expected else error,
            )

    async def _read_payments(self, batch: Sequence[Sides]) -> None:
        ids = {sides.object_id for sides in batch if sides.object_kind == "payment"}
        refunds = [sides.object_id for sides in batch if sides.object_kind == "refund"]
        if refunds:
            async with self._units() as unit:
                found = await (await unit.connection()).scalars(_REFUNDED, {"values": refunds})
                ids |= {payment_id for payment_id in found if payment_id is not None}
        await self._reconciler.payments(sorted(ids), self._units.clock.now())

    async def _read_disputes(self, _: Sequence[Sides]) -> None:
        """One look at the gateway's lists finds them all."""
        await self._discover(self._units.clock.now())

    async def _post_records(self, batch: Sequence[Sides]) -> None:
        ids = sorted({sides.transaction_id for sides in batch if sides.transaction_id})
        async with self._units() as unit:
            await self._bookkeeping.records.post(unit, ids, BY_US)
            await unit.commit()

    async def _post_fees(self, batch: Sequence[Sides]) -> None:
        async with self._units() as unit:
            for sides in batch:
                await self._post_fee(unit, sides)
            await unit.commit()

    async def _post_fee(self, unit: UnitOfWork, sides: Sides) -> None:
        connection = await unit.connection()
        kept = (await connection.execute(_KEPT, {"payment": sides.object_id})).all()
        if not kept or sides.transaction_id is None:
            return
        # All of it may have been taken in another currency than we believed: then nothing was in this one.
        amounts = {
            MovementKind(row.kind): Money(row.amount, row.currency) for row in kept if row.currency == sides.currency
        }
        nothing = Money.zero(sides.currency)
        await self._bookkeeping.service.post_fees(
            unit,
            sides.transaction_id,
            fees=amounts.get(MovementKind.FEE, nothing),
            tax_remitted=amounts.get(MovementKind.TAX, nothing),
            occurred_at=max(row.at for row in kept),
            cause=BY_US,
        )

    async def _post_conversions(self, batch: Sequence[Sides]) -> None:
        async with self._units() as unit:
            for payment_id in sorted({sides.object_id for sides in batch}):
                exchange = await exchange_of(unit, payment_id, BY_US)
                if exchange is not None:
                    await self._bookkeeping.conversions.post(unit, exchange)
            await unit.commit()

    async def _post_payouts(self, batch: Sequence[Sides]) -> None:
        async with self._units() as unit:
            await self.post_payouts(unit, sorted({sides.object_id for sides in batch}))
            await unit.commit()

    async def _post_roundings(self, batch: Sequence[Sides]) -> None:
        async with self._units() as unit:
            for sides in batch:
                await self._post_rounding(unit, sides)
            await unit.commit()

    async def _post_rounding(self, unit: UnitOfWork, sides: Sides) -> None:
        """A fraction has no better explanation: it is posted, and the difference says so."""
        now = unit.clock.now()
        connection = await unit.connection()
        found = await connection.scalar(
            _ROUNDED,
            {
                "now": now,
                "by": BY_US,
                "note": "posted as a rounding",
                "object": sides.object_id,
                "measure": sides.measure.value,
                "currency": sides.currency,
            },
        )
        if found is None:
            return
        exact = at_gateway(sides.gateway, sides.moved, sides.ledger)
        gain = gain_of(sides.measure, exact or 0, sides.ledger or 0)
        await self._bookkeeping.service.post_rounding(
            unit, found, gain=Money(gain, sides.currency), occurred_at=now, cause=BY_US
        )


def _payout(row: Any) -> Payout:
    state = PayoutState.RETURNED
    if row.counted:
        state = PayoutState.PAID if row.status == "completed" else PayoutState.IN_TRANSIT
    return Payout(
        payout_id=row.id,
        amount=Money(row.amount_minor, row.currency),
        # Who did not pay out took no fee either: the gateway gives it back with the money.
        fee=Money(row.fee_minor if row.counted else 0, row.currency),
        state=state,
        occurred_at=row.settled_at or row.occurred_at,
        cause=BY_US,
    )
