"""The world of webhook tests."""

from collections.abc import AsyncIterator

import pytest

from quntedge.settings import Settings
from tests.webhooks.world import World, open_world


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """Our inbox in front of a Whop with scripted objects."""
    async with open_world(settings, database_url) as opened:
        yield opened
