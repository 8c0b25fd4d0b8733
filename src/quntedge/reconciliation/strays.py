"""Entries of the ledger that nothing accounts for: about what does not exist, or on accounts their kind has none of.

They are looked for by themselves, because no payment, refund, dispute or payout would ever lead to them.
"""

from typing import Final

from quntedge.bookkeeping.positions import ACCOUNTS_OF

ALLOWED: Final = [f"{kind} {account}" for kind, accounts in ACCOUNTS_OF.items() for account in accounts]
"""Each kind of entry with each account it may touch, as the statements below compare them."""

# An adjustment or a rounding is posted once, about the difference that it settles.
_FOUNDED: Final = """
    CASE WHEN entry.kind IN ('payment', 'fee', 'conversion')
         THEN EXISTS (SELECT FROM payment_transaction AS known WHERE known.id = entry.source)
         WHEN entry.kind = 'refund' THEN EXISTS (SELECT FROM refund AS known WHERE known.id = entry.source)
         WHEN entry.kind = 'dispute'
         THEN EXISTS (SELECT FROM dispute AS known WHERE known.id = entry.source)
              OR EXISTS (SELECT FROM dispute_alert AS known WHERE known.id = entry.source)
         WHEN entry.kind = 'payout'
         THEN EXISTS (SELECT FROM gateway_record AS known WHERE known.id = entry.source AND known.kind = 'payout')
         ELSE entry.sequence = 0
              AND EXISTS (SELECT FROM money_difference AS known
                          WHERE known.id = entry.source AND known.resolution = 'adjusted') END
"""

# Only the lines of an account can be asked by time. Those of four are left out, of which every payment has some: an
# entry that has no other lines is held against its payment, or is about something and looked at by `ledger verify`.
KEYS: Final = f"""
    INSERT INTO money_key
    SELECT DISTINCT 'entry', entry.source
    FROM (SELECT code, currency
          FROM ledger_account,
               (SELECT currency FROM ledger_daily UNION
                SELECT currency FROM ledger_pending JOIN ledger_line USING (entry_id)) AS used
          WHERE code NOT IN ('revenue', 'tax_payable', 'gateway_fees', 'tax_remitted')) AS account
    JOIN ledger_line AS line ON line.account = account.code AND line.currency = account.currency
                            AND line.occurred_at >= %(since)s AND line.occurred_at < %(until)s
    JOIN ledger_entry AS entry ON entry.id = line.entry_id
    WHERE entry.kind || ' ' || line.account <> ALL(%(allowed)s::text[]) OR NOT {_FOUNDED}
"""  # noqa: S608 (a condition from above)

FACTS: Final = f"""
    WITH stray AS (
        SELECT entry.id, entry.kind, entry.source
        FROM money_key AS keys JOIN ledger_entry AS entry ON entry.source = keys.id
        WHERE keys.kind = 'entry'
          AND (NOT {_FOUNDED}
               OR EXISTS (SELECT FROM ledger_line AS line
                          WHERE line.entry_id = entry.id
                            AND entry.kind || ' ' || line.account <> ALL(%(allowed)s::text[])))
    ), stands AS (
        SELECT stray.kind, stray.source, line.account, line.currency, sum(line.amount_minor) AS amount,
               min(line.occurred_at) AS occurred_at
        FROM stray JOIN ledger_line AS line ON line.entry_id = stray.id
        GROUP BY 1, 2, 3, 4
    )
    INSERT INTO money_fact
    SELECT max(kind), source, CASE max(kind) WHEN 'payment' THEN 'charge' WHEN 'refund' THEN 'refund' ELSE 'other' END,
           currency, 0, NULL, sum(greatest(amount, 0))::bigint, false, false, false, false, min(occurred_at),
           NULL, NULL, NULL, NULL
    FROM stands
    GROUP BY source, currency
    HAVING sum(greatest(amount, 0)) > 0
"""  # noqa: S608 (a condition from above)
