"""Data survives every upgrade, and what has been released is never changed afterwards."""

import hashlib
from datetime import UTC, datetime

import psycopg

from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.engine import libpq_url
from tests.storage.conftest import upgrade_to

# Add a migration's sum when it is released. Never change one: write another migration instead.
RELEASED = {
    "r0001_first_schema.py": "f4e78e43200699167579cecd20d5153f6fd420f28477d959d7c172333be7e9b5",
}
AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


def test_released_migrations_are_as_they_were() -> None:
    found = {name: hashlib.sha256((migrate.VERSIONS / name).read_bytes()).hexdigest() for name in RELEASED}
    assert found == RELEASED, "a database that has run it would never get the change: write another migration"


def _fill(connection: psycopg.Connection) -> None:
    """A customer with a paid subscription, and one who has paid nothing, as the first schema held them."""
    connection.execute(
        "INSERT INTO plan (id, code, name, kind, price_minor, currency, period_days, trial_days, grace_days, position,"
        " whop_plan_id, created_at, updated_at)"
        " VALUES ('pln_1', 'monthly', 'Monthly', 'recurring', 2900, 'usd', 30, 7, 7, 1, 'plan_1', %s, %s)",
        (AT, AT),
    )
    for user in ("usr_1", "usr_2"):
        connection.execute("INSERT INTO app_user (id, created_at) VALUES (%s, %s)", (user, AT))
        connection.execute(
            "INSERT INTO subscription (id, user_id, plan_id, status, whop_membership_id, cancel_at_period_end,"
            " needs_review, started_at, created_at, updated_at)"
            " VALUES (%s, %s, 'pln_1', 'active', %s, false, false, %s, %s, %s)",
            (f"sub_{user}", user, f"mem_{user}", AT, AT, AT),
        )
    connection.execute(
        "INSERT INTO subscription_membership (whop_membership_id, subscription_id, user_id, plan_id, whop_plan_id,"
        " status, raw_status, cancel_at_period_end, first_seen_at)"
        " VALUES ('mem_usr_1', 'sub_usr_1', 'usr_1', 'pln_1', 'plan_1', 'active', 'active', false, %s)",
        (AT,),
    )
    connection.execute(
        "INSERT INTO payment_transaction (id, user_id, subscription_id, whop_payment_id, status, raw_status, currency,"
        " total_minor, attempts_failed, paid_at, occurred_at, created_at, updated_at) VALUES ('txn_1', 'usr_1',"
        " 'sub_usr_1', 'pay_1', 'paid', 'paid', 'usd', 2900, 0, %s, %s, %s, %s)",
        (AT, AT, AT, AT),
    )


def test_a_database_of_the_first_schema_keeps_its_data(empty_database: str) -> None:
    upgrade_to(empty_database, "0001")
    with psycopg.connect(libpq_url(empty_database)) as connection:
        _fill(connection)
    migrate.upgrade(empty_database, all_tables())
    current, head = migrate.pending(empty_database)
    assert current == head
    assert migrate.drift(empty_database, all_tables()) == []
    with psycopg.connect(libpq_url(empty_database)) as connection:
        rows = connection.execute("SELECT id, status, last_payment_at FROM subscription ORDER BY id").fetchall()
        payment = connection.execute("SELECT whop_membership_id FROM payment_transaction").fetchone()
        terms = connection.execute(
            "SELECT plan_id, version, currency, price_minor, period_days, trial_days, whop_plan_id, valid_from,"
            " retired_at FROM plan_price"
        ).fetchall()
    assert payment == ("mem_usr_1",)
    assert rows == [("sub_usr_1", "active", AT), ("sub_usr_2", "active", None)]
    assert terms == [("pln_1", 1, "usd", 2900, 30, 7, "plan_1", AT, None)]
