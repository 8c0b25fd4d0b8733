"""Changes of memberships, and the events each change causes."""

from datetime import datetime, timedelta
from typing import Any

from quntedge.gateway.emulator.errors import conflict, invalid
from quntedge.gateway.emulator.records import Membership, Payment
from quntedge.gateway.emulator.world import World

LAST_YEAR = 2300
VALID = frozenset({"trialing", "active", "completed"})
_WATCHED = (
    "status",
    "cancel_at_period_end",
    "canceled_at",
    "current_period_start",
    "current_period_end",
    "expires_at",
    "renewal_price",
    "billing_period_days",
    "metadata",
)


def change(world: World, membership: Membership, at: datetime, **changes: Any) -> None:
    """Applies `changes`, schedules what follows and announces it.

    Every change is a membership.updated with the previous values. Becoming valid or starting a new period is a
    membership.activated as well, becoming invalid a membership.deactivated: Whop still sends both.
    """
    before = world.buyers.membership(membership)
    for name, value in changes.items():
        setattr(membership, name, value)
    world.store.touch(membership, at)
    world.schedule(membership)
    after = world.buyers.membership(membership)
    previous = {name: before[name] for name in _WATCHED if before[name] != after[name]}
    emit = world.announcer.emit
    if membership.status in VALID and ("current_period_start" in previous or before["status"] not in VALID):
        emit("membership.activated", membership, at)
    elif membership.status not in VALID and "status" in previous:
        emit("membership.deactivated", membership, at)
    if "cancel_at_period_end" in previous:
        emit("membership.cancel_at_period_end_changed", membership, at)
    emit("membership.updated", membership, at, previous)


def end(world: World, membership: Membership, at: datetime, status: str) -> None:
    """Ends a membership; what is still unpaid is given up first."""
    payment = world.store.open_payment(membership.id)
    if payment is not None:
        give_up(world, payment, at, "void", "canceled")
    canceled_at = (membership.canceled_at or at) if status == "canceled" else membership.canceled_at
    change(world, membership, at, status=status, canceled_at=canceled_at, paused_at=None, paused_until=None)


def give_up(world: World, payment: Payment, at: datetime, status: str, substatus: str) -> None:
    """Stops collecting a payment."""
    payment.status, payment.substatus = status, substatus
    world.schedule_retry(payment, None)
    world.store.touch(payment, at)
    world.announcer.emit("payment.canceled", payment, at)


def cancel(world: World, membership: Membership, at: datetime, *, at_period_end: bool, reason: str | None) -> None:
    """Cancels now, or marks the membership to end with its period.

    Raises:
        ApiFault: 409 when it has ended, or has no period at whose end it could be canceled.
    """
    if membership.ended:
        raise conflict("This membership has already ended.")
    if at_period_end:
        set_cancel_flag(world, membership, at, True, reason=reason)
        return
    membership.cancellation_reason = reason or membership.cancellation_reason
    end(world, membership, at, "canceled")


def set_cancel_flag(
    world: World, membership: Membership, at: datetime, flag: bool, *, reason: str | None = None
) -> None:
    """Schedules or withdraws the cancellation at period end. Setting what is set already changes nothing."""
    if membership.ended:
        raise conflict("This membership has already ended.")
    if membership.current_period_end is None:
        raise conflict("A one-time membership has no period at whose end it could be canceled.")
    if membership.cancel_at_period_end == flag:
        return
    membership.cancellation_reason = reason if flag else None
    change(world, membership, at, cancel_at_period_end=flag, canceled_at=at if flag else None)


def pause(world: World, membership: Membership, at: datetime, until: datetime | None) -> None:
    """Stops collection; the buyer keeps access. `until` resumes by itself."""
    if membership.status not in ("active", "trialing") or membership.paused_at is not None:
        raise conflict("Only a running membership that is not paused can be paused.")
    if until is not None and until <= at:
        raise invalid("`until` must lie in the future.")
    change(world, membership, at, paused_at=at, paused_until=until)


def resume(world: World, membership: Membership, at: datetime) -> None:
    """Takes up collection again. A period that ran out meanwhile is billed at once and starts anew from here."""
    if membership.paused_at is None:
        raise conflict("This membership is not paused.")
    period_end = membership.current_period_end
    restart = at if period_end is not None and period_end < at else period_end
    change(world, membership, at, paused_at=None, paused_until=None, current_period_end=restart)


def extend(world: World, membership: Membership, at: datetime, days: int) -> None:
    """Adds free days to the period, the trial or the fixed expiry."""
    more = timedelta(days=days)
    if (membership.current_period_end or membership.expires_at or at).year > LAST_YEAR:
        raise conflict("This membership reaches far enough already.")
    if membership.status in ("active", "trialing") and membership.current_period_end is not None:
        change(world, membership, at, current_period_end=membership.current_period_end + more)
    elif membership.status == "completed" and membership.expires_at is not None:
        change(world, membership, at, expires_at=membership.expires_at + more)
    else:
        raise conflict("This membership has no running period that could be extended.")
