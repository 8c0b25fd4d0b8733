"""Fees that nobody tells us of in time: those of payments that were given back or disputed before we saw them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from sqlalchemy import Row, bindparam, delete, select, text

from quntedge.bookkeeping.models import FeeAwaited
from quntedge.bookkeeping.service import BookkeepingService
from quntedge.gateway.errors import GatewayError, GatewayRateLimited
from quntedge.gateway.finance import MovementKind, PaymentFee
from quntedge.kit.logging import get_logger
from quntedge.kit.money import Money
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import is_paid
from quntedge.payments.service import PaymentService
from quntedge.storage.base import UtcDateTime
from quntedge.storage.rows import insert_rows
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

BATCH: Final = 50
LEASE: Final = timedelta(minutes=5)
"""How long whoever has taken a fee up has before somebody else tries."""

AGAIN_AFTER: Final = timedelta(hours=6)
"""The gateway lists fees up to three days late."""

GIVEN_UP_AFTER: Final = timedelta(days=4)
CAUSE: Final = "fees"

log = get_logger(__name__)

_TAKE = text(
    """
    UPDATE fee_awaited SET due_at = :lease, tries = tries + 1
    WHERE source = ANY(ARRAY(SELECT source FROM fee_awaited WHERE due_at <= :now ORDER BY due_at LIMIT :most
                             FOR UPDATE SKIP LOCKED))
    RETURNING source, noted_at
    """
).bindparams(bindparam("lease", type_=UtcDateTime()), bindparam("now", type_=UtcDateTime()))
_AGAIN = text("UPDATE fee_awaited SET due_at = :due_at WHERE source = :source").bindparams(
    bindparam("due_at", type_=UtcDateTime())
)
_PAYMENT = select(PaymentTransaction.__table__)


class FeeList(Protocol):
    """What is needed of the gateway."""

    async def fees_of(self, payment_id: str) -> list[PaymentFee]:
        """What a payment has cost."""
        ...


class AwaitedFees:
    """Posts them. Any number of processes may; each fee is with one of them at a time."""

    def __init__(
        self, units: UnitOfWorkFactory, gateway: FeeList, payments: PaymentService, bookkeeping: BookkeepingService
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._payments = payments
        self._bookkeeping = bookkeeping

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Subscriber: notes payments whose amounts tell what is left, but not of what. Nothing to do for nearly all."""
        now = unit.clock.now()
        rows = [
            {"source": fact.transaction_id, "due_at": now, "noted_at": now, "tries": 0}
            for fact in facts
            if fact.newly_paid and _is_silent(fact)
        ]
        if rows:
            connection = await unit.driver_connection()
            await insert_rows(connection, FeeAwaited.__table__, rows, conflict_key="source")

    async def post_due(self) -> int:
        """For a sweep: posts what is due; how many fees it dealt with. One that cannot be learned waits, and after some
        days is left to the comparison with the gateway's own ledger."""
        async with self._units() as unit:
            now = unit.clock.now()
            values = {"now": now, "lease": now + LEASE, "most": BATCH}
            taken = (await (await unit.connection()).execute(_TAKE, values)).all()
            await unit.commit()
        for row in taken:
            await self._post_payment(row)
        return len(taken)

    async def _post_payment(self, row: Row[Any]) -> None:
        async with self._units() as unit:
            query = _PAYMENT.where(PaymentTransaction.id == row.source)
            payment = (await (await unit.connection()).execute(query)).one()
        try:
            fees = await self._gateway.fees_of(payment.whop_payment_id)
        except GatewayRateLimited as error:
            await self._later(row.source, timedelta(seconds=max(1.0, error.retry_after_seconds)))
            return
        except GatewayError as error:
            log.warning("bookkeeping.fees_unreadable", payment_id=payment.whop_payment_id, reason=error.code)
            await self._put_off(row)
            return
        if not fees:
            await self._put_off(row)
            return
        async with self._units() as unit:
            await self._post(unit, row.source, payment, fees)
            await self._done(unit, row.source)

    async def _post(self, unit: UnitOfWork, source: str, payment: Row[Any], fees: Sequence[PaymentFee]) -> None:
        """What collecting cost, in each currency it was taken in."""
        kept: dict[str, dict[MovementKind, int]] = defaultdict(lambda: defaultdict(int))
        for fee in fees:
            if fee.movement in (MovementKind.FEE, MovementKind.TAX):
                kept[fee.amount.currency][fee.movement] += fee.amount.amount_minor
        at = max((fee.collected_at for fee in fees if fee.collected_at is not None), default=unit.clock.now())
        for currency, amounts in kept.items():
            await self._bookkeeping.post_fees(
                unit,
                source,
                fees=Money(amounts[MovementKind.FEE], currency),
                tax_remitted=Money(amounts[MovementKind.TAX], currency),
                occurred_at=at,
                cause=CAUSE,
            )
        if set(kept) == {payment.currency} and is_paid(payment.status):
            await self._payments.note_fee(unit, source, sum(kept[payment.currency].values()))

    async def _put_off(self, row: Row[Any]) -> None:
        async with self._units() as unit:
            now = unit.clock.now()
            if now >= row.noted_at + GIVEN_UP_AFTER:
                await self._done(unit, row.source)
                return
        await self._later(row.source, AGAIN_AFTER)

    async def _later(self, source: str, wait: timedelta) -> None:
        async with self._units() as unit:
            values = {"source": source, "due_at": unit.clock.now() + wait}
            await (await unit.connection()).execute(_AGAIN, values)
            await unit.commit()

    @staticmethod
    async def _done(unit: UnitOfWork, source: str) -> None:
        await (await unit.connection()).execute(delete(FeeAwaited).where(FeeAwaited.source == source))
        await unit.commit()


def _is_silent(fact: PaymentRecorded) -> bool:
    """It was collected for something, and then given back or disputed before we heard of it."""
    touched = fact.net_minor is not None or fact.refunded_minor > 0
    return fact.fee_minor is None and touched and is_paid(fact.status) and bool(fact.total_minor)
