"""Renewals that nobody has told us of: their memberships are read again, soon at first, then once a day.

What Whop has renewed is applied as ever. What it has not renewed either is written down for somebody to look at; access
goes on meanwhile, because only news of a failure may end it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import text

from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import GATEWAY_DIFFERENCES, RENEWAL_GAPS
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.webhooks import difference
from quntedge.webhooks.difference import RENEWAL_NOT_SEEN, Difference
from quntedge.webhooks.reconcile import Reconciler

SHORTLY = timedelta(minutes=15)
SOON = timedelta(hours=6)
LATER = timedelta(days=1)
BATCH = 200

log = get_logger(__name__)

# The look is paid for before it is made: whoever dies in the middle of it leaves the row to the next one, not to
# everybody. What does not renew by itself, or is being replaced, is looked at no more. The number stands in it so that
# a plan made without the parameters knows how few rows there are, and does not read the whole table to find them.
CLAIM = text(
    f"""
    WITH due AS (
        SELECT s.id, s.whop_membership_id,
               p.kind = 'recurring' AND m.superseded_at IS NULL AS expected,
               s.period_end + CAST(:gap AS interval) + CAST(:soon AS interval) > CAST(:now AS timestamptz) AS is_first
        FROM subscription s
        JOIN plan p ON p.id = s.plan_id
        JOIN subscription_membership m ON m.whop_membership_id = s.whop_membership_id
        WHERE s.renewal_check_at <= :now
        ORDER BY s.renewal_check_at LIMIT {BATCH}
        FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE subscription s
    SET renewal_check_at = CASE WHEN due.expected THEN
        CAST(:now AS timestamptz) + CASE WHEN due.is_first THEN CAST(:soon AS interval) ELSE :later END END
    FROM due WHERE s.id = due.id
    RETURNING CASE WHEN due.expected THEN due.whop_membership_id END
    """  # noqa: S608 (a number of ours)
)

_PUT_OFF = text(
    "UPDATE subscription SET renewal_check_at = :at"
    " WHERE whop_membership_id = ANY(:ids) AND renewal_check_at IS NOT NULL"
)

# Locked, so that a renewal that comes this moment waits, and then closes what is written down here.
_STILL_MISSED = text(
    """
    SELECT s.whop_membership_id, s.user_id FROM subscription s
    WHERE s.whop_membership_id = ANY(:ids) AND s.status IN ('trialing', 'active') AND NOT s.cancel_at_period_end
      AND s.period_end <= :now
    ORDER BY s.id FOR UPDATE
    """
)


class RenewalGaps:
    """Looks for renewals that should have come. Several may run at once; each takes what the others have not."""

    def __init__(self, units: UnitOfWorkFactory, reconciler: Reconciler, gap: timedelta) -> None:
        """`gap`: how late a renewal may be before it is looked for."""
        self._units = units
        self._reconciler = reconciler
        self._gap = gap

    async def check(self) -> int:
        """Looks at everything that is due; how many memberships were read."""
        looked = 0
        while True:
            claimed, expected = await self._claim()
            settled = await self._look(expected) if expected else set()
            looked += len(settled)
            # A gateway that is away need not be asked for all the others.
            if claimed < BATCH or len(settled) < len(expected):
                return looked

    async def _claim(self) -> tuple[int, list[str]]:
        async with self._units() as unit:
            values = {"now": unit.clock.now(), "gap": self._gap, "soon": SOON, "later": LATER}
            rows = (await (await unit.connection()).execute(CLAIM, values)).scalars().all()
            await unit.commit()
        return len(rows), [membership_id for membership_id in rows if membership_id is not None]

    async def _look(self, membership_ids: Sequence[str]) -> set[str]:
        """Reads and applies these, and writes down what is still missed. Returns those that Whop had an answer for."""
        now: datetime = self._units.clock.now()
        settled = await self._reconciler.memberships(membership_ids, now)
        async with self._units() as unit:
            connection = await unit.connection()
            unsettled = Texts(one for one in membership_ids if one not in settled)
            if unsettled:
                await connection.execute(_PUT_OFF, {"ids": unsettled, "at": now + SHORTLY})
            missed = (await connection.execute(_STILL_MISSED, {"ids": Texts(sorted(settled)), "now": now})).all()
            new = await difference.record(
                unit,
                [
                    Difference(RENEWAL_NOT_SEEN, row.whop_membership_id, "open", "the period is over", row.user_id)
                    for row in missed
                ],
            )
            await unit.commit()
        RENEWAL_GAPS.labels("seen_now").inc(len(settled) - len(missed))
        RENEWAL_GAPS.labels("not_seen").inc(len(missed))
        for kind in new:
            GATEWAY_DIFFERENCES.labels(kind).inc()
        if missed:
            log.warning("renewals.not_seen", count=len(missed), new=len(new))
        return settled
