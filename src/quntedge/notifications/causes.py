"""Which mail follows from which fact. The key names the cause, and is what keeps a mail from going out twice.

Parameters are amounts in minor units, ISO 8601 times and ids, never personal data: they stay in the table for ever.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quntedge.cancellations.events import CancellationScheduled, CancellationUndone, WithdrawalReceived
from quntedge.dunning.events import AccessPaused, GraceEnding
from quntedge.invoices.events import CreditNoteIssued, InvoicePaid
from quntedge.notifications.rules import Kind
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding, PauseMoved
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.rules import DeclineClass
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.trials.events import TrialEnding

RENEWALS = frozenset({"subscription_cycle", "subscription_update"})


@dataclass(frozen=True, slots=True)
class Cause:
    """A mail that is owed to somebody. `key` is unique for ever."""

    key: str
    user_id: str
    kind: Kind
    params: dict[str, Any]


def of_subscription_change(fact: SubscriptionChanged, *, unpaid: bool = False) -> Cause | None:
    """A beginning is confirmed, an end is told, with other words if it came for want of payment; what lies between is
    told by the payments.

    A subscription that is revived begins and ends again, perhaps within the same period: what led to it tells one
    occasion from the other.
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
    # An end has one key whatever its words: it gets one mail.
    key = f"{kind}:{fact.subscription_id}:{fact.membership_id}:{period_end or '-'}:{fact.cause}"
    if kind == Kind.SUBSCRIPTION_ENDED and unpaid:
        kind = Kind.ENDED_UNPAID
    return Cause(key, fact.user_id, kind, params)


def of_invoice_paid(fact: InvoicePaid, *, converts_trial: bool = False, recovered: bool = False) -> Cause | None:
    """A renewal gets a mail, and the payment that makes a subscription of a trial, or comes after it had failed, gets
    one that says so. A purchase does not: its confirmation says it already (`of_purchase_invoice` sends the file)."""
    if fact.billing_reason not in RENEWALS:
        return None
    params = _of_invoice(fact)
    kind = Kind.TRIAL_CONVERTED if converts_trial else Kind.RENEWAL_PAID
    kind = Kind.PAYMENT_RECOVERED if recovered else kind
    # One key for all: an invoice gets one mail.
    return Cause(f"{Kind.RENEWAL_PAID}:{fact.invoice_id}", fact.user_id, kind, params)


def of_purchase_invoice(fact: InvoicePaid) -> Cause | None:
    """The invoice of anything but a renewal goes out by itself, unless another mail takes it along first."""
    if fact.billing_reason in RENEWALS:
        return None
    return Cause(f"{Kind.INVOICE}:{fact.invoice_id}", fact.user_id, Kind.INVOICE, _of_invoice(fact))


def _of_invoice(fact: InvoicePaid) -> dict[str, Any]:
    return {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "invoice_id": fact.invoice_id,
        "invoice_number": fact.number,
        "amount_minor": fact.total_minor,
        "currency": fact.currency,
        "paid_at": _iso(fact.paid_at),
    }


def of_credit_note(fact: CreditNoteIssued) -> Cause:
    """Each credit note is sent once; one that takes back another is one of its own."""
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "credit_note_id": fact.credit_note_id,
        "credit_note_number": fact.number,
        "credit_cancelled": fact.reverses_id is not None,
        "invoice_number": fact.invoice_number,
        "refund_minor": abs(fact.total_minor),
        "currency": fact.currency,
    }
    return Cause(f"{Kind.CREDIT_NOTE}:{fact.credit_note_id}", fact.user_id, Kind.CREDIT_NOTE, params)


def of_payment(fact: PaymentRecorded) -> Cause | None:
    """Each failed attempt to collect a renewal gets one mail, and so does a bank that begins to ask for its customer.
    Whoever is declined at the checkout sees it there, and what has been given up is told by the end."""
    if fact.billing_reason not in RENEWALS or fact.status not in ("failed", "requires_action"):
        return None
    asks = fact.status == "requires_action" and fact.before_status != "requires_action"
    if not fact.newly_failed and not asks:
        return None
    attempt = fact.failed_attempt if fact.failed_attempt is not None else f"confirm-{fact.attempts_failed}"
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "membership_id": fact.whop_membership_id,
        "transaction_id": fact.transaction_id,
        "amount_minor": fact.total_minor,
        "currency": fact.currency,
        "decline_class": DeclineClass.ACT.value if asks else fact.decline_class,
    }
    key = f"{Kind.PAYMENT_FAILED}:{fact.whop_payment_id}:{attempt}"
    return Cause(key, fact.user_id, Kind.PAYMENT_FAILED, params)


def of_grace_ending(fact: GraceEnding) -> Cause:
    """Once for each unpaid renewal."""
    return _of_grace(Kind.GRACE_ENDING, fact)


def of_access_paused(fact: AccessPaused) -> Cause:
    """Once for each unpaid renewal."""
    return _of_grace(Kind.ACCESS_PAUSED, fact)


def _of_grace(kind: Kind, fact: GraceEnding | AccessPaused) -> Cause:
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "transaction_id": fact.transaction_id,
        "amount_minor": fact.amount_minor,
        "currency": fact.currency,
    }
    return Cause(f"{kind}:{fact.case_id}", fact.user_id, kind, params)


def of_cancellation_scheduled(fact: CancellationScheduled) -> Cause:
    """Each cancellation is confirmed once; one that was undone and made again is another one."""
    return _of_cancellation(Kind.CANCELLATION_SCHEDULED, fact, fact.access_until)


def of_cancellation_undone(fact: CancellationUndone) -> Cause:
    """Taking a cancellation back is confirmed once."""
    return _of_cancellation(Kind.CANCELLATION_UNDONE, fact, fact.period_end)


def of_withdrawal(fact: WithdrawalReceived) -> Cause:
    """A declaration is confirmed at once; what it says is read when the mail is written."""
    kind = Kind.WITHDRAWAL_RECEIVED
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "withdrawal_id": fact.withdrawal_id,
    }
    return Cause(f"{kind}:{fact.withdrawal_id}", fact.user_id, kind, params)


def _of_cancellation(kind: Kind, fact: CancellationScheduled | CancellationUndone, until: datetime | None) -> Cause:
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "membership_id": fact.membership_id,
        "period_end": _iso(until),
    }
    return Cause(f"{kind}:{fact.cancellation_id}", fact.user_id, kind, params)


def of_trial_ending(fact: TrialEnding) -> Cause:
    """Once for each end of a trial that was announced."""
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "membership_id": fact.membership_id,
        "period_end": _iso(fact.trial_end),
    }
    key = f"{Kind.TRIAL_ENDING}:{fact.membership_id}:{_iso(fact.trial_end)}"
    return Cause(key, fact.user_id, Kind.TRIAL_ENDING, params)


def of_pause_began(fact: PauseBegan) -> Cause:
    """Once for each pause, whoever paused."""
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "resume_at": _iso(fact.resume_at),
        "access_until": _iso(fact.access_until),
        "without_access": fact.access_until is not None and fact.access_until <= fact.paused_at,
    }
    return Cause(f"{Kind.SUBSCRIPTION_PAUSED}:{fact.pause_id}", fact.user_id, Kind.SUBSCRIPTION_PAUSED, params)


def of_pause_moved(fact: PauseMoved) -> Cause:
    """Once for each time that a pause gets another end."""
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "resume_at": _iso(fact.resume_at),
        "access_until": _iso(fact.access_until),
        "charge_at": _iso(fact.charge_at),
    }
    return Cause(f"{Kind.PAUSE_MOVED}:{fact.pause_id}:{fact.move_id}", fact.user_id, Kind.PAUSE_MOVED, params)


def of_pause_ending(fact: PauseEnding) -> Cause:
    """Once for each end of a pause."""
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "resume_at": _iso(fact.resume_at),
        "charge_at": _iso(fact.charge_at),
    }
    key = f"{Kind.PAUSE_ENDING}:{fact.pause_id}:{_iso(fact.resume_at)}"
    return Cause(key, fact.user_id, Kind.PAUSE_ENDING, params)


def of_pause_ended(fact: PauseEnded) -> Cause:
    """Once for each pause that ends and lets the subscription go on."""
    params = {
        "subscription_id": fact.subscription_id,
        "plan_id": fact.plan_id,
        "charge_at": _iso(fact.charge_at),
    }
    return Cause(f"{Kind.SUBSCRIPTION_RESUMED}:{fact.pause_id}", fact.user_id, Kind.SUBSCRIPTION_RESUMED, params)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
