"""A real browser: the system's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from quntedge.settings import Settings
from tests.journeys.world import Product, running_product

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium; without one the browser tests are skipped, visibly."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: install Debian's package `chromium` to run the browser tests")
    return found


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A headless browser of this test's own."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield launched
        await launched.close()


@pytest.fixture
async def shop(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    """The whole product in demo mode, so that its mailbox page can be read."""
    demo = settings.model_copy(update={"demo": True})
    async with running_product(demo, database_url) as running:
        yield running


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser's console complains about and what is fetched from elsewhere; must stay empty."""
    found: list[str] = []
    yield found
    assert found == []


def watch(page: Page, shop: Product, complaints: list[str]) -> None:
    """Writes console errors and requests to other hosts into `complaints`."""
    ours = (shop.url, shop.emulator.url, "data:", "about:")
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(ours) else None)
