"""The world of reconciliation tests."""

from collections.abc import AsyncIterator

import pytest

from quntedge.settings import Settings
from tests.reconciliation.world import World, open_world


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """Whop and we, and nothing between us."""
    async with open_world(settings, database_url) as opened:
        yield opened
