"""What the gateway exchanges: payments that reach our balance in another currency than their own.

The books tell of a payment in its own currency, the gateway holds the money in another one. Both amounts are facts of
the gateway's, so no rate of ours is needed: what it exchanged leaves the account in the one currency and arrives in the
other, and `Account.CONVERSION` stands in between, so that each currency balances by itself. What is left on that
account, valued in one currency, is what exchanging has gained or lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final

from sqlalchemy import text

from quntedge.bookkeeping import rules
from quntedge.bookkeeping.service import BookkeepingService, Move
from quntedge.ledger import queries
from quntedge.ledger.queries import Held
from quntedge.ledger.rules import Account, EntryKind, Position
from quntedge.storage.unit_of_work import UnitOfWork

EXCHANGED: Final = (EntryKind.PAYMENT, EntryKind.REFUND, EntryKind.DISPUTE)
"""What of a payment may move in another currency. Fees are booked in whatever currency they are taken in."""

# The rate at which another payment was exchanged last; both sides are in the newest entry that has both.
_LAST_RATE = text(
    """
    SELECT given.amount_minor AS given, received.amount_minor AS received
    FROM ledger_line AS given JOIN ledger_line AS received USING (entry_id)
    JOIN ledger_entry AS entry ON entry.id = entry_id
    WHERE given.account = 'conversion' AND given.currency = :own
      AND received.account = 'conversion' AND received.currency = :other AND entry.source <> :source
    ORDER BY given.occurred_at DESC, entry_id DESC LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the gateway has moved because of a payment in `currency`, which is not the payment's: minor units, signed as
    on our balance, by what it was about. `occurred_at` is when it moved last."""

    transaction_id: str
    currency: str
    moved: Mapping[EntryKind, int]
    occurred_at: datetime
    cause: str


class Conversions:
    """Works in the caller's unit of work and never commits."""

    def __init__(self, bookkeeping: BookkeepingService) -> None:
        self._bookkeeping = bookkeeping

    async def post(self, unit: UnitOfWork, exchange: Exchange, *, agreed: bool = False) -> bool:
        """Makes what stands for exchanging a payment what the gateway has moved. False when it stands already, and
        where somebody has to look first (see `rules.is_exchange`), unless they did and `agreed`."""
        payment = await self._bookkeeping.locked(unit, exchange.transaction_id)
        connection = await unit.connection()
        own = await self._own(unit, exchange.transaction_id, payment.currency)
        last = (
            await connection.execute(
                _LAST_RATE,
                {"own": payment.currency, "other": exchange.currency, "source": exchange.transaction_id},
            )
        ).one_or_none()
        reference = None if last is None else abs(Fraction(last.received, last.given))
        given = {kind.value: own[kind] for kind in exchange.moved}
        received = {kind.value: amount for kind, amount in exchange.moved.items()}
        if not agreed and not rules.is_exchange(given, received, reference):
            return False
        move = Move(
            EntryKind.CONVERSION,
            exchange.transaction_id,
            of_exchange(payment.currency, sum(given.values()), exchange.currency, sum(received.values())),
            exchange.occurred_at,
            exchange.cause,
            payment.user_id,
        )
        return await self._bookkeeping.move(unit, [move]) > 0

    @staticmethod
    async def _own(unit: UnitOfWork, transaction_id: str, currency: str) -> dict[EntryKind, int]:
        """What the books say came to the balance in the payment's own currency, before fees."""
        connection = await unit.connection()
        by_payment = await queries.by_source(connection, [transaction_id])
        together = await queries.by_transaction(connection, [transaction_id])

        def on(kind: EntryKind, *accounts: Account) -> int:
            held = (by_payment if kind is EntryKind.PAYMENT else together).get((kind, transaction_id), Held())
            return sum(held.on(account, currency) for account in accounts)

        return {
            EntryKind.PAYMENT: -on(EntryKind.PAYMENT, Account.REVENUE, Account.TAX_PAYABLE),
            EntryKind.REFUND: on(EntryKind.REFUND, Account.GATEWAY_CLEARING),
            EntryKind.DISPUTE: -on(EntryKind.DISPUTE, Account.DISPUTED_FUNDS, Account.DISPUTE_LOSSES),
        }


def of_exchange(own: str, given: int, other: str, received: int) -> Position:
    """What stands because `given` minor units of `own` are `received` of `other` on our balance."""
    return {
        (Account.GATEWAY_CLEARING, own): -given,
        (Account.CONVERSION, own): given,
        (Account.GATEWAY_CLEARING, other): received,
        (Account.CONVERSION, other): -received,
    }
