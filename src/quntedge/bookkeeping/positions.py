"""What should stand on the accounts because of a payment, a dispute or a payout: shares put on accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from quntedge.bookkeeping import rules
from quntedge.bookkeeping.rules import PayoutState
from quntedge.kit.money import Money
from quntedge.ledger.queries import Held
from quntedge.ledger.rules import Account, EntryKind, Position

_COLLECTED = frozenset(
    {
        Account.GATEWAY_CLEARING, Account.GATEWAY_FEES, Account.TAX_REMITTED, Account.REVENUE, Account.TAX_PAYABLE,
    }
)  # fmt: skip
ACCOUNTS_OF: Mapping[EntryKind, frozenset[Account]] = MappingProxyType(
    {
        EntryKind.PAYMENT: _COLLECTED,
        EntryKind.FEE: _COLLECTED - {Account.REVENUE, Account.TAX_PAYABLE},
        EntryKind.REFUND: frozenset({Account.REFUNDS, Account.TAX_PAYABLE, Account.GATEWAY_CLEARING}),
        EntryKind.DISPUTE: frozenset(
            {Account.DISPUTED_FUNDS, Account.DISPUTE_LOSSES, Account.DISPUTE_FEES, Account.GATEWAY_CLEARING}
        ),
        EntryKind.PAYOUT: frozenset(
            {Account.PAYOUT_IN_TRANSIT, Account.BANK, Account.PAYOUT_FEES, Account.GATEWAY_CLEARING}
        ),
        EntryKind.ROUNDING: frozenset({Account.ROUNDING, Account.GATEWAY_CLEARING}),
        EntryKind.CONVERSION: frozenset({Account.CONVERSION, Account.GATEWAY_CLEARING}),
        EntryKind.ADJUSTMENT: frozenset({Account.ADJUSTMENTS, Account.GATEWAY_CLEARING}),
    }
)
"""The accounts that an entry of a kind may touch. Everything that is posted here keeps to it."""


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout as the gateway tells of it. `amount` reaches the bank, `fee` leaves the gateway on top of it; both are
    in one currency. `occurred_at` is when it came to this state."""

    payout_id: str
    amount: Money
    fee: Money
    state: PayoutState
    occurred_at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class Collected:
    """A payment as far as the ledger goes. Minor units of `currency`; see `rules.payment_shares`.

    One that was not collected, or over nothing, has a `total` of 0.
    """

    currency: str
    total: int
    tax: int | None
    fee: int | None

    def over(self, held: Held | None) -> "Collected":
        """The same where its fee is known; else with the fee that stands. Silence takes back nothing of what was
        known."""
        if self.fee is not None or held is None or not self.total:
            return self
        stands = held.on(Account.GATEWAY_FEES, self.currency) + held.on(Account.TAX_REMITTED, self.currency)
        return replace(self, fee=stands)

    def beside(self, held: Mapping[tuple[EntryKind, str], Held], source: str) -> "Collected":
        """The same beside all that stands because of it: once fees were posted as the gateway lists them, that list has
        the last word, and what is left of the payment tells nothing new."""
        told = replace(self, fee=None) if (EntryKind.FEE, source) in held else self
        return told.over(held.get((EntryKind.PAYMENT, source)))


def of_payment(payment: Collected, *, gateway_remits: bool) -> Position:
    """What stands because of a payment: nothing for one that was not collected."""
    if not payment.total:
        return {}
    shares = rules.payment_shares(payment.total, payment.tax, payment.fee, gateway_remits=gateway_remits)
    currency = payment.currency
    return {
        (Account.GATEWAY_CLEARING, currency): shares.clearing,
        (Account.GATEWAY_FEES, currency): shares.fees,
        (Account.TAX_REMITTED, currency): shares.tax_remitted,
        (Account.REVENUE, currency): -shares.revenue,
        (Account.TAX_PAYABLE, currency): -shares.tax,
    }


def of_refund(currency: str, amount: int, tax: int) -> Position:
    """What stands because of a refund of `amount`, `tax` of which is tax."""
    return {
        (Account.REFUNDS, currency): amount - tax,
        (Account.TAX_PAYABLE, currency): tax,
        (Account.GATEWAY_CLEARING, currency): -amount,
    }


def of_dispute(withdrawn: Money, fee: Money, *, lost: bool) -> Position:
    """What stands because of a dispute. The fee is often in another currency than the payment."""
    shares = rules.dispute_shares(withdrawn.amount_minor, lost=lost)
    position = {
        (Account.DISPUTED_FUNDS, withdrawn.currency): shares.held,
        (Account.DISPUTE_LOSSES, withdrawn.currency): shares.loss,
        (Account.GATEWAY_CLEARING, withdrawn.currency): -withdrawn.amount_minor,
    }
    for key, amount in of_dispute_fee(fee).items():
        position[key] = position.get(key, 0) + amount
    return position


def of_dispute_fee(fee: Money) -> Position:
    """What stands because of the fee for a dispute, or for the warning of one."""
    return {
        (Account.DISPUTE_FEES, fee.currency): fee.amount_minor,
        (Account.GATEWAY_CLEARING, fee.currency): -fee.amount_minor,
    }


def of_payout(payout: Payout) -> Position:
    """What stands because of a payout. Raises ValueError for two currencies in one."""
    currency = payout.amount.currency
    if payout.fee.currency != currency:
        raise ValueError("a payout and its fee are in one currency")
    shares = rules.payout_shares(payout.amount.amount_minor, payout.fee.amount_minor, payout.state)
    return {
        (Account.PAYOUT_IN_TRANSIT, currency): shares.in_transit,
        (Account.BANK, currency): shares.bank,
        (Account.PAYOUT_FEES, currency): shares.fees,
        (Account.GATEWAY_CLEARING, currency): shares.clearing,
    }
