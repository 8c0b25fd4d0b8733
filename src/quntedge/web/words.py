"""The words of the pages that depend on data: labels of states, reasons and periods.

They stand here in English and are given out in the reader's language: the tables of this module are messages of the
catalogues (`quntedge.web.i18n`), so a new entry needs its translation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.access.rules import Reason
from quntedge.catalog.queries import FeatureView, PlanView
from quntedge.edge.standing import PAYMENT_FAILED, UNDER_REVIEW
from quntedge.pricing.shares import part_of
from quntedge.web.i18n import gettext, money, ngettext, number

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
    "disputed": "Disputed",
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
    Reason.PAYMENT_DISPUTED: "A payment is disputed with your bank",
    Reason.NO_SUBSCRIPTION: "Not part of your plan",
    Reason.UNKNOWN_USER: "Not available",
}

_PROBLEM: Mapping[str, str] = {
    PAYMENT_FAILED: "The last payment did not go through. What happens next, and what you can do, is shown below.",
    UNDER_REVIEW: "We are checking something about your subscription. Nothing changes for you meanwhile.",
}

_PROMOTION: Mapping[str, str] = {
    "promotion_code_malformed": "This is not a promotion code. Check what you typed.",
    "promotion_code_unknown": "We do not know this code. Check how it is spelled.",
    "promotion_not_started": "This code is not valid yet.",
    "promotion_expired": "This code is not valid any more.",
    "promotion_used_up": "All uses of this code are taken. Some may come back within two hours; try again then.",
    "promotion_used_already": "You have used this promotion as often as one customer may.",
    "promotion_first_purchase_only": "This code is for new customers, and you have bought before.",
    "promotion_not_for_plan": "This code is not for this plan.",
    "promotion_not_for_currency": "This code is not for this currency.",
    "other": "This code cannot be used.",
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

_RENEWALS: Mapping[int, str] = {
    1: "Renews every day.",
    7: "Renews every week.",
    30: "Renews every month.",
    31: "Renews every month.",
    90: "Renews every quarter.",
    91: "Renews every quarter.",
    180: "Renews every half-year.",
    360: "Renews every year.",
    365: "Renews every year.",
}

_MONTHS: Mapping[int, int] = {90: 3, 91: 3, 180: 6, 360: 12, 365: 12}

_BRANDS: Mapping[str, str] = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express"}
_METHODS: Mapping[str, str] = {"card": "Card", "bank": "Bank account", "bank_transfer": "Bank transfer"}


@dataclass(frozen=True, slots=True)
class Story:
    """A line of the history: what happened and, where it matters, a date of what came of it with a word before it."""

    text: str
    date_of: str | None = None
    date_label: str | None = None


_EVENTS: Mapping[str, Story] = {
    "subscription.created": Story("Subscription began"),
    "subscription.started": Story("Subscription began again"),
    "subscription.renewed": Story("Renewed", "period_end", "paid until"),
    "subscription.paid": Story("Payment received"),
    "payment.refunded": Story("A payment was given back"),
    "payment.partially_refunded": Story("Part of a payment was given back"),
    "subscription.trialing": Story("Trial began", "trial_end", "until"),
    "subscription.trial_converted": Story("Trial ended and the paid subscription began"),
    "subscription.active": Story("Subscription is active"),
    "subscription.recovered": Story("Payment received after a failed attempt"),
    "subscription.past_due": Story("A payment failed", "grace_until", "access kept until"),
    "subscription.access_paused": Story("Access rests until the payment is made"),
    "subscription.paused": Story("Paused", "resume_at", "until"),
    "subscription.resumed": Story("Resumed"),
    "subscription.cancellation_scheduled": Story("Cancelled", "period_end", "access until"),
    "subscription.cancellation_withdrawn": Story("Cancellation withdrawn: the subscription goes on"),
    "subscription.plan_changed": Story("Plan changed"),
    "subscription.successor_awaited": Story("The old plan ended; the new one is about to begin"),
    "subscription.canceled": Story("Subscription ended"),
    "subscription.expired": Story("Subscription expired"),
    "subscription.completed": Story("Lifetime access began"),
    "subscription.incomplete": Story("Waiting for the first payment"),
    "subscription.recorded": Story("State recorded"),
    "subscription.updated": Story("Details updated"),
    "payment.disputed": Story("A payment was disputed with your bank"),
    "payment.dispute_won": Story("The disputed payment was confirmed by your bank"),
    "payment.dispute_lost": Story("The disputed payment went back to you"),
}

_ACTORS: Mapping[str, str] = {"customer": "By you", "staff": "By our staff", "service": "By our staff"}


def event(kind: str) -> Story:
    """A line of the history of a subscription."""
    story = _EVENTS.get(kind)
    if story is None:
        return Story(_readable(kind.partition(".")[2]))
    label = gettext(story.date_label) if story.date_label else None
    return Story(gettext(story.text), story.date_of, label)


def actor(actor: str) -> str | None:
    """Who did it; None where nobody in particular did."""
    known = _ACTORS.get(actor.partition(":")[0])
    return gettext(known) if known else None


def _readable(code: str) -> str:
    # A state nobody has given words yet is still better shown than hidden.
    return code.replace("_", " ").capitalize()


def subscription_status(status: str) -> str:
    """The state of a subscription."""
    return gettext(_SUBSCRIPTION.get(status, _readable(status)))


def transaction_status(status: str) -> str:
    """The state of a payment."""
    return gettext(_TRANSACTION.get(status, _readable(status)))


def invoice_status(status: str) -> str:
    """The state of an invoice."""
    return gettext(_INVOICE.get(status, _readable(status)))


def transaction_description(plan_name: str | None, billing_reason: str | None) -> str:
    """What a payment was for."""
    reason = gettext(_BILLING_REASON.get(billing_reason or "", _BILLING_REASON["manual"]))
    return f"{plan_name}, {reason}" if plan_name else reason[:1].upper() + reason[1:]


def refusal(reason: Reason) -> str:
    """Why a feature cannot be used."""
    known = _REASON.get(reason)
    return gettext(known) if known else ""


def problem(code: str | None) -> str | None:
    """What is wrong with a subscription, and what to do."""
    known = _PROBLEM.get(code or "")
    return gettext(known) if known else None


def feature_label(feature: FeatureView) -> str:
    """A feature of a plan with what it is worth there: "Community", "100 price alerts", "Support: by phone"."""
    worth = feature_worth(feature)
    if worth is None:
        return feature.name
    if feature.unit and feature.value is None:
        unlimited = gettext("Unlimited %(unit)s", unit=feature.unit)
        return unlimited[:1].upper() + unlimited[1:]
    return f"{worth} {feature.unit}" if feature.unit else f"{feature.name}: {worth}"


def feature_worth(feature: FeatureView) -> str | None:
    """What a limit or config is worth in a plan; None for a feature that is yes or no."""
    if feature.kind == "boolean":
        return None
    if feature.value is None:
        return gettext("Unlimited")
    return number(feature.value) if isinstance(feature.value, int) else feature.value


def promotion_problem(code: str) -> str:
    """Why a promotion code cannot be used, by the stable code of the error."""
    sentence = _PROMOTION.get(code) or _PROMOTION["other"]
    return gettext(sentence)


def interval(plan: PlanView) -> str:
    """How often a plan is paid."""
    if plan.period_days is None:
        return gettext("once")
    known = _PERIODS.get(plan.period_days)
    return gettext(known) if known else ngettext("every day", "every %(n)s days", plan.period_days)


def renewal(plan: PlanView) -> str | None:
    """A sentence that says how often a plan renews; None for one that does not."""
    if plan.period_days is None:
        return None
    known = _RENEWALS.get(plan.period_days)
    if known:
        return gettext(known)
    return ngettext("Renews every day.", "Renews every %(n)s days.", plan.period_days)


def per_month(plan: PlanView) -> str | None:
    """What a longer plan costs a month; None where that would say nothing new."""
    months = _MONTHS.get(plan.period_days or 0)
    if months is None or not plan.price:
        return None
    return gettext("= %(amount)s a month", amount=money(part_of(plan.price, 1, months)))


def method(kind: str | None, brand: str | None, last4: str | None) -> str | None:
    """How a payment was made."""
    if kind is None and brand is None:
        return None
    name = _BRANDS.get(brand or "") or gettext(_METHODS.get(brand or kind or "", _readable(brand or kind or "")))
    return f"{name} •••• {last4}" if last4 else name


_CANCELLATION_REASONS: Mapping[str, str] = {
    "too_expensive": "It is too expensive",
    "switching": "I am switching to something else",
    "missing_features": "Features are missing",
    "technical_issues": "It did not work well",
    "bad_experience": "I had a bad experience",
    "unused": "I do not use it enough",
    "other": "Another reason",
}


def cancellation_reasons() -> dict[str, str]:
    """The reasons for leaving that the survey offers, by code."""
    return {code: gettext(text) for code, text in _CANCELLATION_REASONS.items()}


def day_before(midnight: datetime) -> datetime:
    """A moment of the day that ends with this midnight."""
    return midnight - timedelta(hours=12)
