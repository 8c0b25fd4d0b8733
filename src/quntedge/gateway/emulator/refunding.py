"""Giving money back. A refund is pending first and settles later; it never touches the membership."""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.errors import bad_request, conflict
from quntedge.gateway.emulator.records import Metadata, Payment, Refund
from quntedge.gateway.emulator.world import World
from quntedge.kit.money import Money


def refund(world: World, payment: Payment, amount: Money | None, metadata: Metadata, at: datetime) -> Refund:
    """Starts a refund of `amount`, or of what is left.

    Raises:
        ApiFault: 409 when the payment is not paid or nothing is left, 400 when more is asked than is left.
    """
    if payment.status != "paid":
        raise conflict("Only a paid payment can be refunded.")
    left = refundable_amount(world, payment)
    if not left:
        raise conflict("This payment has already been refunded.")
    amount = left if amount is None else amount
    if amount <= Money.zero(amount.currency) or amount > left:
        raise bad_request(f"The refund must be more than zero and at most {left.to_major_text()}.")
    made = Refund(
        id=world.store.new_id("rf"),
        created_at=at,
        updated_at=at,
        payment_id=payment.id,
        amount=amount,
        metadata=metadata,
    )
    world.store.add_refund(made)
    world.announcer.emit("refund.created", made, at)
    world.schedule_settlement(made, at + timedelta(seconds=world.config.refund_settle_seconds))
    return made


def refundable_amount(world: World, payment: Payment) -> Money:
    """What is left of a payment after all refunds that succeeded or still may."""
    left = payment.total
    for made in world.store.refunds_of(payment.id):
        if made.status in ("pending", "requires_action", "succeeded"):
            left = left - made.amount
    return left


def settle(world: World, made: Refund, at: datetime) -> None:
    """Ends a pending refund well: only now the payment shows it."""
    payment = world.store.tables.payments[made.payment_id]
    made.status, made.settles_at = "succeeded", None
    world.store.touch(made, at)
    payment.refunded = payment.refunded + made.amount
    payment.refunded_at = at
    payment.substatus = "refunded" if payment.refunded == payment.total else "partially_refunded"
    world.store.touch(payment, at)
    world.announcer.emit("refund.updated", made, at)
