"""A subscription remembers when it was last paid for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from quntedge.kit.ids import new_id
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.machine import PAID


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that was collected for a subscription; `cause` is what told us."""

    subscription_id: str
    paid_at: datetime
    cause: str


# One statement for hundreds of payments. Rows are locked in the order of their ids, as everybody locks subscriptions;
# the number of the entry comes from the locked row. A payment older than one that is known changes nothing.
_NOTE = """
WITH held AS (
    SELECT s.id, s.last_payment_at AS before, p.paid_at, p.cause, p.event_id
    FROM unnest(%(subscription_id)b::text[], %(paid_at)b::timestamptz[], %(cause)b::text[], %(event_id)b::text[])
         AS p (subscription_id, paid_at, cause, event_id)
    JOIN subscription s ON s.id = p.subscription_id
    WHERE s.last_payment_at IS NULL OR s.last_payment_at < p.paid_at
    ORDER BY s.id FOR UPDATE OF s
), changed AS (
    UPDATE subscription s SET last_payment_at = h.paid_at, version = s.version + 1, updated_at = %(now)s
    FROM held h WHERE s.id = h.id
    RETURNING s.id, s.user_id, s.version, h.before, h.paid_at, h.cause, h.event_id
)
INSERT INTO subscription_event (id, subscription_id, version, user_id, kind, actor, cause, before, after, at)
SELECT event_id, id, version, user_id, %(kind)s, 'whop', cause, jsonb_build_object('last_payment_at', before),
       jsonb_build_object('last_payment_at', paid_at), %(now)s
FROM changed
"""


async def note(unit: UnitOfWork, receipts: Iterable[Receipt]) -> None:
    """Writes down the newest payment of each subscription, with an entry in its history, if it is news."""
    newest: dict[str, Receipt] = {}
    for receipt in receipts:
        known = newest.get(receipt.subscription_id)
        if known is None or known.paid_at < receipt.paid_at:
            newest[receipt.subscription_id] = receipt
    if not newest:
        return
    now = unit.clock.now()
    await (await unit.driver_connection()).execute(
        _NOTE,
        {
            "subscription_id": list(newest),
            "paid_at": [receipt.paid_at for receipt in newest.values()],
            "cause": [receipt.cause for receipt in newest.values()],
            "event_id": [new_id("sev", now) for _ in newest],
            "kind": PAID,
            "now": now,
        },
    )
