"""How a refund is carried out at the gateway: sent once, found again however the answer was lost, watched to its end.

The gateway answers a refund with the payment, not with the refund, and settles it later. So whatever its answer was,
the refund itself is looked for among those of the payment, by the id that was sent along. Only when it is not there is
anything sent again, under the same idempotency key.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from quntedge.audit.writing import audit_done
from quntedge.gateway.errors import GatewayError, GatewayInvalidAnswer, GatewayOutcomeUnknown
from quntedge.gateway.port import PaymentSnapshot, RefundSnapshot
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step, WaitFor, retry_at
from quntedge.refunds import history, queries
from quntedge.refunds.models import Refund
from quntedge.refunds.owed import OwedRefunds
from quntedge.refunds.rules import FINAL, SENT, next_look
from quntedge.refunds.service import OUR_KEY, ObservedRefund, RefundedPayment, RefundService
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import Subscription

KIND = "refund"
SEND, FIND, WATCH, READ = "send", "find", "watch", "read"


class RefundGateway(Protocol):
    """What of the gateway a refund needs."""

    async def refund_payment(
        self, payment_id: str, *, amount: Money | None, metadata: Mapping[str, str], idempotency_key: str
    ) -> PaymentSnapshot: ...

    async def refunds_of(self, payment_id: str) -> list[RefundSnapshot]: ...

    async def refund(self, refund_id: str) -> RefundSnapshot: ...


class RefundSteps:
    """The steps. The subject of the process is the refund; its data has `payment_id`, the gateway's."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: RefundGateway,
        payments: PaymentService,
        refunds: RefundService,
        owed: OwedRefunds,
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._payments = payments
        self._refunds = refunds
        self._owed = owed

    def definition(self) -> Definition:
        """The kind of process, for the runner."""
        return Definition.of(
            KIND,
            Step("begin", self._begin),
            Step(SEND, self._sent, call=self._send, look=self._look, refused=self._refused),
            Step(FIND, self._settle_found, call=self._find),
            Step("look_again", self._settle_refusal, call=self._find),
            Step(WATCH, self._watch),
            Step(READ, self._settle_read, call=self._read, refused=self._unreadable),
            given_up=self._given_up,
        )

    # Before anything is sent: a dispute may have come between the approval and now.

    async def _begin(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        row = await self._locked(unit, run)
        if row.status != "approved":
            return GoTo(WATCH)
        payment = await queries.payment(unit.session, row.transaction_id)
        if (await queries.standing(unit.session, payment)).disputed:
            return GiveUp("charge_disputed", "The payment was disputed before the refund was sent.")
        self._move(unit, row, "sending", run)
        audit_done(unit, "refund.execute", "refund", row.id, amount_minor=row.amount_minor, currency=row.currency)
        return GoTo(SEND)

    # Sending, and finding out whether it was done.

    async def _send(self, run: Run) -> Answer:
        async with self._units() as unit:
            row = await queries.one(unit.session, run.subject_id)
        try:
            await self._gateway.refund_payment(
                run.data["payment_id"],
                amount=Money(row.amount_minor, row.currency),
                metadata={OUR_KEY: row.id},
                idempotency_key=run.key,
            )
        except (GatewayOutcomeUnknown, GatewayInvalidAnswer):
            await self._note_unknown(run)
            raise
        return Answer()

    async def _look(self, run: Run) -> Answer | None:
        found = await self._find(run)
        return found if found.object is not None else None

    async def _find(self, run: Run) -> Answer:
        made = await self._gateway.refunds_of(run.data["payment_id"])
        ours = next((one for one in made if one.metadata.get(OUR_KEY) == run.subject_id), None)
        return Answer({} if ours is None else {"whop_refund_id": ours.refund_id}, object=ours)

    async def _sent(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        if answer.object is None:
            return GoTo(FIND)
        return await self._settle_found(unit, run, answer)

    async def _settle_found(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        if answer.object is not None:
            await self._apply(unit, run, answer.object)
        row = await self._locked(unit, run)
        if row.whop_refund_id is not None:
            return self._after_look(run, row)
        # Accepted, and not listed yet: it is never sent again, only looked for.
        looks = int(run.data.get("looks", 0)) + 1
        if row.status != "unknown":
            self._move(unit, row, "unknown", run)
        return WaitFor(FIND, retry_at(looks, run.now), {"looks": looks})

    async def _refused(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """Perhaps because an earlier try was carried out meanwhile: the gateway is asked, in a step of its own."""
        return GoTo("look_again", {"refusal": str(error)[:500]})

    async def _settle_refusal(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        if answer.object is not None:
            return await self._settle_found(unit, run, answer)
        row = await self._locked(unit, run)
        if row.whop_refund_id is not None:
            return self._after_look(run, row)
        return GiveUp("refused_by_gateway", str(run.data["refusal"]))

    # Until its end. Deliveries usually tell of it; this is for those that get lost.

    async def _watch(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        row = await self._locked(unit, run)
        return Finish() if row.status in FINAL or row.whop_refund_id is None else GoTo(READ)

    async def _read(self, run: Run) -> Answer:
        async with self._units() as unit:
            row = await queries.one(unit.session, run.subject_id)
        return Answer(object=await self._gateway.refund(str(row.whop_refund_id)))

    async def _settle_read(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._apply(unit, run, answer.object)
        return self._after_look(run, await self._locked(unit, run))

    async def _unreadable(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        return self._after_look(run, await self._locked(unit, run))

    @staticmethod
    def _after_look(run: Run, row: Refund) -> Next:
        if row.status in FINAL:
            return Finish()
        watched = int(run.data.get("watched", 0))
        return WaitFor(WATCH, run.now + next_look(watched), {"watched": watched + 1})

    # What the steps have in common.

    async def _locked(self, unit: UnitOfWork, run: Run) -> Refund:
        """The refund; it and its payment are ours until the unit ends. Payments are locked before what belongs to
        them, and subscriptions before payments, as everybody does."""
        row = await queries.one(unit.session, run.subject_id)
        payment = await queries.payment(unit.session, row.transaction_id)
        if payment.subscription_id is not None:
            await unit.session.get(Subscription, payment.subscription_id, with_for_update=True)
        await self._payments.lock(unit, [row.transaction_id])
        return await queries.one(unit.session, run.subject_id, lock=True)

    async def _apply(self, unit: UnitOfWork, run: Run, snapshot: RefundSnapshot) -> None:
        row = await self._locked(unit, run)
        payment = RefundedPayment(row.transaction_id, row.user_id)
        observed: Sequence[ObservedRefund] = [ObservedRefund(snapshot, run.id)]
        await self._refunds.apply(unit, observed, {snapshot.payment_id or "": payment})

    @staticmethod
    def _move(unit: UnitOfWork, row: Refund, status: str, run: Run) -> None:
        before, row.status, row.updated_at = row.status, status, unit.clock.now()
        history.moved(unit, row, before, actor=history.SYSTEM, cause=run.id)

    async def _note_unknown(self, run: Run) -> None:
        """So that everybody can see that nobody knows. A crash in this place leaves `sending`, which is as good."""
        async with self._units() as unit:
            row = await self._locked(unit, run)
            if row.status == "sending":
                self._move(unit, row, "unknown", run)
            await unit.commit()

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        row = await self._locked(unit, run)
        if row.whop_refund_id is not None or row.status not in SENT | {"approved"}:
            return
        row.failure_reason, row.failure_detail = why.reason, why.detail[:500]
        before, row.status, row.updated_at = row.status, "failed", unit.clock.now()
        history.moved(unit, row, before, actor=history.SYSTEM, cause=run.id, code=why.reason)
        await self._owed.settle(unit, [row.transaction_id])
