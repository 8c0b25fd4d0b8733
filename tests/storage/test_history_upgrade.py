"""The upgrade that numbers the histories of subscriptions and makes them complete."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from quntedge.kit.clock import FrozenClock
from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.rebuild import Rebuild
from tests.storage.conftest import upgrade_to

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


def _fill(connection: psycopg.Connection) -> None:
    """One subscription with three entries, whose ids say in which order they were made, and one without any."""
    connection.execute(
        "INSERT INTO plan (id, code, name, kind, price_minor, currency, period_days, grace_days, position, created_at,"
        " updated_at) VALUES ('pln_1', 'monthly', 'Monthly', 'recurring', 2900, 'usd', 30, 7, 1, %s, %s)",
        (AT, AT),
    )
    for number, status in enumerate(("active", "trialing", "canceled")):
        connection.execute("INSERT INTO app_user (id, created_at) VALUES (%s, %s)", (f"usr_{number}", AT))
        connection.execute(
            "INSERT INTO subscription (id, user_id, plan_id, status, whop_membership_id, checkout_id, version,"
            " cancel_at_period_end, period_end, last_payment_at, renewal_price_minor, started_at, created_at,"
            " updated_at) VALUES (%s, %s, 'pln_1', %s, %s, 'chk_1', 5, %s, %s, %s, 2900, %s, %s, %s)",
            (
                f"sub_{number}", f"usr_{number}", status, f"mem_{number}", number == 1, AT + timedelta(days=30),
                AT + timedelta(microseconds=7), AT, AT, AT + timedelta(days=1),
            ),
        )  # fmt: skip
    for event_id in ("sev_c", "sev_a", "sev_b"):
        connection.execute(
            "INSERT INTO subscription_event (id, subscription_id, user_id, kind, actor, cause, after, at)"
            " VALUES (%s, 'sub_0', 'usr_0', 'subscription.updated', 'whop', 'msg', %s, %s)",
            (event_id, Jsonb({"status": "past_due"}), AT),
        )


async def _differences(url: str) -> list[str]:
    engine = create_engine(url)
    units = UnitOfWorkFactory(session_factory(engine), FrozenClock(AT), EventBus())
    found = [finding async for portion in Rebuild(engine, units).verify() for finding in portion.findings]
    await engine.dispose()
    return [finding.subscription_id for finding in found]


@pytest.fixture
def upgraded(empty_database: str) -> Iterator[psycopg.Connection]:
    """A database that was filled before the upgrade."""
    upgrade_to(empty_database, "0005")
    with psycopg.connect(libpq_url(empty_database), autocommit=True) as connection:
        _fill(connection)
    migrate.upgrade(empty_database, all_tables())
    with psycopg.connect(libpq_url(empty_database), autocommit=True) as connection:
        yield connection


def test_histories_are_numbered_in_their_order_and_completed(upgraded: psycopg.Connection, empty_database: str) -> None:
    events = upgraded.execute(
        "SELECT id, version, kind FROM subscription_event ORDER BY subscription_id, version"
    ).fetchall()
    updated, recorded = "subscription.updated", "subscription.recorded"
    assert events == [
        ("sev_a", 1, updated),
        ("sev_b", 2, updated),
        ("sev_c", 3, updated),
        ("sev_0", 4, recorded),
        ("sev_1", 1, recorded),
        ("sev_2", 1, recorded),
    ]
    versions = upgraded.execute("SELECT version FROM subscription ORDER BY id").fetchall()
    assert versions == [(4,), (1,), (1,)]
    assert asyncio.run(_differences(empty_database)) == []
    # What could not be changed before cannot be changed afterwards.
    with pytest.raises(errors.RestrictViolation):
        upgraded.execute("UPDATE subscription_event SET version = 9")
    # Renewals are watched where they are expected.
    checks = upgraded.execute("SELECT renewal_check_at FROM subscription ORDER BY id").fetchall()
    assert checks == [(AT + timedelta(days=30, hours=6),), (None,), (None,)]
