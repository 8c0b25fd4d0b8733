"""The gateway's own account of money: what was charged and given back, what it cost, and what was paid out to us.

Frozen types of ours and the protocol that reads them; `gateway.whop.acts_finance` does it. Nothing here changes
anything at the gateway.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from quntedge.gateway.port import PaymentSnapshot, RefundSnapshot
from quntedge.kit.money import Money

RESIDUE_PER_UNIT: Final = 10**8
"""How finely a movement is known: its residue counts hundred-millionths of a minor unit."""


class MovementKind(StrEnum):
    """What a movement on the gateway's balance is about, as far as our books tell things apart."""

    CHARGE = "charge"
    FEE = "fee"
    TAX = "tax"
    """Sales tax that the gateway keeps back to remit it."""
    REFUND = "refund"
    DISPUTE = "dispute"
    DISPUTE_FEE = "dispute_fee"
    PAYOUT = "payout"
    PAYOUT_FEE = "payout_fee"
    OTHER = "other"
    """A kind nobody has assigned: it is shown, never dropped."""


class PayoutStatus(StrEnum):
    """Where a payout is. What has failed, was cancelled or denied has left the money with the gateway."""

    REQUESTED = "requested"
    IN_REVIEW = "in_review"
    PROCESSING = "processing"
    COMPLETED = "completed"
    REVERSED = "reversed"
    CANCELED = "canceled"
    FAILED = "failed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PaymentFee:
    """One fee of one payment. `amount` is what it costs us: negative where it was given back.

    `kind` is the family, `origin` the exact fee, both in the gateway's words.
    """

    amount: Money
    kind: str
    origin: str
    movement: MovementKind
    collected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of the gateway's own ledger. `amount` is signed: what comes to us is positive.

    Gateways count finer than a minor unit: the exact amount is `amount` and `residue` hundred-millionths of a minor
    unit (-50,000,000 to 50,000,000).
    """

    movement_id: str
    line_type: str
    kind: MovementKind
    amount: Money
    residue: int
    posted_at: datetime
    payment_id: str | None = None
    source_id: str | None = None
    available_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutSnapshot:
    """A payout to our bank. `amount` leaves the balance, `fee` of it is kept by the gateway."""

    payout_id: str
    status: PayoutStatus
    raw_status: str
    amount: Money
    fee: Money
    created_at: datetime
    arrives_at: datetime | None = None
    failure_code: str | None = None
    returned_at: datetime | None = None


class FinanceActs(Protocol):
    """Reads of money by time. Bounds are of creation (movements: of posting), `since` included, `until` not.

    Lists are taken page by page: a month of payments need not fit into memory. Each page raises the port's errors.
    """

    async def fees_of(self, payment_id: str) -> list[PaymentFee]:
        """What a payment has cost."""
        ...

    def payments_between(self, since: datetime, until: datetime) -> AsyncIterator[list[PaymentSnapshot]]:
        """Pages of payments; a list may leave out what a single read tells."""
        ...

    def refunds_between(self, since: datetime, until: datetime) -> AsyncIterator[list[RefundSnapshot]]:
        """Pages of refunds, failed ones included."""
        ...

    def movements_between(self, since: datetime, until: datetime) -> AsyncIterator[list[Movement]]:
        """Pages of the movements on our balance."""
        ...

    async def movements_of(self, payment_id: str) -> list[Movement]:
        """All movements on our balance because of a payment, its refunds and disputes."""
        ...

    def payouts_between(self, since: datetime, until: datetime) -> AsyncIterator[list[PayoutSnapshot]]:
        """Pages of payouts, failed ones included."""
        ...
