"""The three sides side by side, in SQL: one row for each object, measure and currency of a slice of time.

Each comparison fills a temporary table of its own transaction, from which sums and differences are read. Everything is
joined by indexes over the slice's objects; nothing is held in memory here.
"""

from typing import Final

CREATE: Final = """
    CREATE TEMPORARY TABLE money_fact (
        object_kind text NOT NULL, object_id text NOT NULL, measure text NOT NULL, currency text NOT NULL,
        gateway bigint, recorded bigint, ledger bigint,
        listed boolean NOT NULL, held boolean NOT NULL, fresh boolean NOT NULL, finer boolean NOT NULL,
        occurred_at timestamptz NOT NULL, transaction_id text, user_id text, gateway_status text, recorded_status text
    ) ON COMMIT DROP
"""

# What each side says of a payment is collected in `said`, one row for each thing said, and added up by object, measure
# and currency. A side that says nothing of something has nothing of it, unless it does not tell (`*_told`).
PAYMENTS: Final = """
    WITH keys AS (
        SELECT id FROM gateway_record
        WHERE kind = 'payment' AND occurred_at >= %(since)s AND occurred_at < %(until)s
        UNION ALL
        SELECT whop_payment_id FROM payment_transaction AS ours
        WHERE occurred_at >= %(since)s AND occurred_at < %(until)s
          AND NOT EXISTS (SELECT FROM gateway_record WHERE id = ours.whop_payment_id)
    ), pair AS MATERIALIZED (
        SELECT keys.id AS key, ours.id AS transaction_id, ours.user_id,
               coalesce(theirs.seen_at >= %(started)s, false) AS listed, ours.id IS NOT NULL AS held,
               coalesce(theirs.counted AND theirs.seen_at >= %(started)s, false) AS paid_there,
               coalesce(ours.status IN ('paid', 'partially_refunded', 'refunded'), false) AS paid_here,
               theirs.currency AS their_currency, theirs.amount_minor AS their_amount, theirs.tax_minor AS their_tax,
               theirs.status AS their_status, theirs.settled_at,
               ours.currency AS our_currency, ours.total_minor, ours.tax_minor, ours.fee_minor, ours.raw_status,
               coalesce(theirs.occurred_at, ours.occurred_at) AS occurred_at,
               coalesce(theirs.gateway_updated_at > %(settled)s, false)
               OR coalesce(ours.gateway_updated_at > theirs.gateway_updated_at, false)
               OR theirs.id IS NULL AND ours.occurred_at > %(settled)s AS fresh
        FROM keys
        LEFT JOIN gateway_record AS theirs ON theirs.id = keys.id
        LEFT JOIN payment_transaction AS ours ON ours.whop_payment_id = keys.id
    ), moved AS MATERIALIZED (
        SELECT payment_id AS key, kind, currency, sum(amount_minor) AS whole, sum(residue) AS rest
        FROM gateway_movement JOIN pair ON pair.key = payment_id
        GROUP BY 1, 2, 3
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
    ), said (key, measure, currency, gateway, recorded, ledger, rest) AS (
        SELECT key, 'charge', their_currency, their_amount, 0, 0, 0 FROM pair WHERE paid_there
        UNION ALL SELECT key, 'tax', their_currency, their_tax, 0, 0, 0 FROM pair WHERE paid_there AND their_tax <> 0
        UNION ALL SELECT key, 'fee', currency, -whole - round(rest / 1e8), 0, 0, abs(rest)
                  FROM moved WHERE kind IN ('fee', 'tax')
        UNION ALL SELECT key, kind, currency, -whole - round(rest / 1e8), 0, 0, abs(rest)
                  FROM moved WHERE kind IN ('dispute', 'dispute_fee')
        UNION ALL SELECT key, 'charge', our_currency, 0, total_minor, 0, 0 FROM pair WHERE paid_here
        UNION ALL SELECT key, 'tax', our_currency, 0, tax_minor, 0, 0 FROM pair WHERE paid_here AND tax_minor <> 0
        UNION ALL SELECT key, 'fee', our_currency, 0, fee_minor, 0, 0 FROM pair WHERE paid_here
        UNION ALL SELECT key, measure, currency, 0, amount, 0, 0 FROM contested
        UNION ALL SELECT key, 'charge', currency, 0, 0, -amount, 0
                  FROM booked WHERE kind <> 'dispute' AND account IN ('revenue', 'tax_payable')
        UNION ALL SELECT key, 'tax', currency, 0, 0, -amount, 0
                  FROM booked WHERE kind <> 'dispute' AND account = 'tax_payable'
        UNION ALL SELECT key, 'fee', currency, 0, 0, amount, 0
                  FROM booked WHERE kind <> 'dispute' AND account IN ('gateway_fees', 'tax_remitted')
        UNION ALL SELECT key, 'dispute', currency, 0, 0, amount, 0
                  FROM booked WHERE account IN ('disputed_funds', 'dispute_losses')
        UNION ALL SELECT key, 'dispute_fee', currency, 0, 0, amount, 0 FROM booked WHERE account = 'dispute_fees'
    ), added AS (
        SELECT key, measure, currency, sum(gateway)::bigint AS gateway, sum(recorded)::bigint AS recorded,
               sum(ledger)::bigint AS ledger, sum(rest) <> 0 AS finer
        FROM said GROUP BY 1, 2, 3
    )
    INSERT INTO money_fact
    SELECT 'payment', key, measure, currency,
           CASE WHEN measure IN ('charge', 'tax') OR NOT listed THEN gateway
                WHEN NOT %(feed)s THEN NULL
                WHEN measure = 'fee' AND NOT EXISTS (SELECT FROM moved WHERE moved.key = pair.key)
                     AND settled_at > %(fees_settled)s THEN NULL
                ELSE gateway END,
           CASE WHEN measure = 'fee' AND held AND fee_minor IS NULL THEN NULL ELSE recorded END,
           ledger, listed, held, fresh, finer, occurred_at, transaction_id, user_id, their_status, raw_status
    FROM added JOIN pair USING (key)
    UNION ALL
    SELECT 'payment', key, 'status', their_currency, NULL, NULL, NULL, listed, held, fresh, false, occurred_at,
           transaction_id, user_id, their_status, raw_status
    FROM pair WHERE listed AND held AND paid_there = paid_here AND their_status <> raw_status
"""

REFUNDS: Final = """
    WITH keys AS (
        SELECT id FROM gateway_record
        WHERE kind = 'refund' AND occurred_at >= %(since)s AND occurred_at < %(until)s
        UNION ALL
        SELECT whop_refund_id FROM refund AS ours
        WHERE occurred_at >= %(since)s AND occurred_at < %(until)s AND whop_refund_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM gateway_record WHERE id = ours.whop_refund_id)
    ), pair AS MATERIALIZED (
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
        FROM keys
        LEFT JOIN gateway_record AS theirs ON theirs.id = keys.id
        LEFT JOIN refund AS ours ON ours.whop_refund_id = keys.id
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

PAYOUTS: Final = """
    WITH theirs AS MATERIALIZED (
        SELECT id AS key, currency, status, occurred_at, seen_at >= %(started)s AS listed,
               CASE WHEN counted THEN amount_minor ELSE 0 END AS amount,
               CASE WHEN counted THEN fee_minor ELSE 0 END AS fee
        FROM gateway_record
        WHERE kind = 'payout' AND occurred_at >= %(since)s AND occurred_at < %(until)s
    ), said (key, measure, currency, gateway, ledger) AS (
        SELECT key, 'payout', currency, amount, 0 FROM theirs WHERE listed
        UNION ALL SELECT key, 'payout_fee', currency, fee, 0 FROM theirs WHERE listed AND fee <> 0
        UNION ALL SELECT key, CASE WHEN account = 'payout_fees' THEN 'payout_fee' ELSE 'payout' END,
                         ledger_line.currency, 0, amount_minor
                  FROM theirs
                  JOIN ledger_entry AS entry ON entry.source = key AND entry.kind = 'payout'
                  JOIN ledger_line ON ledger_line.entry_id = entry.id
                  -- What has arrived must not stand as under way.
                  WHERE account IN ('bank', 'payout_fees') OR account = 'payout_in_transit' AND status <> 'completed'
    )
    INSERT INTO money_fact
    SELECT 'payout', key, measure, said.currency, sum(gateway)::bigint, NULL, sum(ledger)::bigint, listed, false, false,
           false, occurred_at, NULL, NULL, status, NULL
    FROM said JOIN theirs USING (key)
    GROUP BY key, measure, said.currency, listed, occurred_at, status
"""

# Movements that belong to no payment and are none of a payout, or of a kind nobody has assigned: nothing else would
# ever show them.
MOVEMENTS: Final = """
    INSERT INTO money_fact
    SELECT 'movement', id, 'other', currency, amount_minor, NULL, 0, true, false, posted_at > %(settled)s, residue <> 0,
           posted_at, NULL, NULL, line_type, NULL
    FROM gateway_movement
    WHERE (payment_id IS NULL OR kind = 'other') AND kind NOT IN ('payout', 'payout_fee')
      AND posted_at >= %(since)s AND posted_at < %(until)s
"""

# Entries for something that is not there (any more): only the lines of an account can be asked by time.
ORPHANS: Final = """
    INSERT INTO money_fact
    SELECT entry.kind, entry.source, CASE entry.kind WHEN 'payment' THEN 'charge' ELSE 'refund' END, line.currency,
           0, 0, sum(line.amount_minor)::bigint, false, false, false, false,
           min(line.occurred_at), NULL, NULL, NULL, NULL
    FROM (SELECT DISTINCT currency FROM ledger_daily WHERE account = 'gateway_clearing') AS held
    JOIN ledger_line AS line ON line.account = 'gateway_clearing' AND line.currency = held.currency
                            AND line.occurred_at >= %(since)s AND line.occurred_at < %(until)s
    JOIN ledger_entry AS entry ON entry.id = line.entry_id
    WHERE entry.kind = 'payment' AND NOT EXISTS (SELECT FROM payment_transaction WHERE id = entry.source)
       OR entry.kind = 'refund' AND NOT EXISTS (SELECT FROM refund WHERE id = entry.source)
    GROUP BY entry.kind, entry.source, line.currency
    HAVING sum(line.amount_minor) <> 0
"""

ALL: Final = (PAYMENTS, REFUNDS, PAYOUTS, ORPHANS)
"""What can be told without the feed of movements."""
