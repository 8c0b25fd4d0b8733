"""The customers the benchmarks are about: a catalogue, users, and a running monthly subscription for each."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql

from bench.database import settle
from quntedge.catalog import toml
from quntedge.kit.ids import new_id
from quntedge.settings import Settings, load_settings
from quntedge.wiring import build

ACCOUNT_ID: Final = "biz_bench0001"
WEBHOOK_SECRET: Final = "ws_bench_0123456789abcdef"
WHOP_PLAN_ID: Final = "plan_benchmonthly"
PERIOD: Final = timedelta(days=30)


def environment(database_url: str) -> dict[str, str]:
    """The settings of every process of a benchmark, as environment variables. The secrets are visibly fake."""
    key = base64.b64encode(hashlib.sha256(b"a key for benchmarks, known to everybody").digest()).decode()
    return {
        "DATABASE_URL": database_url,
        "QUNTEDGE_SECRET_KEY": "bench-secret-key-bench-secret-key-00",
        "QUNTEDGE_ENCRYPTION_KEYS": f"bench:{key}",
        "WHOP_ENVIRONMENT": "custom",
        # Nobody listens there: an event that had to be read again from the gateway would fail, and be seen.
        "WHOP_BASE_URL": "http://127.0.0.1:1/api/v1",
        "WHOP_API_KEY": "bench-key",
        "WHOP_ACCOUNT_ID": ACCOUNT_ID,
        "WHOP_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "WARNING",
    }


def settings(database_url: str) -> Settings:
    """The same settings for this process."""
    names = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
    overrides: dict[str, object] = {names[key]: value for key, value in environment(database_url).items()}
    return load_settings(**overrides)


@dataclass(frozen=True, slots=True)
class Customer:
    """Who renews. `whop_membership_id` is the lane in which the events of one customer are ordered."""

    user_id: str
    subscription_id: str
    intent_id: str
    whop_user_id: str
    whop_member_id: str
    whop_membership_id: str


@dataclass(frozen=True, slots=True)
class World:
    """The customers, who all began at the same moment and are paid up to one period after it."""

    began_at: datetime
    customers: tuple[Customer, ...]


async def seed(database_url: str, customers: int, *, ago: timedelta = timedelta(0)) -> World:
    """Fills a migrated database with a catalogue and this many active customers who bought so long `ago`."""
    await apply_catalog(database_url)
    now = datetime.now(UTC).replace(microsecond=0) - ago
    world = World(now, tuple(_customer(number, now) for number in range(customers)))
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT id FROM plan WHERE code = 'monthly'").fetchone()
        if row is None:
            raise LookupError("the packaged catalogue has no monthly plan")
        connection.execute(
            "UPDATE plan_price SET whop_plan_id = %s WHERE plan_id = %s AND currency = 'usd'", (WHOP_PLAN_ID, row[0])
        )
        for table, rows in _rows(world, str(row[0])):
            copy_rows(connection, table, rows)
        connection.commit()
    await _note_buyers(database_url, world)
    settle(database_url)
    return world


async def _note_buyers(database_url: str, world: World) -> None:
    """Whom the invoice of the first purchase named: later ones name the same."""
    runtime = build(settings(database_url), database_url)
    try:
        for start in range(0, len(world.customers), 1_000):
            async with runtime.units() as unit:
                some = world.customers[start : start + 1_000]
                await runtime.services.invoices.profiles.ensure(unit, [customer.user_id for customer in some])
                await unit.commit()
    finally:
        await runtime.close()


async def apply_catalog(database_url: str) -> None:
    runtime = build(settings(database_url), database_url)
    try:
        await runtime.catalog.apply(toml.packaged())
    finally:
        await runtime.close()


def _customer(number: int, now: datetime) -> Customer:
    return Customer(
        user_id=new_id("usr", now),
        subscription_id=new_id("sub", now),
        intent_id=new_id("chk", now),
        whop_user_id=f"user_bench{number:07d}",
        whop_member_id=f"mber_bench{number:07d}",
        whop_membership_id=f"mem_bench{number:07d}",
    )


def _rows(world: World, plan_id: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What a first purchase leaves behind, table by table: user, subscription, membership, completed checkout."""
    now, people = world.began_at, world.customers
    period = {"period_start": now, "period_end": now + PERIOD, "renewal_price_minor": 2900, "currency": "usd"}
    yield "app_user", [{"id": c.user_id, "whop_user_id": c.whop_user_id, "created_at": now} for c in people]
    yield (
        "subscription",
        [
            {
                "id": c.subscription_id,
                "user_id": c.user_id,
                "plan_id": plan_id,
                "status": "active",
                "whop_membership_id": c.whop_membership_id,
                "checkout_id": c.intent_id,
                "started_at": now,
                "created_at": now,
                "updated_at": now,
                **period,
            }
            for c in people
        ],
    )
    yield (
        "subscription_membership",
        [
            {
                "whop_membership_id": c.whop_membership_id,
                "subscription_id": c.subscription_id,
                "user_id": c.user_id,
                "plan_id": plan_id,
                "whop_plan_id": WHOP_PLAN_ID,
                "whop_user_id": c.whop_user_id,
                "whop_member_id": c.whop_member_id,
                "status": "active",
                "raw_status": "active",
                "cancel_at_period_end": False,
                "gateway_created_at": now,
                "gateway_updated_at": now,
                "first_seen_at": now,
                **period,
            }
            for c in people
        ],
    )
    yield (
        "checkout_intent",
        [
            {
                "id": c.intent_id,
                "user_id": c.user_id,
                "plan_id": plan_id,
                "state": "completed",
                "price_minor": 2900,
                "currency": "usd",
                "subscription_id": c.subscription_id,
                "whop_membership_id": c.whop_membership_id,
                "created_at": now,
                "completed_at": now,
                "expires_at": now + timedelta(days=1),
            }
            for c in people
        ],
    )


def copy_rows(connection: psycopg.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows that all have the same columns."""
    columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(tuple(row.values()))
