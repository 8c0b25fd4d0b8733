"""When a card expires, when to say so, and which saved means of payment pays. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WARN_BEFORE = timedelta(days=30)
"""How long before the end of the month of expiry a customer is told."""

RENEWING = ("trialing", "active", "past_due", "paused")
"""States of a subscription that is going to be charged again, unless it is set to end."""

WARNED_ABOUT = ("trialing", "active", "paused")
"""While a renewal is unpaid its own mails ask for another card."""

_DECEMBER = 12
_YEARS = range(2000, 3000)


@dataclass(frozen=True, slots=True)
class Expiry:
    """A card is valid to the end of this month. `year` has four digits."""

    month: int
    year: int

    @classmethod
    def of(cls, month: int | None, year: int | None) -> "Expiry | None":
        """None for what never expires, or does not say; a year nobody prints on a card says nothing."""
        return None if not month or not year or year not in _YEARS else cls(month, year)

    @property
    def ends_at(self) -> datetime:
        """The first instant at which the card is no longer valid, in UTC."""
        year, month = (self.year + 1, 1) if self.month == _DECEMBER else (self.year, self.month + 1)
        return datetime(year, month, 1, tzinfo=UTC)

    @property
    def name(self) -> str:
        """The month, sortable: `2030-04`."""
        return f"{self.year:04d}-{self.month:02d}"


def warn_at(expiry: Expiry | None, warned_for: str | None, now: datetime) -> datetime | None:
    """When to announce that a card expires; a time that has passed means at once. None when it was announced, when
    there is nothing to announce, and when it is too late to be of use."""
    if expiry is None or warned_for == expiry.name or expiry.ends_at <= now:
        return None
    return expiry.ends_at - WARN_BEFORE


@dataclass(frozen=True, slots=True)
class Paying:
    """A means of payment (by the gateway's id), and since when it is known to pay the subscription."""

    whop_method_id: str
    since: datetime


def default_of(held: Paying | None, paid_last: Paying | None, there: Collection[str]) -> Paying | None:
    """Which method pays from now on: the one chosen, unless another has paid since; of those that are there.

    The gateway does not tell which method a membership is charged with. What it was charged with last does, and so does
    what we had it set to.
    """
    known = [one for one in (held, paid_last) if one is not None and one.whop_method_id in there]
    # Paid and chosen in the same instant: paying with it is the stronger sign.
    return max(reversed(known), key=lambda one: one.since, default=None)
