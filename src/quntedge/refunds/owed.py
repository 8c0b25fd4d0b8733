"""What withdrawals are owed becomes refunds that wait for staff, and stays owed until it has gone back."""

from collections.abc import Collection, Sequence

from sqlalchemy import select, update

from quntedge.cancellations.events import RefundOwed
from quntedge.cancellations.models import RefundRequest
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.refunds import history, queries
from quntedge.refunds.events import RefundMoved
from quntedge.refunds.models import Refund
from quntedge.refunds.rules import ENDED_WITHOUT
from quntedge.storage.unit_of_work import UnitOfWork

_REFUSED, _DONE, _OPEN, _AGREED = "refused", "done", "requested", "approved"


class OwedRefunds:
    """Keeps `refund_request` and `refund` in step. The state of a request is read from its refund, never set beside it;
    only that staff refused it is said by itself."""

    def __init__(self, payments: PaymentService) -> None:
        self._payments = payments

    async def on_refund_owed(self, unit: UnitOfWork, facts: Sequence[RefundOwed]) -> None:
        """Subscriber: what is owed from now on."""
        await self.settle(unit, {fact.transaction_id for fact in facts})

    async def on_refund_moved(self, unit: UnitOfWork, facts: Sequence[RefundMoved]) -> None:
        """Subscriber: what has gone back is owed no more; what failed is owed again."""
        await self.settle(unit, {fact.transaction_id for fact in facts})

    async def settle(self, unit: UnitOfWork, transaction_ids: Collection[str]) -> None:
        """Brings the requests of these payments up to date. Doing it twice changes nothing."""
        await unit.session.flush()
        found = await unit.session.scalars(
            select(RefundRequest)
            .where(RefundRequest.transaction_id.in_(sorted(transaction_ids)), RefundRequest.state != _REFUSED)
            .order_by(RefundRequest.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        for request in found.all():
            request.state = await self._state_of(unit, request)
        await unit.session.flush()

    async def refuse(self, unit: UnitOfWork, refund: Refund) -> None:
        """Staff turned it down: nothing comes in its place."""
        if refund.refund_request_id is not None:
            await unit.session.execute(
                update(RefundRequest).where(RefundRequest.id == refund.refund_request_id).values(state=_REFUSED)
            )

    async def _state_of(self, unit: UnitOfWork, request: RefundRequest) -> str:
        status = await unit.session.scalar(
            select(Refund.status).where(
                Refund.refund_request_id == request.id, Refund.status.not_in(sorted(ENDED_WITHOUT))
            )
        )
        if status == "succeeded":
            return _DONE
        if status is not None:
            return _OPEN if status == "requested" else _AGREED
        return await self._wish(unit, request)

    async def _wish(self, unit: UnitOfWork, request: RefundRequest) -> str:
        """Asks for what is owed, as far as it is still there to be given back."""
        await self._payments.lock(unit, [request.transaction_id])
        payment = await queries.payment(unit.session, request.transaction_id)
        standing = await queries.standing(unit.session, payment)
        amount = min(Money(request.amount_minor, request.currency), standing.left)
        if not amount:
            # Given back by another way, or about to be: should that fail, it is asked for then.
            return _DONE if payment.status == "refunded" else _OPEN
        now = unit.clock.now()
        row = Refund(
            id=new_id("ref", now),
            user_id=request.user_id,
            transaction_id=request.transaction_id,
            status="requested",
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            reason=request.reason,
            requested_by=request.requested_by,
            requested_at=now,
            approval_required=True,
            refund_request_id=request.id,
            occurred_at=now,
            created_at=now,
            updated_at=now,
        )
        unit.session.add(row)
        await unit.session.flush()
        history.moved(unit, row, None, actor=request.requested_by, cause=request.id)
        return _OPEN
