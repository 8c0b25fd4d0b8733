"""The world of trials."""

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.trials.world import World


@pytest.fixture
async def world(units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault) -> World:
    opened = World(units, clock, vault)
    await opened.prepare()
    return opened
