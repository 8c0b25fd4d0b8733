"""Giving money back. A refund is pending first and settles, or fails, later; it never touches the membership."""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.rules.taxes import share_of
from quntedge.gateway.emulator.state.records import Metadata, Payment, Refund
from quntedge.gateway.emulator.wire.errors import bad_request, conflict
from quntedge.kit.money import Money

OUTCOMES = ("succeeded", "failed", "canceled", "requires_action")
FAILURES = {
    "bank_declined": "The bank declined the refund.",
    "expired_or_canceled_card": "The card has expired or was canceled.",
    "lost_or_stolen_card": "The card was reported lost or stolen.",
    "insufficient_funds": "The balance does not cover the refund.",
    "charge_disputed": "The payment was disputed meanwhile.",
    "not_refundable": "The payment cannot be refunded.",
    "merchant_request": "The refund was canceled on request.",
    "unknown": "The refund failed.",
}
"""Whop's failure reasons, each with a sentence for people."""

_COUNTED = ("pending", "requires_action", "succeeded")


def refund(world: World, payment: Payment, amount: Money | None, metadata: Metadata, at: datetime) -> Refund:
    """Starts a refund of `amount`, or of what is left. How it ends may have been scripted.

    Raises:
        ApiFault: 409 when the payment is not paid, is disputed, or nothing is left; 400 when more is asked than is
            left.
    """
    if payment.status != "paid":
        raise conflict("Only a paid payment can be refunded.")
    if world.buyers.disputed(payment):
        raise conflict("A disputed payment cannot be refunded.")
    left = refundable_amount(world, payment)
    if not left:
        raise conflict("This payment has already been refunded.")
    amount = left if amount is None else amount
    if amount <= Money.zero(amount.currency) or amount > left:
        raise bad_request(f"The refund must be more than zero and at most {left.to_major_text()}.")
    return start(world, payment, amount, at, reason="requested_by_customer", metadata=metadata)


def start(
    world: World,
    payment: Payment,
    amount: Money,
    at: datetime,
    *,
    reason: str,
    metadata: Metadata | None = None,
    visa_rdr: bool = False,
) -> Refund:
    """Opens a pending refund of an amount that was checked before."""
    script, payment.refund_script = payment.refund_script or {}, None
    made = Refund(
        id=world.store.new_id("rf"),
        created_at=at,
        updated_at=at,
        payment_id=payment.id,
        amount=amount,
        reason=reason,
        outcome=script.get("status", "succeeded"),
        failure_ahead=script.get("failure_reason"),
        metadata=metadata or {},
        visa_rdr=visa_rdr,
    )
    world.store.mark(payment)
    world.store.add_refund(made)
    world.announcer.emit("refund.created", made, at)
    seconds = script.get("after_seconds", world.config.refund_settle_seconds)
    world.schedule_settlement(made, at + timedelta(seconds=seconds))
    return made


def refundable_amount(world: World, payment: Payment) -> Money:
    """What is left of a payment after all refunds that succeeded or still may."""
    left = payment.total
    for made in world.store.refunds_of(payment.id):
        if made.status in _COUNTED:
            left = left - made.amount
    return left


def settle(world: World, made: Refund, at: datetime) -> None:
    """Ends a pending refund as it was meant to end."""
    end(world, made, made.outcome, at, made.failure_ahead)


def end(world: World, made: Refund, status: str, at: datetime, failure_reason: str | None = None) -> None:
    """Moves a refund to a status; only a success shows on the payment.

    Raises:
        ApiFault: 409 when it has ended already.
    """
    if made.status not in ("pending", "requires_action"):
        raise conflict(f"This refund has {made.status} already.")
    made.status, made.settles_at = status, None
    if status in ("failed", "canceled"):
        made.failure_reason = failure_reason or ("unknown" if status == "failed" else "merchant_request")
        made.failure_message = FAILURES[made.failure_reason]
    world.store.touch(made, at)
    if status == "succeeded":
        _show_on_payment(world, made, at)
    world.announcer.emit("refund.updated", made, at)


def _show_on_payment(world: World, made: Refund, at: datetime) -> None:
    payment = world.store.tables.payments[made.payment_id]
    payment.refunded = payment.refunded + made.amount
    payment.refunded_at = at
    if payment.tax is not None:
        payment.tax_refunded = share_of(payment.tax, payment.total, payment.refunded)
    whole = payment.refunded == payment.total
    full = "auto_refunded" if made.reason == "dispute_alert" else "refunded"
    payment.auto_refunded = payment.auto_refunded or full == "auto_refunded"
    if not world.buyers.disputed(payment):  # a dispute hides what was refunded
        payment.substatus = full if whole else "partially_refunded"
    world.store.touch(payment, at)
