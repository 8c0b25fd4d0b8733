"""What a change of plan is, what it costs to the minor unit, and when it happens. Pure.

Money in whole minor units, time in whole seconds; every amount is rounded once. All lines of a change together are what
is charged now, exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from quntedge.kit.money import Money
from quntedge.plan_changes.lines import Line, LineKind, Reason
from quntedge.pricing.credits import Given, settle_credit
from quntedge.pricing.rules import Label
from quntedge.pricing.rules import Line as PriceLine
from quntedge.pricing.rules import LineKind as PriceKind
from quntedge.pricing.shares import whole_days

DAY = timedelta(days=1)

Moment = Literal["now", "period_end"]
Proration = Literal["credit", "refund", "extension", "none"]
"""What becomes of paid time that is left: taken off the charge, given back, given as days of the new plan, or lost."""

UNLIMITED = "unlimited"
"""What a limit is worth that is none."""

PayBy = Literal["method", "checkout", "nothing"]
"""How what is owed is collected: from a saved means of payment, on the gateway's checkout page, or nothing is owed."""


class Direction(StrEnum):
    """What a change is to the customer."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    LONGER = "longer_interval"
    SHORTER = "shorter_interval"
    TO_FREE = "to_free"
    TO_LIFETIME = "to_lifetime"
    NEW_VERSION = "new_version"
    """The same plan at its new terms: the seller's doing, not the customer's."""


_RAISES = frozenset({Direction.UPGRADE, Direction.LONGER, Direction.TO_LIFETIME})


@dataclass(frozen=True, slots=True)
class Terms:
    """What matters of a plan: what it grants, its price, for how long. `period_days` is None where nothing renews.

    `features` maps codes to limits; None is without limit, as everything is that is not counted.
    """

    code: str
    name: str
    kind: str
    price: Money
    period_days: int | None
    features: Mapping[str, int | None]

    def covers(self, other: "Terms") -> bool:
        """Whether it grants everything that the other one does, and as much of it."""
        return all(
            code in self.features and _at_least(self.features[code], limit) for code, limit in other.features.items()
        )


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """A feature that a change of plan brings, takes away or alters. `before` and `after` are what it is worth: True or
    False where a plan has it or not, a number or "unlimited", or a text; False also where a plan lacks what is counted.
    `better` is None for a text, which only people can compare."""

    code: str
    before: bool | int | str
    after: bool | int | str
    better: bool | None


Worth = Mapping[str, bool | int | str]
"""What the features of a plan are worth, by their codes, as `FeatureChange` says it."""


def feature_changes(old: Worth, new: Worth) -> tuple[FeatureChange, ...]:
    """What becomes different, in the order in which the plans name their features, those of the new plan first."""
    found = []
    for code in dict.fromkeys((*new, *old)):
        before, after = old.get(code, False), new.get(code, False)
        if before != after or isinstance(before, bool) != isinstance(after, bool):
            found.append(FeatureChange(code, before, after, _is_better(before, after)))
    return tuple(found)


def _is_better(before: bool | int | str, after: bool | int | str) -> bool | None:
    if before is False or after is False:
        return before is False
    if UNLIMITED in (before, after):
        return after == UNLIMITED
    return after > before if isinstance(before, int) and isinstance(after, int) else None


def _at_least(one: int | None, other: int | None) -> bool:
    return one is None or (other is not None and one >= other)


@dataclass(frozen=True, slots=True)
class PaidPeriod:
    """The period that is running, and what was given for it."""

    start: datetime
    end: datetime
    given: Given

    def unused(self, now: datetime) -> timedelta:
        """The time that is left."""
        return max(self.end - max(now, self.start), timedelta(0))

    def credit(self, now: datetime) -> Money:
        """What the time that is left is worth: its share of what was given, before tax, rounded once.

        Never more than what was given and not returned. Tax that was added on top is left out, because the gateway
        adds it to the new price again; it is kept in `share_with_tax` for money that goes back to a card.
        """
        return self.given.worth(self.start, self.end, now, with_tax=False)

    def share_with_tax(self, now: datetime) -> Money:
        """The same share of all that was paid, tax included: what goes back where the new plan is paid in full."""
        return self.given.worth(self.start, self.end, now, with_tax=True)

    def days(self, now: datetime) -> tuple[int, int]:
        """Days used and days left, as they are shown: whole days that add up to the period."""
        whole = max(whole_days(self.end - self.start), 0)
        left = min(whole_days(self.unused(now)), whole)
        return whole - left, left


def direction(current: Terms, wanted: Terms) -> Direction:
    """What a change from one plan to another is.

    More features make an upgrade, fewer a downgrade, whatever they cost. With the same features a longer period is the
    better plan, and between equal periods the dearer one. Where each has features that the other lacks, the price per
    day decides, compared exactly.
    """
    if wanted.kind == "free":
        return Direction.TO_FREE
    if wanted.kind == "lifetime":
        return Direction.TO_LIFETIME
    more, less = wanted.covers(current), current.covers(wanted)
    if more and less and wanted.period_days != current.period_days:
        return Direction.LONGER if (wanted.period_days or 0) > (current.period_days or 0) else Direction.SHORTER
    if more != less:
        return Direction.UPGRADE if more else Direction.DOWNGRADE
    return Direction.UPGRADE if _is_dearer(wanted, current) else Direction.DOWNGRADE


def _is_dearer(one: Terms, other: Terms) -> bool:
    """Whether a day of one costs more than a day of the other; no fraction is ever rounded."""
    mine = one.price.amount_minor * (other.period_days or 1)
    return mine > other.price.amount_minor * (one.period_days or 1)


def moment(kind: Direction, *, upgrade: Moment, downgrade: Moment) -> Moment:
    """When a change happens, by the rules of the plan that is left. The way to Free is always the period's end."""
    if kind is Direction.TO_FREE:
        return "period_end"
    return upgrade if kind in _RAISES else downgrade


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a change costs now and what goes back. `credit` is taken off the charge; `charge` excludes tax on top."""

    charge: Money
    credit: Money
    refund: Money
    extension_days: int
    lines: tuple[Line, ...]


def settle(
    current: Terms,
    wanted: Terms,
    period: PaidPeriod | None,
    now: datetime,
    *,
    proration: Proration,
    by_checkout: bool = False,
    trial: bool = False,
) -> Settlement:
    """What a change that happens now costs.

    The worth of the unused time is used as the rule says: taken off the charge, given back to the card, turned into
    days of the new plan, or lost. What cannot be used that way goes the next: what is over from the charge goes back to
    the card, what cannot go back becomes days, and what is less than a day is lost; each is a line of its own. On a
    checkout page nothing can be taken off, so there a credit goes back to the card.

    A difference below the gateway's smallest charge is not collected: nobody is ever charged more than they owe.
    """
    credit = Money.zero(wanted.price.currency) if period is None else period.credit(now)
    lines = [_new_plan(wanted, now)]
    if period is None or not credit:
        if period is not None or trial:
            lines.append(_nothing_left(current, period, now, trial=trial))
        return Settlement(wanted.price, Money.zero(credit.currency), Money.zero(credit.currency), 0, tuple(lines))
    if proration != "none" and (by_checkout or proration == "refund"):
        credit = period.share_with_tax(now)
    lines.append(_unused_time(current, period, credit, now))
    if proration == "none":
        lines.append(Line(LineKind.FORFEITED, credit, reason=Reason.PLAN_RULE))
        return Settlement(wanted.price, Money.zero(credit.currency), Money.zero(credit.currency), 0, tuple(lines))
    return _use(credit, wanted, now, period.given.refundable, proration, lines, by_checkout=by_checkout)


def _use(
    credit: Money,
    wanted: Terms,
    now: datetime,
    refundable: Money,
    proration: Proration,
    lines: list[Line],
    *,
    by_checkout: bool,
) -> Settlement:
    settled = settle_credit(
        credit,
        _plan_line(wanted, now),
        wanted.period_days,
        refundable,
        lower=proration == "credit" and not by_checkout,
        days_first=proration == "extension",
    )
    price = settled.price
    free = [Line(LineKind.EXTENSION, settled.days_worth, days=settled.days)] if settled.days else []
    back = [Line(LineKind.REFUND, settled.refund)] if settled.refund else []
    lines += free + back if proration == "extension" else back + free
    if settled.lost:
        reason = Reason.LESS_THAN_A_DAY if wanted.period_days else Reason.NOTHING_TO_EXTEND
        lines.append(Line(LineKind.FORFEITED, settled.lost, reason=reason))
    if price.discount:
        lines.append(Line(LineKind.WAIVED, -price.discount, reason=Reason.BELOW_SMALLEST_CHARGE))
    return Settlement(price.total, price.taken_off, settled.refund, settled.days, tuple(lines))


def _plan_line(wanted: Terms, start: datetime) -> PriceLine:
    end = None if wanted.period_days is None else start + wanted.period_days * DAY
    return PriceLine(PriceKind.PLAN, Label.PLAN, wanted.price, wanted.name, start, end)


def later(current: Terms, wanted: Terms, at: datetime, period: PaidPeriod | None) -> tuple[Line, ...]:
    """The lines of a change at the end of the period: nothing is charged now, and everything paid for is kept."""
    zero = Money.zero(current.price.currency)
    start = period.start if period is not None else None
    kept = Line(LineKind.KEPT, zero, plan=current.name, period_start=start, period_end=at)
    if wanted.kind == "free":
        return kept, Line(LineKind.FREE_LATER, zero, plan=wanted.name, period_start=at)
    after = replace(_new_plan(wanted, at), kind=LineKind.NEW_PLAN_LATER, amount=zero, price=wanted.price)
    return kept, after


def _new_plan(wanted: Terms, start: datetime) -> Line:
    end = _plan_line(wanted, start).period_end
    return Line(
        LineKind.NEW_PLAN, wanted.price, plan=wanted.name, period_start=start, period_end=end, price=wanted.price
    )


def _unused_time(current: Terms, period: PaidPeriod, credit: Money, now: datetime) -> Line:
    used, left = period.days(now)
    return Line(
        LineKind.UNUSED_TIME,
        -credit,
        plan=current.name,
        period_start=period.start,
        period_end=period.end,
        days_used=used,
        days_left=left,
        price=period.given.paid,
    )


def _nothing_left(current: Terms, period: PaidPeriod | None, now: datetime, *, trial: bool) -> Line:
    """Says why there is no credit, instead of leaving the customer to wonder."""
    zero = Money.zero(current.price.currency)
    if trial or period is None:
        return Line(LineKind.UNUSED_TIME, zero, plan=current.name, reason=Reason.TRIAL)
    return replace(_unused_time(current, period, zero, now), reason=Reason.NOTHING_PAID)
