"""What a run looks at although it is older than the range it compares.

The gateway lists objects by when they were made, so a run that reaches 35 days back never meets a payment again that
is disputed after 60. Its ledger tells all the same: by what it has moved lately, and by naming the payment or payout.
Those, payouts that have not arrived yet, and all of which a difference is still open, are read one by one.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import Row, select, text, update

from quntedge.gateway.errors import GatewayNotFound
from quntedge.gateway.finance import FinanceActs, Movement, PayoutSnapshot
from quntedge.gateway.port import PaymentSnapshot, RefundSnapshot
from quntedge.reconciliation import statement
from quntedge.reconciliation.models import ReconciliationOlder
from quntedge.reconciliation.rules import MOST_OLDER
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork

BATCH: Final = 40
AT_ONCE: Final = 8
_MOMENT: Final = timedelta(microseconds=1)

_FORGET = text("DELETE FROM reconciliation_older WHERE run_id <> :run")
# Those that nobody has looked at for the longest come first: with more than one run can do, each has its turn.
_CHOOSE = text(
    """
    WITH open AS (
        SELECT CASE WHEN cause = 'ledger_orphan' THEN 'entry' ELSE object_kind END AS kind, object_id AS id,
               occurred_at, last_seen_at
        FROM money_difference
        WHERE :all AND resolution IS NULL AND occurred_at < :since
    ), chosen AS (
        SELECT kind, id, occurred_at, last_seen_at FROM open
        UNION ALL
        SELECT 'payment', coalesce(theirs.payment_id, payment.whop_payment_id), NULL, last_seen_at
        FROM open
        LEFT JOIN gateway_record AS theirs ON theirs.id = open.id
        LEFT JOIN refund AS ours ON ours.whop_refund_id = open.id
        LEFT JOIN payment_transaction AS payment ON payment.id = ours.transaction_id
        WHERE open.kind = 'refund' AND coalesce(theirs.payment_id, payment.whop_payment_id) IS NOT NULL
        UNION ALL
        SELECT 'payment', payment_id, NULL, min(posted_at)
        FROM gateway_movement AS movement
        WHERE payment_id IS NOT NULL AND posted_at < :until
          -- Not read before by a run that came to its end.
          AND seen_at >= coalesce((SELECT max(finished_at) FROM reconciliation_run WHERE state = 'done'), '-infinity')
          AND NOT EXISTS (SELECT FROM gateway_record AS known
                          WHERE known.id = movement.payment_id AND known.occurred_at >= :since)
        GROUP BY payment_id
        UNION ALL
        SELECT 'payout', known.id, known.occurred_at, min(posted_at)
        FROM gateway_movement AS movement JOIN gateway_record AS known ON known.id = source_id
        WHERE movement.kind IN ('payout', 'payout_fee') AND posted_at < :until
          AND movement.seen_at >= coalesce((SELECT max(finished_at) FROM reconciliation_run WHERE state = 'done'),
                                           '-infinity')
          AND known.kind = 'payout' AND known.occurred_at < :since
        GROUP BY known.id
        UNION ALL
        -- No movement tells that money has arrived.
        SELECT 'payout', id, occurred_at, seen_at FROM gateway_record
        WHERE :all AND kind = 'payout' AND counted AND status <> 'completed' AND occurred_at < :since
    )
    INSERT INTO reconciliation_older (run_id, object_kind, object_id, occurred_at)
    SELECT :run, kind, id, max(occurred_at) FROM chosen
    GROUP BY kind, id ORDER BY min(last_seen_at), kind, id LIMIT :most
    ON CONFLICT DO NOTHING
    """
)
_WAITING = (
    select(ReconciliationOlder.__table__)
    .where(ReconciliationOlder.looked_at.is_(None))
    .order_by(ReconciliationOlder.object_id)
    .limit(BATCH)
)
_LOOKED_AT = update(ReconciliationOlder).where(among(ReconciliationOlder.object_id))


class MoneyGateway(FinanceActs, Protocol):
    """What a run needs of the gateway: lists by time, and single objects."""

    async def payment(self, payment_id: str) -> PaymentSnapshot:
        """A payment as it is now."""
        ...

    async def refunds_of(self, payment_id: str) -> list[RefundSnapshot]:
        """All refunds of one payment, failed ones included."""
        ...


@dataclass(slots=True)
class Reading:
    """What the gateway says now of a few older objects. What it does not know any more is in none of these."""

    payments: list[PaymentSnapshot] = field(default_factory=list)
    refunds: list[RefundSnapshot] = field(default_factory=list)
    movements: list[Movement] = field(default_factory=list)
    payouts: list[PayoutSnapshot] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many objects and movements were read."""
        return len(self.payments) + len(self.refunds) + len(self.movements) + len(self.payouts)


async def choose(unit: UnitOfWork, run: Row[Any]) -> None:
    """Writes down what this run looks at. What is open of older times is the nightly one's; what moved, everybody's."""
    connection = await unit.connection()
    await connection.execute(_FORGET, {"run": run.id})
    values = {
        "run": run.id,
        "since": run.since,
        "until": run.until,
        "all": run.trigger == "nightly",
        "most": MOST_OLDER,
    }
    await connection.execute(_CHOOSE, values)


async def waiting(unit: UnitOfWork, run_id: str) -> Sequence[Row[Any]]:
    """The next ones to be read."""
    query = _WAITING.where(ReconciliationOlder.run_id == run_id)
    return (await (await unit.connection()).execute(query)).all()


async def read(gateway: MoneyGateway, batch: Sequence[Row[Any]], *, feed: bool) -> Reading:
    """Asks the gateway, with no transaction open. Without `feed` its movements cannot be read. Raises its errors."""
    reading = Reading()

    async def of_payment(payment_id: str) -> None:
        try:
            payment = await gateway.payment(payment_id)
        except GatewayNotFound:
            # What we know of it stays, as not listed any more.
            return
        refunds = await gateway.refunds_of(payment_id)
        if feed:
            reading.movements += await gateway.movements_of(payment_id)
        reading.payments.append(payment)
        reading.refunds += refunds

    async def of_payout(made_at: datetime) -> None:
        async for page in gateway.payouts_between(made_at, made_at + _MOMENT):
            reading.payouts += page

    for start in range(0, len(batch), AT_ONCE):
        few = batch[start : start + AT_ONCE]
        payments = [of_payment(row.object_id) for row in few if row.object_kind == "payment"]
        payouts = [of_payout(row.occurred_at) for row in few if row.object_kind == "payout" and feed]
        await _together([*payments, *payouts])
    return reading


async def keep(unit: UnitOfWork, run_id: str, batch: Sequence[Row[Any]], reading: Reading) -> None:
    """Keeps what was read, and that it was."""
    await statement.keep_payments(unit, reading.payments)
    await statement.keep_refunds(unit, reading.refunds)
    await statement.keep_movements(unit, reading.movements)
    await statement.keep_payouts(unit, reading.payouts)
    looked = _LOOKED_AT.where(ReconciliationOlder.run_id == run_id).values(looked_at=unit.clock.now())
    await (await unit.connection()).execute(looked, {"values": [row.object_id for row in batch]})


async def _together(reads: Sequence[Awaitable[None]]) -> None:
    """Waits for all; then the first error, once no read is under way any more."""
    for answer in await asyncio.gather(*reads, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
