"""A million customers, each with a subscription, and what follows them through their life, none of it due today."""

import psycopg

ROWS = 1_000_000
BIG_ENOUGH = 1_000
"""A table of more rows than this should never be read from end to end."""

_NUMBERS = "FROM generate_series(1, {rows}) AS g"
_SOON = "now() + interval '1 day' + (g % 2500000) * interval '1 second'"

# Of a hundred customers three are on trial, four are past due, two pause; everybody once came through a checkout.
_FILL = (
    f"INSERT INTO app_user (id, created_at) SELECT 'usr_' || g, now() {_NUMBERS}",
    f"""
    INSERT INTO subscription (id, user_id, plan_id, status, whop_membership_id, checkout_id, started_at, period_start,
                              period_end, trial_end, grace_until, renewal_price_minor, currency, renewal_check_at,
                              created_at, updated_at)
    SELECT 'sub_' || g, 'usr_' || g, (SELECT id FROM plan WHERE code = 'monthly'),
           CASE WHEN g % 100 < 3 THEN 'trialing' WHEN g % 100 < 7 THEN 'past_due' WHEN g % 100 < 9 THEN 'paused'
                ELSE 'active' END,
           'mem_' || g, 'chk_' || g, now() - interval '90 days', now() - interval '3 days', {_SOON},
           CASE WHEN g % 100 < 3 THEN {_SOON} END,
           CASE WHEN g % 100 BETWEEN 3 AND 6 THEN {_SOON} END, 2900, 'usd',
           CASE WHEN g % 100 NOT BETWEEN 3 AND 8 THEN {_SOON} + interval '6 hours' END,
           now() - interval '90 days', now() - interval '3 days'
    {_NUMBERS}
    """,
    """
    INSERT INTO subscription_membership (whop_membership_id, subscription_id, user_id, plan_id, whop_plan_id,
                                         whop_member_id, status, raw_status, cancel_at_period_end, paused, period_end,
                                         gateway_created_at, gateway_updated_at, first_seen_at)
    SELECT whop_membership_id, id, user_id, plan_id, 'plan_benchmonthly', 'mber_' || substr(id, 5),
           CASE status WHEN 'paused' THEN 'active' ELSE status END,
           CASE status WHEN 'paused' THEN 'active' ELSE status END, false, status = 'paused', period_end,
           started_at, updated_at, created_at
    FROM subscription
    """,
    """
    INSERT INTO checkout_intent (id, user_id, plan_id, state, price_minor, currency, created_at, expires_at)
    SELECT checkout_id, user_id, plan_id, CASE WHEN substr(id, 5)::bigint % 50 = 0 THEN 'open' ELSE 'completed' END,
           2900, 'usd', now() - interval '1 hour', now() + interval '23 hours'
    FROM subscription
    """,
    """
    INSERT INTO dunning_case (id, user_id, subscription_id, plan_id, transaction_id, whop_payment_id,
                              whop_membership_id, state, currency, decline_class, opened_at, last_failed_at,
                              grace_until, next_due_at, closed_at, updated_at)
    SELECT 'dun_' || id || c, user_id, id, plan_id, 'txn_' || id || c, 'pay_' || id || c, whop_membership_id,
           CASE WHEN c = 0 AND status = 'past_due' THEN 'open' ELSE 'recovered' END, 'usd', 'soft',
           now() - interval '3 days', now() - interval '3 days', grace_until,
           CASE WHEN c = 0 AND status = 'past_due' THEN period_end ELSE now() - interval '40 days' END,
           CASE WHEN c = 0 AND status = 'past_due' THEN NULL ELSE now() - interval '35 days' END, now()
    FROM subscription, generate_series(0, 3) AS c WHERE status = 'past_due' OR substr(id, 5)::bigint % 20 = 0
    """,
    f"""
    INSERT INTO process (id, kind, subject_id, user_id, state, step, data, waiting, due_at, created_at, updated_at,
                         ended_at)
    SELECT 'prc_' || g, 'plan_change', 'sub_' || g, 'usr_' || g, CASE WHEN g % 10 = 0 THEN 'running' ELSE 'done' END,
           'wait', '{{}}', g % 10 = 0, CASE WHEN g % 10 = 0 THEN {_SOON} ELSE now() - interval '9 days' END,
           now() - interval '10 days', now() - interval '10 days',
           CASE WHEN g % 10 = 0 THEN NULL ELSE now() - interval '9 days' END
    FROM generate_series(1, {{rows}} / 2) AS g
    """,
    """
    INSERT INTO trial (whop_membership_id, subscription_id, user_id, plan_id, state, started_at, trial_end, remind_at)
    SELECT whop_membership_id, id, user_id, plan_id, CASE status WHEN 'trialing' THEN 'running' ELSE 'converted' END,
           started_at, trial_end, CASE status WHEN 'trialing' THEN period_end - interval '8 hours' END
    FROM subscription WHERE substr(id, 5)::bigint % 3 = 0 OR status = 'trialing'
    """,
    """
    INSERT INTO pause (id, subscription_id, user_id, plan_id, whop_membership_id, state, actor, requested_at,
                       paused_at, resume_at, remind_at, check_at, ended_at)
    SELECT 'pse_' || id, id, user_id, plan_id, whop_membership_id,
           CASE status WHEN 'paused' THEN 'running' ELSE 'ended' END, 'customer:' || user_id, now(), now(), period_end,
           CASE status WHEN 'paused' THEN period_end - interval '8 hours' END,
           CASE status WHEN 'paused' THEN period_end END,
           CASE status WHEN 'paused' THEN NULL ELSE now() END
    FROM subscription WHERE status = 'paused' OR substr(id, 5)::bigint % 5 = 0
    """,
    f"""
    INSERT INTO notification (id, cause_key, user_id, kind, params, state, due_at, created_at)
    SELECT 'ntf_' || g, 'renewal_paid:' || g, 'usr_' || g, 'renewal_paid', '{{}}',
           CASE WHEN g % 500 = 0 THEN 'queued' ELSE 'sent' END,
           CASE WHEN g % 500 = 0 THEN now() + interval '1 day' ELSE now() END, now()
    {_NUMBERS}
    """,
)


def fill(database_url: str, rows: int = ROWS) -> None:
    """Fills a migrated database that has a catalogue."""
    with psycopg.connect(database_url) as connection:
        # The rows are known to fit; checking their foreign keys would only take time.
        connection.execute("SET session_replication_role = replica")
        for statement in _FILL:
            connection.execute(statement.replace("{rows}", str(int(rows))))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
