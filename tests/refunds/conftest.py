import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.whop.adapter import connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.wiring import build
from tests.conftest import START
from tests.refunds.world import SETTLES_IN_SECONDS, World

_STOCKED = "stocked_for_refunds"


@dataclass(frozen=True, slots=True)
class Stock:
    """An emulator with a snapshot of the packaged catalogue on sale, and a database that knows it."""

    emulator: RunningEmulator
    database: str


@pytest.fixture(scope="session")
async def refund_stock(database_server: str, template_database: str) -> AsyncIterator[Stock]:
    """Made once: putting a catalogue on sale costs more than most of these tests."""
    database = f"refund_stock_{os.getpid()}"
    _clone(database_server, database, template_database)
    async with running_emulator(EmulatorConfig(start=START, refund_settle_seconds=SETTLES_IN_SECONDS)) as emulator:
        config = emulator.config
        gateway = connect(WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url))
        engine = create_engine(_address(database_server, database), pool_size=2)
        catalogue = CatalogService(UnitOfWorkFactory(session_factory(engine), FrozenClock(START), EventBus()), gateway)
        await catalogue.apply(packaged())
        await catalogue.sync_gateway()
        await engine.dispose()
        await gateway.close()
        await emulator.snapshot(_STOCKED)
        yield Stock(emulator, database)


@pytest.fixture
def database_url(database_server: str, refund_stock: Stock) -> Iterator[str]:
    """A database of this test's own that knows the catalogue."""
    name = f"{refund_stock.database}_copy"
    _clone(database_server, name, refund_stock.database)
    yield _address(database_server, name)
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def world(refund_stock: Stock, database_url: str, settings: Settings, clock: FrozenClock) -> AsyncIterator[World]:
    """All services as wired, at an emulator that begins anew, at the time at which our clock stands."""
    emulator = refund_stock.emulator
    await emulator.disarm()
    await emulator.restore(_STOCKED)
    ours = {
        "whop_base_url": emulator.api_base_url,
        "whop_api_key": type(settings.secret_key)(emulator.config.api_key),
        "whop_account_id": emulator.config.account_id,
        "pool_size": 20,
    }
    runtime = build(settings.model_copy(update=ours), database_url, clock)
    yield World(runtime, emulator, clock)
    await runtime.close()


def _clone(server: str, name: str, template: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def _address(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
