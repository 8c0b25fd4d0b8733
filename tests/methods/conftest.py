"""Customers with cards at an emulated Whop."""

from collections.abc import AsyncIterator

import pytest

from quntedge.settings import Settings
from tests.methods.world import MethodWorld, method_world


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[MethodWorld]:
    """A customer who has nothing yet."""
    async with method_world(settings, database_url) as opened:
        yield opened
