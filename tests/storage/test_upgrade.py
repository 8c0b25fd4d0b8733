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
    "r0002_gateway_difference.py": "597e7e95d32f4a19263fffd0dcfd494473aa1fbcd038353f833363c5c54ca7a5",
    "r0003_subscription_payments.py": "961aaca1369d840a1cbb56b7175f88ca2aa70f994efd5df4cbba0ea645e9b57d",
    "r0004_processes.py": "38a74d9c85dbf74d4a19241cb3976f805bcd8e1f12d588e0408d0ca9e0098be0",
    "r0005_subscription_facts.py": "85ad0bc085d07b5a28f6b2d0d74ead17ad697c4eca8b1a05c82e17d4ddf4c347",
    "r0006_subscription_history.py": "66feb055929b3f45c0524db5c5eb06a206e35806f2d235037d5f10dec1573a84",
    "r0007_catalog_versions.py": "2d5b5c4060526a6d751e2f9490bac4bc8924db694f8d789eae1270679ba7c245",
    "r0008_plan_changes.py": "141ec96ff7f4221e015c47d9c8d2dc91df1ac76ade673f351efa77573e307882",
    "r0009_dunning.py": "fbe20cd64a31be7495330b831dcdab45b5bad97ec9d312e5960c8aa84c4b4713",
    "r0010_cancellations.py": "e2ed943ea9cf46109125e98966fbe34f384c1fd2e39174ff6bff6b110cd2d6d6",
    "r0011_pauses_and_trials.py": "4af369ae0ce518aecca057f97535a8758a52585bcf4fdcf1df18ea1d2e68e1ba",
    "r0012_mail_templates.py": "0a762c5d232b2b6f7978f83a8aad1dee1a673bd87fe0ad4932cbc7b26e2d1eea",
    "r0013_ledger.py": "3ce01d419a615f9a8b9579c7633b56abeaa2d9874e1cad09bcba03e432478a2d",
    "r0014_money_reconciliation.py": "0f77519e0d002791254f3514cda7d31e6a4ef12190067b0d7fc47aef88854f80",
    "r0015_invoices.py": "7bec52f0ee75949a2aefb78d03e62e345a269c396e785d9c4620c6e7c900528c",
    "r0016_refunds.py": "ffab10d86bd95d320994ea4576f4d0023d9522ddd91d7dab632a36928b0d1d8b",
    "r0017_disputes.py": "b8c3e8305c992ca4d984b6d81a34ddded62f4ce54e843e20d2d655823f8299c0",
    "r0018_promotions.py": "1f1825744bbe9d770f13305770659da3a067e5abec08abb9746661f01763f884",
    "r0019_payment_details.py": "c173dfa739cf96a107e67999cfa8ba8f9b24ff5d65f4674a36c2af7acbc1de5a",
    "r0020_plan_migrations.py": "e58b833d57e228f14c736806927272e48bcbee75f55f4986b441f402c72d67b5",
    "r0021_audit.py": "2b4f3e7d9ff0b2b7cbf5a35972a97f8246206c273b7ec638c44615333b3d1b9d",
    "r0022_movements.py": "4335cfc037f3e7d4a6702835476d0197882d4080be0c92fd596885020eefa03b",
    "r0023_dispute_files.py": "678543826e82c8813b2d67753d45bb9a5509fbec1bd432618be939baf730249b",
    "r0024_invoice_details.py": "336b06bd59a35bb45f5555095d873599f555ee9a709f5abd39daebdd6d9518ca",
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
