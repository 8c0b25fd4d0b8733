"""A subscriber at an emulated Whop, and our side of their unpaid renewal, moved by hand from instant to instant."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text

from quntedge.catalog.toml import packaged
from quntedge.dunning.cases import Cases
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.invoices.parties import Seller
from quntedge.invoices.service import InvoiceService
from quntedge.kit.clock import FrozenClock
from quntedge.payments.service import PaymentService
from quntedge.refunds.service import RefundService
from quntedge.settings import Settings
from quntedge.subscriptions.service import SubscriptionService
from quntedge.webhooks.apply import Applier, Evidence
from quntedge.wiring import Runtime, build
from tests.notifications.world import add_user

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
PAYS = "4242424242424242"
FAILS_LATER = "4000000000000341"
LOST_LATER = "4000000000002341"
ALWAYS_ASKS = "4000002760003184"
EMAIL = "kim@customers.test"


class Killed(BaseException):
    """The process ends here, as if by `kill -9`."""


@dataclass
class World:
    """One customer with a quarterly plan."""

    runtime: Runtime
    emulator: RunningEmulator
    clock: FrozenClock
    user_id: str
    applier: Applier
    member_id: str = ""
    membership_id: str = ""

    async def buy(self, card: str = PAYS) -> None:
        """The customer buys the plan, and we hear of it."""
        services = self.runtime.services
        view = await services.checkout.start(self.user_id, "quarterly", "attempt-1")
        session = httpx.URL(view.purchase_url or "").params["session"]
        bought = await self.emulator.pay(session, card, email=EMAIL)
        assert bought["outcome"] == "paid"
        self.membership_id = bought["membership"]["id"]
        self.member_id = bought["membership"]["member_id"]
        await self.hear()

    async def hear(self, *, late: bool = False) -> None:
        """We learn how things are at Whop now."""
        gateway = self.runtime.gateway
        membership = await gateway.membership(self.membership_id)
        listed = await gateway.payments_of(self.membership_id)
        payments = [await gateway.payment(payment.payment_id) for payment in listed]
        await self.told(Evidence(memberships=(membership,), payments=tuple(payments), from_gateway=not late))

    async def told(self, evidence: Evidence) -> None:
        """We are told this."""
        async with self.runtime.units() as unit:
            await self.applier.apply(unit, [("test", evidence)])
            await unit.commit()

    async def jump(self, *, to: datetime | None = None, hours: float = 0, seconds: float = 0) -> None:
        """Time passes at Whop and here, a moment more than asked for; nobody tells us anything.

        Whop's clock never stands still, so what lies a moment ahead of ours may have gone by there.
        """
        span = timedelta(hours=hours, seconds=seconds) if to is None else to - self.clock.now()
        moved = await self.emulator.advance(seconds=max(math.ceil(span.total_seconds()), 0) + 1)
        self.clock.set(datetime.fromisoformat(moved["now"]))

    async def work(self) -> None:
        """Does all that is due here now."""
        while await self.runtime.services.dunning.service.work_due() + await self.runtime.processes.resume_due():
            pass

    async def travel(self, **span: float) -> None:
        """Passes this time, stopping wherever something of theirs or ours falls due."""
        goal = self.clock.now() + timedelta(**span)
        while self.clock.now() < goal:
            await self.jump(to=min(await self._stops(goal)))
            await self.hear()
            await self.work()

    async def _stops(self, goal: datetime) -> list[datetime]:
        rows = await self.rows(
            "SELECT next_due_at AS at FROM dunning_case WHERE state = 'open'"
            " UNION ALL SELECT next_attempt_at FROM payment_transaction WHERE status IN ('failed', 'requires_action')"
            " UNION ALL SELECT due_at FROM process WHERE state = 'running'"
            " UNION ALL SELECT period_end FROM subscription"
        )
        return [goal, *(row["at"] for row in rows if row["at"] is not None and self.clock.now() < row["at"] < goal)]

    async def fail_renewal(self) -> None:
        """The first renewal comes, and is declined."""
        await self.travel(days=90, seconds=1)

    async def save_card(self, card: str = PAYS) -> str:
        """The customer saves another card; the id of the method."""
        body = {"account_id": self.emulator.config.account_id, "mode": "setup"}
        checkout = await self.api("POST", "/checkout_configurations", body)
        saved = await self.emulator.pay(checkout["id"], card, email=EMAIL)
        return str(saved["setup_intent"]["payment_method_id"])

    async def api(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """A call of the seller's."""
        headers = {"Authorization": f"Bearer {self.emulator.config.api_key}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, self.emulator.api_base_url + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()

    async def at_whop(self) -> tuple[str, dict[str, Any]]:
        """The membership's status there, and its newest payment."""
        membership = await self.runtime.gateway.membership(self.membership_id)
        payments = await self.runtime.gateway.payments_of(self.membership_id)
        newest = payments[0]
        return membership.raw_status, {"status": newest.raw_status, "failed": newest.payments_failed}

    async def case(self) -> dict[str, Any]:
        """The newest case."""
        rows = await self.rows("SELECT * FROM dunning_case ORDER BY opened_at DESC, id DESC LIMIT 1")
        return rows[0]

    async def attempts(self) -> list[tuple[str, str]]:
        """Who tried, and what came of it, in order."""
        rows = await self.rows("SELECT actor, result FROM dunning_attempt ORDER BY started_at, id")
        return [(row["actor"], row["result"]) for row in rows]

    async def mails(self) -> list[str]:
        """Kinds of the mails that are owed, in order; the confirmation of the purchase left out."""
        rows = await self.rows("SELECT kind FROM notification WHERE kind <> 'invoice' ORDER BY id")
        return [row["kind"] for row in rows][1:]

    async def status(self) -> str:
        """Status of the subscription."""
        (row,) = await self.rows("SELECT status FROM subscription")
        return str(row["status"])

    async def allowed(self) -> bool:
        """Whether the plan's features are open now."""
        return (await self.runtime.services.access.decide(self.user_id, "unlimited_accounts")).allowed

    async def change(self, sql: str, **parameters: object) -> None:
        """Changes a case behind its back, and has it planned anew."""
        async with self.runtime.units() as unit:
            await unit.session.execute(text(sql), parameters)
            cases = Cases(unit, "UTC")
            await cases.load_ids([(await self.case())["id"]])
            cases.refresh()
            await unit.commit()

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]


@asynccontextmanager
async def dunning_world(settings: Settings, database_url: str, behavior: str = "cancel") -> AsyncIterator[World]:
    """Whop with this `subscription_failure_behavior`, our services on it, and a customer who has nothing yet."""
    config = EmulatorConfig(
        api_key="test-key",
        account_id="biz_test",
        start=START,
        subscription_failure_behavior=behavior,  # type: ignore[arg-type]
    )
    async with running_emulator(config) as emulator:
        clock = FrozenClock(START)
        runtime = build(settings.model_copy(update={"whop_base_url": emulator.api_base_url}), database_url, clock)
        try:
            await runtime.catalog.apply(packaged())
            await runtime.catalog.sync_gateway()
            user_id = await add_user(runtime.units, runtime.vault, EMAIL)
            payments = PaymentService()
            invoices = InvoiceService(runtime.vault, Seller.from_settings(runtime.settings))
            applier = Applier(SubscriptionService(), payments, RefundService(payments), invoices, runtime.vault)
            yield World(runtime, emulator, clock, user_id, applier)
        finally:
            await runtime.close()


def dies(
    at: str, call: Callable[..., Awaitable[Any]], error: BaseException | None = None
) -> Callable[..., Awaitable[Any]]:
    """The call, cut off once `before` or `after` it."""
    died: list[str] = []

    async def dying(*arguments: Any, **options: Any) -> Any:
        if at == "before" and not died:
            died.append(at)
            raise error or Killed()
        answer = await call(*arguments, **options)
        if at == "after" and not died:
            died.append(at)
            raise error or Killed()
        return answer

    return dying
