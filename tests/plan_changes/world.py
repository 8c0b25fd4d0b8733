"""Customers with subscriptions at a real emulator, and changes of their plans that can be cut off at every point.

What deliveries would tell us is told by `news`: so a test decides when, and whether before or after our own steps.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from quntedge.access.rules import decide
from quntedge.access.service import AccessService
from quntedge.accounts.people import WhopIdentity, users_for_whop
from quntedge.catalog.service import CatalogService
from quntedge.catalog.toml import packaged
from quntedge.checkout.outcomes import CheckoutOutcomes
from quntedge.checkout.service import CheckoutService
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.gateway.port import MembershipSnapshot, PaymentSnapshot
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.config import WhopSettings
from quntedge.gateway.whop.limiter import Limiter
from quntedge.invoices.service import InvoiceService
from quntedge.kit.clock import FrozenClock
from quntedge.methods.queries import default_method
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService
from quntedge.plan_changes.changes import WAKE
from quntedge.plan_changes.events import PlanChangeNews
from quntedge.plan_changes.feature import PlanChanges
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_changes.views import ChangeView
from quntedge.processes.runner import HANDOVER, ProcessRunner
from quntedge.refunds.queries import held_of
from quntedge.refunds.service import RefundService
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.jobs import JobQueue, create_job_app
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import Subscription
from quntedge.subscriptions.service import SubscriptionService
from quntedge.webhooks.apply import Applier, Evidence
from tests.invoices.builders import SELLER

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
PAYS = "4242424242424242"
FAILS_LATER = "4000000000000341"
FEATURE = "unlimited_accounts"
"""What every paid plan gives, and Free does not."""
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


_SOON = text(
    "SELECT EXISTS (SELECT FROM process WHERE state = 'running' AND due_at <= :soon)"
    " OR EXISTS (SELECT FROM procrastinate_jobs WHERE task_name = :task)"
)


class Killed(BaseException):
    """The process ends here, as if by `kill -9`: nothing may catch it and go on."""


@dataclass
class Killer:
    """Ends the process at the points it is told, each of them once; `armed` while it is our own code that runs."""

    at: set[str] = field(default_factory=set)
    commits: int | None = None
    """Also after every third commit, beginning with this one (0 to 2)."""
    armed: bool = False
    points: list[str] = field(default_factory=list)

    def reached(self, point: str) -> None:
        if not self.armed:
            return
        self.points.append(point)
        is_deadly_commit = point == COMMIT and (self.points.count(COMMIT) - 1) % 3 == self.commits
        if point in self.at or is_deadly_commit:
            self.at.discard(point)
            raise Killed(point)

    def rest(self) -> None:
        """Nobody dies any more; the points are counted anew."""
        self.at, self.commits, self.armed = set(), None, False
        self.points = []


COMMIT = "after commit"
_WRITES = frozenset(
    "create_promo archive_promo quote_price charge void_payment refund_payment cancel_membership keep_membership"
    " extend_membership create_checkout retire_checkout".split()
)


class MortalGateway:
    """The gateway, with somebody who may die before or after each write. Nothing of it is replaced."""

    def __init__(self, gateway: WhopGateway, killer: Killer) -> None:
        self._gateway = gateway
        self._killer = killer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._gateway, name)
        return self._mortal(name, found) if name in _WRITES else found

    def _mortal(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def called(*arguments: Any, **options: Any) -> Any:
            self._killer.reached(f"before {name}")
            answer = await call(*arguments, **options)
            self._killer.reached(f"after {name}")
            return answer

        return called


class MortalUnits(UnitOfWorkFactory):
    """Units of work after whose commits somebody may die."""

    killer = Killer()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[UnitOfWork]:
        async with super().__call__() as unit:
            commit = unit.commit

            async def mortal() -> None:
                await commit()
                self.killer.reached(COMMIT)

            unit.commit = mortal  # type: ignore[method-assign]
            yield unit


@dataclass
class Customer:
    """Somebody with a subscription."""

    user_id: str
    email: str
    member_id: str = ""
    membership_id: str = ""


@dataclass
class World:
    """The emulator, our side of it, and one clock for both."""

    emulator: RunningEmulator
    gateway: MortalGateway
    units: MortalUnits
    clock: FrozenClock
    vault: Vault
    runner: ProcessRunner
    changes: PlanChanges
    checkouts: CheckoutService
    applier: Applier
    access: AccessService
    killer: Killer
    news_told: list[PlanChangeNews] = field(default_factory=list)
    people: int = 0

    async def customer(
        self, plan: str = "quarterly", card: str = PAYS, currency: str | None = None, country: str | None = None
    ) -> Customer:
        """Somebody who has bought a plan on the checkout page."""
        self.people += 1
        key = f"user_{self.people}"
        async with self.units() as unit:
            user_id = (await users_for_whop(unit, self.vault, [WhopIdentity(key)]))[key]
            await unit.commit()
        customer = Customer(user_id, f"kim{self.people}@customer.test")
        view = await self.checkouts.start(user_id, plan, f"buy-{self.people}", currency)
        paid = await self.pay(str(view.purchase_url), customer, card, country)
        customer.membership_id = paid["membership"]["id"]
        customer.member_id = str((await self.gateway.membership(customer.membership_id)).member_id)
        await self.news(customer)
        return customer

    async def pay(
        self, purchase_url: str, customer: Customer, card: str = PAYS, country: str | None = None
    ) -> dict[str, Any]:
        """Pays on the checkout page."""
        session = purchase_url.partition("session=")[2].partition("&")[0]
        return await self.emulator.pay(session, card, email=customer.email, country=country)

    async def news(self, customer: Customer) -> None:
        """What deliveries about this customer would have told by now; some of it from the gateway itself."""
        await self.emulator.settle()
        member = customer.member_id or await self._member(customer)
        memberships = await self.gateway.memberships_of(member)
        payments = await self.gateway.payments_of_member(member, created_after=_LONG_AGO)
        refunds = [one for payment in payments for one in await self.gateway.refunds_of(payment.payment_id)]
        evidence = Evidence(
            memberships=tuple(memberships), payments=tuple(payments), refunds=tuple(refunds), from_gateway=True
        )
        async with self.units() as unit:
            await self.applier.apply(unit, [("test", evidence)])
            await unit.commit()

    async def _member(self, customer: Customer) -> str:
        return str((await self.gateway.membership(customer.membership_id)).member_id)

    async def move(self, **step: float) -> None:
        """Moves both clocks."""
        seconds = timedelta(**step).total_seconds()
        await self.emulator.advance(seconds=seconds)
        await self.emulator.settle()
        self.clock.set(self.emulator.runtime.world.now())

    async def go_on(self, *customers: Customer) -> None:
        """Time passes, deliveries arrive, the worker resumes what is due, until nothing is to happen soon."""
        for _ in range(12):
            for customer in customers:
                await self.news(customer)
            if not await self.busy():
                return
            await self.run_jobs()
            await self.move(seconds=HANDOVER.total_seconds() + 1)
            await self.runner.resume_due()

    async def busy(self) -> bool:
        """Whether something will be done within minutes."""
        async with self.units() as unit:
            soon = {"soon": self.clock.now() + timedelta(minutes=20), "task": WAKE}
            return bool(await unit.session.scalar(_SOON, soon))

    async def run_jobs(self) -> None:
        """Runs what was left for the worker: changes that are to look at what is new."""
        async with self.units() as unit:
            rows = await unit.session.execute(
                text("DELETE FROM procrastinate_jobs WHERE task_name = :task RETURNING args"), {"task": WAKE}
            )
            wanted = {row.args["change_id"] for row in rows}
            await unit.session.commit()
        for change_id in sorted(wanted):
            await self.changes.wake(change_id)

    async def begin(self, customer: Customer, plan: str, **options: Any) -> ChangeView:
        """Previews and confirms."""
        preview = await self.changes.service.preview(customer.user_id, plan, **options)
        return await self.changes.service.confirm(customer.user_id, plan, preview.quote)

    async def change(self, customer: Customer) -> PlanChange:
        """The customer's newest change."""
        async with self.units() as unit:
            found = await unit.session.scalar(
                select(PlanChange).where(PlanChange.user_id == customer.user_id).order_by(PlanChange.id.desc()).limit(1)
            )
        assert found is not None
        return found

    async def subscription(self, customer: Customer) -> Subscription:
        """The customer's only subscription."""
        async with self.units() as unit:
            return (
                await unit.session.scalars(select(Subscription).where(Subscription.user_id == customer.user_id))
            ).one()

    async def plan_of(self, customer: Customer) -> str:
        """The code of the plan the customer is on."""
        async with self.units() as unit:
            found = await unit.session.scalar(
                text("SELECT p.code FROM subscription s JOIN plan p ON p.id = s.plan_id WHERE s.user_id = :user"),
                {"user": customer.user_id},
            )
        return str(found)

    async def allowed(self, customer: Customer, feature: str = FEATURE) -> bool:
        """Whether the customer may use what they pay for."""
        (snapshot,) = await self.access.snapshots((customer.user_id,))
        return decide(snapshot, feature, self.clock.now()).allowed

    async def alive(self, customer: Customer) -> list[MembershipSnapshot]:
        """The customer's memberships at the gateway that have not ended."""
        found = await self.gateway.memberships_of(customer.member_id)
        return [one for one in found if one.status.value in ("active", "trialing", "completed", "past_due")]

    async def paid(self, customer: Customer) -> list[PaymentSnapshot]:
        """What the gateway has collected from the customer, newest first."""
        found = await self.gateway.payments_of_member(customer.member_id, created_after=_LONG_AGO)
        return [one for one in found if one.status.value == "paid"]

    async def active_promos(self) -> int:
        """How many promo codes could still be used."""
        return sum(not promo.archived for promo in await self.gateway.promos())

    async def collected(self, customer: Customer) -> int:
        """Minor units that the customer has paid and not got back."""
        payments = [await self.gateway.payment(one.payment_id) for one in await self.paid(customer)]
        return sum(
            (one.total.amount_minor if one.total else 0) - (one.refunded.amount_minor if one.refunded else 0)
            for one in payments
        )


@asynccontextmanager
async def open_world(database_url: str, vault: Vault) -> AsyncIterator[World]:
    """A shop with the packaged catalogue on sale at an emulator of its own."""
    engine, clock, bus = create_engine(database_url, pool_size=12), FrozenClock(START), EventBus()
    units = UnitOfWorkFactory(session_factory(engine), clock, bus)
    config = EmulatorConfig(start=START, collect_seconds=25)
    async with running_emulator(config) as emulator:
        settings = WhopSettings("custom", emulator.config.api_key, emulator.config.account_id, emulator.api_base_url)
        whop = connect(settings, read_retries=0, limiter=Limiter(per_minute=1_000_000))
        killer = Killer()
        gateway = MortalGateway(whop, killer)
        mortal = MortalUnits(session_factory(engine), clock, bus)
        mortal.killer = killer
        jobs = JobQueue(create_job_app(database_url))
        runner = ProcessRunner(mortal, engine, jobs)
        subscriptions, payments = SubscriptionService(), PaymentService()
        invoices = InvoiceService(vault, SELLER)
        changes = PlanChanges(
            mortal,
            runner,
            gateway,
            subscriptions,
            jobs,
            base_url="https://pay.example.test",
            paying_method=default_method,
            held_of=held_of,
        )
        changes.listen(bus)
        outcomes = CheckoutOutcomes(_no_retiring)
        bus.subscribe(SubscriptionChanged, outcomes.on_subscription_changed)
        bus.subscribe(PaymentRecorded, invoices.on_payments_recorded)
        catalogue = CatalogService(units, whop)
        await catalogue.apply(packaged())
        await catalogue.sync_gateway()
        clock.set(emulator.runtime.world.now())
        world = World(
            emulator=emulator,
            gateway=gateway,
            units=mortal,
            clock=clock,
            vault=vault,
            runner=runner,
            changes=changes,
            checkouts=CheckoutService(mortal, whop, "https://pay.example.test", retire_later=_no_retiring),
            applier=Applier(subscriptions, payments, RefundService(payments), invoices, vault),
            access=AccessService(engine, clock),
            killer=killer,
        )

        async def remember(_unit: UnitOfWork, facts: Any) -> None:
            world.news_told.extend(facts)

        bus.subscribe(PlanChangeNews, remember)
        yield world
        await whop.close()
    await engine.dispose()


async def _no_retiring(unit: UnitOfWork, checkout_ids: list[str]) -> None:
    """No jobs here."""


def stages(world: World, customer: Customer) -> list[str]:
    """What this customer was told, in order."""
    return [fact.stage.value for fact in world.news_told if fact.user_id == customer.user_id]
