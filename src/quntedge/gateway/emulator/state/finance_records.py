"""Records of the account's balance: what was paid out of it, and movements that no other record explains."""

from dataclasses import dataclass
from datetime import datetime

from quntedge.gateway.emulator.state.records import Record
from quntedge.kit.money import Money

UNITS_PER_MAJOR = 100_000_000
"""Whop's own ledger counts a hundred millionth of a dollar, and of every other currency's major unit."""


@dataclass(slots=True)
class Payout(Record):
    """Money on its way to the seller's bank, or there. The fee is part of the amount."""

    amount: Money
    fee: Money
    status: str = "completed"
    source: str = "dashboard"
    failure_code: str | None = None
    returned_at: datetime | None = None
    """When money that had left the balance came back to it."""


@dataclass(slots=True)
class Adjustment(Record):
    """A movement made by hand. `units` are hundred millionths of the currency's major unit, signed."""

    line_type: str
    currency: str
    units: int
    payment_id: str | None = None


@dataclass(slots=True)
class ExchangeRate(Record):
    """From when it was made on, what is paid in `source` settles in `target`: `rate` major units of it for one, as
    text. Without a rate it settles as it is again."""

    source: str
    target: str
    rate: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One movement, signed: what comes in is positive. `units` are hundred millionths of a major unit.

    It has the two members of a record that lists are made by.
    """

    id: str
    created_at: datetime
    line_type: str
    currency: str
    units: int
    payment_id: str | None
    source: tuple[str, str]
    """What caused it: its kind and its id."""
