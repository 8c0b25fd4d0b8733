"""Pure rules of Whop's billing engine, as far as they are known. What Whop does not document is a choice made here."""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.state.records import Membership, Plan
from quntedge.kit.money import Money, exponent

RETRY_DELAYS = (timedelta(days=1), timedelta(days=2), timedelta(days=2))
"""Waits between the attempts of a declined renewal: tried again after one, three and five days."""

TRIAL_NOTICE_BEFORE = timedelta(days=3)
"""How long before its end a trial is announced to end (the documentation names no number)."""

CAPTURE_WITHIN = timedelta(days=5)
"""How long a reserved amount can be captured."""

PENDING_FOR = timedelta(days=3)
"""How long a bank debit takes to clear."""

DISPUTE_FEE = Money(1500, "usd")
"""What a chargeback costs the seller, won or lost. An inquiry costs nothing."""

ALERT_FEE = Money(2900, "usd")
"""What a dispute alert costs the seller when it is charged for."""

_PROCESSING_BASIS_POINTS = 270
_PROCESSING_FIXED_CENTS = 30


def first_charge(plan: Plan, *, trial: bool) -> Money:
    """What a buyer pays at checkout. While a trial applies only the initial price is due."""
    if not plan.recurring or trial:
        return plan.initial_price
    return plan.initial_price + plan.renewal_price


def retry_delay(payments_failed: int) -> timedelta | None:
    """The wait after the given number of failed attempts; None when the retries are used up."""
    return RETRY_DELAYS[payments_failed - 1] if payments_failed <= len(RETRY_DELAYS) else None


def next_due(membership: Membership) -> datetime | None:
    """When the membership changes by itself next, apart from retries, which belong to the payment."""
    if membership.ended or membership.status == "past_due":
        return None
    if membership.status == "completed":
        return membership.expires_at
    if membership.paused_at is not None and not membership.cancel_at_period_end:
        return membership.paused_until
    return membership.current_period_end


def trial_notice(membership: Membership) -> datetime | None:
    """When the end of a running trial is announced; None for trials too short to be announced."""
    if membership.status != "trialing" or membership.current_period_end is None:
        return None
    at = membership.current_period_end - TRIAL_NOTICE_BEFORE
    started = membership.current_period_start or membership.created_at
    return at if at > started else None


def processing_fees(total: Money) -> tuple[Money, Money]:
    """The percentage and the fixed part of the processing fee; both zero for a payment of nothing."""
    if not total:
        return Money.zero(total.currency), Money.zero(total.currency)
    percentage = total.percent(_PROCESSING_BASIS_POINTS)
    scale = exponent(total.currency)
    fixed = Money(_PROCESSING_FIXED_CENTS * 10**scale // 100 if scale else _PROCESSING_FIXED_CENTS, total.currency)
    return percentage, min(fixed, total - percentage)
