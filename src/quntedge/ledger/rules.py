"""The chart of accounts, and what makes an entry: lines that come to nothing in each currency. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from quntedge.kit.money import Money


class Account(StrEnum):
    """The accounts. Each holds any number of currencies, which never mix: an account is its code and a currency."""

    GATEWAY_CLEARING = "gateway_clearing"
    PAYOUT_IN_TRANSIT = "payout_in_transit"
    BANK = "bank"
    DISPUTED_FUNDS = "disputed_funds"
    SUSPENSE = "suspense"
    CONVERSION = "conversion"
    TAX_PAYABLE = "tax_payable"
    TAX_REMITTED = "tax_remitted"
    REVENUE = "revenue"
    REFUNDS = "refunds"
    GATEWAY_FEES = "gateway_fees"
    DISPUTE_FEES = "dispute_fees"
    DISPUTE_LOSSES = "dispute_losses"
    PAYOUT_FEES = "payout_fees"
    ROUNDING = "rounding"
    ADJUSTMENTS = "adjustments"


class AccountKind(StrEnum):
    """Where an account stands in the balance sheet or in the income statement."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


class Side(StrEnum):
    """The side on which an account grows. Debits are positive amounts, credits negative ones."""

    DEBIT = "debit"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What an account is. One whose side is not that of its kind takes away from the others of that kind."""

    kind: AccountKind
    side: Side
    title: str


_ASSET = (AccountKind.ASSET, Side.DEBIT)
_EXPENSE = (AccountKind.EXPENSE, Side.DEBIT)

CHART: Mapping[Account, AccountFacts] = MappingProxyType(
    {
        Account.GATEWAY_CLEARING: AccountFacts(*_ASSET, "Our money at the gateway"),
        Account.PAYOUT_IN_TRANSIT: AccountFacts(*_ASSET, "Paid out by the gateway, not yet at the bank"),
        Account.BANK: AccountFacts(*_ASSET, "Arrived at the bank"),
        Account.DISPUTED_FUNDS: AccountFacts(*_ASSET, "Held back until a dispute is decided"),
        Account.SUSPENSE: AccountFacts(*_ASSET, "Differences nobody has explained yet"),
        Account.CONVERSION: AccountFacts(*_ASSET, "Exchanged by the gateway between currencies"),
        Account.TAX_PAYABLE: AccountFacts(AccountKind.LIABILITY, Side.CREDIT, "Tax collected from customers"),
        Account.TAX_REMITTED: AccountFacts(AccountKind.LIABILITY, Side.DEBIT, "Tax the gateway has passed on"),
        Account.REVENUE: AccountFacts(AccountKind.INCOME, Side.CREDIT, "Sales without tax, after discounts"),
        Account.REFUNDS: AccountFacts(AccountKind.INCOME, Side.DEBIT, "Sales given back, without tax"),
        Account.GATEWAY_FEES: AccountFacts(*_EXPENSE, "What collecting payments costs"),
        Account.DISPUTE_FEES: AccountFacts(*_EXPENSE, "What disputes cost, won or lost"),
        Account.DISPUTE_LOSSES: AccountFacts(*_EXPENSE, "Money lost in disputes"),
        Account.PAYOUT_FEES: AccountFacts(*_EXPENSE, "What payouts cost"),
        Account.ROUNDING: AccountFacts(*_EXPENSE, "Fractions lost in conversion"),
        Account.ADJUSTMENTS: AccountFacts(*_EXPENSE, "Differences written off, each with an approval"),
    }
)


class EntryKind(StrEnum):
    """What an entry is about. One that undoes another has the kind of the other."""

    PAYMENT = "payment"
    FEE = "fee"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    ROUNDING = "rounding"
    CONVERSION = "conversion"
    ADJUSTMENT = "adjustment"


class UnbalancedEntry(ValueError):
    """The lines of an entry do not come to nothing, or there are none: whoever made it has a mistake."""


@dataclass(frozen=True, slots=True)
class Line:
    """An amount on an account: a positive one is a debit, a negative one a credit."""

    account: Account
    amount: Money


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to money, as it is to be posted.

    (`kind`, `source`, `sequence`) is the effect: an effect is posted once, however often somebody tries. `source` is
    what it happened to (a payment, a refund …), `transaction_id` the payment that belongs to, where that is something
    else. `occurred_at` is when it happened, which decides the day it counts for. Construction raises
    `UnbalancedEntry`; lines on the same account become one, lines of nothing are left out.
    """

    kind: EntryKind
    source: str
    sequence: int
    occurred_at: datetime
    cause: str
    lines: tuple[Line, ...]
    user_id: str | None = None
    transaction_id: str | None = None
    reverses: str | None = None
    reason: str | None = None
    requested_by: str | None = None
    approved_by: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", merged(self.lines))
        if not self.lines:
            raise UnbalancedEntry(f"an entry about {self.source} has no lines")
        left = {line.amount.currency: 0 for line in self.lines}
        for line in self.lines:
            left[line.amount.currency] += line.amount.amount_minor
        if any(left.values()):
            raise UnbalancedEntry(f"an entry about {self.source} does not come to nothing: {left}")


Position = Mapping[tuple[Account, str], int]
"""What stands on accounts: (account, currency) → minor units, debits less credits."""


def merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line for each account and currency, in the order they first come; those of nothing are left out."""
    given = tuple(lines)
    if len({(line.account, line.amount.currency) for line in given}) == len(given) and all(
        line.amount for line in given
    ):
        return given
    sums: dict[tuple[Account, str], int] = defaultdict(int)
    for line in given:
        sums[line.account, line.amount.currency] += line.amount.amount_minor
    return tuple(Line(account, Money(amount, currency)) for (account, currency), amount in sums.items() if amount)


def mirrored(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines that undo these."""
    return tuple(Line(line.account, -line.amount) for line in lines)


def steps(held: Position, wanted: Position) -> tuple[Line, ...]:
    """The lines that lead from what stands on accounts to what should; none when it does already."""
    keys = [*wanted, *(key for key in held if key not in wanted)]
    moved = ((key, wanted.get(key, 0) - held.get(key, 0)) for key in keys)
    return tuple(Line(account, Money(amount, currency)) for (account, currency), amount in moved if amount)
