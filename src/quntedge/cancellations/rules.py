"""When and how a subscription may be canceled, what that leaves, and when a contract may be withdrawn from. Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from quntedge.cancellations.errors import (
    InvalidStatement,
    InvalidSurvey,
    NothingRenews,
    OnlyAtOnce,
    WithdrawalPeriodOver,
)
from quntedge.kit.errors import FieldError
from quntedge.kit.money import Money
from quntedge.pricing.credits import owed_of

FEEDBACK_MAXIMUM = 1000
NAME_MAXIMUM = 200
WITHDRAWAL_DAYS = 14

Basis = Literal["full", "pro_rata"]
"""What a withdrawal gives back: all that was paid, or what was paid for the time that is left."""


class Timing(StrEnum):
    """When a cancellation takes effect."""

    PERIOD_END = "period_end"
    NOW = "now"


class Reason(StrEnum):
    """Why somebody leaves: the gateway's list. Never required."""

    TOO_EXPENSIVE = "too_expensive"
    SWITCHING = "switching"
    MISSING_FEATURES = "missing_features"
    TECHNICAL_ISSUES = "technical_issues"
    BAD_EXPERIENCE = "bad_experience"
    UNUSED = "unused"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Situation:
    """What of a live subscription decides how it can be canceled."""

    status: str
    plan_name: str
    period_end: datetime | None
    trial_end: datetime | None = None
    pause_access_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One way to cancel: when the subscription would end, and until when access would last."""

    timing: Timing
    ends_at: datetime | None
    access_until: datetime | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What somebody says about leaving. `feedback` is a free text, at most 1,000 characters."""

    reason: Reason | None = None
    feedback: str | None = None


def options(situation: Situation, now: datetime) -> tuple[Option, ...]:
    """The ways in which a subscription can be canceled now, the usual one first; none for what never renews."""
    at_once = Option(Timing.NOW, now, now)
    if situation.status == "past_due":
        return (at_once,)
    end = situation.trial_end or situation.period_end
    if situation.status not in ("trialing", "active", "paused") or end is None:
        return (at_once,) if situation.status in ("trialing", "active", "paused") else ()
    paused_until = situation.pause_access_until if situation.status == "paused" else None
    return (Option(Timing.PERIOD_END, end, min(end, paused_until or end)), at_once)


def choose(situation: Situation, wanted: Timing | None, now: datetime) -> Option:
    """The way to cancel that was asked for; without a wish the usual one. Raises `NothingRenews`, `OnlyAtOnce`."""
    found = options(situation, now)
    if not found:
        raise NothingRenews(
            f"{situation.plan_name} was paid once and is yours for good: nothing will be charged, so there is nothing "
            "to cancel. Within 14 days of buying it you can withdraw from the contract instead."
        )
    option = next((option for option in found if wanted in (None, option.timing)), None)
    if option is None:
        raise OnlyAtOnce(
            'The last payment failed, so no paid period is left to use up. Send "when": "now" to end the subscription '
            "and stop further attempts to collect it."
        )
    return option


def survey(reason: str | None, feedback: str | None) -> Survey:
    """Answers to the survey in the form in which they are kept. Raises `InvalidSurvey`."""
    errors: list[FieldError] = []
    if reason and reason not in tuple(Reason):
        errors.append({"field": "reason", "message": f"Choose one of {', '.join(Reason)}, or none."})
    # A lone surrogate can arrive through JSON and has no form in which it could be kept.
    text = unicodedata.normalize("NFC", "".join(c for c in feedback or "" if not 0xD800 <= ord(c) <= 0xDFFF)).strip()
    if len(text) > FEEDBACK_MAXIMUM:
        errors.append({"field": "feedback", "message": f"Use at most {FEEDBACK_MAXIMUM} characters."})
    if errors:
        raise InvalidSurvey(errors[0]["message"], errors=errors)
    return Survey(Reason(reason) if reason else None, text or None)


def withdrawal_deadline(concluded_at: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which a withdrawal comes too late: midnight after the fourteenth day that follows the day on
    which the contract was concluded, by the customer's calendar."""
    day = concluded_at.astimezone(zone).date()
    # A midnight that the clocks leave out is the moment at which they do; one that comes twice counts the first time.
    return datetime.combine(day + timedelta(days=WITHDRAWAL_DAYS + 1), time(), zone).astimezone(UTC)


def check_withdrawal(deadline: datetime, now: datetime) -> None:
    """Raises `WithdrawalPeriodOver` from the deadline on."""
    if now >= deadline:
        raise WithdrawalPeriodOver(
            f"A contract can be withdrawn from within {WITHDRAWAL_DAYS} days of its conclusion; renewals do not count "
            "anew. You can still cancel: nothing more will be charged then.",
            extra={"deadline": deadline.isoformat()},
        )


def statement_name(name: str) -> str:
    """The name under a declaration, in the form in which it is kept. Raises `InvalidStatement`."""
    kept = " ".join(unicodedata.normalize("NFC", name).split())
    if not kept or len(kept) > NAME_MAXIMUM or not kept.isprintable():
        message = f"Give your name, in at most {NAME_MAXIMUM} printable characters."
        raise InvalidStatement(message, errors=[{"field": "name", "message": message}])
    return kept


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment for the contract: what was paid, how much of it went back, and when."""

    transaction_id: str
    paid: Money
    refunded: Money
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """What of a payment is to be given back."""

    transaction_id: str
    amount: Money


def owed(
    payments: Sequence[Payment], basis: Basis, period: tuple[datetime, datetime] | None, now: datetime
) -> tuple[Owed, ...]:
    """What a withdrawal gives back of each payment; payments of which nothing is left to give are missing.

    Pro rata counts seconds of the running `period`, which the newest payment paid for; earlier periods were used up.
    What has no period was bought for good and is given back in full.
    """
    found = []
    for index, payment in enumerate(sorted(payments, key=lambda p: (p.paid_at, p.transaction_id), reverse=True)):
        if basis == "pro_rata" and period is not None and index > 0:
            break
        amount = owed_of(payment.paid, payment.refunded, period if basis == "pro_rata" else None, now)
        if amount:
            found.append(Owed(payment.transaction_id, amount))
    return tuple(found)
