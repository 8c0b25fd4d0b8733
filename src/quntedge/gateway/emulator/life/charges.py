"""Charges that a server asks for: collected in the background, retried, reserved, captured, given up."""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships, promotions, purchases, quotes, renewals
from quntedge.gateway.emulator.life.purchases import Deal
from quntedge.gateway.emulator.rules.cards import NOT_CONFIRMED, Decline, decline_after_pending, decline_off_session
from quntedge.gateway.emulator.shapes.payments import voidable
from quntedge.gateway.emulator.state.records import Payment
from quntedge.gateway.emulator.wire.errors import conflict

_NO_CARD = Decline("closed_account", "The stored payment method is no longer there.")


def start(world: World, deal: Deal, at: datetime) -> Payment:
    """Opens a payment whose outcome is known later only: the answer to the request never tells it."""
    payment = purchases.open_payment(world, deal, at)
    quotes.hold(world, payment, at)
    world.schedule_collection(payment, at + timedelta(seconds=world.config.collect_seconds))
    return payment


def collect(world: World, payment: Payment, at: datetime) -> None:
    """Charges the stored card of a first payment once, or ends the wait for money that was on its way."""
    payment.collects_at = None
    world.store.touch(payment, at)
    if payment.status == "pending":
        _clear(world, payment, at)
        return
    if payment.status != "open" or payment.membership_id is not None:
        return
    method = world.store.tables.methods.get(payment.payment_method_id or "")
    payment.last_payment_attempt_at = at
    if method is None:
        purchases.decline_payment(world, payment, _NO_CARD, at)
        return
    present_and_asked = method.behaviour == "challenges" and not payment.off_session
    if present_and_asked or method.behaviour == "always_challenges":
        _challenge(world, payment, at)
        return
    decline = decline_off_session(method.behaviour)
    if decline is not None:
        purchases.decline_payment(world, payment, decline, at)
        return
    purchases.complete(world, payment, at)


def _clear(world: World, payment: Payment, at: datetime) -> None:
    method = world.store.tables.methods.get(payment.payment_method_id or "")
    decline = None if method is None else decline_after_pending(method.behaviour)
    if decline is None:
        purchases.settle(world, payment, at)
        return
    payment.status = "open"
    purchases.decline_payment(world, payment, decline, at)


def _challenge(world: World, payment: Payment, at: datetime) -> None:
    payment.substatus = "incomplete"
    if payment.off_session:  # the bank refused for now; a present buyer is only sent to the bank's page
        payment.payments_failed += 1
        payment.decline_code, payment.failure_message = NOT_CONFIRMED.code, NOT_CONFIRMED.message
    world.store.touch(payment, at)
    if payment.off_session:
        world.announcer.emit("payment.requires_action", payment, at)


def retry(world: World, payment: Payment, at: datetime) -> None:
    """Tries an open payment again at once.

    Raises:
        ApiFault: 409 when it is not open, has not failed, or its membership has ended.
    """
    if not world.buyers.retryable(payment):
        raise conflict("This payment cannot be retried.")
    if payment.membership_id is None:
        collect(world, payment, at)
    else:
        renewals.retry(world, payment, at)


def void(world: World, payment: Payment, at: datetime) -> None:
    """Releases a reserved amount, or gives up a first payment nobody paid.

    Raises:
        ApiFault: 409 for anything else: what is paid is refunded, what is due for a membership goes on being due.
    """
    if not voidable(payment):
        raise conflict("This payment cannot be voided.")
    if payment.by_api or payment.payments_failed == 0:
        promotions.give_back(world, payment, at)
    quotes.let_go(world, payment, at)
    payment.collects_at = payment.released_at = None
    memberships.give_up(world, payment, at, "void", "canceled")


def capture(world: World, payment: Payment, at: datetime) -> None:
    """Collects the whole of a reserved amount; what was bought starts now.

    Raises:
        ApiFault: 409 when nothing is reserved (any more).
    """
    if payment.status != "authorized":
        raise conflict("Only an authorized payment can be captured.")
    payment.released_at = None
    purchases.settle(world, payment, at)


def release(world: World, payment: Payment, at: datetime) -> None:
    """The end of a reservation: captured by itself where that was asked for, else given back to the buyer."""
    if payment.auto_capture_minutes is not None:
        capture(world, payment, at)
    else:
        void(world, payment, at)
