"""RefundService: records refunds as Whop reports them and sums them up per payment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from quntedge.gateway.port import RefundSnapshot, RefundStatus
from quntedge.kit.ids import new_id
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.service import PaymentService, RefundTotal
from quntedge.refunds.models import Refund
from quntedge.storage.unit_of_work import UnitOfWork


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


class RefundService:
    """Keeps refund in step with Whop. Whether a refund ends access is no business of this one."""

    def __init__(self, payments: PaymentService) -> None:
        self._payments = payments

    async def apply(
        self, unit: UnitOfWork, observed: Sequence[ObservedRefund], payments: Mapping[str, RefundedPayment]
    ) -> None:
        """Stores refunds (by Whop's refund id) and brings their payments' totals up to date.

        `payments` maps Whop's payment ids; the caller has made sure that every one is there.
        """
        latest = {item.snapshot.refund_id: item for item in sorted(observed, key=_said_at)}
        if not latest:
            return
        now = unit.clock.now()
        rows = [_row(item.snapshot, payments[item.snapshot.payment_id or ""], now) for item in latest.values()]
        # First the payments: a new refund row alone takes a shared lock on its payment, and two who hold that and want
        # the payment for themselves would wait for each other.
        await self._payments.lock(unit, [row["transaction_id"] for row in rows])
        connection = await unit.connection()
        statement = upsert(Refund)
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["whop_refund_id"],
                set_={name: statement.excluded[name] for name in _CHANGING},
                # An older answer, held up on its way, must not overwrite a newer one.
                where=Refund.gateway_updated_at.is_(None)
                | (statement.excluded.gateway_updated_at >= Refund.gateway_updated_at),
            ),
            rows,
        )
        causes = {row["transaction_id"]: item.cause for row, item in zip(rows, latest.values(), strict=True)}
        await self._payments.apply_refund_totals(unit, await self._totals(unit, causes))

    @staticmethod
    async def _totals(unit: UnitOfWork, causes: Mapping[str, str]) -> list[RefundTotal]:
        connection = await unit.connection()
        # An amount in another currency than the payment's cannot be counted against it; it stays visible as a record.
        counts = (Refund.status == "succeeded") & (Refund.currency == PaymentTransaction.currency)
        succeeded = func.coalesce(func.sum(Refund.amount_minor).filter(counts), 0)
        pending = func.bool_or(Refund.status.in_(("pending", "requires_action", "unknown")))
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


_CHANGING = (
    "status",
    "amount_minor",
    "currency",
    "reason",
    "failure_reason",
    "gateway_updated_at",
    "updated_at",
)


def _said_at(item: ObservedRefund) -> datetime:
    return item.snapshot.updated_at or datetime.min.replace(tzinfo=UTC)


def _row(snapshot: RefundSnapshot, payment: RefundedPayment, now: datetime) -> dict[str, Any]:
    status = snapshot.status if snapshot.status in RefundStatus else RefundStatus.UNKNOWN
    return {
        "id": new_id("ref", now),
        "user_id": payment.user_id,
        "transaction_id": payment.transaction_id,
        "whop_refund_id": snapshot.refund_id,
        "status": status.value,
        "amount_minor": snapshot.amount.amount_minor,
        "currency": snapshot.amount.currency,
        "reason": snapshot.reason,
        "failure_reason": snapshot.failure_reason,
        "occurred_at": snapshot.created_at or now,
        "gateway_updated_at": snapshot.updated_at,
        "created_at": now,
        "updated_at": now,
    }
