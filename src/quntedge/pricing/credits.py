"""What becomes of money that is owed to a customer: unused time on a change of plan, and what is given back. Pure."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from quntedge.kit.money import Money
from quntedge.pricing.rules import Label, Line, LineKind, Price, price_of
from quntedge.pricing.shares import SECOND, part_of, prorated, unused

MOST_FREE_DAYS = 1095
"""As many days as the gateway gives for nothing at once."""


@dataclass(frozen=True, slots=True)
class Given:
    """What was given for a period. `tax` is what of `paid` was added on top of the price, `refunded` what went back
    already; `carried` is credit of an earlier change that went into the period instead of money."""

    paid: Money
    tax: Money
    refunded: Money
    carried: Money

    @property
    def refundable(self) -> Money:
        """How much of the money can still be given back."""
        return self.paid - self.refunded

    def worth(self, start: datetime, end: datetime, now: datetime, *, with_tax: bool) -> Money:
        """What the time left of the period from `start` to `end` is worth, by seconds, rounded once.

        Never more than what was given and not returned, of which tax on top is a part only if asked for.
        """
        kept = Fraction(self.refundable.amount_minor)
        if not with_tax and self.paid:
            kept *= Fraction((self.paid - self.tax).amount_minor, self.paid.amount_minor)
        left = end - max(start, min(now, end))
        whole = (end - start) // SECOND
        return Money(prorated(kept + self.carried.amount_minor, left // SECOND, whole), self.paid.currency)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a credit was used for: `price.credit` of it lowers the charge, the rest is given back, turned into `days`
    (worth `days_worth`) or lost."""

    price: Price
    refund: Money
    days: int
    days_worth: Money
    lost: Money


def settle_credit(
    credit: Money,
    plan: Line,
    period_days: int | None,
    refundable: Money,
    *,
    lower: bool = True,
    days_first: bool = False,
) -> Settled:
    """Uses up the worth of unused time for a plan that begins.

    With `lower` it comes off the charge first. What is over goes back to the card as far as it can, with `days_first`
    after it was turned into days of the plan; what cannot go back becomes days; what is less than a day is lost.
    """
    zero = Money.zero(credit.currency)
    unused_time = Line(LineKind.PRORATION, Label.UNUSED_TIME, -credit)
    price = price_of(plan, proration=unused_time) if lower else price_of(plan)
    left = credit - price.credit
    days, worth = free_days(left, plan.amount, period_days) if days_first else (0, zero)
    left -= worth
    refund = min(left, refundable)
    left -= refund
    if left and not days:
        days, worth = free_days(left, plan.amount, period_days)
        left -= worth
    return Settled(price, refund, days, worth, left)


def free_days(value: Money, price: Money, period_days: int | None) -> tuple[int, Money]:
    """How many whole days of a plan this much pays for, and what they cost: rounded down, never more than the value."""
    if not period_days or not price:
        return 0, Money.zero(value.currency)
    days = min(value.amount_minor * period_days // price.amount_minor, MOST_FREE_DAYS)
    return days, Money(price.amount_minor * days // period_days, value.currency)


def owed_of(paid: Money, refunded: Money, period: tuple[datetime, datetime] | None, now: datetime) -> Money:
    """What of a payment is to be given back: all of it, or, with a `period`, what was paid for the time left of it;
    never more than is left of it."""
    due = paid if period is None else unused(paid, *period, now)
    return max(Money.zero(due.currency), min(due, paid - refunded))


@dataclass(frozen=True, slots=True)
class Credited:
    """An invoice and what was credited of it so far, the tax with it."""

    total: Money
    tax: Money
    credited: Money
    tax_credited: Money

    @property
    def left(self) -> Money:
        """What can still be credited."""
        return self.total - self.credited

    def tax_of(self, amount: Money) -> Money:
        """The tax in `amount`, which is credited now.

        Reckoned from the sums, so that however many parts an invoice is credited in, their tax is its tax in the end.
        """
        due = part_of(self.tax, (self.credited + amount).amount_minor, self.total.amount_minor)
        return max(Money.zero(amount.currency), min(due - self.tax_credited, amount, self.tax))

    def and_also(self, amount: Money) -> "Credited":
        """The same after `amount` was credited."""
        return Credited(self.total, self.tax, self.credited + amount, self.tax_credited + self.tax_of(amount))


def credit_lines(amount: Money, tax: Money, rate_bp: int) -> tuple[Line, ...]:
    """The lines of a credit over `amount` with `tax` in it, without tax and the tax; both may be negative, where one
    is cancelled.

    The tax has a line wherever the invoice has a rate, even if its share in so little is nothing: without one the
    credit would seem to be untaxed.
    """
    lines = [Line(LineKind.ADJUSTMENT, Label.REFUND, amount - tax)]
    if tax or rate_bp:
        lines.append(Line(LineKind.TAX, Label.TAX, tax, percent_bp=rate_bp))
    return tuple(lines)
