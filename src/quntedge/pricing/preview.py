"""What a plan costs from the first day on: today, while a discount lasts, and after it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.kit.money import Money
from quntedge.pricing.rules import NO_TAX, Discount, Label, Line, LineKind, Price, Tax, price_of

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Item:
    """What is sold: a plan's name and terms. `period_days` is None where nothing renews."""

    name: str
    price: Money
    period_days: int | None = None
    trial_days: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything a buyer should know before paying.

    `today` is charged at once (nothing, where a trial comes first). `first` is the first charge of the plan itself: the
    same as `today` without a trial. `discounted_charges` says how many charges cost as `first` does because of a
    discount (None: all), and `regular` what each costs after that; None where nothing renews.
    """

    today: Price
    first: Price
    regular: Price | None
    discounted_charges: int | None
    first_at: datetime

    @property
    def saved(self) -> Money:
        """What the discount takes off one charge."""
        return self.first.discount


def preview(
    item: Item, now: datetime, *, discount: Discount | None = None, trial: bool = True, tax: Tax = NO_TAX
) -> Preview:
    """What buying a plan now costs. `trial` says whether the buyer is entitled to the plan's trial.

    A discount is not used up by a trial: it lowers the first charges that there are.
    """
    trial_days = item.trial_days if trial and item.period_days is not None else 0
    first_at = now + trial_days * DAY
    useful = discount if discount is not None and discount.off(item.price) else None
    first = price_of(_line(item, first_at), discount=useful, tax=tax)
    today = first
    if trial_days:
        free = Line(LineKind.PLAN, Label.TRIAL, Money.zero(item.price.currency), item.name, now, first_at)
        today = price_of(free)
    regular = None
    if item.period_days is not None:
        lasting = useful if useful is not None and useful.periods is None else None
        regular = price_of(_line(item, first_at), discount=lasting, tax=tax)
    lasts = 0 if useful is None else 1 if item.period_days is None else useful.periods
    return Preview(today, first, regular, lasts, first_at)


def charge(item: Item, number: int, start: datetime, *, discount: Discount | None = None, tax: Tax = NO_TAX) -> Price:
    """What the charge with this number costs (the first is 1; a trial's charge of nothing is not counted)."""
    applies = discount if discount is not None and discount.covers(number) else None
    return price_of(_line(item, start), discount=applies, tax=tax)


def _line(item: Item, start: datetime) -> Line:
    end = None if item.period_days is None else start + item.period_days * DAY
    return Line(LineKind.PLAN, Label.PLAN, item.price, item.name, start, end)
