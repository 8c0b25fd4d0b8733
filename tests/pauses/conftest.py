"""The world of pauses."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.pauses.world import World, open_world


@pytest.fixture
async def world(
    engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault, database_url: str
) -> AsyncIterator[World]:
    async with open_world(engine, units, clock, vault, database_url) as opened:
        yield opened
