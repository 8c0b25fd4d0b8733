"""Posts what the records say, whether or not somebody told of it: for what was there before the ledger, and for what a
comparison finds missing."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from quntedge.bookkeeping import positions
from quntedge.bookkeeping.positions import Collected
from quntedge.bookkeeping.service import BookkeepingService, CountedRefund, Move
from quntedge.disputes.models import Dispute, DisputeAlert
from quntedge.disputes.rules import is_lost
from quntedge.kit.money import Money
from quntedge.ledger import queries
from quntedge.ledger.queries import Held
from quntedge.ledger.rules import Account, EntryKind
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import fee, is_paid
from quntedge.refunds.models import Refund
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork

_PAYMENTS = (
    select(PaymentTransaction.__table__)
    .where(among(PaymentTransaction.id))
    .order_by(PaymentTransaction.id)
    # News of these payments wait until they are posted, and then find what stands.
    .with_for_update()
)
_REFUNDS = (
    select(Refund.id, Refund.transaction_id, Refund.amount_minor, Refund.currency, Refund.status, Refund.occurred_at)
    .where(among(Refund.transaction_id))
    .order_by(Refund.transaction_id, Refund.occurred_at, Refund.id)
)
_DISPUTES = select(Dispute.__table__).where(among(Dispute.transaction_id)).order_by(Dispute.id)
_ALERTS = select(DisputeAlert.__table__).where(among(DisputeAlert.transaction_id), DisputeAlert.fee_minor > 0)


class RecordPosting:
    """Works in the caller's unit of work and never commits."""

    def __init__(self, bookkeeping: BookkeepingService) -> None:
        self._bookkeeping = bookkeeping

    async def post(self, unit: UnitOfWork, transaction_ids: Sequence[str], cause: str) -> None:
        """Makes what stands for these payments, and for their refunds, disputes and alerts, what their records say.

        Harmless at any time: what stands already is left as it is.
        """
        connection = await unit.connection()
        values = {"values": list(transaction_ids)}
        payments = (await connection.execute(_PAYMENTS, values)).all()
        held = await queries.by_source(connection, transaction_ids)
        moves = [self._payment(row, held, cause) for row in payments]
        await self._bookkeeping.move(unit, [*moves, *await contested(connection, transaction_ids, cause)])
        currencies = {row.id: row.currency for row in payments}
        refunds = (await connection.execute(_REFUNDS, values)).all()
        await self._refunds(unit, [row for row in refunds if row.currency == currencies[row.transaction_id]], cause)

    def _payment(self, row: Row[Any], held: Mapping[tuple[EntryKind, str], Held], cause: str) -> Move:
        at = row.paid_at or row.occurred_at
        return self._bookkeeping.payment_move(row.id, row.user_id, collected(row).beside(held, row.id), at, cause)

    async def _refunds(self, unit: UnitOfWork, rows: Sequence[Any], cause: str) -> None:
        held = await queries.by_source(await unit.connection(), [row.id for row in rows])
        for row in rows:
            stands = held.get((EntryKind.REFUND, row.id))
            if row.status != "succeeded" and stands is not None and stands.on(Account.GATEWAY_CLEARING, row.currency):
                await self._bookkeeping.undo_refund(unit, row.id, row.transaction_id, unit.clock.now(), cause)
        await self._bookkeeping.post_refunds(
            unit,
            [
                CountedRefund(row.id, row.transaction_id, row.amount_minor, row.occurred_at, cause)
                for row in rows
                if row.status == "succeeded"
            ],
        )


def collected(row: Row[Any]) -> Collected:
    """A stored payment as the ledger sees it. Records of before fees were noted still tell them by what was left."""
    if not is_paid(row.status):
        return Collected(row.currency, 0, None, None)
    known = row.fee_minor
    if known is None:
        known = fee(row.status, row.substatus, row.refunded_minor, row.total_minor, row.net_minor)
    return Collected(row.currency, row.total_minor or 0, row.tax_minor, known)


async def contested(connection: AsyncConnection, transaction_ids: Sequence[str], cause: str) -> list[Move]:
    """What the disputes of these payments, and the warnings of them, should stand for."""
    values = {"values": list(transaction_ids)}
    disputes = (await connection.execute(_DISPUTES, values)).all()
    alerts = (await connection.execute(_ALERTS, values)).all()
    return [*(_dispute(row, cause) for row in disputes), *(_alert(row, cause) for row in alerts)]


def _dispute(row: Row[Any], cause: str) -> Move:
    wanted = positions.of_dispute(
        Money(row.withdrawn_minor, row.currency),
        Money(row.fee_minor, row.fee_currency or row.currency),
        lost=is_lost(row.status),
    )
    at = row.gateway_updated_at or row.opened_at
    return Move(EntryKind.DISPUTE, row.id, wanted, at, cause, row.user_id, row.transaction_id)


def _alert(row: Row[Any], cause: str) -> Move:
    wanted = positions.of_dispute_fee(Money(row.fee_minor, row.fee_currency or row.currency))
    return Move(EntryKind.DISPUTE, row.id, wanted, row.occurred_at, cause, row.user_id, row.transaction_id)
