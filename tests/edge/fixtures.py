"""Fixtures that the HTTP tests share; each folder's conftest takes them from here."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Person, Shop, open_shop


@pytest.fixture
async def shop(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> AsyncIterator[Shop]:
    """The application, whose gateway answers nobody."""
    async with open_shop(settings, engine, units, clock, vault) as opened:
        yield opened


@pytest.fixture(scope="session")
async def emulator() -> AsyncIterator[RunningEmulator]:
    """One emulator for all tests: what they make there is their own."""
    async with running_emulator() as running:
        yield running


@pytest.fixture
async def selling_shop(
    settings: Settings,
    engine: AsyncEngine,
    units: UnitOfWorkFactory,
    clock: FrozenClock,
    vault: Vault,
    emulator: RunningEmulator,
) -> AsyncIterator[Shop]:
    """The application with its plans on sale at the emulator."""
    async with open_shop(settings, engine, units, clock, vault, emulator=emulator) as opened:
        yield opened


@pytest.fixture
async def kim(shop: Shop) -> Person:
    """A signed-in customer."""
    return await shop.sign_up()
