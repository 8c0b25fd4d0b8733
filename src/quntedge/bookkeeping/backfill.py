"""Posts what was collected and given back before there was a ledger, portion by portion, each a transaction."""

from sqlalchemy import select, update

from quntedge.bookkeeping.records import RecordPosting
from quntedge.ledger.models import LedgerProgress
from quntedge.payments.models import PaymentTransaction
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

NAME = "payments"
CAUSE = "ledger.backfill"
PORTION = 500

_NEXT = select(PaymentTransaction.id).order_by(PaymentTransaction.id).limit(PORTION)


class Backfill:
    """Goes through all payments once, in the order of their ids, and remembers how far it has come.

    Harmless at any time and beside any traffic: what is posted already stays as it is.
    """

    def __init__(self, units: UnitOfWorkFactory, records: RecordPosting) -> None:
        self._units = units
        self._records = records

    async def run(self) -> int:
        """Goes on until the end; the number of payments looked at. Another process may be at it: then 0."""
        total = 0
        while (count := await self.portion()) is not None:
            total += count
        return total

    async def portion(self) -> int | None:
        """Looks at the next payments, and says how many; None when there are none left, or while another process is at
        it."""
        async with self._units() as unit:
            cursor = await self._claim(unit)
            if cursor is None:
                return None
            connection = await unit.connection()
            ids = (await connection.scalars(_NEXT.where(PaymentTransaction.id > cursor))).all()
            await self._records.post(unit, ids, CAUSE)
            await _note(unit, cursor=ids[-1]) if ids else await _note(unit, finished_at=unit.clock.now())
            await unit.commit()
        return len(ids) or None

    async def restart(self) -> None:
        """Begins again with the first payment."""
        async with self._units() as unit:
            await _note(unit, cursor="", finished_at=None)
            await unit.commit()

    @staticmethod
    async def _claim(unit: UnitOfWork) -> str | None:
        connection = await unit.connection()
        query = select(LedgerProgress).where(LedgerProgress.name == NAME).with_for_update(skip_locked=True)
        found = (await connection.execute(query)).one_or_none()
        return None if found is None or found.finished_at is not None else found.cursor


async def is_finished(unit: UnitOfWork) -> bool:
    """Whether all that was there before the ledger is in it."""
    connection = await unit.connection()
    return await connection.scalar(select(LedgerProgress.finished_at).where(LedgerProgress.name == NAME)) is not None


async def _note(unit: UnitOfWork, **reached: object) -> None:
    connection = await unit.connection()
    await connection.execute(
        update(LedgerProgress).where(LedgerProgress.name == NAME).values(updated_at=unit.clock.now(), **reached)
    )
