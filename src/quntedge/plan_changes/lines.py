"""The lines of a change: what each is for, how much, and how it is said in English and French. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from quntedge.kit.dates import SHORT, at_home, day
from quntedge.kit.money import Money
from quntedge.pricing import rules as pricing

UTC = ZoneInfo("UTC")


class LineKind(StrEnum):
    """What a line is for. Part of the public contract."""

    NEW_PLAN = "new_plan"
    UNUSED_TIME = "unused_time"
    REFUND = "refund"
    EXTENSION = "extension"
    FORFEITED = "forfeited"
    WAIVED = "waived"
    KEPT = "kept"
    NEW_PLAN_LATER = "new_plan_later"
    FREE_LATER = "free_later"


class Reason(StrEnum):
    """Why a line is as it is, where that needs saying. Part of the public contract."""

    TRIAL = "trial"
    NOTHING_PAID = "nothing_paid"
    PLAN_RULE = "plan_rule"
    LESS_THAN_A_DAY = "less_than_a_day"
    NOTHING_TO_EXTEND = "nothing_to_extend"
    BELOW_SMALLEST_CHARGE = "below_smallest_charge"


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `amount` counts towards what is charged now; a credit is negative.

    A line of what becomes of a credit (refund, days, lost) is positive: it takes that much of the credit away from the
    charge again. `price` is the plan's full price, or what was paid for the period that is left.
    """

    kind: LineKind
    amount: Money
    plan: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    days_used: int | None = None
    days_left: int | None = None
    days: int | None = None
    price: Money | None = None
    reason: Reason | None = None

    def to_json(self) -> dict[str, Any]:
        """The line as JSON members."""
        return {
            "kind": self.kind.value,
            "amount": self.amount.to_json(),
            "plan": self.plan,
            "period_start": None if self.period_start is None else self.period_start.isoformat(),
            "period_end": None if self.period_end is None else self.period_end.isoformat(),
            "days_used": self.days_used,
            "days_left": self.days_left,
            "days": self.days,
            "price": None if self.price is None else self.price.to_json(),
            "reason": None if self.reason is None else self.reason.value,
        }

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "Line":
        """The line that `to_json` made these members of."""
        return cls(
            kind=LineKind(members["kind"]),
            amount=_money(members["amount"]),
            plan=members["plan"],
            period_start=_moment(members["period_start"]),
            period_end=_moment(members["period_end"]),
            days_used=members["days_used"],
            days_left=members["days_left"],
            days=members["days"],
            price=None if members["price"] is None else _money(members["price"]),
            reason=None if members["reason"] is None else Reason(members["reason"]),
        )


_CREDIT = frozenset({LineKind.UNUSED_TIME, LineKind.REFUND, LineKind.EXTENSION, LineKind.FORFEITED})
"""A credit, and what of it was used for something else than the charge."""


def credit_taken(lines: Iterable[Line], currency: str) -> Money:
    """How much of the worth of unused time went into the charge."""
    return -pricing.sum_of((line for line in lines if line.kind in _CREDIT), currency)


def deductions(lines: Iterable[Line], currency: str) -> list[tuple[pricing.Line, Line]]:
    """What lowered the charge, as lines of a price, each with the line of the change that says what it was for."""
    known = list(lines)
    found = []
    credit = credit_taken(known, currency)
    for line in known:
        if line.kind is LineKind.UNUSED_TIME and credit:
            found.append((pricing.Line(pricing.LineKind.PRORATION, pricing.Label.UNUSED_TIME, -credit), line))
        elif line.kind is LineKind.WAIVED:
            below = pricing.Label.BELOW_SMALLEST_CHARGE
            found.append((pricing.Line(pricing.LineKind.DISCOUNT, below, line.amount), line))
    return found


def _money(members: Mapping[str, Any]) -> Money:
    return Money(members["amount_minor"], members["currency"])


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "new_plan": "{plan}, {start} to {end}",
        "new_plan_once": "{plan}, once and for all",
        "unused_time": "Unused time on {plan}: {days_left} of {days} days ({start} to {end}, paid {price})",
        "unused_time:trial": "Nothing was paid for the trial of {plan}, so there is nothing to take off",
        "unused_time:nothing_paid": "Nothing was paid for this period of {plan}, so there is nothing to take off",
        "refund": "Goes back to the card you paid with",
        "extension": "{free_days} free days of your new plan instead",
        "extension_one": "1 free day of your new plan instead",
        "forfeited:plan_rule": "By the terms of your plan, unused time is not paid out",
        "forfeited:less_than_a_day": "Too little for another day, and nothing that could go back to a card",
        "forfeited:nothing_to_extend": "Nothing that could go back to a card",
        "waived:below_smallest_charge": "Too little to be charged: on us",
        "kept": "You keep {plan} until {end}",
        "new_plan_later": "{plan} from {start}: {price}, charged on that day",
        "free_later": "{plan} from {start}: nothing more is charged",
    },
    "fr": {
        "new_plan": "{plan}, du {start} au {end}",
        "new_plan_once": "{plan}, une fois pour toutes",
        "unused_time": (
            "Temps non utilisé sur {plan}\u00a0: {days_left} jours sur {days} (du {start} au {end}, {price} payés)"
        ),
        "unused_time:trial": "Rien n’a été payé pour l’essai de {plan}\u00a0: il n’y a rien à déduire",
        "unused_time:nothing_paid": (
            "Rien n’a été payé pour la période en cours de {plan}\u00a0: il n’y a rien à déduire"
        ),
        "refund": "Remboursé sur la carte utilisée pour le paiement",
        "extension": "{free_days} jours offerts sur votre nouvelle formule à la place",
        "extension_one": "1 jour offert sur votre nouvelle formule à la place",
        "forfeited:plan_rule": "Selon les conditions de votre formule, le temps non utilisé n’est pas remboursé",
        "forfeited:less_than_a_day": "Trop peu pour un jour de plus, et rien à rembourser sur une carte",
        "forfeited:nothing_to_extend": "Rien à rembourser sur une carte",
        "waived:below_smallest_charge": "Trop peu pour être débité\u00a0: offert",
        "kept": "Vous gardez {plan} jusqu’au {end}",
        "new_plan_later": "{plan} à partir du {start}\u00a0: {price}, débités ce jour-là",
        "free_later": "{plan} à partir du {start}\u00a0: plus rien n’est débité",
    },
}


def line_text(line: Line, locale: str = "en", zone: ZoneInfo = UTC) -> str:
    """What a line says, without its amount. A locale we do not speak is answered in English; the days are those of
    `zone`."""
    language = "fr" if locale.lower().startswith("fr") else "en"
    texts = _TEXTS[language]
    key = line.kind.value if line.reason is None else f"{line.kind}:{line.reason}"
    if line.kind is LineKind.NEW_PLAN and line.period_end is None:
        key = "new_plan_once"
    if line.kind is LineKind.EXTENSION and line.days == 1:
        key = "extension_one"
    return texts[key].format(
        plan=line.plan,
        start=_date(line.period_start, language, zone),
        end=_date(line.period_end, language, zone),
        days=(line.days_used or 0) + (line.days_left or 0),
        days_left=line.days_left,
        free_days=line.days,
        price="" if line.price is None else line.price.format(language),
    )


def _date(moment: datetime | None, language: str, zone: ZoneInfo) -> str:
    return "" if moment is None else day(at_home(moment, zone), language, SHORT)
