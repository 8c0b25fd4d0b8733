from collections.abc import AsyncIterator

import httpx
import pytest

from quntedge.catalog.service import CatalogService
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.storage.unit_of_work import UnitOfWorkFactory


class CutAfter(httpx.AsyncHTTPTransport):
    """Loses the answer to the n-th write after it was executed, as a connection that breaks at the wrong moment."""

    def __init__(self) -> None:
        super().__init__()
        self.lose_in = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method != "GET" and self.lose_in:
            self.lose_in -= 1
            if not self.lose_in:
                await response.aread()
                raise httpx.ReadError("the connection was cut")
        return response


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    async with running_emulator() as emulator:
        yield emulator


@pytest.fixture
def wire() -> CutAfter:
    return CutAfter()


@pytest.fixture
async def gateway(emulator: RunningEmulator, wire: CutAfter) -> AsyncIterator[WhopGateway]:
    config = emulator.config
    gateway = connect(WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url), transport=wire)
    yield gateway
    await gateway.close()


@pytest.fixture
def service(units: UnitOfWorkFactory, gateway: WhopGateway) -> CatalogService:
    return CatalogService(units, gateway)


@pytest.fixture
async def offline(units: UnitOfWorkFactory) -> AsyncIterator[CatalogService]:
    """A service whose gateway nobody listens to: for what only concerns the database."""
    gateway = connect(WhopSettings("custom", "test-key", "biz_test", "http://127.0.0.1:1/api/v1"))
    yield CatalogService(units, gateway)
    await gateway.close()
