"""A shop at an emulated gateway whose customers cancel, and whose process can be cut off at every point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from quntedge.accounts.people import WhopIdentity, users_for_whop
from quntedge.cancellations.feature import Cancellations
from quntedge.catalog import queries as catalog
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.gateway.port import CheckoutRequest, MembershipSnapshot
from quntedge.gateway.whop.adapter import WhopGateway
from quntedge.kit.clock import FrozenClock
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.processes.runner import HANDOVER, ProcessRunner
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.service import ObservedMembership, Owner, SubscriptionService

CARD = "4242424242424242"


class Killed(BaseException):
    """The process ends here, as if by `kill -9`: nothing may catch it and go on."""


def no_trouble(point: str) -> None:
    """Everything goes well."""


def once(point: str, error: BaseException) -> Callable[[str], None]:
    """Trouble at one point, the first time it is reached."""
    reached: list[str] = []

    def trouble(here: str) -> None:
        if here == point and not reached:
            reached.append(here)
            raise error

    return trouble


class Cut:
    """The gateway, with trouble before and after each call that changes something; the calls reach the real one."""

    def __init__(self, gateway: WhopGateway) -> None:
        self._gateway = gateway
        self.trouble: Callable[[str], None] = no_trouble
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._gateway, name)

        async def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            self.trouble(f"before {name}")
            answer = await real(*args, **options)
            self.trouble(f"after {name}")
            return answer

        return call

    def count(self, name: str) -> int:
        """How often a call was sent."""
        return self.calls.count(name)


@dataclass
class Buyer:
    """Somebody with a membership."""

    user_id: str
    subscription_id: str
    membership_id: str


@dataclass
class World:
    """A shop with the packaged catalogue."""

    units: UnitOfWorkFactory
    vault: Vault
    clock: FrozenClock
    emulator: RunningEmulator
    gateway: WhopGateway
    cut: Cut
    processes: ProcessRunner
    cancellations: Cancellations
    facts: list[object] = field(default_factory=list)
    """What was recorded and committed, of the feature's own facts."""
    buyers: int = 0

    async def buy(self, plan_code: str = "quarterly", card: str = CARD, zone: str | None = None) -> Buyer:
        """A new customer, who lives by the days of `zone`, buys a plan; we hear of it as by a delivery."""
        self.buyers += 1
        name = f"kim{self.buyers}"
        async with self.units() as unit:
            user_id = (await users_for_whop(unit, self.vault, [WhopIdentity(f"user_{name}", None, name)]))[
                f"user_{name}"
            ]
            if zone is not None:
                await unit.session.execute(
                    text("UPDATE app_user SET time_zone = :zone WHERE id = :id"), {"id": user_id, "zone": zone}
                )
            plan = await catalog.plan_by_code(unit.session, plan_code)
            await unit.commit()
        assert plan is not None
        assert plan.whop_plan_id is not None
        checkout = await self.gateway.create_checkout(
            CheckoutRequest(plan.whop_plan_id, "http://127.0.0.1/return", {}), idempotency_key=f"checkout-{name}"
        )
        paid = await self.emulator.pay(checkout.checkout_id, card, email=f"{name}@customer.test")
        membership_id = paid["membership"]["id"]
        await self.hear_of(membership_id, user_id)
        (row,) = await self.rows("SELECT id FROM subscription WHERE whop_membership_id = :id", id=membership_id)
        return Buyer(user_id, row["id"], membership_id)

    async def move(self, buyer: Buyer, zone: str) -> None:
        """The customer lives by the days of another zone from now on."""
        async with self.units() as unit:
            await unit.session.execute(
                text("UPDATE app_user SET time_zone = :zone WHERE id = :id"), {"id": buyer.user_id, "zone": zone}
            )
            await unit.commit()

    async def hear_of(self, membership_id: str, user_id: str | None = None) -> None:
        """A delivery tells how a membership and its payments are now."""
        snapshot = await self.gateway.membership(membership_id)
        payments = await self.gateway.payments_of(membership_id)
        async with self.units() as unit:

            async def owners(_: UnitOfWork, observed: Sequence[ObservedMembership]) -> Mapping[str, Owner]:
                return {membership_id: Owner(str(user_id))}

            observed = [ObservedMembership(snapshot, "delivery")]
            await SubscriptionService().apply(unit, observed, await plan_terms(unit), owners)
            found = await self._row(unit, membership_id)

            async def links(_: UnitOfWork, observed: Sequence[ObservedPayment]) -> Mapping[str, PaymentLink]:
                link = PaymentLink(found["user_id"], found["id"], found["plan_id"])
                return {payment.payment_id: link for payment in payments}

            told = [ObservedPayment(payment, "delivery", from_gateway=True) for payment in payments]
            await PaymentService().apply(unit, told, links)
            await unit.commit()

    async def _row(self, unit: UnitOfWork, membership_id: str) -> Mapping[str, Any]:
        found = await unit.session.execute(
            text("SELECT id, user_id, plan_id FROM subscription WHERE whop_membership_id = :id"), {"id": membership_id}
        )
        return found.one()._mapping

    async def advance(self, **step: float) -> None:
        """Time passes here and there."""
        self.clock.advance(timedelta(**step))
        await self.emulator.advance(to=self.clock.now().isoformat())

    async def recover(self) -> None:
        """A worker finds what was left lying."""
        self.cut.trouble = no_trouble
        self.clock.advance(HANDOVER)
        await self.processes.resume_due()

    async def at_gateway(self, buyer: Buyer) -> MembershipSnapshot:
        return await self.gateway.membership(buyer.membership_id)

    async def subscription(self, buyer: Buyer) -> dict[str, Any]:
        (row,) = await self.rows("SELECT * FROM subscription WHERE id = :id", id=buyer.subscription_id)
        return row

    async def states(self, buyer: Buyer) -> list[str]:
        """The states of a buyer's cancellations, oldest first."""
        rows = await self.rows(
            "SELECT state FROM cancellation WHERE user_id = :id ORDER BY requested_at, id", id=buyer.user_id
        )
        return [row["state"] for row in rows]

    def told(self, buyer: Buyer) -> list[str]:
        """Names of the facts recorded about a buyer, in order."""
        return [type(fact).__name__ for fact in self.facts if getattr(fact, "user_id", None) == buyer.user_id]

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        async with self.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]
