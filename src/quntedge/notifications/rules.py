"""When a mail is tried again, and in which language it is written. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

MAX_ATTEMPTS = 8
# How long a claimed mail is left alone. Far longer than a batch may take, so that only a crash lets it run out.
LEASE = timedelta(minutes=5)
_BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
INVOICE_WAITS = timedelta(minutes=2)
"""How long the invoice of a purchase waits for the confirmation to take it along, before it goes out by itself."""
# A renewal is charged around the end of the old period; an end this close to the payment is still the old one.
_SAME_PERIOD_END = timedelta(hours=12)


class Kind(StrEnum):
    """The mails there are; each has its templates."""

    SUBSCRIPTION_CONFIRMED = "subscription_confirmed"
    TRIAL_STARTED = "trial_started"
    TRIAL_ENDING = "trial_ending"
    TRIAL_CONVERTED = "trial_converted"
    RENEWAL_PAID = "renewal_paid"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_RECOVERED = "payment_recovered"
    METHOD_EXPIRING = "method_expiring"
    GRACE_ENDING = "grace_ending"
    ACCESS_PAUSED = "access_paused"
    ENDED_UNPAID = "ended_unpaid"
    SUBSCRIPTION_PAUSED = "subscription_paused"
    PAUSE_MOVED = "pause_moved"
    PAUSE_ENDING = "pause_ending"
    SUBSCRIPTION_RESUMED = "subscription_resumed"
    SUBSCRIPTION_ENDED = "subscription_ended"
    CANCELLATION_SCHEDULED = "cancellation_scheduled"
    CANCELLATION_UNDONE = "cancellation_undone"
    WITHDRAWAL_RECEIVED = "withdrawal_received"
    PLAN_CHANGED = "plan_changed"
    PLAN_CHANGE_SCHEDULED = "plan_change_scheduled"
    PLAN_CHANGE_WITHDRAWN = "plan_change_withdrawn"
    PLAN_CHANGE_DONE = "plan_change_done"
    PLAN_CHANGE_FAILED = "plan_change_failed"
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    REFUND_FAILED = "refund_failed"
    NEW_TERMS_ANNOUNCED = "new_terms_announced"
    NEW_TERMS_WITHDRAWN = "new_terms_withdrawn"

    STAFF_DISPUTE_OPENED = "staff_dispute_opened"
    STAFF_DISPUTE_DUE = "staff_dispute_due"
    STAFF_DISPUTE_LOST = "staff_dispute_lost"


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """When to try again after this many failed attempts (at least one), or None when enough is enough."""
    if attempts >= MAX_ATTEMPTS:
        return None
    return now + _BACK_OFF[min(attempts, len(_BACK_OFF)) - 1]


def language(locale: str, available: Collection[str], fallback: str = "en") -> str:
    """The language to write to a person with this locale: "fr" for "fr-CA", `fallback` for one we do not speak."""
    wanted = locale.replace("-", "_").partition("_")[0].lower()
    return wanted if wanted in available else fallback


def renewed_until(period_end: datetime | None, paid_at: datetime | None) -> datetime | None:
    """The end of the period that a renewal paid for, given the end we know now; None when that is still the old one.

    The payment and the moved period end arrive in separate deliveries, in either order. A mail that says nothing of
    the next renewal is better than one that names the day on which it was written.
    """
    if period_end is None or paid_at is None or period_end <= paid_at + _SAME_PERIOD_END:
        return None
    return period_end


def ended_on(ended_at: datetime | None, period_end: datetime | None, told_at: datetime) -> datetime:
    """The day to name in a mail about the end: never one that was still ahead when we were told.

    `ended_at` is None when the subscription lives again by the time the mail is written.
    """
    if ended_at is not None:
        return ended_at
    return told_at if period_end is None else min(period_end, told_at)
