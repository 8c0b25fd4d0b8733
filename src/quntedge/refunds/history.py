"""Writing down what happens to refunds: who did it, what led to it, and what was denied."""

from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.refunds.models import Refund, RefundEvent
from quntedge.storage.unit_of_work import UnitOfWork

GATEWAY = "whop"
SYSTEM = "system"


def moved(
    unit: UnitOfWork, refund: Refund, before: str | None, *, actor: str, cause: str, code: str | None = None
) -> None:
    """Notes, in the caller's transaction, that a refund came to its present status."""
    now = unit.clock.now()
    unit.session.add(
        RefundEvent(
            id=new_id("rev", now),
            refund_id=refund.id,
            transaction_id=refund.transaction_id,
            user_id=refund.user_id,
            kind="moved",
            actor=actor,
            cause=cause,
            before=before,
            after=refund.status,
            amount_minor=refund.amount_minor,
            currency=refund.currency,
            code=code,
            at=now,
        )
    )


def denied(
    unit: UnitOfWork,
    code: str,
    *,
    transaction_id: str,
    user_id: str,
    actor: str,
    refund_id: str | None = None,
    amount: Money | None = None,
) -> None:
    """Notes that somebody wanted what they may not have; `code` is that of the error they were answered with."""
    now = unit.clock.now()
    unit.session.add(
        RefundEvent(
            id=new_id("rev", now),
            refund_id=refund_id,
            transaction_id=transaction_id,
            user_id=user_id,
            kind="denied",
            actor=actor,
            cause="request",
            amount_minor=amount.amount_minor if amount else None,
            currency=amount.currency if amount else None,
            code=code,
            at=now,
        )
    )


def wisher(refund: Refund) -> str:
    """Who is behind a refund: who agreed to it, else who asked for it, else the gateway, where it was made."""
    return refund.approved_by or refund.requested_by or GATEWAY
