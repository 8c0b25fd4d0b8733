"""Trials and pauses of before are taken over, from the history and from what is running."""

from datetime import UTC, datetime, timedelta

import psycopg

from tests.storage.conftest import empty_database, upgrade_to

__all__ = ["empty_database"]

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
END = AT + timedelta(days=7)


def test_what_was_known_is_taken_over(empty_database: str) -> None:
    upgrade_to(empty_database, "0005")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        _fill(connection)
    upgrade_to(empty_database, "head")
    with psycopg.connect(empty_database) as connection:
        trials = connection.execute(
            "SELECT whop_membership_id, state, started_at, trial_end, remind_at, transaction_id FROM trial ORDER BY 1"
        ).fetchall()
        pauses = connection.execute("SELECT whop_membership_id, state, resume_at, check_at FROM pause").fetchall()
    assert trials == [
        ("mem_converted", "converted", AT, END, None, "txn_2"),
        ("mem_ended", "ended", AT, END, None, None),
        ("mem_running", "running", AT, END, END - timedelta(days=3), None),
    ]
    assert pauses == [("mem_paused", "running", END, END + timedelta(minutes=10))]


def _fill(connection: psycopg.Connection) -> None:
    connection.execute(
        "INSERT INTO plan (id, code, name, kind, price_minor, currency, period_days, grace_days, position, created_at,"
        " updated_at, whop_plan_id)"
        " VALUES ('pln_1', 'monthly', 'Monthly', 'recurring', 2900, 'usd', 30, 7, 1, %s, %s, 'plan_1')",
        (AT, AT),
    )
    for name, status, trial in (
        ("running", "trialing", True),
        ("converted", "active", True),
        ("ended", "canceled", True),
        ("never", "active", False),
        ("paused", "paused", False),
    ):
        _subscription(connection, name, status, trial=trial)
    for number, (at, total) in enumerate([(AT, 0), (END, 2900), (END + timedelta(days=30), 2900)], start=1):
        connection.execute(
            "INSERT INTO payment_transaction (id, user_id, whop_payment_id, whop_membership_id, status, raw_status,"
            " currency, total_minor, billing_reason, paid_at, occurred_at, created_at, updated_at)"
            " VALUES (%s, 'usr_converted', %s, 'mem_converted', 'paid', 'paid', 'usd', %s, %s, %s, %s, %s, %s)",
            (
                f"txn_{number}",
                f"pay_{number}",
                total,
                "subscription_cycle" if total else "subscription_create",
                at,
                at,
                at,
                at,
            ),
        )


def _subscription(connection: psycopg.Connection, name: str, status: str, *, trial: bool) -> None:
    user, subscription, membership = f"usr_{name}", f"sub_{name}", f"mem_{name}"
    connection.execute("INSERT INTO app_user (id, created_at) VALUES (%s, %s)", (user, AT))
    connection.execute(
        "INSERT INTO subscription (id, user_id, plan_id, status, whop_membership_id, cancel_at_period_end,"
        " needs_review, started_at, resume_at, created_at, updated_at)"
        " VALUES (%s, %s, 'pln_1', %s, %s, false, false, %s, %s, %s, %s)",
        (subscription, user, status, membership, AT, END if status == "paused" else None, AT, AT),
    )
    connection.execute(
        "INSERT INTO subscription_membership (whop_membership_id, subscription_id, user_id, plan_id, whop_plan_id,"
        " status, raw_status, cancel_at_period_end, first_seen_at)"
        " VALUES (%s, %s, %s, 'pln_1', 'plan_1', 'active', 'active', false, %s)",
        (membership, subscription, user, AT),
    )
    state = "trialing" if trial else "active"
    connection.execute(
        "INSERT INTO subscription_event (id, subscription_id, user_id, kind, actor, cause, after, at)"
        " VALUES (%s, %s, %s, 'subscription.created', 'whop', 'msg_1',"
        " jsonb_build_object('status', %s::text, 'membership_id', %s::text, 'trial_end', %s::text), %s)",
        (f"sev_of_{name}", subscription, user, state, membership, END.isoformat() if trial else None, AT),
    )
