import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy.dialects.postgresql import insert

from quntedge.accounts.people import WhopIdentity, users_for_whop
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.checkout.models import CheckoutIntent
from quntedge.checkout.outcomes import CheckoutOutcomes
from quntedge.checkout.service import CheckoutService
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.ids import new_id
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import Subscription

BASE_URL = "https://pay.example.test"


class Wire(httpx.AsyncHTTPTransport):
    """The connection to the gateway, with faults on request; nothing behind it is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        """What happens to the next POSTs: "lost" (executed, the answer never arrives), "refused" (no connection),
        "limited" (429) or "rejected" (403)."""
        self.keys: list[str] = []
        """The idempotency keys of the POSTs so far."""
        self.hold: asyncio.Event | None = None
        """While set and not released, answers to POSTs are kept back."""
        self.reached = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return await super().handle_async_request(request)
        self.keys.append(request.headers["Idempotency-Key"])
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "refused":
            raise httpx.ConnectError("nobody answers")
        if fault == "limited":
            error = {"type": "rate_limit_exceeded", "message": "Try again in 12 seconds."}
            return httpx.Response(429, json={"error": error}, request=request)
        if fault == "rejected":
            return httpx.Response(403, json={"error": {"type": "forbidden", "message": "no"}}, request=request)
        response = await super().handle_async_request(request)
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if fault == "lost":
            await response.aread()
            raise httpx.ReadError("the connection was cut")
        return response


@dataclass
class World:
    """A shop with the seed catalogue on sale at an emulated gateway."""

    units: UnitOfWorkFactory
    vault: Vault
    gateway: WhopGateway
    wire: Wire
    emulator: RunningEmulator
    retired: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.checkouts = CheckoutService(self.units, self.gateway, BASE_URL + "/", retire_later=self.retire_later)
        self.outcomes = CheckoutOutcomes(self.retire_later)

    async def retire_later(self, unit: UnitOfWork, checkout_ids: list[str]) -> None:
        self.retired.extend(checkout_ids)

    async def user(self, name: str = "kim") -> str:
        async with self.units() as unit:
            key = f"user_{name}"
            found = await users_for_whop(unit, self.vault, [WhopIdentity(key, None, name)])
            await unit.commit()
        return found[key]

    async def plan(self, code: str) -> PlanView:
        async with self.units() as unit:
            plan = await catalog.plan_by_code(unit.session, code)
        assert plan is not None
        return plan

    async def intents(self) -> list[CheckoutIntent]:
        async with self.units() as unit:
            rows = await unit.session.scalars(CheckoutIntent.__table__.select().with_only_columns(CheckoutIntent.id))
            found = [await unit.session.get_one(CheckoutIntent, intent_id) for intent_id in rows.all()]
        return sorted(found, key=lambda intent: intent.id)

    async def subscribe(self, user_id: str, code: str = "monthly", **values: Any) -> str:
        """A subscription row, as the webhooks would have made it."""
        plan = await self.plan(code)
        async with self.units() as unit:
            now = unit.clock.now()
            row = {
                "id": new_id("sub", now),
                "user_id": user_id,
                "plan_id": plan.id,
                "status": "active",
                "whop_membership_id": new_id("mem", now),
                "started_at": now,
                "created_at": now,
                "updated_at": now,
            } | values
            await unit.session.execute(insert(Subscription).values(**row))
            await unit.commit()
        return str(row["id"])

    async def checkouts_at_gateway(self) -> list[dict[str, Any]]:
        listed = await self.emulator.control.get(
            f"{self.emulator.api_base_url}/checkout_configurations",
            params={"account_id": self.emulator.config.account_id, "first": 100},
            headers={"Authorization": f"Bearer {self.emulator.config.api_key}"},
        )
        data: list[dict[str, Any]] = listed.raise_for_status().json()["data"]
        return data


@pytest.fixture
async def world(units: UnitOfWorkFactory, vault: Vault) -> AsyncIterator[World]:
    async with running_emulator() as emulator:
        wire = Wire()
        config = emulator.config
        settings = WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url)
        gateway = connect(settings, transport=wire)
        service = CatalogService(units, gateway)
        await service.apply(packaged())
        await service.sync_gateway()
        wire.keys.clear()
        wire.reached.clear()
        yield World(units, vault, gateway, wire, emulator)
        await gateway.close()
