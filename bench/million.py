"""A database of a product that has been busy for two years: a million rows in each of the tables that grow."""

import psycopg

from bench import money_rows

ROWS = 1_000_000

# One customer after the other gets a row, so that everybody's rows are spread over the whole table, as they would be.
_HISTORY = """
    CREATE TEMPORARY TABLE history AS
    SELECT g, lpad(to_hex(g), 26, '0') AS tail, s.id AS subscription_id, s.user_id, s.plan_id, s.whop_membership_id,
           now() - interval '700 days' + g * interval '60 seconds' AS at
    FROM generate_series(1, {rows}) AS g
    JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place FROM subscription) AS s
      ON s.place = g % (SELECT count(*) FROM subscription)
"""
_FILL = (
    """
    INSERT INTO webhook_event (id, webhook_id, event_type, ordering_key, account_id, state, due_at, occurred_at,
                               received_at, processed_at, outcome)
    SELECT 'whe_' || tail, 'msg_old' || g, 'payment.succeeded', whop_membership_id, NULL,
           CASE WHEN g % 5000 = 0 THEN 'retrying' WHEN g % 7001 = 0 THEN 'dead' ELSE 'processed' END,
           CASE WHEN g % 5000 = 0 THEN now() + interval '1 hour' ELSE at END, at, at, at, 'applied'
    FROM history
    """,
    """
    INSERT INTO payment_transaction (id, user_id, subscription_id, plan_id, whop_payment_id, whop_membership_id, status,
                                     raw_status, billing_reason, currency, subtotal_minor, total_minor, paid_at,
                                     occurred_at, gateway_updated_at, created_at, updated_at)
    SELECT 'txn_' || tail, user_id, subscription_id, plan_id, 'pay_old' || g, whop_membership_id, 'paid', 'paid',
           'subscription_cycle', 'usd', 2900, 2900, at, at, at, at, at
    FROM history
    """,
    """
    INSERT INTO invoice (id, number, user_id, subscription_id, transaction_id, plan_id, whop_payment_id, status,
                         currency, subtotal_minor, total_minor, issued_at, paid_at, created_at, updated_at,
                         legal_entity_id, billing_profile_id, locale)
    SELECT 'inv_' || tail, 'OLD-' || g, user_id, subscription_id, 'txn_' || tail, plan_id, 'pay_old' || g, 'paid',
           'usd', 2900, 2900, at, at, at, at, CASE WHEN g % 100 > 0 THEN 'len_old' END,
           CASE WHEN g % 100 > 0 THEN 'bpr_old' END, CASE WHEN g % 100 > 0 THEN 'en' END
    FROM history
    """,
    """
    INSERT INTO subscription_event (id, subscription_id, version, user_id, kind, actor, cause, before, after, at)
    SELECT 'sev_' || tail, subscription_id, row_number() OVER (PARTITION BY subscription_id ORDER BY g), user_id,
           'subscription.renewed', 'whop', 'msg_old' || g, '{"status": "active"}', '{"status": "active"}', at
    FROM history
    """,
    """
    UPDATE subscription AS s SET version = e.version
    FROM (SELECT subscription_id, max(version) AS version FROM subscription_event GROUP BY subscription_id) AS e
    WHERE e.subscription_id = s.id
    """,
    """
    INSERT INTO notification (id, cause_key, user_id, kind, params, state, due_at, created_at, sent_at)
    SELECT 'ntf_' || tail, 'renewal_paid:old' || g, user_id, 'renewal_paid', '{}',
           CASE WHEN g % 5000 = 0 THEN 'queued' ELSE 'sent' END, at, at, at
    FROM history
    """,
)


def fill(database_url: str, rows: int = ROWS) -> None:
    """Gives a seeded database its past."""
    with psycopg.connect(database_url) as connection:
        # The rows are known to fit; checking five million foreign keys would only take time.
        connection.execute("SET session_replication_role = replica")
        connection.execute(_HISTORY.format(rows=int(rows)))
        for statement in (*_FILL, *money_rows.FILL):
            connection.execute(statement)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
