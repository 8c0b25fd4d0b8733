"""A customer of ours at an emulated Whop whose deliveries we take when, and in which order, we want."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from quntedge.catalog.toml import load
from quntedge.disputes.events import DisputeMoved
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.kit.clock import FrozenClock
from quntedge.main import create_app
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.webhooks.endpoint import PATH
from quntedge.webhooks.worker import drain
from quntedge.wiring import Runtime, build
from tests.contract.receiver import Delivery, Receiver, receiving
from tests.gateway.payloads import sign
from tests.notifications.world import add_user

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
SECRET = "ws_disputes_secret"
EMAIL = "kim@customers.test"
STOCKED = "stocked"
CATALOG = """
[[features]]
code = "charts"
name = "Charts"

[[plans]]
code = "kept"
name = "Kept"
tagline = "All charts, always."
kind = "recurring"
price = "29.00"
period_days = 30
features = ["charts"]

[[plans]]
code = "held"
name = "Held"
kind = "recurring"
price = "29.00"
period_days = 30
features = ["charts"]
[plans.dispute]
open = "pause_access"
lost = "pause_access"

[[plans]]
code = "forever"
name = "Forever"
kind = "lifetime"
price = "199.00"
features = ["charts"]
"""


@dataclass(frozen=True, slots=True)
class Purchase:
    """A customer and what they bought."""

    user_id: str
    membership_id: str
    payment_id: str


@dataclass
class World:
    """One customer at a time, the one who bought last. `moves` are the facts about disputes, as they were recorded."""

    runtime: Runtime
    emulator: RunningEmulator
    clock: FrozenClock
    http: httpx.AsyncClient
    receiver: Receiver
    purchases: dict[str, Purchase]
    taken: int = 0
    user_id: str = ""
    membership_id: str = ""
    payment_id: str = ""
    moves: list[DisputeMoved] = field(default_factory=list)

    async def buy(self, plan: str = "kept") -> None:
        """A customer buys a plan, and we hear of it; some have done so before the test began."""
        bought = self.purchases.get(plan) or await self.sell(plan)
        self.user_id, self.membership_id, self.payment_id = bought.user_id, bought.membership_id, bought.payment_id

    async def sign_up(self, email: str = EMAIL) -> str:
        """Somebody who has nothing yet."""
        return await add_user(self.runtime.units, self.runtime.vault, email, "Kim Doe")

    async def sell(self, plan: str) -> Purchase:
        """A new customer buys a plan, and we hear of it."""
        email = EMAIL if plan == "kept" else f"{plan}@customers.test"
        user_id = await self.sign_up(email)
        view = await self.runtime.services.checkout.start(user_id, plan, f"buy-{plan}")
        session = httpx.URL(view.purchase_url or "").params["session"]
        bought = await self.emulator.pay(session, email=email)
        assert bought["outcome"] == "paid"
        await self.hear()
        return Purchase(user_id, bought["membership"]["id"], bought["payment"]["id"])

    async def pending(self) -> list[Delivery]:
        """What Whop has sent and we have not taken yet, in the order in which it was sent."""
        await self.emulator.settle()
        found = self.receiver.deliveries[self.taken :]
        self.taken = len(self.receiver.deliveries)
        return found

    async def take(self, deliveries: Sequence[Delivery]) -> None:
        """These deliveries reach us, signed anew at our time, and all that follows is done."""
        for delivery in deliveries:
            message = json.loads(delivery.body)
            headers = sign(delivery.body, SECRET, message["id"], self.clock.now())
            answer = await self.http.post(PATH, content=delivery.body, headers=headers)
            assert answer.status_code == 200, answer.text
        await self.work()

    async def work(self) -> None:
        """Does all that is due here now."""
        while await drain(self.runtime.webhooks) + await self.runtime.processes.resume_due():
            pass

    async def hear(self) -> None:
        """We take what Whop has sent."""
        await self.take(await self.pending())

    async def advance(self, **step: float) -> None:
        """Time passes, there and here; nobody tells us anything."""
        moved = await self.emulator.advance(**step)
        self.clock.set(datetime.fromisoformat(moved["now"]))

    async def dispute(self, **complaint: Any) -> str:
        """The buyer disputes the payment, and we hear of it; Whop's id of the dispute."""
        opened = await self.emulator.open_dispute(self.payment_id, **complaint)
        await self.hear()
        return str(opened["id"])

    async def rule(self, dispute_id: str, status: str) -> None:
        """The bank decides, and we hear of it."""
        await self.advance(hours=1)
        await self.emulator.rule_dispute(dispute_id, status)
        await self.hear()

    async def whop(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call of the seller's at Whop, past us."""
        headers = {"Authorization": f"Bearer {self.emulator.config.api_key}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, self.emulator.api_base_url + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def allowed(self) -> tuple[bool, str]:
        """Whether the plan's feature is open now, and why."""
        decision = await self.runtime.services.access.decide(self.user_id, "charts")
        return decision.allowed, decision.reason.value

    async def history(self) -> list[str]:
        """What happened to the customer's subscription."""
        sql = "SELECT kind FROM subscription_event WHERE user_id = :user ORDER BY version"
        return [row["kind"] for row in await self.rows(sql, user=self.user_id)]

    async def status(self) -> str:
        """Status of the customer's subscription."""
        found = await self.row("SELECT status FROM subscription WHERE user_id = :user", user=self.user_id)
        return str(found["status"])

    async def row(self, sql: str, **parameters: object) -> dict[str, Any]:
        """The only row of a query."""
        (found,) = await self.rows(sql, **parameters)
        return found

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]

    async def alarms(self) -> list[str]:
        """Kinds of the alarms, in order."""
        return [row["kind"] for row in await self.rows("SELECT kind FROM dispute_alarm ORDER BY raised_at, id")]


@dataclass(frozen=True, slots=True)
class Stock:
    """Whop whose deliveries go to `receiver`, and a database; both know the catalogue and two purchases."""

    emulator: RunningEmulator
    receiver: Receiver
    database: str
    purchases: dict[str, Purchase]


@asynccontextmanager
async def stocked(settings: Settings, database_url: str) -> AsyncIterator[Stock]:
    """Puts the catalogue on sale and sells some of it, once: that costs more than most of these tests."""
    config = EmulatorConfig(api_key="test-key", account_id="biz_test", start=START)
    async with running_emulator(config) as emulator, receiving() as receiver:
        await emulator.register_webhook(receiver.url, SECRET)
        stock = Stock(emulator, receiver, str(make_url(database_url).database), {})
        async with _opened(settings, stock, database_url) as world:
            await world.runtime.catalog.apply(load(CATALOG))
            await world.runtime.catalog.sync_gateway()
            stock.purchases.update({plan: await world.sell(plan) for plan in ("kept", "held")})
        await emulator.snapshot(STOCKED)
        yield stock


@asynccontextmanager
async def dispute_world(settings: Settings, stock: Stock, database_url: str) -> AsyncIterator[World]:
    """Whop as it was when it was stocked, and our services on it."""
    await stock.emulator.restore(STOCKED)
    await stock.emulator.settle()
    async with _opened(settings, stock, database_url) as world:
        yield world


@asynccontextmanager
async def _opened(settings: Settings, stock: Stock, database_url: str) -> AsyncIterator[World]:
    clock = FrozenClock(START)
    settings = settings.model_copy(
        update={"whop_base_url": stock.emulator.api_base_url, "whop_webhook_secrets": [SecretStr(SECRET)]}
    )
    runtime = build(settings, database_url, clock)
    transport = httpx.ASGITransport(app=create_app(runtime))
    taken = len(stock.receiver.deliveries)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://quntedge.test") as http:
            world = World(runtime, stock.emulator, clock, http, stock.receiver, stock.purchases, taken)

            async def remember(unit: UnitOfWork, facts: Sequence[DisputeMoved]) -> None:
                world.moves.extend(facts)

            runtime.units.bus.subscribe(DisputeMoved, remember)
            yield world
    finally:
        await runtime.close()
