import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from quntedge.cancellations.events import CancellationScheduled, CancellationUndone, WithdrawalReceived
from quntedge.cancellations.feature import Cancellations
from quntedge.cancellations.offer_steps import OfferGateway
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.clock import FrozenClock
from quntedge.processes.runner import ProcessRunner
from quntedge.settings import Settings
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import CancellationRequested, CancellationWithdrawn
from quntedge.subscriptions.service import SubscriptionService
from tests.cancellations.world import Cut, World
from tests.conftest import START
from tests.journeys.world import Product, running_product

_STOCKED = "stocked"
_TOLD = (
    CancellationRequested,
    CancellationWithdrawn,
    CancellationScheduled,
    CancellationUndone,
    WithdrawalReceived,
)


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    """The whole product over HTTP."""
    async with running_product(settings, database_url) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Stock:
    """An emulator with a snapshot of the packaged catalogue on sale, and a database that knows it."""

    emulator: RunningEmulator
    gateway: WhopGateway
    database: str


@pytest.fixture(scope="session")
async def stock(database_server: str, template_database: str) -> AsyncIterator[Stock]:
    """Made once: putting a catalogue on sale costs more than most of these tests."""
    database = f"stocked_{os.getpid()}"
    _clone(database_server, database, template_database)
    async with running_emulator(EmulatorConfig(start=START)) as emulator:
        config = emulator.config
        gateway = connect(WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url))
        engine = create_engine(_address(database_server, database), pool_size=2)
        catalogue = CatalogService(UnitOfWorkFactory(session_factory(engine), FrozenClock(START), EventBus()), gateway)
        await catalogue.apply(packaged())
        await catalogue.sync_gateway()
        await engine.dispose()
        await emulator.snapshot(_STOCKED)
        yield Stock(emulator, gateway, database)
        await gateway.close()


@pytest.fixture
def stocked_url(database_server: str, stock: Stock) -> Iterator[str]:
    """A database of this test's own that knows the catalogue."""
    name = f"{stock.database}_copy"
    _clone(database_server, name, stock.database)
    yield _address(database_server, name)
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def world(
    stock: Stock, stocked_url: str, bus: EventBus, clock: FrozenClock, vault: Vault
) -> AsyncIterator[World]:
    """The feature at an emulator that begins anew, at the time at which our clock stands."""
    await stock.emulator.restore(_STOCKED)
    engine = create_engine(stocked_url, pool_size=12)
    units = UnitOfWorkFactory(session_factory(engine), clock, bus)
    cut = Cut(stock.gateway)
    processes = ProcessRunner(units, engine, JobQueue(create_job_app(stocked_url)))
    feature = Cancellations(
        units,
        processes,
        cast(OfferGateway, cut),
        SubscriptionService(),
        vault,
        ends_of_others=["plan_change"],
    )
    feature.listen(bus)
    world = World(units, vault, clock, stock.emulator, stock.gateway, cut, processes, feature)

    async def remember(unit: UnitOfWork, facts: Sequence[object]) -> None:
        world.facts.extend(facts)

    for fact in _TOLD:
        bus.subscribe(fact, remember)
    yield world
    await engine.dispose()


def _clone(server: str, name: str, template: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def _address(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
