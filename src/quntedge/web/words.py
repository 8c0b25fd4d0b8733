"""The words of the pages that depend on data: labels of states, reasons and periods."""

from collections.abc import Mapping
from fractions import Fraction

from quntedge.access.rules import Reason
from quntedge.catalog.queries import PlanView
from quntedge.edge.standing import PAYMENT_FAILED, UNDER_REVIEW
from quntedge.kit.money import Money, round_half_away

_SUBSCRIPTION: Mapping[str, str] = {
    "incomplete": "Waiting for payment",
    "trialing": "Trial",
    "active": "Active",
    "past_due": "Payment failed",
    "paused": "Paused",
    "canceled": "Cancelled",
    "expired": "Expired",
    "completed": "Lifetime",
}

_TRANSACTION: Mapping[str, str] = {
    "draft": "Draft",
    "open": "Open",
    "requires_action": "Needs your approval",
    "failed": "Failed",
    "pending": "Pending",
    "authorized": "Authorised",
    "paid": "Paid",
    "partially_refunded": "Partly refunded",
    "refunded": "Refunded",
    "void": "Void",
    "uncollectible": "Not collected",
    "unresolved": "Being checked",
}

_INVOICE: Mapping[str, str] = {
    "draft": "Draft",
    "open": "Open",
    "paid": "Paid",
    "payment_failed": "Payment failed",
    "past_due": "Past due",
    "partially_refunded": "Partly refunded",
    "refunded": "Refunded",
    "void": "Void",
    "uncollectible": "Not collected",
}

_BILLING_REASON: Mapping[str, str] = {
    "subscription_create": "first payment",
    "subscription_cycle": "renewal",
    "subscription_update": "plan change",
    "one_time": "purchase",
    "manual": "payment",
}

_REASON: Mapping[Reason, str] = {
    Reason.NOT_IN_PLAN: "Not part of your plan",
    Reason.SUBSCRIPTION_ENDED: "Your subscription has ended",
    Reason.SUBSCRIPTION_PAUSED: "Your subscription is paused",
    Reason.PAST_DUE_GRACE_OVER: "The last payment failed",
    Reason.NO_SUBSCRIPTION: "Not part of your plan",
    Reason.UNKNOWN_USER: "Not available",
}

_PROBLEM: Mapping[str, str] = {
    PAYMENT_FAILED: "The last payment did not go through. Update your card or pay the open amount to keep your plan.",
    UNDER_REVIEW: "We are checking something about your subscription. Nothing changes for you meanwhile.",
}

_PERIODS: Mapping[int, str] = {
    1: "per day",
    7: "per week",
    30: "per month",
    31: "per month",
    90: "per quarter",
    91: "per quarter",
    180: "per half-year",
    360: "per year",
    365: "per year",
}

_MONTHS: Mapping[int, int] = {90: 3, 91: 3, 180: 6, 360: 12, 365: 12}

_BRANDS: Mapping[str, str] = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express"}


def _readable(code: str) -> str:
    # A state nobody has given words yet is still better shown than hidden.
    return code.replace("_", " ").capitalize()


def subscription_status(status: str) -> str:
    """The state of a subscription."""
    return _SUBSCRIPTION.get(status, _readable(status))


def transaction_status(status: str) -> str:
    """The state of a payment."""
    return _TRANSACTION.get(status, _readable(status))


def invoice_status(status: str) -> str:
    """The state of an invoice."""
    return _INVOICE.get(status, _readable(status))


def transaction_description(plan_name: str | None, billing_reason: str | None) -> str:
    """What a payment was for."""
    reason = _BILLING_REASON.get(billing_reason or "", "payment")
    return f"{plan_name}, {reason}" if plan_name else reason.capitalize()


def refusal(reason: Reason) -> str:
    """Why a feature cannot be used."""
    return _REASON.get(reason, "")


def problem(code: str | None) -> str | None:
    """What is wrong with a subscription, and what to do."""
    return _PROBLEM.get(code) if code else None


def interval(plan: PlanView) -> str:
    """How often a plan is paid."""
    if plan.period_days is None:
        return "once"
    return _PERIODS.get(plan.period_days, f"every {plan.period_days} days")


def per_month(plan: PlanView, locale: str) -> str | None:
    """What a longer plan costs a month; None where that would say nothing new."""
    months = _MONTHS.get(plan.period_days or 0)
    if months is None or not plan.price:
        return None
    share = Money(round_half_away(Fraction(plan.price.amount_minor, months)), plan.price.currency)
    return f"= {share.format(locale)} a month"


def method(kind: str | None, brand: str | None, last4: str | None) -> str | None:
    """How a payment was made."""
    if kind is None and brand is None:
        return None
    name = _BRANDS.get(brand or "", _readable(brand or kind or ""))
    return f"{name} •••• {last4}" if last4 else name
