"""Changes of memberships, and the events each change causes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.rules.discounts import next_price
from quntedge.gateway.emulator.state.records import Membership, Payment
from quntedge.gateway.emulator.state.store import Tables
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.wire.values import iso, money
from quntedge.kit.money import Money

LAST_YEAR = 2300
VALID = frozenset({"trialing", "active", "completed"})
_WATCHED = (
    "status",
    "cancel_at_period_end",
    "canceled_at",
    "current_period_start",
    "current_period_end",
    "expires_at",
    "billing_period_days",
    "initial_price",
    "member_id",
    "plan_id",
    "product_id",
    "user_id",
    "promo_code_id",
    "metadata",
)

# Compared as records have them: drawing up the whole object twice would take most of a renewal's time.
_watched = attrgetter(*_WATCHED)


def _shown(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    return money(value) if isinstance(value, Money) else value


def change(world: World, membership: Membership, at: datetime, **changes: Any) -> None:
    """Applies `changes`, schedules what follows and announces it.

    Every change is a membership.updated with the previous values. Becoming valid or starting a new period is a
    membership.activated as well, becoming invalid a membership.deactivated: Whop still sends both.
    """
    status_before = membership.status
    before, price_before = _watched(membership), next_price(world.store.tables, membership)
    for name, value in changes.items():
        setattr(membership, name, value)
    world.store.touch(membership, at)
    world.schedule(membership)
    values = zip(_WATCHED, before, _watched(membership), strict=True)
    previous = {name: _shown(old) for name, old, new in values if old != new}
    if price_before != next_price(world.store.tables, membership):  # also by a promo code that came or ran out
        previous["renewal_price"] = _shown(price_before)
    emit = world.announcer.emit
    if membership.status in VALID and ("current_period_start" in previous or status_before not in VALID):
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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a membership is canceled: a free text, and one of the account's own reasons with its category."""

    text: str | None = None
    category: str | None = None
    label: str | None = None


NO_REASON = Reason()


def reason_for(tables: Tables, text: str | None, option_id: str | None) -> Reason:
    """The reason with one of the account's own options. Raises ApiFault 404 for an option there is not."""
    if option_id is None:
        return Reason(text)
    option = next((one for one in tables.preferences.get("feedback_options", ()) if one["id"] == option_id), None)
    if option is None:
        raise not_found("Feedback option")
    return Reason(text, option["category"], option["label"])


def cancel(world: World, membership: Membership, at: datetime, *, at_period_end: bool, reason: Reason) -> None:
    """Cancels now, or marks the membership to end with its period.

    Raises:
        ApiFault: 409 when it has ended, or has no period at whose end it could be canceled.
    """
    if membership.ended:
        raise conflict("This membership has already ended.")
    if at_period_end:
        set_cancel_flag(world, membership, at, True, reason=reason)
        return
    _note(membership, reason)
    end(world, membership, at, "canceled")


def set_cancel_flag(
    world: World, membership: Membership, at: datetime, flag: bool, *, reason: Reason = NO_REASON
) -> None:
    """Schedules or withdraws the cancellation at period end. Setting what is set already changes nothing.

    Raises:
        ApiFault: 409 when it has ended, or has no period at whose end it could be canceled.
    """
    if membership.ended:
        raise conflict("This membership has already ended.")
    if membership.current_period_end is None:
        raise conflict("A one-time membership has no period at whose end it could be canceled.")
    if membership.cancel_at_period_end == flag:
        return
    if flag:
        _note(membership, reason)
    else:
        membership.cancellation_reason = membership.cancel_option = membership.feedback_label = None
    change(world, membership, at, cancel_at_period_end=flag, canceled_at=at if flag else None)


def _note(membership: Membership, reason: Reason) -> None:
    """Keeps a reason; a later cancellation without one leaves the earlier one standing."""
    membership.cancellation_reason = reason.text or membership.cancellation_reason
    if reason.category is not None:
        membership.cancel_option, membership.feedback_label = reason.category, reason.label


def pause(world: World, membership: Membership, at: datetime, until: datetime | None) -> None:
    """Stops collection; the buyer keeps access. `until` resumes by itself. One that is paused gets another end.

    Raises:
        ApiFault: 409 unless it is running, 400 when `until` is past.
    """
    if membership.status not in ("active", "trialing"):
        raise conflict("Only a running membership can be paused.")
    if until is not None and until <= at:
        raise bad_request("`until` must lie in the future.")
    change(world, membership, at, paused_at=membership.paused_at or at, paused_until=until)


def resume(world: World, membership: Membership, at: datetime) -> None:
    """Takes up collection again. A period that ran out meanwhile is billed at once and starts anew from here.

    Raises:
        ApiFault: 409 when it is not paused.
    """
    if membership.paused_at is None:
        raise conflict("This membership is not paused.")
    period_end = membership.current_period_end
    restart = at if period_end is not None and period_end < at else period_end
    change(world, membership, at, paused_at=None, paused_until=None, current_period_end=restart)


def extend(world: World, membership: Membership, at: datetime, days: int) -> None:
    """Adds free days to the period, the trial or the fixed expiry.

    Raises:
        ApiFault: 409 when there is nothing running that could be extended.
    """
    more = timedelta(days=days)
    if (membership.current_period_end or membership.expires_at or at).year > LAST_YEAR:
        raise conflict("This membership reaches far enough already.")
    if membership.status in ("active", "trialing") and membership.current_period_end is not None:
        change(world, membership, at, current_period_end=membership.current_period_end + more)
    elif membership.status == "completed" and membership.expires_at is not None:
        change(world, membership, at, expires_at=membership.expires_at + more)
    else:
        raise conflict("This membership has no running period that could be extended.")


def set_period(world: World, membership: Membership, at: datetime, days: int) -> None:
    """Renews every `days` from now on; the running period is measured anew from its start.

    Raises:
        ApiFault: 409 unless it is running, billed automatically and not set to cancel; 400 when the period would be
            over already, or would become daily.
    """
    running = membership.status in ("active", "trialing", "past_due") and membership.billing_period_days is not None
    if not running or membership.cancel_at_period_end or membership.collection_method != "charge_automatically":
        raise conflict("Only a running recurring membership that is not set to cancel can change its billing period.")
    if days == 1 and membership.billing_period_days != 1:
        raise bad_request("A membership that does not renew daily cannot be changed to do so.")
    end_of_period = (membership.current_period_start or membership.created_at) + timedelta(days=days)
    if end_of_period <= at:
        raise bad_request("The period would have ended already.")
    change(world, membership, at, billing_period_days=days, current_period_end=end_of_period)


def end_trial(world: World, membership: Membership, at: datetime) -> None:
    """Ends a running trial now instead of later; what follows is what always follows a trial.

    Raises:
        ApiFault: 409 unless it is in a trial that is not paused.
    """
    if membership.status != "trialing" or membership.paused_at is not None:
        raise conflict("Only a running trial can be ended.")
    change(world, membership, at, current_period_end=at)


def reactivate(world: World, membership: Membership, at: datetime, days: int | None) -> None:
    """Gives back access to something bought for good that was canceled or has expired.

    Raises:
        ApiFault: 409 for anything that renews or has not ended; 400 when the expiry has passed and no days are given.
    """
    if not membership.ended or membership.billing_period_days is not None:
        raise conflict("Only a one-time membership that has ended can be reactivated.")
    expires = membership.expires_at
    if expires is not None:
        if days is None and expires <= at:
            raise bad_request("`days` is required: the original end has passed.")
        expires = expires if days is None else at + timedelta(days=days)
    forgotten = dict.fromkeys(("canceled_at", "cancel_option", "cancellation_reason", "feedback_label"))
    change(world, membership, at, status="completed", expires_at=expires, cancel_at_period_end=False, **forgotten)
