"""An emulator and our side of it, without deliveries: what we know, we know because a test had us look."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from quntedge.catalog.toml import packaged
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.port import CheckoutRequest
from quntedge.reconciliation.feature import Reconciliation
from quntedge.settings import Settings
from quntedge.wiring import Runtime, build

START = datetime(2026, 9, 2, 12, 0, tzinfo=UTC)
SINCE = datetime(2026, 9, 1, tzinfo=UTC)
_PLAN = """
    SELECT whop_plan_id FROM plan JOIN plan_price ON plan_price.plan_id = plan.id
    WHERE code = :code AND retired_at IS NULL AND plan_price.currency = :currency
"""


@dataclass
class World:
    """Both sides, and short ways to make them differ."""

    emulator: RunningEmulator
    runtime: Runtime

    @property
    def reconciliation(self) -> Reconciliation:
        return self.runtime.services.reconciliation

    def now(self) -> datetime:
        return self.runtime.clock.now()

    async def buy(self, name: str = "kim", plan: str = "quarterly", currency: str = "usd") -> str:
        """Somebody pays at Whop; nobody tells us. The payment's id."""
        plans = await self.rows(_PLAN, code=plan, currency=currency)
        request = CheckoutRequest(plans[0]["whop_plan_id"], "http://127.0.0.1/return", {})
        checkout = await self.runtime.gateway.create_checkout(request, idempotency_key=f"buy-{name}-{plan}")
        paid = await self.emulator.pay(checkout.checkout_id, email=f"{name}@customers.test")
        assert paid["outcome"] == "paid"
        payment_id: str = paid["payment"]["id"]
        return payment_id

    async def known(self, name: str = "kim", plan: str = "quarterly") -> str:
        """As `buy`, and we have heard of it."""
        payment_id = await self.buy(name, plan)
        await self.learn()
        return payment_id

    async def learn(self) -> None:
        """Has us look at Whop once what happened is old enough not to be on its way any more."""
        await self.emulator.advance(minutes=6)
        await self.runtime.reconciler.full(self.now())
        await self.runtime.disputes.discover(self.now())

    async def refund(self, payment_id: str, amount: float | None = None) -> None:
        """The seller refunds in Whop's dashboard."""
        await self.emulator.control.post(
            f"{self.emulator.url}/api/v1/payments/{payment_id}/refund",
            json={} if amount is None else {"partial_amount": amount},
            headers={"authorization": f"Bearer {self.emulator.config.api_key}"},
        )
        await self.emulator.advance(minutes=10)

    async def run(self, since: datetime = SINCE, until: datetime | None = None) -> Any:
        """A whole run by hand; its row."""
        run_id = await self.reconciliation.service.begin(since, until, trigger="manual", requested_by="test")
        run = await self.reconciliation.service.work(run_id)
        assert run.state == "done", run.error
        return run

    async def found(self) -> list[tuple[str, str, str | None]]:
        """Cause, measure and resolution of every difference."""
        rows = await self.rows(
            "SELECT cause, measure, resolution FROM money_difference ORDER BY cause, measure, resolution NULLS FIRST"
        )
        return [(row["cause"], row["measure"], row["resolution"]) for row in rows]

    async def sums(self, run_id: str) -> dict[tuple[str, str], tuple[int, int | None, int, int]]:
        """Gateway, records, ledger, unexplained; by measure and currency."""
        rows = await self.rows("SELECT * FROM reconciliation_sum WHERE run_id = :run", run=run_id)
        return {
            (row["measure"], row["currency"]): (
                row["gateway_minor"],
                row["recorded_minor"],
                row["ledger_minor"],
                row["unexplained_minor"],
            )
            for row in rows
        }

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]

    async def change(self, sql: str, **parameters: object) -> None:
        """Tampers with the database."""
        async with self.runtime.units() as unit:
            await unit.session.execute(text(sql), parameters)
            await unit.commit()


@asynccontextmanager
async def open_world(settings: Settings, database_url: str, **changes: object) -> AsyncIterator[World]:
    """An emulator and a runtime on its clock, with the packaged catalogue at both."""
    async with AsyncExitStack() as stack:
        config = EmulatorConfig(api_key="test-key", account_id="biz_test", start=START)
        emulator = await stack.enter_async_context(running_emulator(config))
        ours = {"whop_base_url": emulator.api_base_url, "clock_url": emulator.control_url} | changes
        runtime = build(settings.model_copy(update=ours), database_url)
        await runtime.start()
        stack.push_async_callback(runtime.close)
        await runtime.catalog.apply(packaged())
        await runtime.catalog.sync_gateway()
        yield World(emulator, runtime)
