"""Books to keep."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.bookkeeping.world import Books


@pytest.fixture
async def books(units: UnitOfWorkFactory, clock: FrozenClock, engine: AsyncEngine) -> Books:
    """The books of a seller whose tax the gateway passes on."""
    return await Books(units, clock, engine).open()
