"""Where the contract is played: an emulator, the SDK with its answers written down, and receivers of webhooks."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from whop_sdk import AsyncWhop
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.emulator.wire.event_names import ACCEPTED
from tests.emulator.contract.recording import Record, recording_sdk
from tests.emulator.receiver import SECRET, Receiver, running_receiver

CONFIG = EmulatorConfig(
    start=datetime(2026, 9, 1, 12, 0, tzinfo=UTC),
    real_stamps=True,  # so that the SDK's verifier accepts every delivery, in whatever month it happens
    delivery_timeout_seconds=60,  # a machine that stalls for some seconds must not make deliveries fail
)
GOOD = "4242424242424242"
DECLINED = "4000000000000002"
FAILS_LATER = "4000000000000341"
CHALLENGED = "5385308360135181"
PENDS = "4000000000000077"
PENDS_AND_FAILS = "4000000000000085"
ALWAYS_CHALLENGED = "4000002760003184"


@dataclass
class Stage:
    """One emulated account on which the acts are played, one after the other."""

    emu: RunningEmulator
    sdk: AsyncWhop
    record: Record
    native: Receiver
    legacy: Receiver
    other: Receiver
    """For endpoints that acts make, whose secrets are the emulator's choice."""
    product_id: str = ""

    @property
    def account(self) -> str:
        """Id of the account."""
        return self.emu.config.account_id

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        """Asks `/_control` to make something happen that no API call can."""
        response = await self.emu.control.post(path, json=body)
        assert response.is_success, f"{path}: {response.text}"
        answer: dict[str, Any] = response.json()
        return answer

    async def plan(self, **over: Any) -> str:
        """A plan of 29 USD a month unless told otherwise; returns its id."""
        values: dict[str, Any] = {
            "plan_type": "renewal",
            "billing_period": 30,
            "initial_price": 0,
            "renewal_price": 29,
            "currency": "usd",
            "title": "Monthly",
            "metadata": {"code": "monthly"},
        }
        made = await self.sdk.variants.create(account_id=self.account, product_id=self.product_id, **{**values, **over})
        return str(made.id)

    async def buy(self, email: str, card: str = GOOD, challenge: str = "pass", **plan: Any) -> dict[str, Any]:
        """Buys a new plan through a checkout; returns the control API's answer."""
        made = await self.sdk.checkout_configurations.create(
            account_id=self.account, plan_id=await self.plan(**plan), metadata={"intent_id": "chk_1"}
        )
        return await self.emu.pay(made.id, card, email=email, name=email.partition("@")[0].title(), challenge=challenge)

    async def refused(self, status: int, call: Awaitable[Any]) -> ApiError:
        """Expects an error that the SDK can read; one with a class of its own where the operation lists it."""
        with pytest.raises(ApiError) as refused:
            await call
        assert refused.value.status_code == status, refused.value.body
        return refused.value

    async def walk(self, listing: Callable[..., Awaitable[Any]], **filters: Any) -> list[Any]:
        """Reads a list whole, then page by page and where it can, backwards."""
        whole = [one.id async for one in await listing(first=100, **filters)]
        assert len(whole) > 1, f"a list of {len(whole)} proves nothing about pages"
        assert [one.id async for one in await listing(first=max(1, len(whole) // 3), **filters)] == whole
        if "before" in inspect.signature(listing).parameters:
            page = await listing(last=1, **filters)
            assert [one.id for one in page.items] == whole[-1:]
            page = await listing(last=1, before=page.response.page_info.start_cursor, **filters)
            assert [one.id for one in page.items] == whole[-2:-1]
        return whole


async def _product(stage: Stage) -> str:
    made = await stage.sdk.products.create(title="QuntEdge", account_id=stage.account, metadata={"tier": "pro"})
    return str(made.id)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A stage whose clock begins at 2026-09-01T12:00Z, with one endpoint of each shape for every event."""
    record = Record()
    async with (
        running_receiver() as native,
        running_receiver() as legacy,
        running_receiver() as other,
        running_emulator(CONFIG) as emu,
        recording_sdk(emu, record) as sdk,
    ):
        await emu.register_webhook(native.url, SECRET, events=sorted(ACCEPTED))
        await emu.register_webhook(legacy.url, SECRET, legacy=True, events=sorted(ACCEPTED))
        stage = Stage(emu, sdk, record, native, legacy, other)
        stage.product_id = await _product(stage)
        yield stage
