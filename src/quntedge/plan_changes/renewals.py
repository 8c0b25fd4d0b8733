"""A renewal that overtook a change: the old plan was charged for another period while the new one was being paid.

A link waits for a day to be paid, a bank for as long to be answered, and a charge made in the last seconds of a period
is only just ahead of the renewal. What the customer was shown knows nothing of such a payment, so what it paid for and
nobody has used goes back: to the second, and once.
"""

from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import PaymentSnapshot, PaymentStatus
from quntedge.kit.money import Money
from quntedge.plan_changes.changes import Tools
from quntedge.plan_changes.claims import CHANGE_KEY
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_changes.switching import EARLY, PERIOD_END, after, moment_of
from quntedge.pricing.credits import owed_of
from quntedge.processes.steps import Answer, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork

_UNDECIDED = frozenset({PaymentStatus.PENDING, PaymentStatus.AUTHORIZED, PaymentStatus.OPEN})


class Renewals:
    """Looks for such a payment once the old membership has ended, so that there can be no further one."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._gateway = tools.gateway

    def steps(self) -> tuple[Step, ...]:
        """The steps, in their order."""
        return (
            Step("find_renewal", self._found, self._find),
            Step("refund_renewal", self._refunded, self._refund, self._find_refund, self._not_refunded),
        )

    async def _find(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        since = moment_of(str(run.data[PERIOD_END])) - EARLY
        made = [
            payment
            for payment in await self._gateway.payments_of(change.old_membership_id)
            if payment.payment_id != change.refund_payment_id
            and payment.created_at is not None
            and payment.created_at >= since
        ]
        return Answer(object=sorted(made, key=lambda payment: str(payment.created_at), reverse=True))

    async def _found(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        made: list[PaymentSnapshot] = answer.object
        if undecided := [payment for payment in made if payment.status in _UNDECIDED]:
            change.review = f"renewal_open:{undecided[0].payment_id}"
        # Of several, which only the shortest periods can have, all but the newest were used up.
        newest = next((payment for payment in made if payment.status is PaymentStatus.PAID), None)
        owed = None if newest is None else _owed(newest, change, run)
        if newest is None or not owed:
            return after("cancel_old", change)
        return GoTo("refund_renewal", {"renewal_id": newest.payment_id, "renewal_minor": owed.amount_minor})

    async def _refund(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        await self._gateway.refund_payment(
            str(run.data["renewal_id"]),
            amount=Money(int(run.data["renewal_minor"]), change.currency),
            metadata={CHANGE_KEY: change.id},
            idempotency_key=run.key,
        )
        return Answer()

    async def _find_refund(self, run: Run) -> Answer | None:
        change = await self._tools.read(run.subject_id)
        refunds = await self._gateway.refunds_of(str(run.data["renewal_id"]))
        return Answer() if any(one.metadata.get(CHANGE_KEY) == change.id for one in refunds) else None

    async def _refunded(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return after("cancel_old", await self._tools.locked(unit, run.subject_id))

    async def _not_refunded(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        change.review = f"renewal_not_refunded:{run.data['renewal_id']}"
        return after("cancel_old", change)


def _owed(payment: PaymentSnapshot, change: PlanChange, run: Run) -> Money | None:
    """What goes back of a renewal, tax included: what was paid for the time since the new plan took over."""
    paid, began, until = payment.total, payment.paid_at or payment.created_at, run.data["paid_until"]
    if paid is None or paid.currency != change.currency or payment.refunded_elsewhere:
        return None
    refunded = payment.refunded or Money.zero(paid.currency)
    if began is None or until is None or moment_of(until) <= began:
        return owed_of(paid, refunded, None, run.now)
    return owed_of(paid, refunded, (began, moment_of(until)), change.effective_at or run.now)
