"""The three sides side by side, in SQL: one row for each object, measure and currency of what is compared.

Each comparison fills temporary tables of its own transaction: first the keys of the objects, those of a slice of time
or those that a run chose among older ones, then what each side says of them, from which sums and differences are read.
Everything is joined by indexes over the keys; nothing is held in memory here.
"""

from typing import Final

from quntedge.reconciliation import exchanged, strays

CREATE: Final = """
    CREATE TEMPORARY TABLE money_fact (
        object_kind text NOT NULL, object_id text NOT NULL, measure text NOT NULL, currency text NOT NULL,
        gateway bigint, recorded bigint, ledger bigint,
        listed boolean NOT NULL, held boolean NOT NULL, fresh boolean NOT NULL, finer boolean NOT NULL,
        occurred_at timestamptz NOT NULL, transaction_id text, user_id text, gateway_status text, recorded_status text,
        moved bigint, converted boolean NOT NULL DEFAULT false
    ) ON COMMIT DROP
"""

CREATE_KEYS: Final = """
    CREATE TEMPORARY TABLE money_key (kind text NOT NULL, id text NOT NULL, PRIMARY KEY (kind, id)) ON COMMIT DROP
"""

# What either side made in this time, by the gateway's ids.
KEYS_MADE: Final = """
    INSERT INTO money_key
    SELECT kind, id FROM gateway_record WHERE occurred_at >= %(since)s AND occurred_at < %(until)s AND kind = 'payment'
    UNION ALL
    SELECT kind, id FROM gateway_record WHERE occurred_at >= %(since)s AND occurred_at < %(until)s AND kind = 'refund'
    UNION ALL
    SELECT kind, id FROM gateway_record WHERE occurred_at >= %(since)s AND occurred_at < %(until)s AND kind = 'payout'
    UNION ALL
    SELECT 'payment', whop_payment_id FROM payment_transaction AS ours
    WHERE occurred_at >= %(since)s AND occurred_at < %(until)s
      AND NOT EXISTS (SELECT FROM gateway_record WHERE id = ours.whop_payment_id)
    UNION ALL
    SELECT 'refund', whop_refund_id FROM refund AS ours
    WHERE occurred_at >= %(since)s AND occurred_at < %(until)s AND whop_refund_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM gateway_record WHERE id = ours.whop_refund_id)
    UNION ALL
    SELECT 'movement', id FROM gateway_movement
    WHERE (payment_id IS NULL OR kind = 'other') AND posted_at >= %(since)s AND posted_at < %(until)s
"""

KEYS_OF_SLICE: Final = (KEYS_MADE, strays.KEYS)

KEYS_OF_OLDER: Final = """
    INSERT INTO money_key
    SELECT object_kind, object_id FROM reconciliation_older WHERE run_id = %(run)s
    UNION
    SELECT 'refund', refund.id
    FROM reconciliation_older AS older JOIN gateway_record AS refund ON refund.payment_id = older.object_id
    WHERE older.run_id = %(run)s AND older.object_kind = 'payment' AND refund.kind = 'refund'
"""

# What each side says of a payment is collected in `said`, one row for each thing said, and added up by object, measure
# and currency. A side that says nothing of something has nothing of it, unless it does not tell (`*_told`). What moved
# in another currency than the payment's is not among it: that was exchanged (`exchanged`).
PAYMENTS: Final = """
    WITH pair AS MATERIALIZED (
        SELECT keys.id AS key, ours.id AS transaction_id, ours.user_id,
               coalesce(theirs.seen_at >= %(started)s, false) AS listed, ours.id IS NOT NULL AS held,
               coalesce(theirs.counted AND theirs.seen_at >= %(started)s, false) AS paid_there,
               coalesce(ours.status IN ('paid', 'partially_refunded', 'refunded'), false) AS paid_here,
               theirs.currency AS their_currency, theirs.amount_minor AS their_amount, theirs.tax_minor AS their_tax,
               theirs.status AS their_status, theirs.settled_at,
               ours.currency AS our_currency, ours.total_minor, ours.tax_minor, ours.fee_minor, ours.raw_status,
               coalesce(ours.currency, theirs.currency) AS own_currency,
               coalesce(theirs.occurred_at, ours.occurred_at) AS occurred_at,
               coalesce(theirs.gateway_updated_at > %(settled)s, false)
               OR coalesce(ours.gateway_updated_at > theirs.gateway_updated_at, false)
               OR theirs.id IS NULL AND ours.occurred_at > %(settled)s AS fresh
        FROM money_key AS keys
        LEFT JOIN gateway_record AS theirs ON theirs.id = keys.id
        LEFT JOIN payment_transaction AS ours ON ours.whop_payment_id = keys.id
        WHERE keys.kind = 'payment'
    ), moved AS MATERIALIZED (
        SELECT payment_id AS key, kind, currency, sum(amount_minor) AS whole, sum(residue) AS rest,
               currency <> own_currency AS converted, max(posted_at) AS last_at
        FROM gateway_movement JOIN pair ON pair.key = payment_id
        WHERE kind <> 'other'
        GROUP BY 1, 2, 3, own_currency
    ), news AS MATERIALIZED (
        -- In which of its currencies the gateway's ledger speaks of a payment, and when it last did.
        SELECT key, max(last_at) AS last_at, min(last_at) AS first_at,
               max(last_at) FILTER (WHERE kind = 'charge') AS charged_at,
               coalesce(bool_or(converted) FILTER (WHERE kind = 'charge'), false) AS charge_converted,
               coalesce(bool_or(converted) FILTER (WHERE kind = 'dispute'), false) AS dispute_converted,
               coalesce(bool_or(converted) FILTER (WHERE kind IN ('fee', 'tax')), false) AS fee_converted
        FROM moved GROUP BY 1
    ), booked AS MATERIALIZED (
        SELECT key, entry.kind, account, currency, sum(amount_minor) AS amount
        FROM pair
        JOIN ledger_entry AS entry ON entry.source = pair.transaction_id
        JOIN ledger_line ON ledger_line.entry_id = entry.id
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT key, entry.kind, account, currency, sum(amount_minor)
        FROM pair
        JOIN ledger_entry AS entry ON entry.transaction_id = pair.transaction_id AND entry.kind = 'dispute'
        JOIN ledger_line ON ledger_line.entry_id = entry.id
        GROUP BY 1, 2, 3, 4
    ), contested AS MATERIALIZED (
        SELECT key, 'dispute' AS measure, of.currency, sum(of.withdrawn_minor) AS amount
        FROM pair JOIN dispute AS of USING (transaction_id) GROUP BY 1, 3
        UNION ALL
        SELECT key, 'dispute_fee', of.fee_currency, sum(of.fee_minor)
        FROM pair JOIN dispute AS of USING (transaction_id) WHERE of.fee_minor > 0 GROUP BY 1, 3
        UNION ALL
        SELECT key, 'dispute_fee', of.fee_currency, sum(of.fee_minor)
        FROM pair JOIN dispute_alert AS of USING (transaction_id) WHERE of.fee_minor > 0 GROUP BY 1, 3
    ), said (key, measure, currency, gateway, recorded, ledger, moved, rest) AS (
        SELECT key, 'charge', their_currency, their_amount, 0, 0, 0, 0 FROM pair WHERE paid_there
        UNION ALL SELECT key, 'tax', their_currency, their_tax, 0, 0, 0, 0 FROM pair WHERE paid_there AND their_tax <> 0
        UNION ALL SELECT key, 'fee', currency, -whole - round(rest / 1e8), 0, 0, 0, abs(rest)
                  FROM moved WHERE kind IN ('fee', 'tax')
        UNION ALL SELECT key, kind, currency, -whole - round(rest / 1e8), 0, 0, -whole - round(rest / 1e8), abs(rest)
                  FROM moved WHERE kind = 'dispute_fee' OR kind = 'dispute' AND converted IS NOT TRUE
        UNION ALL SELECT key, 'charge', currency, 0, 0, 0, whole + round(rest / 1e8), abs(rest)
                  FROM moved WHERE kind = 'charge' AND converted IS NOT TRUE
        UNION ALL SELECT key, 'charge', our_currency, 0, total_minor, 0, 0, 0 FROM pair WHERE paid_here
        UNION ALL SELECT key, 'tax', our_currency, 0, tax_minor, 0, 0, 0 FROM pair WHERE paid_here AND tax_minor <> 0
        UNION ALL SELECT key, 'fee', our_currency, 0, fee_minor, 0, 0, 0 FROM pair WHERE paid_here
        UNION ALL SELECT key, measure, currency, 0, amount, 0, 0, 0 FROM contested
        UNION ALL SELECT key, 'charge', currency, 0, 0, -amount, 0, 0
                  FROM booked WHERE kind <> 'dispute' AND account IN ('revenue', 'tax_payable')
        UNION ALL SELECT key, 'tax', currency, 0, 0, -amount, 0, 0
                  FROM booked WHERE kind <> 'dispute' AND account = 'tax_payable'
        UNION ALL SELECT key, 'fee', currency, 0, 0, amount, 0, 0
                  FROM booked WHERE kind <> 'dispute' AND account IN ('gateway_fees', 'tax_remitted')
        UNION ALL SELECT key, 'dispute', currency, 0, 0, amount, 0, 0
                  FROM booked WHERE account IN ('disputed_funds', 'dispute_losses')
        UNION ALL SELECT key, 'dispute_fee', currency, 0, 0, amount, 0, 0 FROM booked WHERE account = 'dispute_fees'
    ), added AS (
        SELECT key, measure, currency, sum(gateway)::bigint AS gateway, sum(recorded)::bigint AS recorded,
               sum(ledger)::bigint AS ledger, sum(moved)::bigint AS moved, sum(rest) <> 0 AS finer
        FROM said GROUP BY 1, 2, 3
    ), judged AS (
        SELECT pair.*, measure, currency, gateway, recorded, ledger, moved, finer,
               -- All of it moved in another currency, and nothing in this one.
               coalesce(measure = 'charge' AND charge_converted OR measure = 'dispute' AND dispute_converted, false)
               AND moved = 0 AS exchanged,
               coalesce(fee_converted, false) AS fee_converted, last_at, first_at, charged_at,
               last_at IS NOT NULL OR settled_at <= %(fees_settled)s OR NOT paid_there AS is_told
        FROM added JOIN pair USING (key) LEFT JOIN news USING (key)
    )
    INSERT INTO money_fact
    SELECT 'payment', key, measure, currency,
           CASE WHEN measure IN ('charge', 'tax') OR NOT listed THEN gateway
                WHEN NOT %(feed)s OR measure = 'dispute' AND exchanged THEN NULL
                WHEN measure = 'fee' AND last_at IS NULL AND settled_at > %(fees_settled)s THEN NULL
                ELSE gateway END,
           CASE -- What is left of a payment tells its fees only where all of them are in its currency.
                WHEN measure = 'fee' AND held AND (fee_minor IS NULL OR fee_converted OR currency <> own_currency)
                THEN NULL
                ELSE recorded END,
           ledger, listed, held, fresh OR measure = 'charge' AND coalesce(charged_at > %(settled)s, false), finer,
           coalesce(occurred_at, first_at), transaction_id, user_id, their_status, raw_status,
           CASE WHEN %(feed)s AND measure = 'charge' AND (listed OR NOT held) AND NOT exchanged AND is_told
                THEN moved END,
           false
    FROM judged
    UNION ALL
    SELECT 'payment', key, 'status', their_currency, NULL, NULL, NULL, listed, held, fresh, false, occurred_at,
           transaction_id, user_id, their_status, raw_status, NULL, false
    FROM pair WHERE listed AND held AND paid_there = paid_here AND their_status <> raw_status
    UNION ALL
    -- The ledger counts a payment for the month in which it was collected; so has the gateway.
    SELECT 'payment', key, 'month', own_currency, NULL, NULL, NULL, listed, held, fresh, false, pair.occurred_at,
           pair.transaction_id, pair.user_id, to_char(settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'),
           to_char(entry.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), NULL, false
    FROM pair JOIN ledger_entry AS entry
      ON entry.source = pair.transaction_id AND entry.kind = 'payment' AND entry.sequence = 0
    WHERE listed AND paid_there AND paid_here
      AND date_trunc('month', settled_at AT TIME ZONE 'UTC')
          <> date_trunc('month', entry.occurred_at AT TIME ZONE 'UTC')
"""

# A movement names the payment it is about, and what else it is about only in words nobody has promised: what was given
# back is compared payment by payment. Where list and movements agree, each refund says by itself what else differs.
REFUNDED: Final = """
    WITH listed AS (
        SELECT payment_id AS key, currency, sum(amount_minor) FILTER (WHERE counted) AS amount,
               bool_or(NOT counted AND status IN ('pending', 'requires_action')) AS under_way
        FROM money_key AS keys JOIN gateway_record ON payment_id = keys.id
        WHERE keys.kind = 'payment' AND gateway_record.kind = 'refund'
        GROUP BY 1, 2
    ), moved AS (
        SELECT payment_id AS key, currency, -sum(amount_minor) - round(sum(residue) / 1e8) AS amount,
               sum(residue) <> 0 AS finer, max(posted_at) AS last_at
        FROM money_key AS keys JOIN gateway_movement ON payment_id = keys.id
        WHERE keys.kind = 'payment' AND gateway_movement.kind = 'refund'
        GROUP BY 1, 2
    ), both_sides AS (
        SELECT key, currency, coalesce(listed.amount, 0) AS listed, coalesce(moved.amount, 0)::bigint AS moved,
               coalesce(under_way, false) AS under_way, coalesce(finer, false) AS finer, last_at
        FROM listed FULL JOIN moved USING (key, currency)
    )
    INSERT INTO money_fact
    SELECT 'payment', said.key, 'refund', said.currency, NULL, NULL, coalesce(booked.amount, 0),
           coalesce(theirs.seen_at >= %(started)s, false), ours.id IS NOT NULL,
           said.under_way OR coalesce(said.last_at > %(settled)s, false)
           OR coalesce(theirs.gateway_updated_at > %(settled)s, false),
           said.finer, coalesce(theirs.occurred_at, ours.occurred_at, said.last_at),
           ours.id, ours.user_id, theirs.status, ours.raw_status, said.moved, false
    FROM both_sides AS said
    LEFT JOIN gateway_record AS theirs ON theirs.id = said.key
    LEFT JOIN payment_transaction AS ours ON ours.whop_payment_id = said.key
    LEFT JOIN LATERAL (
        SELECT -sum(amount_minor)::bigint AS amount
        FROM ledger_entry AS entry JOIN ledger_line AS line ON line.entry_id = entry.id
        WHERE entry.transaction_id = ours.id AND entry.kind = 'refund' AND line.account = 'gateway_clearing'
          AND line.currency = said.currency
    ) AS booked ON true
    WHERE said.listed <> said.moved
      -- What was given back in one currency and moved in another was exchanged, and is looked at there.
      AND said.currency = coalesce(ours.currency, theirs.currency)
      AND NOT (said.last_at IS NULL
               AND EXISTS (SELECT FROM both_sides AS other WHERE other.key = said.key AND other.last_at IS NOT NULL))
"""

REFUNDS: Final = """
    WITH pair AS MATERIALIZED (
        SELECT keys.id AS key, ours.id AS refund_id, ours.transaction_id, ours.user_id,
               coalesce(theirs.seen_at >= %(started)s, false) AS listed, ours.id IS NOT NULL AS held,
               coalesce(theirs.counted AND theirs.seen_at >= %(started)s, false) AS counted_there,
               coalesce(ours.status = 'succeeded', false) AS counted_here,
               theirs.currency AS their_currency, theirs.amount_minor AS their_amount, theirs.status AS their_status,
               ours.currency AS our_currency, ours.amount_minor AS our_amount, ours.status AS our_status,
               coalesce(theirs.occurred_at, ours.occurred_at) AS occurred_at,
               coalesce(theirs.gateway_updated_at > %(settled)s, false)
               OR coalesce(ours.gateway_updated_at > theirs.gateway_updated_at, false)
               OR theirs.id IS NULL AND ours.occurred_at > %(settled)s AS fresh
        FROM money_key AS keys
        LEFT JOIN gateway_record AS theirs ON theirs.id = keys.id
        LEFT JOIN refund AS ours ON ours.whop_refund_id = keys.id
        WHERE keys.kind = 'refund'
    ), said (key, currency, gateway, recorded, ledger) AS (
        SELECT key, their_currency, their_amount, 0, 0 FROM pair WHERE counted_there
        UNION ALL SELECT key, our_currency, 0, our_amount, 0 FROM pair WHERE counted_here
        UNION ALL SELECT key, currency, 0, 0, -amount_minor
                  FROM pair
                  JOIN ledger_entry AS entry ON entry.source = pair.refund_id
                  JOIN ledger_line ON ledger_line.entry_id = entry.id AND account = 'gateway_clearing'
    ), added AS (
        SELECT key, currency, sum(gateway)::bigint AS gateway, sum(recorded)::bigint AS recorded,
               sum(ledger)::bigint AS ledger
        FROM said GROUP BY 1, 2
    )
    INSERT INTO money_fact
    SELECT 'refund', key, 'refund', currency, gateway, recorded, ledger, listed, held, fresh, false, occurred_at,
           transaction_id, user_id, their_status, our_status
    FROM added JOIN pair USING (key)
"""

# A movement of a payout names it as its source; one that names none we know of is shown by itself.
PAYOUTS: Final = """
    WITH theirs AS MATERIALIZED (
        SELECT id AS key, currency, status, occurred_at, seen_at >= %(started)s AS listed,
               CASE WHEN counted THEN amount_minor ELSE 0 END AS amount,
               CASE WHEN counted THEN fee_minor ELSE 0 END AS fee
        FROM money_key AS keys JOIN gateway_record USING (id)
        WHERE keys.kind = 'payout'
    ), movement AS MATERIALIZED (
        SELECT key, gateway_movement.kind AS measure, gateway_movement.currency,
               -sum(amount_minor) - round(sum(residue) / 1e8) AS amount, max(posted_at) AS last_at
        FROM theirs JOIN gateway_movement ON source_id = key
        WHERE gateway_movement.kind IN ('payout', 'payout_fee')
        GROUP BY 1, 2, 3
    ), said (key, measure, currency, gateway, ledger, moved) AS (
        SELECT key, 'payout', currency, amount, 0, 0 FROM theirs WHERE listed
        UNION ALL SELECT key, 'payout_fee', currency, fee, 0, 0 FROM theirs WHERE listed AND fee <> 0
        UNION ALL SELECT key, measure, currency, 0, 0, amount FROM movement WHERE %(feed)s AND amount <> 0
        UNION ALL SELECT key, CASE WHEN account = 'payout_fees' THEN 'payout_fee' ELSE 'payout' END,
                         ledger_line.currency, 0, amount_minor, 0
                  FROM theirs
                  JOIN ledger_entry AS entry ON entry.source = key AND entry.kind = 'payout'
                  JOIN ledger_line ON ledger_line.entry_id = entry.id
                  -- What has arrived must not stand as under way.
                  WHERE account IN ('bank', 'payout_fees') OR account = 'payout_in_transit' AND status <> 'completed'
    )
    INSERT INTO money_fact
    SELECT 'payout', key, measure, said.currency, sum(gateway)::bigint, NULL, sum(ledger)::bigint, listed, false,
           coalesce(last_at > %(settled)s, false), false, occurred_at, NULL, NULL, status, NULL,
           CASE WHEN %(feed)s AND last_at IS NOT NULL THEN sum(said.moved)::bigint END, false
    FROM said JOIN theirs USING (key) LEFT JOIN (SELECT key, max(last_at) AS last_at FROM movement GROUP BY 1) AS news
      USING (key)
    GROUP BY key, measure, said.currency, listed, occurred_at, status, last_at
"""

# Movements that belong to no payment and to no payout that we know of, or are of a kind nobody has assigned: nothing
# else would ever show them.
MOVEMENTS: Final = """
    INSERT INTO money_fact
    SELECT 'movement', id, 'other', currency, amount_minor, NULL, 0, true, false, posted_at > %(settled)s, residue <> 0,
           posted_at, NULL, NULL, line_type, NULL
    FROM money_key AS keys JOIN gateway_movement AS movement USING (id)
    WHERE keys.kind = 'movement'
      AND NOT (movement.kind IN ('payout', 'payout_fee')
               AND EXISTS (SELECT FROM gateway_record AS known WHERE known.id = source_id AND known.kind = 'payout'))
"""

ALL: Final = (PAYMENTS, REFUNDS, PAYOUTS, strays.FACTS)
"""What can be told without the feed of movements."""

OF_FEED: Final = (REFUNDED, exchanged.FACTS, MOVEMENTS)
"""What only the feed tells."""
