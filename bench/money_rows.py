"""What two years of payments leave behind in the tables of money, added to the past that `bench.million` gives."""

# `history` is made by `bench.million`: a number, an id's tail, an owner and a moment for each row.
FILL = (
    """
    UPDATE payment_transaction SET status = 'failed', raw_status = 'open', paid_at = NULL
    WHERE id IN (SELECT 'txn_' || tail FROM history WHERE g % 200 = 0)
    """,
    """
    INSERT INTO payment_attempt (transaction_id, number, user_id, decline_class, at)
    SELECT 'txn_' || tail, 1, user_id, 'soft', at FROM history
    """,
    """
    INSERT INTO invoice_line (invoice_id, position, kind, label, quantity, unit_minor, amount_minor)
    SELECT 'inv_' || tail, 1, 'plan', 'Monthly', 1, 2900, 2900 FROM history WHERE g % 100 > 0
    """,
    """
    INSERT INTO refund (id, user_id, transaction_id, whop_refund_id, status, amount_minor, currency, occurred_at,
                        gateway_updated_at, created_at, updated_at, requested_by, requested_at, approval_required,
                        approved_by, approved_at)
    SELECT 'ref_' || tail, user_id, 'txn_' || tail, 'rf_old' || g,
           CASE WHEN g % 10000 = 0 THEN 'requested' ELSE 'succeeded' END, 100, 'usd', at, at, at, at,
           CASE WHEN g % 3 = 0 THEN 'staff:kim' END, CASE WHEN g % 3 = 0 THEN at END, g % 3 = 0,
           CASE WHEN g % 3 = 0 THEN 'staff:lee' END, CASE WHEN g % 3 = 0 THEN at END
    FROM history
    """,
    """
    INSERT INTO credit_note (id, number, invoice_id, user_id, refund_id, legal_entity_id, billing_profile_id, locale,
                             currency, tax_minor, total_minor, issued_at, created_at, occasion)
    SELECT 'crn_' || tail, 'OLDC-' || g, 'inv_' || tail, user_id, 'ref_' || tail, 'len_old', 'bpr_old', 'en', 'usd', 0,
           100, at, at, 1
    FROM history
    """,
    """
    INSERT INTO dispute (id, user_id, transaction_id, subscription_id, whop_dispute_id, status, raw_status, inquiry,
                         amount_minor, currency, withdrawn_minor, fee_minor, fee_currency, editable, acceptable,
                         evidence_due_at, opened_at, closed_at, gateway_updated_at, created_at, updated_at)
    SELECT 'dsp_' || tail, user_id, 'txn_' || tail, subscription_id, 'dspt_old' || g,
           CASE WHEN g % 5000 = 0 THEN 'needs_response' WHEN g % 5000 = 1 THEN 'prevented' ELSE 'won' END, 'won', false,
           2900, 'usd', 0, 1500, 'usd', false, false, at + interval '7 days', at,
           CASE WHEN g % 5000 > 0 THEN at + interval '30 days' END, at, at, at
    FROM history
    """,
    """
    INSERT INTO dispute_alert (id, user_id, transaction_id, whop_alert_id, kind, raw_kind, amount_minor, currency,
                               auto_refunded, fee_charged, fee_minor, fee_currency, occurred_at, created_at, updated_at)
    SELECT 'dpa_' || tail, user_id, 'txn_' || tail, 'dspa_old' || g, 'dispute_alert', 'dispute_alert', 2900, 'usd',
           true, true, 2900, 'usd', at, at, at
    FROM history
    """,
    """
    INSERT INTO fee_awaited (source, due_at, noted_at, tries)
    SELECT 'txn_' || tail, now() + CASE WHEN g % 1000 = 0 THEN - interval '1 hour' ELSE interval '1 hour' END,
           at, 0
    FROM history WHERE g % 10 = 0
    """,
    """
    INSERT INTO promotion_redemption (transaction_id, user_id, promotion_id, whop_membership_id, currency,
                                      discount_minor, total_minor, opening, differs, at)
    SELECT 'txn_' || tail, user_id, 'pmo_old' || g % 1000, whop_membership_id, 'usd', 100, 2800, true, false, at
    FROM history
    """,
    """
    INSERT INTO payment_method (id, user_id, whop_method_id, whop_member_id, kind, last4, exp_month, exp_year,
                                is_default, default_since, warn_at, saved_at, created_at, updated_at)
    SELECT 'pmt_' || tail, user_id, 'payt_old' || g, 'mber_old' || g, 'card', '4242', 4, 2030, false, NULL, NULL, at,
           at, at
    FROM history
    """,
    """
    INSERT INTO ledger_entry (id, kind, source, sequence, line_count, user_id, transaction_id, occurred_at, posted_at,
                              cause)
    SELECT 'led_' || tail, 'payment', 'txn_' || tail, 0, 3, user_id, NULL, at, at, 'old' FROM history
    UNION ALL
    SELECT 'led_r' || substr(tail, 2), 'refund', 'ref_' || tail, 0, 2, user_id, 'txn_' || tail, at, at, 'old'
    FROM history WHERE g % 10 = 0
    """,
    """
    INSERT INTO ledger_line (entry_id, position, user_id, account, currency, amount_minor, occurred_at)
    SELECT 'led_' || tail, position, user_id, account, 'usd', amount, at
    FROM history, (VALUES (1, 'gateway_clearing', 2792), (2, 'gateway_fees', 108), (3, 'revenue', -2900))
         AS line (position, account, amount)
    UNION ALL
    SELECT 'led_r' || substr(tail, 2), position, user_id, account, 'usd', amount, at
    FROM history, (VALUES (1, 'refunds', 100), (2, 'gateway_clearing', -100)) AS line (position, account, amount)
    WHERE g % 10 = 0
    """,
    """
    INSERT INTO ledger_daily (account, currency, day, debit_minor, credit_minor, line_count)
    SELECT account, currency, (occurred_at AT TIME ZONE 'UTC')::date, sum(greatest(amount_minor, 0)),
           sum(greatest(-amount_minor, 0)), count(*)
    FROM ledger_line GROUP BY 1, 2, 3
    ON CONFLICT (account, currency, day) DO UPDATE SET debit_minor = excluded.debit_minor,
        credit_minor = excluded.credit_minor, line_count = excluded.line_count
    """,
    """
    INSERT INTO gateway_record (id, kind, payment_id, status, counted, currency, amount_minor, occurred_at, settled_at,
                                gateway_updated_at, seen_at)
    SELECT 'pay_old' || g, 'payment', NULL, 'paid', true, 'usd', 2900, at, at, at, now() FROM history
    UNION ALL
    SELECT 'rf_old' || g, 'refund', 'pay_old' || g, 'succeeded', true, 'usd', 100, at, at, at, now()
    FROM history WHERE g % 10 = 0
    UNION ALL
    SELECT 'po_old' || g, 'payout', NULL, 'completed', true, 'usd', 2000, at, at, NULL, now()
    FROM history WHERE g % 1000 = 0
    """,
    """
    INSERT INTO gateway_movement (id, line_type, kind, payment_id, source_id, currency, amount_minor, posted_at,
                                  seen_at)
    SELECT 'line_' || word || g, word, kind, payment_id, payment_id, 'usd', amount, at, at
    FROM (SELECT *, 'pay_old' || g AS payment_id FROM history) AS h,
         (VALUES ('payment_gross', 'charge', 2900), ('whop_processing_fee', 'fee', -108)) AS line (word, kind, amount)
    UNION ALL
    SELECT 'line_refund' || g, 'payment_refund', 'refund', 'pay_old' || g, NULL, 'usd', -100, at, at
    FROM history WHERE g % 10 = 0
    UNION ALL
    SELECT 'line_payout' || g, 'withdrawal', 'payout', NULL, 'po_old' || g, 'usd', -2000, at, at
    FROM history WHERE g % 1000 = 0
    """,
    """
    INSERT INTO reconciliation_run (id, trigger, requested_by, since, until, state, stage, position, started_at,
                                    finished_at)
    SELECT 'rcn_old' || d, 'nightly', 'schedule', at - interval '35 days', at, 'done', 'done', at, at, at
    FROM generate_series(0, 699) AS d, LATERAL (SELECT now() - d * interval '1 day' AS at) AS made
    """,
    """
    INSERT INTO money_difference (id, run_id, last_run_id, last_pass, cause, measure, object_kind, object_id, currency,
                                  gateway_minor, recorded_minor, ledger_minor, amount_minor, detail, period,
                                  occurred_at, first_seen_at, last_seen_at, owner, resolution, resolved_at,
                                  resolved_by, note)
    SELECT 'mdf_' || tail, 'rcn_old1', 'rcn_old1', 'mcp_old',
           CASE WHEN g % 5000 = 7 THEN 'ledger_orphan' ELSE 'fee' END, 'fee', 'payment', 'pay_old' || g, 'usd', 109,
           108, 108, 1, 'told', to_char(at, 'YYYY-MM'), at, at, at, 'finance',
           CASE WHEN g % 5000 = 0 THEN NULL WHEN g % 5000 = 1 THEN 'accepted' ELSE 'repaired' END,
           CASE WHEN g % 5000 > 0 THEN at END, CASE WHEN g % 5000 > 0 THEN 'kim' END,
           CASE WHEN g % 5000 > 0 THEN 'told' END
    FROM history
    """,
    """
    INSERT INTO audit_event (id, at, actor_kind, actor_id, holder, act, subject_kind, subject_id, outcome, code,
                             details)
    SELECT 'aud_' || tail, at, 'api_key', 'key_' || g % 1000, 'staff' || g % 100,
           CASE WHEN g % 5000 = 0 THEN 'refund.approve' ELSE 'refund.request' END, 'refund', 'ref_' || tail,
           CASE WHEN g % 5000 = 1 THEN 'denied' ELSE 'done' END, CASE WHEN g % 5000 = 1 THEN 'above_limit' END, '{}'
    FROM history
    """,
    """
    INSERT INTO audit_seal (number, event_id, hash, sealed_at)
    SELECT g, 'aud_' || tail, decode(repeat('00', 32), 'hex'), at FROM history
    """,
    """
    INSERT INTO process (id, kind, subject_id, user_id, state, step, data, due_at, created_at, updated_at, ended_at)
    SELECT 'prc_' || tail, 'refund', 'ref_' || tail, user_id, CASE WHEN g % 5000 = 0 THEN 'running' ELSE 'done' END,
           'send', '{}', CASE WHEN g % 10000 = 0 THEN now() - interval '1 hour' ELSE now() + interval '1 day' END, at,
           at, CASE WHEN g % 5000 > 0 THEN at END
    FROM history
    """,
    """
    INSERT INTO plan_migration (id, plan_id, to_version, from_version, notice_days, state, requested_by, created_at,
                                ended_at)
    SELECT 'pmg_old' || m, (SELECT id FROM plan LIMIT 1), 2, 1, 30, 'done', 'kim', now() - m * interval '9 days',
           now() - m * interval '1 day'
    FROM generate_series(0, 19) AS m
    """,
    """
    INSERT INTO plan_migration_item (migration_id, subscription_id, user_id, from_version, currency, old_price_minor,
                                     new_price_minor, state, reason, not_before, due_at, change_id)
    SELECT 'pmg_old' || g % 20, 'sub_old' || tail, user_id, 1, 'usd', 2900, 3900,
           CASE WHEN g % 5000 = 0 THEN 'waiting' WHEN g % 5000 = 1 THEN 'left' ELSE 'moved' END,
           CASE WHEN g % 5000 = 1 THEN 'canceled' END, at, CASE WHEN g % 5000 = 0 THEN now() + interval '1 day' END,
           CASE WHEN g % 5000 > 1 THEN 'chg_' || tail END
    FROM history
    """,
)
