"""A seller's money, moved by the real services on real tables, with the ledger listening."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.bookkeeping.verify import Finding
from quntedge.disputes.service import DisputedPayment, DisputeService, ObservedDispute
from quntedge.disputes.warnings import WarningService
from quntedge.gateway.disputed import AlertKind, DisputeAlertSnapshot, DisputeSnapshot, DisputeStatus
from quntedge.gateway.port import PaymentSnapshot, PaymentStatus, RefundSnapshot, RefundStatus
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.ledger import queries
from quntedge.ledger.rules import Account
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.refunds.service import ObservedRefund, RefundedPayment, RefundService
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.payments.builders import USER, seed


@dataclass
class Books:
    """What happens to payments, each in a transaction of its own. Amounts in minor units."""

    units: UnitOfWorkFactory
    clock: FrozenClock
    engine: AsyncEngine
    gateway_remits: bool = True
    bookkeeping: Bookkeeping = field(init=False)
    snapshots: dict[str, PaymentSnapshot] = field(default_factory=dict)

    async def open(self, listening: Bookkeeping | None = None) -> "Books":
        """Makes the customer, and has the ledger listen, unless one is given that does."""
        self.bookkeeping = listening or Bookkeeping(self.units, gateway_remits=self.gateway_remits)
        if listening is None:
            self.bookkeeping.listen(self.units.bus)
        await seed(self.units)
        return self

    def tick(self) -> datetime:
        """A second later."""
        self.clock.advance(timedelta(seconds=1))
        return self.clock.now()

    async def pay(self, payment_id: str = "pay_1", total: int = 3161, currency: str = "usd", **over: Any) -> None:
        """The gateway tells of a payment, or tells more of it: `tax` and `net` in minor units, None for not told."""
        at = self.tick()
        amounts = {name: over.pop(name, None) for name in ("tax", "net", "refunded")}
        held = self.snapshots.get(payment_id)
        told: dict[str, Any] = {
            name: None if minor is None else Money(minor, currency) for name, minor in amounts.items()
        }
        self.snapshots[payment_id] = PaymentSnapshot(
            payment_id=payment_id,
            status=over.pop("status", PaymentStatus.PAID),
            raw_status="paid",
            currency=currency,
            total=Money(total, currency),
            paid_at=held.paid_at if held and held.paid_at else at,
            created_at=held.created_at if held else at,
            updated_at=at,
            **(told | over),
        )
        await self.say(self.snapshots[payment_id])

    async def say(self, snapshot: PaymentSnapshot) -> None:
        """The gateway says this of a payment, perhaps once more."""
        async with self.units() as unit:
            await PaymentService().apply(unit, [ObservedPayment(snapshot, "msg_1", from_gateway=True)], find_links)
            await unit.commit()

    async def refund(self, refund_id: str, amount: int, status: str = "succeeded", payment_id: str = "pay_1") -> None:
        """The gateway tells of a refund."""
        at = self.tick()
        payment = self.snapshots[payment_id]
        snapshot = RefundSnapshot(
            refund_id=refund_id,
            status=RefundStatus(status),
            raw_status=status,
            amount=Money(amount, payment.currency),
            payment_id=payment_id,
            created_at=at,
            updated_at=at,
        )
        async with self.units() as unit:
            owner = {payment_id: RefundedPayment(await self._id(unit, payment_id), USER)}
            await RefundService(PaymentService()).apply(unit, [ObservedRefund(snapshot, "msg_2")], owner)
            await unit.commit()

    async def dispute(
        self,
        dispute_id: str,
        status: str,
        payment_id: str = "pay_1",
        amount: int | None = None,
        fee: Money | None = None,
        *,
        inquiry: bool = False,
    ) -> None:
        """The gateway tells of a dispute."""
        at = self.tick()
        payment = self.snapshots[payment_id]
        whole = payment.total.amount_minor if payment.total else 0
        snapshot = DisputeSnapshot(
            dispute_id=dispute_id,
            status=DisputeStatus(status),
            raw_status=status,
            amount=Money(whole if amount is None else amount, payment.currency),
            inquiry=inquiry,
            payment_id=payment_id,
            fee=fee,
            created_at=at,
            updated_at=at,
        )
        async with self.units() as unit:
            owner = {payment_id: DisputedPayment(await self._id(unit, payment_id), USER, None)}
            observed = [ObservedDispute(snapshot, "msg_3", from_gateway=True)]
            await DisputeService(PaymentService()).apply(unit, observed, owner)
            await unit.commit()

    async def alert(self, alert_id: str, payment_id: str, fee: Money | None) -> None:
        """The gateway warns of a dispute, and charges for the warning."""
        at = self.tick()
        payment = self.snapshots[payment_id]
        snapshot = DisputeAlertSnapshot(
            alert_id=alert_id,
            kind=AlertKind.DISPUTE_ALERT,
            raw_kind="dispute_alert",
            amount=payment.total or Money.zero(payment.currency),
            payment_id=payment_id,
            fee_charged=fee is not None,
            fee=fee,
            reported_at=at,
            updated_at=at,
        )
        async with self.units() as unit:
            owner = {payment_id: DisputedPayment(await self._id(unit, payment_id), USER, None)}
            await WarningService().apply_alerts(unit, [snapshot], owner)
            await unit.commit()

    @staticmethod
    async def _id(unit: UnitOfWork, payment_id: str) -> str:
        found = await unit.session.execute(
            text("SELECT id FROM payment_transaction WHERE whop_payment_id = :id"), {"id": payment_id}
        )
        return str(found.scalar_one())

    async def stands(self, currency: str = "usd") -> dict[Account, int]:
        """What stands on the accounts in a currency: debits less credits. Nothing is left out, and it sums to 0."""
        async with self.units() as unit:
            found = await queries.balances(await unit.connection())
        assert sum(each.balance_minor for each in found if each.currency == currency) == 0
        return {each.account: each.balance_minor for each in found if each.currency == currency and each.balance_minor}

    async def findings(self) -> list[Finding]:
        """What a comparison with all records finds."""
        work = self.bookkeeping.verification(self.engine)
        found = [finding async for portion in work.payments() for finding in portion.findings]
        found += [finding async for portion in work.entries() for finding in portion.findings]
        return found + await work.sums()

    async def rows(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """What a query finds."""
        async with self.units() as unit:
            return [tuple(row) for row in await unit.session.execute(text(sql), parameters)]

    async def execute(self, sql: str) -> None:
        """Changes something behind everybody's back."""
        async with self.units() as unit:
            await unit.session.execute(text(sql))
            await unit.commit()


async def find_links(unit: UnitOfWork, observed: Sequence[ObservedPayment]) -> dict[str, PaymentLink]:
    return {item.snapshot.payment_id: PaymentLink(USER) for item in observed}
