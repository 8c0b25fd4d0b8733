"""A fresh emulator for each test."""

from collections.abc import AsyncIterator

import pytest

from quntedge.gateway.emulator.testing import running_emulator
from quntedge.gateway.whop.adapter import connect
from quntedge.gateway.whop.limiter import Limiter
from tests.contract.shop import Shop, settings_for


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with running_emulator() as emulator:
        # The emulator has no rate limit of its own; waiting for Whop's would only cost time here.
        gateway = connect(settings_for(emulator), read_retries=0, limiter=Limiter(per_minute=1_000_000))
        product = await gateway.create_product("QuntEdge", metadata={"key": "app"}, idempotency_key="product")
        yield Shop(emulator, gateway, product.product_id)
        await gateway.close()
