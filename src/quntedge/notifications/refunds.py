"""Mails about refunds. One that succeeds goes out with its credit note; this is about those that do not."""

from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.notifications.causes import Cause
from quntedge.notifications.rules import Kind
from quntedge.payments.models import PaymentTransaction
from quntedge.refunds.events import RefundMoved

_UNDER_WAY = frozenset({"pending", "requires_action", "unknown", "sending"})
_FAILED = frozenset({"failed", "canceled"})


def of_refund_failed(fact: RefundMoved) -> Cause | None:
    """Once for each refund that was under way, of which the customer may have heard, and did not arrive. One that had
    counted is told of with the document that takes its credit note back."""
    if fact.status not in _FAILED or fact.before_status not in _UNDER_WAY:
        return None
    params = {
        "subscription_id": fact.subscription_id,
        "transaction_id": fact.transaction_id,
        "refund_minor": fact.amount_minor,
        "currency": fact.currency,
    }
    return Cause(f"{Kind.REFUND_FAILED}:{fact.refund_id}", fact.user_id, Kind.REFUND_FAILED, params)


async def went_back_after_all(session: AsyncSession, transaction_id: str) -> str | None:
    """Why nobody needs to be told of a failed refund, if nobody does."""
    payment = await session.get(PaymentTransaction, transaction_id)
    if payment is not None and payment.status == "refunded":
        return "the payment has been given back in another way"
    return None
