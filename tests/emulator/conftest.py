"""An emulator on a real port, the official SDK pointed at it, and a receiver for its webhooks."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from whop_sdk import AsyncWhop, WhopEnvironment

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.receiver import SECRET, Receiver, running_receiver

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
PATIENT = 60.0
"""Whop waits five seconds for a receiver. A machine that stalls must not decide a test."""
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Everything is plain HTTP here; reading the system's certificates for each client would take most of the time."""
GOOD = "4242424242424242"
DECLINED = "4000000000000002"
FAILS_LATER = "4000000000000341"
CHALLENGED = "5385308360135181"


@pytest.fixture
async def emu() -> AsyncIterator[RunningEmulator]:
    """An emulator whose clock begins at 2026-09-01T12:00Z."""
    async with running_emulator(EmulatorConfig(start=START, delivery_timeout_seconds=PATIENT)) as running:
        yield running


def sdk_for(emu: RunningEmulator, http: httpx.AsyncClient) -> AsyncWhop:
    """The official client, untouched, with its own HTTP client so that that can be closed."""
    environment = WhopEnvironment(api=emu.api_base_url, vault=emu.api_base_url)
    return AsyncWhop(token=emu.config.api_key, environment=environment, httpx_client=http, max_retries=0)


@pytest.fixture
async def sdk(emu: RunningEmulator) -> AsyncIterator[AsyncWhop]:
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        yield sdk_for(emu, http)


@pytest.fixture
async def api(emu: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the API, with the key."""
    headers = {"authorization": f"Bearer {emu.config.api_key}"}
    async with httpx.AsyncClient(base_url=f"{emu.api_base_url}/", headers=headers, verify=NO_CERTIFICATES) as client:
        yield client


@pytest.fixture(scope="session")
async def receiver_server() -> AsyncIterator[Receiver]:
    async with running_receiver() as running:
        yield running


@pytest.fixture
async def receiver(receiver_server: Receiver) -> Receiver:
    """An endpoint that answers 200 and has received nothing."""
    receiver_server.clear()
    receiver_server.statuses.clear()
    receiver_server.answering.set()
    return receiver_server


@pytest.fixture
async def hooked(emu: RunningEmulator, receiver: Receiver) -> Receiver:
    """The receiver, registered as a pinned endpoint for everything."""
    await emu.register_webhook(receiver.url, SECRET)
    return receiver


@dataclass(frozen=True)
class Shop:
    """A product with plans, and short ways to sell them."""

    emu: RunningEmulator
    sdk: AsyncWhop
    product_id: str

    async def plan(self, **over: Any) -> str:
        """A monthly plan of 29 USD unless told otherwise; returns its id."""
        values: dict[str, Any] = {
            "plan_type": "renewal",
            "billing_period": 30,
            "initial_price": 0,
            "renewal_price": 29,
            "currency": "usd",
            "title": "Monthly",
        }
        made = await self.sdk.variants.create(
            account_id=self.emu.config.account_id, product_id=self.product_id, **{**values, **over}
        )
        return made.id

    async def checkout(self, plan_id: str, **over: Any) -> str:
        values = {"redirect_url": "http://127.0.0.1:1/return", "metadata": {"intent_id": "chk_1"}}
        made = await self.sdk.checkout_configurations.create(
            account_id=self.emu.config.account_id, plan_id=plan_id, **{**values, **over}
        )
        return made.id

    async def sell(self, email: str = "kim@customer.test", card: str = GOOD, **plan: Any) -> dict[str, Any]:
        """Makes a plan and a checkout and pays it; returns what `pay` returns."""
        checkout_id = await self.checkout(await self.plan(**plan))
        paid = await self.emu.pay(checkout_id, card, email=email)
        await self.emu.settle()
        return paid


@pytest.fixture
async def shop(emu: RunningEmulator, sdk: AsyncWhop) -> Shop:
    product = await sdk.products.create(title="QuntEdge", account_id=emu.config.account_id)
    return Shop(emu, sdk, product.id)
