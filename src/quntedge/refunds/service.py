"""RefundService: records refunds as Whop reports them and sums them up per payment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from quntedge.gateway.port import RefundSnapshot, RefundStatus
from quntedge.kit.ids import is_id, new_id
from quntedge.kit.logging import get_logger
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.service import PaymentService, RefundTotal
from quntedge.refunds import history
from quntedge.refunds.events import PaymentRefunded, RefundMoved
from quntedge.refunds.models import Refund
from quntedge.refunds.rules import FINAL, PARTIALLY_REFUNDED, REFUNDED, UNDER_WAY
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork

OUR_KEY = "our_refund_id"
"""Name under which the id of a refund asked for here travels in Whop's metadata."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ObservedRefund:
    """A refund read from Whop just now; deliveries about refunds are never believed by themselves."""

    snapshot: RefundSnapshot
    cause: str


@dataclass(frozen=True, slots=True)
class RefundedPayment:
    """The payment a refund belongs to, as we hold it."""

    transaction_id: str
    user_id: str


_HELD = (
    select(Refund)
    .where(among(Refund.whop_refund_id, "known") | among(Refund.id, "wishes"))
    .order_by(Refund.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_PAYMENTS = select(
    PaymentTransaction.id,
    PaymentTransaction.subscription_id,
    PaymentTransaction.currency,
    PaymentTransaction.total_minor,
).where(among(PaymentTransaction.id))


class RefundService:
    """Keeps refund in step with Whop. Whether a refund ends access is no business of this one."""

    def __init__(self, payments: PaymentService) -> None:
        self._payments = payments

    async def apply(
        self, unit: UnitOfWork, observed: Sequence[ObservedRefund], payments: Mapping[str, RefundedPayment]
    ) -> None:
        """Stores refunds (by Whop's refund id, those asked for here by our own) and brings their payments' totals up to
        date. Records `RefundMoved` for each that came to another status, and `PaymentRefunded`.

        `payments` maps Whop's payment ids; the caller has made sure that every one is there.
        """
        latest = {item.snapshot.refund_id: item for item in sorted(observed, key=_said_at)}
        if not latest:
            return
        owners = {key: payments[item.snapshot.payment_id or ""] for key, item in latest.items()}
        # First the payments: a new refund row alone takes a shared lock on its payment, and two who hold that and want
        # the payment for themselves would wait for each other.
        causes = {owners[key].transaction_id: item.cause for key, item in latest.items()}
        await self._payments.lock(unit, list(causes))
        batch = _Batch(unit, await _payments(unit, list(causes)), await _held(unit, list(latest.values())))
        for key, item in latest.items():
            batch.take(item, owners[key])
        await unit.session.flush()
        totals = await self._totals(unit, causes)
        await self._payments.apply_refund_totals(unit, totals)
        batch.announce_totals({total.transaction_id: total for total in totals})

    @staticmethod
    async def _totals(unit: UnitOfWork, causes: Mapping[str, str]) -> list[RefundTotal]:
        connection = await unit.connection()
        # An amount in another currency than the payment's cannot be counted against it; it stays visible as a record.
        counts = (Refund.status == "succeeded") & (Refund.currency == PaymentTransaction.currency)
        succeeded = func.coalesce(func.sum(Refund.amount_minor).filter(counts), 0)
        pending = func.bool_or(Refund.status.in_(sorted(UNDER_WAY)))
        found = await connection.execute(
            select(Refund.transaction_id, succeeded.label("succeeded"), pending.label("pending"))
            .join(PaymentTransaction, PaymentTransaction.id == Refund.transaction_id)
            .where(Refund.transaction_id.in_(list(causes)))
            .group_by(Refund.transaction_id)
        )
        return [
            RefundTotal(row.transaction_id, int(row.succeeded), bool(row.pending), causes[row.transaction_id])
            for row in found
        ]


class _Batch:
    """The refunds that one call touches; their rows are locked, and so are their payments."""

    def __init__(self, unit: UnitOfWork, payments: Mapping[str, Any], held: Sequence[Refund]) -> None:
        self._unit = unit
        self._now = unit.clock.now()
        self._payments = payments
        self._known = {row.whop_refund_id: row for row in held if row.whop_refund_id is not None}
        self._wishes = {row.id: row for row in held}
        self._moved: dict[str, list[tuple[Refund, RefundMoved]]] = {}

    def take(self, item: ObservedRefund, owner: RefundedPayment) -> None:
        """Takes over what the gateway says of one refund."""
        snapshot = item.snapshot
        row = self._row_of(snapshot, owner)
        before = row.status if row is not None else None
        if row is None:
            row = self._made_elsewhere(snapshot, owner)
        elif _is_older(row, snapshot):
            return
        self._overwrite(row, snapshot)
        if row.status != before:
            history.moved(self._unit, row, before, actor=history.GATEWAY, cause=item.cause)
            self._announce(row, before, item)

    def _row_of(self, snapshot: RefundSnapshot, owner: RefundedPayment) -> Refund | None:
        known = self._known.get(snapshot.refund_id)
        if known is not None:
            return known
        wish = self._wishes.get(snapshot.metadata.get(OUR_KEY, ""))
        if wish is None or wish.transaction_id != owner.transaction_id:
            return None
        if wish.whop_refund_id is not None:
            # One wish, two refunds: nothing of ours sends twice, so somebody should look. Both are recorded.
            log.error("refund.made_twice", refund_id=wish.id, whop_refund_id=snapshot.refund_id)
            return None
        wish.whop_refund_id = snapshot.refund_id
        self._known[snapshot.refund_id] = wish
        return wish

    def _made_elsewhere(self, snapshot: RefundSnapshot, owner: RefundedPayment) -> Refund:
        amount = snapshot.in_currency(self._payments[owner.transaction_id].currency)
        row = Refund(
            id=new_id("ref", self._now),
            user_id=owner.user_id,
            transaction_id=owner.transaction_id,
            whop_refund_id=snapshot.refund_id,
            amount_minor=amount.amount_minor,
            currency=amount.currency,
            occurred_at=snapshot.created_at or self._now,
            created_at=self._now,
        )
        self._unit.session.add(row)
        self._known[snapshot.refund_id] = row
        return row

    def _overwrite(self, row: Refund, snapshot: RefundSnapshot) -> None:
        status = snapshot.status if snapshot.status in RefundStatus else RefundStatus.UNKNOWN
        row.status = status.value
        # A wish was made in the payment's currency; how it settled in another one says nothing about what is left.
        amount = snapshot.in_currency(self._payments[row.transaction_id].currency)
        if row.requested_by is None or amount.currency == row.currency:
            row.amount_minor, row.currency = amount.amount_minor, amount.currency
        if row.requested_by is None:
            row.reason = snapshot.reason
        row.failure_reason = snapshot.failure_reason
        row.gateway_updated_at, row.updated_at = snapshot.updated_at, self._now

    def _announce(self, row: Refund, before: str | None, item: ObservedRefund) -> None:
        payment = self._payments[row.transaction_id]
        counts = row.currency == payment.currency
        fact = RefundMoved(
            refund_id=row.id,
            transaction_id=row.transaction_id,
            user_id=row.user_id,
            subscription_id=payment.subscription_id,
            whop_refund_id=item.snapshot.refund_id,
            currency=row.currency,
            amount_minor=row.amount_minor,
            reason=row.reason,
            before_status=before,
            status=row.status,
            counted=counts and row.status == "succeeded",
            uncounted=counts and before == "succeeded",
            occurred_at=item.snapshot.updated_at or self._now,
            cause=item.cause,
        )
        self._unit.record(fact)
        self._moved.setdefault(row.transaction_id, []).append((row, fact))

    def announce_totals(self, totals: Mapping[str, RefundTotal]) -> None:
        """What all of this came to for the payments of which more has gone back now than before."""
        for transaction_id, moves in self._moved.items():
            gone = sum((fact.counted - fact.uncounted) * fact.amount_minor for _, fact in moves)
            if gone <= 0:
                continue
            payment, total = self._payments[transaction_id], totals[transaction_id]
            row, fact = next(move for move in reversed(moves) if move[1].counted)
            whole = payment.total_minor is not None and total.succeeded_minor >= payment.total_minor
            self._unit.record(
                PaymentRefunded(
                    kind=REFUNDED if whole else PARTIALLY_REFUNDED,
                    transaction_id=transaction_id,
                    user_id=row.user_id,
                    subscription_id=payment.subscription_id,
                    refund_id=row.id,
                    currency=payment.currency,
                    total_minor=payment.total_minor or 0,
                    refunded_minor=total.succeeded_minor,
                    amount_minor=gone,
                    actor=history.wisher(row),
                    cause=fact.cause,
                )
            )


async def _payments(unit: UnitOfWork, transaction_ids: list[str]) -> dict[str, Any]:
    connection = await unit.connection()
    return {row.id: row for row in await connection.execute(_PAYMENTS, {"values": transaction_ids})}


async def _held(unit: UnitOfWork, latest: Sequence[ObservedRefund]) -> Sequence[Refund]:
    named = [item.snapshot.metadata.get(OUR_KEY, "") for item in latest]
    parameters = {
        "known": [item.snapshot.refund_id for item in latest],
        "wishes": [refund_id for refund_id in named if is_id(refund_id, "ref")],
    }
    return (await unit.session.scalars(_HELD, parameters)).all()


def _said_at(item: ObservedRefund) -> datetime:
    return item.snapshot.updated_at or datetime.min.replace(tzinfo=UTC)


def _is_older(row: Refund, snapshot: RefundSnapshot) -> bool:
    """An older answer, held up on its way, must not overwrite a newer one; nor may one of the same instant take back
    an end."""
    if row.gateway_updated_at is None:
        return False
    if snapshot.updated_at is None or snapshot.updated_at < row.gateway_updated_at:
        return True
    return snapshot.updated_at == row.gateway_updated_at and row.status in FINAL and snapshot.status not in FINAL
