"""The whole product for journey tests."""

from collections.abc import AsyncIterator

import pytest

from quntedge.settings import Settings
from tests.journeys.world import Product, running_product


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    """Emulator, web, worker and mail, with the packaged catalogue."""
    async with running_product(settings, database_url) as running:
        yield running
