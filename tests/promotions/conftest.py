"""A shop with the packaged catalogue: on a database alone, or on sale at an emulated gateway."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView, PriceView
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.checkout.discounts import Discounts, PromotionUses
from quntedge.checkout.outcomes import CheckoutOutcomes
from quntedge.checkout.queries import CheckoutView
from quntedge.checkout.service import CheckoutService
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import running_emulator
from quntedge.gateway.port import PaymentSnapshot
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.clock import FrozenClock
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.processes.runner import ProcessRunner
from quntedge.promotions.feature import Promotions
from quntedge.promotions.reserving import Reserved
from quntedge.promotions.rules import HOLD, PromotionSpec
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.checkout.conftest import BASE_URL, Wire, World
from tests.conftest import START


def spec(**changes: Any) -> PromotionSpec:
    """20 % off the first charge of any plan, unless said otherwise."""
    return PromotionSpec(**{"code": "launch", "name": "Launch", "percent_bp": 2000} | changes)


def usd(minor: int) -> Money:
    return Money(minor, "usd")


@dataclass
class Counter:
    """Promotions on a database, without a gateway."""

    units: UnitOfWorkFactory
    clock: FrozenClock
    promotions: Promotions
    plans: dict[str, PlanView] = field(default_factory=dict)

    async def save(self, wanted: PromotionSpec | None = None, *, codes: tuple[str, ...] = ("LAUNCH20",)) -> None:
        async with self.units() as unit:
            await self.promotions.service.save(unit, wanted or spec(), by="cli:test", codes=codes)
            await unit.commit()

    async def user(self) -> str:
        return (await self.users(1))[0]

    async def users(self, count: int) -> list[str]:
        """Many customers at once."""
        async with self.units() as unit:
            now = unit.clock.now()
            made = [new_id("usr", now) for _ in range(count)]
            await unit.session.execute(_USER, [{"id": user_id, "now": now} for user_id in made])
            await unit.commit()
        return made

    async def plan(self, code: str = "monthly") -> PlanView:
        if code not in self.plans:
            async with self.units() as unit:
                plan = await catalog.plan_by_code(unit.session, code)
            assert plan is not None
            self.plans[code] = plan
        return self.plans[code]

    async def reserve(self, user_id: str, typed: str = "LAUNCH20", plan: str = "monthly", **more: Any) -> Reserved:
        sold = await self.plan(plan)
        async with self.units() as unit:
            held = await hold(unit, self.promotions, user_id, typed, sold, sold.prices[0], **more)
            await unit.commit()
        return held

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        async with self.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]


async def hold(
    unit: UnitOfWork,
    promotions: Promotions,
    user_id: str,
    typed: str,
    plan: PlanView,
    terms: PriceView,
    *,
    bought_before: bool = False,
    checkout_id: str | None = None,
) -> Reserved:
    """Holds a use in a unit of work, as a checkout does."""
    now = unit.clock.now()
    return await promotions.desk.reserve(
        unit,
        typed,
        plan,
        terms,
        user_id=user_id,
        bought_before=bought_before,
        checkout_id=checkout_id or new_id("chk", now),
        expires_at=now + HOLD,
    )


_ON_SALE = text(
    "UPDATE plan_price SET whop_plan_id = concat_ws('_', 'plan', plan_id, version, currency) WHERE kind <> 'free'"
)
_USER = text("INSERT INTO app_user (id, created_at) VALUES (:id, :now)")


@pytest.fixture(scope="session")
async def nobody() -> AsyncIterator[WhopGateway]:
    """A gateway that never answers, for what does not ask it."""
    gateway = connect(WhopSettings("custom", "key", "biz_test", "http://127.0.0.1:1/api/v1"))
    yield gateway
    await gateway.close()


@pytest.fixture
async def counter(
    units: UnitOfWorkFactory, engine: AsyncEngine, clock: FrozenClock, database_url: str, nobody: WhopGateway
) -> Counter:
    await CatalogService(units, nobody).apply(packaged())
    async with units() as unit:
        await unit.session.execute(_ON_SALE)
        await unit.commit()
    processes = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
    return Counter(units, clock, Promotions(units, processes, nobody))


@dataclass
class Store(World):
    """A whole shop at the emulator: checkouts with promotion codes, and what becomes of them."""

    promotions: Promotions = None  # type: ignore[assignment]
    processes: ProcessRunner = None  # type: ignore[assignment]
    credit_promos: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.checkouts = CheckoutService(
            self.units, self.gateway, BASE_URL, retire_later=self.retire_later, promotions=self.promotions.desk
        )
        self.discounts = Discounts(self.promotions.desk)
        self.outcomes = CheckoutOutcomes(self.retire_later, self.promotions.desk.release)
        self.uses = PromotionUses(self.promotions.redemptions, self.credits)

    async def credits(
        self, session: AsyncSession, user_ids: Collection[str], promo_ids: Collection[str]
    ) -> frozenset[str]:
        """Promo codes that are no promotions, as another feature would tell."""
        return frozenset(self.credit_promos & set(promo_ids))

    async def save(self, wanted: PromotionSpec | None = None, *, codes: tuple[str, ...] = ("LAUNCH20",)) -> None:
        async with self.units() as unit:
            await self.promotions.service.save(unit, wanted or spec(), by="cli:test", codes=codes)
            await unit.commit()

    async def one(self, sql: str, **parameters: object) -> dict[str, Any]:
        async with self.units() as unit:
            return dict((await unit.session.execute(text(sql), parameters)).one()._mapping)

    async def work(self) -> None:
        """Does what the processes have to do now."""
        async with self.units() as unit:
            due = (await unit.session.execute(_DUE, {"now": unit.clock.now()})).scalars().all()
        for process_id in due:
            await self.processes.run(process_id)

    async def pay(self, user_id: str, view: CheckoutView, **how: Any) -> PaymentSnapshot:
        """Pays at the gateway's page, with what the customer types there, and hears of the payment."""
        session = httpx.URL(str(view.purchase_url)).params["session"]
        paid = await self.emulator.pay(session, email=f"{user_id}@customers.test", **how)
        snapshot = await self.gateway.payment(paid["payment"]["id"])
        await self.hear(user_id, snapshot, view.id)
        return snapshot

    async def hear(self, user_id: str, snapshot: PaymentSnapshot, checkout_id: str | None = None) -> None:
        """Applies a payment as a delivery does."""

        async def links(unit: UnitOfWork, seen: Sequence[ObservedPayment]) -> dict[str, PaymentLink]:
            return {one.snapshot.payment_id: PaymentLink(user_id, checkout_id=checkout_id) for one in seen}

        async with self.units() as unit:
            await PaymentService().apply(unit, [ObservedPayment(snapshot, "test", from_gateway=True)], links)
            await unit.commit()

    async def expire(self, clock: FrozenClock) -> None:
        """Moves the clock past the hold and has the checkouts expire, and what they held released."""
        clock.advance(HOLD + timedelta(minutes=1))
        async with self.units() as unit:
            await self.outcomes.expire(unit, unit.clock.now())
            await unit.commit()
        await self.work()


_DUE = text("SELECT id FROM process WHERE state = 'running' AND due_at <= :now ORDER BY id")


@pytest.fixture
async def store(units: UnitOfWorkFactory, engine: AsyncEngine, vault: Vault, database_url: str) -> AsyncIterator[Store]:
    async with running_emulator(EmulatorConfig(start=START)) as emulator:
        wire, config = Wire(), emulator.config
        gateway = connect(
            WhopSettings("custom", config.api_key, config.account_id, emulator.api_base_url), transport=wire
        )
        await CatalogService(units, gateway).apply(packaged())
        await CatalogService(units, gateway).sync_gateway()
        wire.keys.clear()
        processes = ProcessRunner(units, engine, JobQueue(create_job_app(database_url)))
        promotions = Promotions(units, processes, gateway)
        store = Store(units, vault, gateway, wire, emulator, promotions=promotions, processes=processes)
        units.bus.subscribe(PaymentRecorded, store.uses.on_payment_recorded)
        yield store
        await gateway.close()
