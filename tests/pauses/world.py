"""A customer with a plan at the emulated gateway, our pauses around it, and a gateway that can be cut off."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.gateway.acts import MembershipActs
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.port import CheckoutRequest, MembershipSnapshot, PlanRequest
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding, PauseMoved
from quntedge.pauses.service import PauseService
from quntedge.pauses.watch import PauseWatch
from quntedge.payments.events import PaymentRecorded
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.service import ObservedMembership, Owner, SubscriptionService
from tests.catalog.rows import insert_plan
from tests.conftest import START
from tests.notifications.world import add_user


class Cut:
    """The real gateway, with trouble at chosen points of what changes something."""

    def __init__(self, gateway: WhopGateway) -> None:
        self.gateway = gateway
        self.trouble: Callable[[str], None] = lambda point: None
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gateway, name)

    async def pause_membership(
        self, membership_id: str, *, until: datetime | None, idempotency_key: str
    ) -> MembershipSnapshot:
        self.trouble("before pause")
        self.calls.append("pause")
        answer = await self.gateway.pause_membership(membership_id, until=until, idempotency_key=idempotency_key)
        self.trouble("after pause")
        return answer

    async def resume_membership(self, membership_id: str, *, idempotency_key: str) -> MembershipSnapshot:
        self.trouble("before resume")
        self.calls.append("resume")
        answer = await self.gateway.resume_membership(membership_id, idempotency_key=idempotency_key)
        self.trouble("after resume")
        return answer


@dataclass
class World:
    """One customer, one plan."""

    emulator: RunningEmulator
    gateway: WhopGateway
    acts: Cut
    clock: FrozenClock
    units: UnitOfWorkFactory
    vault: Vault
    processes: ProcessRunner
    subscriptions: SubscriptionService
    service: PauseService
    watch: PauseWatch
    user_id: str = ""
    membership_id: str = ""
    facts: list[object] = field(default_factory=list)

    async def buy(self, **plan: Any) -> None:
        """A monthly plan without trial unless told otherwise, paid for and known here."""
        self.user_id = await add_user(self.units, self.vault)
        period, trial = plan.get("period_days", 30), plan.get("trial_days", 0)
        product = await self.gateway.create_product("Analytics", metadata={}, idempotency_key="product")
        request = PlanRequest(product.product_id, "Plan", Money(2900, "usd"), period, trial or None)
        made = await self.gateway.create_plan(request, idempotency_key="plan")
        async with self.units() as unit:
            values = {"id": "pln_1", "created_at": START, "whop_plan_id": made.plan_id} | plan
            await insert_plan(unit.session, **values)
            await unit.commit()
        asked = CheckoutRequest(made.plan_id, "http://127.0.0.1/return", {})
        checkout = await self.gateway.create_checkout(asked, idempotency_key="checkout")
        bought = await self.emulator.pay(checkout.checkout_id, email="kim@customer.test")
        self.membership_id = bought["membership"]["id"]
        await self.hear()

    async def hear(self) -> None:
        """The news of the membership arrives, as by a delivery."""
        snapshot = await self.gateway.membership(self.membership_id)
        async with self.units() as unit:
            observed = ObservedMembership(snapshot, "msg_1", from_gateway=True)
            await self.subscriptions.apply(unit, [observed], await plan_terms(unit), self._owners)
            await unit.commit()

    async def _owners(self, unit: UnitOfWork, observed: Sequence[ObservedMembership]) -> Mapping[str, Owner]:
        return {item.snapshot.membership_id: Owner(self.user_id) for item in observed}

    async def advance(self, **step: float) -> None:
        """Time passes, there and here; what happened there has not been heard of yet."""
        await self.emulator.advance(seconds=timedelta(**step).total_seconds())
        self.clock.set(self.emulator.runtime.world.now())

    async def row(self, table: str) -> dict[str, Any]:
        """The only row of a table (the newest of pauses)."""
        order = " ORDER BY requested_at DESC LIMIT 1" if table == "pause" else ""
        async with self.units() as unit:
            found = await unit.session.execute(text(f"SELECT * FROM {table}{order}"))
            return dict(found.one()._mapping)

    async def paid_amounts(self) -> list[int]:
        """What the gateway has collected so far."""
        payments = await self.gateway.payments_of(self.membership_id)
        return [p.total.amount_minor for p in payments if p.total is not None and p.paid_at is not None]

    def told(self) -> list[str]:
        """What the mails would be written about."""
        return [type(fact).__name__ for fact in self.facts]


@asynccontextmanager
async def open_world(
    engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault, database_url: str
) -> AsyncIterator[World]:
    """An emulator with our pauses at it; nothing is bought yet."""
    async with running_emulator(EmulatorConfig(api_key="test-key", account_id="biz_test", start=START)) as emulator:
        gateway = connect(WhopSettings("custom", "test-key", "biz_test", emulator.api_base_url))
        acts, subscriptions = Cut(gateway), SubscriptionService()
        processes = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
        service = PauseService(units, processes, cast(MembershipActs, acts), subscriptions)
        watch = PauseWatch(units, cast(MembershipActs, acts), subscriptions)
        world = World(emulator, gateway, acts, clock, units, vault, processes, subscriptions, service, watch)

        async def remember(unit: UnitOfWork, facts: Sequence[object]) -> None:
            world.facts.extend(facts)

        units.bus.subscribe(SubscriptionChanged, watch.on_subscription_changed)
        units.bus.subscribe(PaymentRecorded, watch.on_payment_recorded)
        for kind in (PauseBegan, PauseMoved, PauseEnding, PauseEnded):
            units.bus.subscribe(kind, remember)
        yield world
        await gateway.close()
