"""Refunds and requests of before are taken over: what was given back is held, what is owed waits at the desk."""

from datetime import UTC, datetime

import psycopg

from quntedge.kit.ids import new_id
from tests.storage.conftest import empty_database, upgrade_to

__all__ = ["empty_database"]

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
REQUEST, SPENT = new_id("rrq", AT), new_id("rrq", AT)


def test_what_was_known_is_taken_over(empty_database: str) -> None:
    upgrade_to(empty_database, "0015")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        _fill(connection)
    upgrade_to(empty_database, "head")
    with psycopg.connect(empty_database) as connection:
        held = connection.execute("SELECT transaction_id, held_minor FROM refund_tally ORDER BY 1").fetchall()
        adopted = connection.execute(
            "SELECT id, transaction_id, status, amount_minor, requested_by, approval_required, refund_request_id"
            " FROM refund WHERE requested_by IS NOT NULL"
        ).fetchall()
    assert adopted == [
        (f"ref_{REQUEST[4:]}", "txn_1", "requested", 2400, "customer:usr_1", True, REQUEST),
    ]
    assert held == [("txn_1", 2900), ("txn_2", 2900)]


def _fill(connection: psycopg.Connection) -> None:
    """A payment of which something went back, and one that went back wholly; a withdrawal is owed both."""
    connection.execute("INSERT INTO app_user (id, created_at) VALUES ('usr_1', %s)", (AT,))
    connection.execute(
        "INSERT INTO plan (id, code, name, kind, currency, grace_days, position, rules, created_at, updated_at)"
        " VALUES ('pln_1', 'monthly', 'Monthly', 'recurring', 'usd', 7, 1, '{}', %s, %s)",
        (AT, AT),
    )
    connection.execute(
        "INSERT INTO subscription (id, user_id, plan_id, status, whop_membership_id, cancel_at_period_end,"
        " needs_review, started_at, created_at, updated_at)"
        " VALUES ('sub_1', 'usr_1', 'pln_1', 'canceled', 'mem_1', false, false, %s, %s, %s)",
        (AT, AT, AT),
    )
    connection.execute(
        "INSERT INTO withdrawal (id, user_id, subscription_id, name, basis, time_zone, concluded_at, deadline,"
        " received_at) VALUES ('wdr_1', 'usr_1', 'sub_1', '\\x00', 'full', 'UTC', %s, %s, %s)",
        (AT, AT, AT),
    )
    for number, request, refunds in (
        (1, REQUEST, [("succeeded", 500), ("failed", 900)]),
        (2, SPENT, [("succeeded", 1900), ("pending", 1000)]),
    ):
        connection.execute(
            "INSERT INTO payment_transaction (id, user_id, subscription_id, whop_payment_id, status, raw_status,"
            " currency, total_minor, paid_at, occurred_at, created_at, updated_at)"
            " VALUES (%s, 'usr_1', 'sub_1', %s, 'paid', 'paid', 'usd', 2900, %s, %s, %s, %s)",
            (f"txn_{number}", f"pay_{number}", AT, AT, AT, AT),
        )
        for position, (status, minor) in enumerate(refunds):
            connection.execute(
                "INSERT INTO refund (id, user_id, transaction_id, whop_refund_id, status, amount_minor, currency,"
                " occurred_at, created_at, updated_at) VALUES (%s, 'usr_1', %s, %s, %s, %s, 'usd', %s, %s, %s)",
                (new_id("ref", AT), f"txn_{number}", f"rf_{number}{position}", status, minor, AT, AT, AT),
            )
        connection.execute(
            "INSERT INTO refund_request (id, user_id, subscription_id, transaction_id, withdrawal_id, reason, state,"
            " amount_minor, currency, requested_by, requested_at) VALUES (%s, 'usr_1', 'sub_1', %s, 'wdr_1',"
            " 'withdrawal', 'requested', 2900, 'usd', 'customer:usr_1', %s)",
            (request, f"txn_{number}", AT),
        )
