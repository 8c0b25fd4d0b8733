"""What a full refund does to access: what the plan says, by an explicit cancellation, and nothing by itself.

The gateway ends no membership because of a refund (or perhaps it does), so access follows the membership alone. Where
the plan's policy wants an end, the membership is canceled like any other, and that does the rest.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from quntedge.cancellations.beginning import KIND as CANCELLATION
from quntedge.cancellations.queries import open_cancellation, situation_of
from quntedge.cancellations.rules import Option, Survey, Timing, options
from quntedge.cancellations.service import CancellationService, new_cancellation_id
from quntedge.catalog import queries as catalog
from quntedge.payments.models import PaymentTransaction
from quntedge.processes.runner import ProcessRunner
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, Next, Run, Step, WaitFor
from quntedge.refunds.events import PaymentRefunded
from quntedge.refunds.rules import REFUNDED
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions import notes
from quntedge.subscriptions.models import LIVE, Subscription

KIND = "refund_access"

_SOON = timedelta(minutes=1)


class RefundAccess:
    """Subscribes to full refunds; decides in a process of its own, which locks nothing that the refund has locked."""

    def __init__(self, processes: ProcessRunner, cancellations: CancellationService) -> None:
        self._processes = processes
        self._cancellations = cancellations

    def definition(self) -> Definition:
        """The kind of process, for the runner. Its subject is the payment; its data tell `actor` and `refund_id`."""
        return Definition.of(KIND, Step("decide", self._decide), given_up=self._given_up)

    async def on_payment_refunded(self, unit: UnitOfWork, facts: Sequence[PaymentRefunded]) -> None:
        """Subscriber: writes the refund into the history of the subscription, and has the policy looked at."""
        for fact in facts:
            if fact.subscription_id is None:
                continue
            refund = {
                "refund_id": fact.refund_id,
                "transaction_id": fact.transaction_id,
                "amount_minor": fact.amount_minor,
                "refunded_minor": fact.refunded_minor,
                "currency": fact.currency,
            }
            await notes.append(
                unit, fact.subscription_id, fact.kind, actor=fact.actor, cause=fact.cause, facts={"refund": refund}
            )
            if fact.kind == REFUNDED and await self._has_policy(unit, fact.subscription_id):
                await self._begin(unit, fact)

    async def _begin(self, unit: UnitOfWork, fact: PaymentRefunded) -> None:
        data = {"actor": fact.actor, "refund_id": fact.refund_id, "subscription_id": fact.subscription_id}
        if await self._processes.running(unit, KIND, fact.transaction_id) is None:
            await self._processes.start(unit, KIND, fact.transaction_id, user_id=fact.user_id, data=data, later=True)

    @staticmethod
    async def _has_policy(unit: UnitOfWork, subscription_id: str) -> bool:
        row = await unit.session.get_one(Subscription, subscription_id)
        return await _policy(unit, row) != "keep"

    async def _decide(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        row = await unit.session.get_one(Subscription, run.data["subscription_id"], with_for_update=True)
        if row.status not in LIVE:
            return Finish({"did": "nothing", "why": "ended"})
        if await _newest_payment(unit, row.id) != run.subject_id or not await _is_refunded(unit, run.subject_id):
            return Finish({"did": "nothing", "why": "another_payment"})
        policy = await _policy(unit, row)
        option = _option(row, policy, run)
        coming = await open_cancellation(unit.session, row.id)
        if option is None or (coming is not None and coming.timing in (option.timing, Timing.NOW)):
            return Finish({"did": "nothing", "why": "kept" if option is None else "canceled"})
        if row.cancel_at_period_end and option.timing is Timing.PERIOD_END:
            return Finish({"did": "nothing", "why": "canceled"})
        if await self._processes.running(unit, CANCELLATION, row.id) is not None:
            # It is just being canceled, or that is being taken back; what comes of it decides what is left to do.
            return WaitFor("decide", run.now + _SOON)
        key = new_cancellation_id(run.now)
        made = await self._cancellations.record(unit, row, option, key, Survey(), run.data["actor"], replaced=coming)
        if made.process_id is not None:
            await self._processes.nudge(unit, [made.process_id])
        return Finish({"did": policy, "cancellation_id": made.id})

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """Never: deciding calls nobody."""


def _option(row: Subscription, policy: str, run: Run) -> Option | None:
    """How the policy ends it. Where no paid period is left to wait for, an end with the period is an end now."""
    now = Option(Timing.NOW, run.now, run.now)
    if policy == "keep":
        return None
    if policy == "revoke":
        return now
    return next((one for one in options(situation_of(row, ""), run.now) if one.timing is Timing.PERIOD_END), now)


async def _policy(unit: UnitOfWork, row: Subscription) -> str:
    plans = await catalog.plans_by_id(unit.session, [row.plan_id])
    return plans[row.plan_id].rules.refund_access


async def _newest_payment(unit: UnitOfWork, subscription_id: str) -> str | None:
    """The payment that paid for the running period: an old one that is given back ends nothing."""
    found: str | None = await unit.session.scalar(
        select(PaymentTransaction.id)
        .where(
            PaymentTransaction.subscription_id == subscription_id,
            PaymentTransaction.paid_at.is_not(None),
            PaymentTransaction.total_minor > 0,
        )
        .order_by(PaymentTransaction.paid_at.desc(), PaymentTransaction.id.desc())
        .limit(1)
    )
    return found


async def _is_refunded(unit: UnitOfWork, transaction_id: str) -> bool:
    status = await unit.session.scalar(select(PaymentTransaction.status).where(PaymentTransaction.id == transaction_id))
    return status == "refunded"
