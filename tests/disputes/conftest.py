from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from quntedge.settings import Settings, load_settings
from tests.conftest import ENCRYPTION_KEYS, WEBHOOK_SECRET, cloned_database
from tests.disputes.world import Stock, World, dispute_world, stocked


@pytest.fixture(scope="session")
def shop_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with visibly fake secrets; where the database and Whop are is said later."""
    return load_settings(
        database_url="postgresql://nowhere.invalid/none",
        data_dir=Path(tmp_path_factory.mktemp("disputes")),
        secret_key="test-secret-key-test-secret-key-0000",
        encryption_keys=ENCRYPTION_KEYS,
        whop_environment="custom",
        whop_base_url="http://127.0.0.1:1/api/v1",
        whop_api_key="test-key",
        whop_account_id="biz_test",
        whop_webhook_secrets=WEBHOOK_SECRET,
        staff_emails="ops@staff.test, finance@staff.test",
    )


@pytest.fixture(scope="session")
async def stock(shop_settings: Settings, database_server: str, template_database: str) -> AsyncIterator[Stock]:
    """Made once for all of these tests."""
    with cloned_database(database_server, template_database) as url:
        async with stocked(shop_settings, url) as found:
            yield found


@pytest.fixture
def stocked_url(database_server: str, stock: Stock) -> Iterator[str]:
    """A database of this test's own that knows the catalogue."""
    with cloned_database(database_server, stock.database) as url:
        yield url


@pytest.fixture
async def world(shop_settings: Settings, stock: Stock, stocked_url: str) -> AsyncIterator[World]:
    """A customer who is about to buy."""
    async with dispute_world(shop_settings, stock, stocked_url) as opened:
        yield opened
