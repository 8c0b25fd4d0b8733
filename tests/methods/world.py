"""A customer at an emulated Whop, and what we hold of their cards, moved by hand from instant to instant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from quntedge.gateway.saved import SetupSnapshot
from quntedge.methods.feature import Methods
from quntedge.methods.queries import MethodView, methods_of
from quntedge.settings import Settings
from quntedge.webhooks.apply import Evidence
from tests.dunning.world import EMAIL, PAYS, World, dunning_world


@dataclass
class MethodWorld:
    """One customer; `base` moves time, buys and hears."""

    base: World

    @property
    def methods(self) -> Methods:
        """The feature under test."""
        return self.base.runtime.services.methods

    @property
    def user_id(self) -> str:
        """The customer."""
        return self.base.user_id

    async def buy(self, card: str = PAYS, expiry: str | None = None, plan: str = "quarterly") -> None:
        """The customer buys a plan; we hear of it, and look at their cards."""
        view = await self.base.runtime.services.checkout.start(self.user_id, plan, f"buy-{plan}")
        session = httpx.URL(view.purchase_url or "").params["session"]
        bought = await self.base.emulator.pay(session, card, email=EMAIL, expiry=expiry)
        self.base.membership_id = bought["membership"]["id"]
        self.base.member_id = bought["membership"]["member_id"]
        await self.base.hear()
        await self.look()

    async def look(self) -> int:
        """What the sweep does; how many members were looked at."""
        return await self.methods.sync.sync_due()

    async def add(self, card: str = PAYS, expiry: str | None = None, email: str = EMAIL) -> str:
        """The customer adds a card on the page we send them to, and we hear of it; Whop's id of the card."""
        url = await self.methods.service.start_adding(self.user_id)
        setup = httpx.URL(url).path.rpartition("/")[2]
        saved = await self.base.emulator.pay(setup, card, email=email, expiry=expiry)
        intent = saved["setup_intent"]
        await self.told(intent)
        return str(intent["payment_method_id"])

    async def told(self, intent: dict[str, Any]) -> None:
        """A delivery tells us that a card was saved."""
        setup = SetupSnapshot(
            setup_id=intent["id"],
            raw_status=intent["status"],
            member_id=intent["member_id"],
            method_id=intent["payment_method_id"],
            checkout_id=intent["checkout_configuration_id"],
            metadata=intent["metadata"],
        )
        await self.base.told(Evidence(setups=(setup,)))
        await self.look()

    async def shown(self) -> list[MethodView]:
        """What the customer sees."""
        async with self.base.runtime.units() as unit:
            return await methods_of(unit.session, self.user_id, unit.clock.now())

    async def brands(self) -> list[tuple[str | None, bool]]:
        """Last digits of the cards in the order of the list, and which one pays."""
        return [(view.last4, view.is_default) for view in await self.shown()]

    async def warn(self) -> int:
        """What the sweep does; how many cards were looked at."""
        async with self.base.runtime.units() as unit:
            count = await self.methods.service.warn(unit, unit.clock.now())
            await unit.commit()
        return count

    async def warnings(self) -> list[str]:
        """Keys of the warnings that are owed."""
        rows = await self.base.rows("SELECT cause_key FROM notification WHERE kind = 'method_expiring' ORDER BY id")
        return [str(row["cause_key"]) for row in rows]

    def charged_with(self) -> str | None:
        """The method that Whop charges for the membership."""
        memberships = self.base.emulator.runtime.world.store.tables.memberships
        return memberships[self.base.membership_id].payment_method_id


@asynccontextmanager
async def method_world(settings: Settings, database_url: str) -> AsyncIterator[MethodWorld]:
    """Whop, our services on it, and a customer."""
    async with dunning_world(settings, database_url) as base:
        yield MethodWorld(base)
