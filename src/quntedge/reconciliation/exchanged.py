"""Payments that the gateway has moved in another currency than their own: compared, and booked as what they are."""

from collections import defaultdict
from typing import Any, Final

from sqlalchemy import text

from quntedge.bookkeeping.conversions import Exchange
from quntedge.gateway.finance import MovementKind
from quntedge.ledger.rules import EntryKind
from quntedge.storage.unit_of_work import UnitOfWork

# One row for each other currency (what moved there, what the ledger says came there by exchange), and where something
# is booked as exchanged, one for the payment's own (what the ledger says left it, what should have). What is known of
# the payment is carried along: joining one temporary result with another takes each row with each.
_PAYMENT: Final = "key, transaction_id, user_id, listed, held, own_currency, made_at"
FACTS: Final = f"""
    WITH pair AS MATERIALIZED (
        SELECT keys.id AS key, ours.id AS transaction_id, ours.user_id,
               coalesce(theirs.seen_at >= %(started)s, false) AS listed, ours.id IS NOT NULL AS held,
               coalesce(ours.currency, theirs.currency) AS own_currency,
               coalesce(theirs.occurred_at, ours.occurred_at) AS made_at
        FROM money_key AS keys
        LEFT JOIN gateway_record AS theirs ON theirs.id = keys.id
        LEFT JOIN payment_transaction AS ours ON ours.whop_payment_id = keys.id
        WHERE keys.kind = 'payment'
    ), moved AS MATERIALIZED (
        SELECT pair.*, movement.currency, (sum(amount_minor) + round(sum(residue) / 1e8))::bigint AS amount,
               max(posted_at) AS last_at, bool_or(bool_or(kind = 'charge')) OVER of_payment AS charged,
               bool_or(bool_or(kind = 'refund')) OVER of_payment AS refunded,
               bool_or(bool_or(kind = 'dispute')) OVER of_payment AS disputed
        FROM pair JOIN gateway_movement AS movement ON payment_id = key
        WHERE kind IN ('charge', 'refund', 'dispute') AND movement.currency <> own_currency
        GROUP BY {_PAYMENT}, movement.currency
        WINDOW of_payment AS (PARTITION BY key)
    ), exchanged AS MATERIALIZED (
        SELECT DISTINCT {_PAYMENT}, charged, refunded, disputed FROM moved
    ), said ({_PAYMENT}, currency, recorded, ledger, moved, last_at) AS (
        SELECT {_PAYMENT}, currency, NULL::bigint, NULL::bigint, amount, last_at FROM moved
        UNION ALL
        SELECT pair.*, line.currency, NULL, -line.amount_minor, NULL, NULL
        FROM pair
        JOIN ledger_entry AS entry ON entry.source = pair.transaction_id AND entry.kind = 'conversion'
        JOIN ledger_line AS line ON line.entry_id = entry.id AND line.account = 'conversion'
        UNION ALL
        -- Of what was exchanged, what the books have in the payment's own currency: as much has to have left it.
        SELECT key, paid.transaction_id, paid.user_id, listed, held, own_currency, made_at,
               line.currency, line.amount_minor, NULL, NULL, NULL
        FROM exchanged AS paid
        JOIN ledger_entry AS entry ON entry.source = paid.transaction_id AND entry.kind = 'payment'
        JOIN ledger_line AS line ON line.entry_id = entry.id AND line.currency = own_currency
        WHERE charged AND line.account IN ('revenue', 'tax_payable')
        UNION ALL
        SELECT key, paid.transaction_id, paid.user_id, listed, held, own_currency, made_at,
               line.currency, CASE entry.kind WHEN 'refund' THEN -line.amount_minor ELSE line.amount_minor END,
               NULL, NULL, NULL
        FROM exchanged AS paid
        JOIN ledger_entry AS entry ON entry.transaction_id = paid.transaction_id
        JOIN ledger_line AS line ON line.entry_id = entry.id AND line.currency = own_currency
        WHERE refunded AND entry.kind = 'refund' AND line.account = 'gateway_clearing'
           OR disputed AND entry.kind = 'dispute' AND line.account IN ('disputed_funds', 'dispute_losses')
    ), added AS (
        SELECT {_PAYMENT}, currency, coalesce(sum(recorded), 0)::bigint AS recorded,
               coalesce(sum(ledger), 0)::bigint AS ledger, coalesce(sum(moved), 0)::bigint AS moved,
               max(last_at) AS last_at, bool_or(bool_or(ledger IS NOT NULL)) OVER (PARTITION BY key) AS is_booked
        FROM said GROUP BY {_PAYMENT}, currency
    )
    INSERT INTO money_fact
    SELECT 'payment', key, 'conversion', currency, NULL, CASE WHEN currency = own_currency THEN recorded END, ledger,
           listed, held, coalesce(last_at > %(settled)s, false), false, coalesce(made_at, last_at),
           transaction_id, user_id, NULL, NULL, CASE WHEN currency <> own_currency THEN moved END, true
    FROM added WHERE currency <> own_currency OR is_booked
"""  # noqa: S608 (columns from above)

_MOVED = text(
    """
    SELECT paid.id, paid.currency AS own, movement.kind, movement.currency,
           (sum(amount_minor) + round(sum(residue) / 1e8))::bigint AS amount, max(posted_at) AS last_at
    FROM payment_transaction AS paid JOIN gateway_movement AS movement ON payment_id = whop_payment_id
    WHERE whop_payment_id = :payment AND movement.kind IN ('charge', 'refund', 'dispute')
    GROUP BY 1, 2, 3, 4
    """
)
_ABOUT: Final = {
    MovementKind.CHARGE: EntryKind.PAYMENT,
    MovementKind.REFUND: EntryKind.REFUND,
    MovementKind.DISPUTE: EntryKind.DISPUTE,
}


async def exchange_of(unit: UnitOfWork, payment_id: str, cause: str) -> Exchange | None:
    """What the gateway has exchanged of a payment of its own id; None where that is not one thing: it moved in several
    other currencies, or in the payment's own as well."""
    rows = (await (await unit.connection()).execute(_MOVED, {"payment": payment_id})).all()
    by_currency: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_currency[row.currency].append(row)
    stayed = {row.kind for row in by_currency.pop(rows[0].own, [])} if rows else set()
    if len(by_currency) != 1:
        return None
    ((currency, moved),) = by_currency.items()
    if stayed & {row.kind for row in moved}:
        return None
    return Exchange(
        transaction_id=moved[0].id,
        currency=currency,
        moved={_ABOUT[MovementKind(row.kind)]: row.amount for row in moved},
        occurred_at=max(row.last_at for row in moved),
        cause=cause,
    )
