"""Which mail follows from which fact. The key names the cause, and is what keeps a mail from going out twice.

Parameters are amounts in minor units, ISO 8601 times and ids, never personal data: they stay in the table for ever.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quntedge.invoices.events import InvoicePaid
from quntedge.notifications.rules import Kind
from quntedge.payments.events import PaymentRecorded
from quntedge.subscriptions.events import SubscriptionChanged

RENEWALS = frozenset({"subscription_cycle", "subscription_update"})


@dataclass(frozen=True, slots=True)
class Cause:
    """A mail that is owed to somebody. `key` is unique for ever."""

    key: str
    user_id: str
    kind: Kind
    params: dict[str, Any]


def of_subscription_change(fact: SubscriptionChanged) -> Cause | None:
    """A beginning is confirmed, an end is told; what lies between is told by the payments.

    A subscription that is revived can end again: the period that ends tells one end from the other.
    """
    if fact.started:
        kind = Kind.TRIAL_STARTED if fact.trial else Kind.SUBSCRIPTION_CONFIRMED
    elif fact.ended:
        kind = Kind.SUBSCRIPTION_ENDED
    else:
        return None
    period_end = _iso(fact.period_end)
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "membership_id": fact.membership_id,
        "period_end": period_end,
    }
    key = f"{kind}:{fact.subscription_id}:{fact.membership_id}"
    if kind == Kind.SUBSCRIPTION_ENDED:
        key = f"{key}:{period_end or '-'}"
    return Cause(key, fact.user_id, kind, params)


def of_invoice_paid(fact: InvoicePaid) -> Cause | None:
    """A renewal gets a mail. A purchase does not: its confirmation says it already."""
    if fact.billing_reason not in RENEWALS:
        return None
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "invoice_number": fact.number,
        "amount_minor": fact.total_minor,
        "currency": fact.currency,
        "paid_at": _iso(fact.paid_at),
    }
    return Cause(f"{Kind.RENEWAL_PAID}:{fact.invoice_id}", fact.user_id, Kind.RENEWAL_PAID, params)


def of_payment(fact: PaymentRecorded) -> Cause | None:
    """Each failed attempt to collect a renewal gets one mail. Whoever is declined at the checkout sees it there."""
    if not fact.newly_failed or fact.billing_reason not in RENEWALS:
        return None
    attempt = fact.failed_attempt if fact.failed_attempt is not None else fact.attempts_failed
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "membership_id": fact.whop_membership_id,
        "transaction_id": fact.transaction_id,
        "amount_minor": fact.total_minor,
        "currency": fact.currency,
        "decline_class": fact.decline_class,
    }
    key = f"{Kind.PAYMENT_FAILED}:{fact.whop_payment_id}:{attempt}"
    return Cause(key, fact.user_id, Kind.PAYMENT_FAILED, params)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
