"""WithdrawalService: taking back a contract within fourteen days, as consumers in the EU may.

Two steps: `preview` says what the declaration will contain, `withdraw` receives it. Its receipt is written down and
confirmed by mail in one transaction, before the gateway is asked for anything; the subscription then ends at once, and
what is owed waits for staff as a refund request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from quntedge.accounts.people import people
from quntedge.cancellations import rules
from quntedge.cancellations.beginning import WITHDRAWAL_KIND
from quntedge.cancellations.calendars import calendar_of
from quntedge.cancellations.errors import NothingToWithdraw, OtherContract
from quntedge.cancellations.events import RefundOwed, WithdrawalReceived
from quntedge.cancellations.models import RefundRequest, Withdrawal
from quntedge.cancellations.queries import open_cancellation
from quntedge.cancellations.rules import Basis, Option, Owed, Payment, Survey, Timing
from quntedge.cancellations.service import CancellationService
from quntedge.catalog import queries as catalog
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.models import PaymentTransaction
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import LIVE, Subscription, SubscriptionMembership

PREFIX = "wdr"
REASON = "withdrawal"
_WITHDRAWN = select(Withdrawal.id).where(among(Withdrawal.subscription_id))


@dataclass(frozen=True, slots=True)
class WithdrawalView:
    """A contract and its withdrawal. `received_at` is None while it has not been withdrawn from.

    `refunds` are the amounts that are given back, or would be; `deadline` the first moment that is too late.
    """

    subscription_id: str
    plan_name: str
    name: str | None
    concluded_at: datetime
    deadline: datetime
    time_zone: str
    refunds: tuple[Money, ...]
    id: str | None = None
    received_at: datetime | None = None


def new_withdrawal_id(at: datetime) -> str:
    """An id for a withdrawal that is about to be made: the key under which repeating it is harmless."""
    return new_id(PREFIX, at)


class WithdrawalService:
    """Receives withdrawals. Opens and commits its own units of work, apart from `open_until` and the subscriber."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        vault: Vault,
        cancellations: CancellationService,
        basis: Basis = "full",
    ) -> None:
        """`basis` says what is given back where the service was begun at the customer's express wish."""
        self._units = units
        self._processes = processes
        self._vault = vault
        self._cancellations = cancellations
        self._basis: Basis = basis

    async def preview(self, user_id: str) -> WithdrawalView:
        """What would be declared and given back; of a contract withdrawn from already, what was.

        Raises `NothingToWithdraw`, `WithdrawalPeriodOver`.
        """
        async with self._units() as unit:
            subscription = await _contract(unit, user_id)
            return await self._received(unit, subscription) or await self._draft(unit, subscription)

    async def withdraw(self, user_id: str, *, key: str, contract: str, name: str) -> WithdrawalView:
        """Receives the declaration of a customer named `name` to withdraw from the contract with this id.

        `key` is an id from `new_withdrawal_id`. Declaring twice is answered with the first declaration. Raises
        `InvalidStatement`, `NothingToWithdraw`, `OtherContract`, `WithdrawalPeriodOver`.
        """
        signed = rules.statement_name(name)
        async with self._units() as unit:
            subscription = await _contract(unit, user_id, lock=True)
            if subscription.id != contract:
                raise OtherContract("The declaration names another contract. Look at the preview, then declare again.")
            process_id = None
            view = await self._received(unit, subscription)
            if view is None:
                view, process_id = await self._receive(unit, subscription, key, signed)
            await unit.commit()
        if process_id is not None:
            await self._processes.run(process_id)
        return view

    async def open_until(self, unit: UnitOfWork, subscription: Subscription) -> datetime | None:
        """The first moment that is too late for withdrawing from this contract; None if that has passed, or it was
        withdrawn from."""
        zone = await calendar_of(unit, subscription)
        deadline = rules.withdrawal_deadline(await _concluded_at(unit, subscription), zone)
        if subscription.status == "incomplete" or unit.clock.now() >= deadline:
            return None
        received = await unit.session.scalar(select(Withdrawal.id).where(Withdrawal.subscription_id == subscription.id))
        return deadline if received is None else None

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """A payment that arrives after the withdrawal (a slow transfer, late news) is owed as well, all of it."""
        paid = {fact.subscription_id: fact for fact in facts if fact.newly_paid and fact.subscription_id is not None}
        if not paid:
            return
        # Hardly ever is there one: renewals in their hundreds ask in the cheapest way.
        if not await unit.fetch(_WITHDRAWN, {"values": Texts(paid)}):
            return
        found = await unit.session.scalars(select(Withdrawal).where(Withdrawal.subscription_id.in_(sorted(paid))))
        for withdrawal in found.all():
            fact = paid[withdrawal.subscription_id]
            left = (fact.total_minor or 0) - fact.refunded_minor
            if left > 0:
                await self._owe(unit, withdrawal, [Owed(fact.transaction_id, Money(left, fact.currency))])

    async def _receive(
        self, unit: UnitOfWork, subscription: Subscription, key: str, name: str
    ) -> tuple[WithdrawalView, str | None]:
        draft = await self._draft(unit, subscription)
        now, user_id = unit.clock.now(), subscription.user_id
        cancellation = None
        if subscription.status in LIVE:
            cancellation = await self._cancellations.record(
                unit,
                subscription,
                Option(Timing.NOW, now, now),
                new_id("can", now),
                Survey(),
                f"customer:{user_id}",
                replaced=await open_cancellation(unit.session, subscription.id),
                kind=WITHDRAWAL_KIND,
            )
        cipher = await self._vault.cipher(unit.session, user_id)
        withdrawal = Withdrawal(
            id=key,
            user_id=user_id,
            subscription_id=subscription.id,
            cancellation_id=cancellation.id if cancellation else None,
            name=cipher.seal("withdrawal", "name", key, name),
            basis=self._basis,
            time_zone=draft.time_zone,
            concluded_at=draft.concluded_at,
            deadline=draft.deadline,
            received_at=now,
        )
        unit.session.add(withdrawal)
        await unit.session.flush()
        await self._owe(unit, withdrawal, await self._owed(unit, subscription))
        unit.record(WithdrawalReceived(key, subscription.id, user_id, subscription.plan_id, now))
        received = await self._received(unit, subscription)
        if received is None:
            raise ValueError(f"the withdrawal {key} was written and is not there")
        return received, cancellation.process_id if cancellation else None

    async def _draft(self, unit: UnitOfWork, subscription: Subscription) -> WithdrawalView:
        zone = await calendar_of(unit, subscription)
        concluded_at = await _concluded_at(unit, subscription)
        deadline = rules.withdrawal_deadline(concluded_at, zone)
        rules.check_withdrawal(deadline, unit.clock.now())
        person = (await people(unit.session, self._vault, [subscription.user_id])).get(subscription.user_id)
        return WithdrawalView(
            subscription_id=subscription.id,
            plan_name=await _plan_name(unit, subscription),
            name=person.name if person else None,
            concluded_at=concluded_at,
            deadline=deadline,
            time_zone=zone.key,
            refunds=tuple(owed.amount for owed in await self._owed(unit, subscription)),
        )

    async def _received(self, unit: UnitOfWork, subscription: Subscription) -> WithdrawalView | None:
        row = await unit.session.scalar(select(Withdrawal).where(Withdrawal.subscription_id == subscription.id))
        if row is None:
            return None
        cipher = await self._vault.cipher(unit.session, row.user_id)
        amounts = await unit.session.execute(
            select(RefundRequest.amount_minor, RefundRequest.currency)
            .where(RefundRequest.withdrawal_id == row.id)
            .order_by(RefundRequest.id)
        )
        return WithdrawalView(
            subscription_id=subscription.id,
            plan_name=await _plan_name(unit, subscription),
            name=cipher.open("withdrawal", "name", row.id, row.name),
            concluded_at=row.concluded_at,
            deadline=row.deadline,
            time_zone=row.time_zone,
            refunds=tuple(Money(amount.amount_minor, amount.currency) for amount in amounts),
            id=row.id,
            received_at=row.received_at,
        )

    async def _owed(self, unit: UnitOfWork, subscription: Subscription) -> tuple[Owed, ...]:
        rows = await unit.session.execute(
            select(
                PaymentTransaction.id,
                PaymentTransaction.total_minor,
                PaymentTransaction.refunded_minor,
                PaymentTransaction.currency,
                PaymentTransaction.paid_at,
            ).where(
                PaymentTransaction.subscription_id == subscription.id,
                PaymentTransaction.paid_at.is_not(None),
                PaymentTransaction.total_minor > 0,
            )
        )
        payments = [
            Payment(row.id, Money(row.total_minor, row.currency), Money(row.refunded_minor, row.currency), row.paid_at)
            for row in rows
        ]
        period = None
        if subscription.period_start is not None and subscription.period_end is not None:
            period = (subscription.period_start, subscription.period_end)
        return rules.owed(payments, self._basis, period, unit.clock.now())

    @staticmethod
    async def _owe(unit: UnitOfWork, withdrawal: Withdrawal, owed: Sequence[Owed]) -> None:
        now = unit.clock.now()
        for debt in owed:
            made = await unit.session.scalar(
                insert(RefundRequest)
                .values(
                    id=new_id("rrq", now),
                    user_id=withdrawal.user_id,
                    subscription_id=withdrawal.subscription_id,
                    transaction_id=debt.transaction_id,
                    withdrawal_id=withdrawal.id,
                    reason=REASON,
                    state="requested",
                    amount_minor=debt.amount.amount_minor,
                    currency=debt.amount.currency,
                    requested_by=f"customer:{withdrawal.user_id}",
                    requested_at=now,
                )
                .on_conflict_do_nothing(index_elements=["withdrawal_id", "transaction_id"])
                .returning(RefundRequest.id)
            )
            if made is not None:
                amount = debt.amount
                unit.record(
                    RefundOwed(made, debt.transaction_id, withdrawal.user_id, amount.amount_minor, amount.currency)
                )


async def _contract(unit: UnitOfWork, user_id: str, *, lock: bool = False) -> Subscription:
    """The newest contract of a customer, running or ended. Raises `NothingToWithdraw`."""
    query = (
        select(Subscription)
        .where(Subscription.user_id == user_id, Subscription.status != "incomplete")
        .order_by(Subscription.status.in_(LIVE).desc(), Subscription.created_at.desc(), Subscription.id.desc())
        .limit(1)
    )
    found: Subscription | None = await unit.session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NothingToWithdraw("You have bought nothing here that could be withdrawn from.")
    return found


async def _concluded_at(unit: UnitOfWork, subscription: Subscription) -> datetime:
    """When the contract was concluded: with the purchase, also of a trial. Renewals and changes do not count."""
    first: datetime | None = await unit.session.scalar(
        select(func.min(SubscriptionMembership.gateway_created_at)).where(
            SubscriptionMembership.subscription_id == subscription.id
        )
    )
    return min(first, subscription.started_at) if first is not None else subscription.started_at


async def _plan_name(unit: UnitOfWork, subscription: Subscription) -> str:
    return (await catalog.plans_by_id(unit.session, [subscription.plan_id]))[subscription.plan_id].name
