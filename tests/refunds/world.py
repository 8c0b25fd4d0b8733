"""Customers who have paid at an emulated gateway, and the desk where their money is given back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import text

from quntedge.cancellations.withdrawals import new_withdrawal_id
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.refunds.desk import RefundDesk
from quntedge.refunds.models import Refund
from quntedge.refunds.service import OUR_KEY
from quntedge.webhooks.apply import Evidence
from quntedge.wiring import Runtime
from tests.notifications.world import add_user

CARD = "4242424242424242"
SETTLES_IN_SECONDS = 600
"""How long the gateway takes for a refund."""
KIM, LOU = "staff:kim", "staff:lou"


class Killed(BaseException):
    """The process ends here, as if by `kill -9`: nothing may catch it and go on."""


@dataclass
class Payer:
    """Somebody who has paid once. `payment` is our id of the payment, `payment_id` the gateway's."""

    user_id: str
    membership_id: str
    payment_id: str
    payment: str
    total: Money


@dataclass
class World:
    """All services as wired; no worker runs by itself, and no webhook is delivered: we hear when told to."""

    runtime: Runtime
    emulator: RunningEmulator
    clock: FrozenClock
    buyers: int = 0

    @property
    def desk(self) -> RefundDesk:
        """Where refunds are asked for."""
        return self.runtime.services.refunds.desk

    async def buy(self, plan: str = "quarterly", user_id: str | None = None) -> Payer:
        """A customer, new unless named, buys a plan, and we hear of it. The quarterly plan costs $75.00."""
        self.buyers += 1
        email = f"kim{self.buyers}@customer.test"
        if user_id is None:
            user_id = await add_user(self.runtime.units, self.runtime.vault, email)
        view = await self.runtime.services.checkout.start(user_id, plan, f"attempt-{self.buyers}")
        session = httpx.URL(view.purchase_url or "").params["session"]
        bought = await self.emulator.pay(session, CARD, email=email)
        membership_id, payment_id = bought["membership"]["id"], bought["payment"]["id"]
        await self.hear(membership_id)
        query = "SELECT id, total_minor, currency FROM payment_transaction WHERE whop_payment_id = :id"
        (row,) = await self.rows(query, id=payment_id)
        return Payer(user_id, membership_id, payment_id, row["id"], Money(row["total_minor"], row["currency"]))

    async def hear(self, membership_id: str) -> None:
        """We learn how a membership, its payments and their refunds are at the gateway now."""
        gateway = self.runtime.gateway
        membership = await gateway.membership(membership_id)
        listed = await gateway.payments_of(membership_id)
        payments = tuple([await gateway.payment(one.payment_id) for one in listed])
        refunds = [refund for one in listed for refund in await gateway.refunds_of(one.payment_id)]
        await self.told(Evidence((membership,), payments, tuple(refunds), from_gateway=True))

    async def told(self, evidence: Evidence) -> None:
        """We are told this, as by a delivery."""
        applier = self.runtime.reconciler._applier
        async with self.runtime.units() as unit:
            await applier.apply(unit, [("msg_test", evidence)])
            await unit.commit()

    async def ask(self, payer: Payer, amount: Money | None = None, *, actor: str = KIM, **more: Any) -> Refund:
        """Staff want this much of a payment back; without an amount all of it."""
        key = self.desk.new_refund_id()
        return await self.desk.request(payer.payment, key=key, amount=amount, actor=actor, **more)

    async def give(self, payer: Payer, amount: Money | None = None) -> Refund:
        """The same, with whoever else has to agree, until the money is back and we have heard of it."""
        row = await self.ask(payer, amount)
        if row.status == "requested":
            row = await self.desk.approve(row.id, actor=LOU)
        await self.settles(payer)
        await self.work()
        return await self.refund(row.id)

    async def settles(self, payer: Payer) -> None:
        """The gateway ends the refunds it has begun, and we hear of it."""
        await self.emulator.advance(seconds=SETTLES_IN_SECONDS)
        await self.hear(payer.membership_id)

    async def refund(self, refund_id: str) -> Refund:
        """A refund as it is now."""
        async with self.runtime.units() as unit:
            return await unit.session.get_one(Refund, refund_id)

    async def pass_by(self, **span: float) -> None:
        """Time passes here, and a worker does what has fallen due."""
        self.clock.advance(timedelta(**span))
        await self.work()

    async def work(self) -> None:
        """A worker does all that is due now."""
        while await self.runtime.processes.resume_due():
            pass

    async def made(self, payer: Payer) -> list[tuple[int, str | None]]:
        """The refunds there are at the gateway: amount, and our id of them."""
        found = await self.runtime.gateway.refunds_of(payer.payment_id)
        return [(one.amount.amount_minor, one.metadata.get(OUR_KEY)) for one in reversed(found)]

    async def payment(self, payer: Payer) -> tuple[str, int, bool]:
        """A payment's status, what went back of it, and whether something is on its way."""
        (row,) = await self.rows("SELECT * FROM payment_transaction WHERE id = :id", id=payer.payment)
        return row["status"], row["refunded_minor"], row["refund_pending"]

    async def held(self, payer: Payer) -> int:
        """What refunds hold of a payment."""
        rows = await self.rows("SELECT held_minor FROM refund_tally WHERE transaction_id = :id", id=payer.payment)
        return rows[0]["held_minor"] if rows else 0

    async def history(self, refund_id: str) -> list[tuple[str | None, str]]:
        """Where a refund came from and went, with who did it."""
        rows = await self.rows("SELECT after, actor FROM refund_event WHERE refund_id = :id ORDER BY id", id=refund_id)
        return [(row["after"], row["actor"]) for row in rows]

    async def denied(self) -> list[tuple[str, str]]:
        """What was denied, and to whom."""
        rows = await self.rows("SELECT code, actor FROM refund_event WHERE kind = 'denied' ORDER BY id")
        return [(row["code"], row["actor"]) for row in rows]

    async def withdraw(self, payer: Payer) -> None:
        """A customer takes back the contract."""
        (row,) = await self.rows("SELECT id FROM subscription WHERE user_id = :id", id=payer.user_id)
        await self.runtime.services.cancellations.withdrawals.withdraw(
            payer.user_id, key=new_withdrawal_id(self.clock.now()), contract=row["id"], name="Kim Example"
        )

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]
