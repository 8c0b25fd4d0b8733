"""Subscribers whose renewals fail."""

from collections.abc import AsyncIterator

import pytest

from quntedge.settings import Settings
from tests.dunning.world import World, dunning_world


@pytest.fixture
async def world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """Whop cancels what stays unpaid for five days."""
    async with dunning_world(settings, database_url) as opened:
        yield opened


@pytest.fixture
async def patient(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """Whop keeps what stays unpaid: the end is ours."""
    async with dunning_world(settings, database_url, "none") as opened:
        yield opened
