"""What may be given back, who has to agree, and when to look how it went. Pure."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import Money
from quntedge.refunds.errors import (
    AboveWhatIsLeft,
    InvalidRefund,
    NothingLeftToRefund,
    PaymentDisputed,
    PaymentNotRefundable,
    RefundCurrencyMismatch,
)

NOTE_MAXIMUM = 1000

ENDED_WITHOUT = frozenset({"failed", "canceled", "rejected"})
"""Statuses in which nothing was given back and nothing will be: they hold nothing of their payment."""
SENT = frozenset({"sending", "unknown"})
"""Statuses of a refund that may have reached the gateway, and that the gateway has not told us of."""
FINAL = ENDED_WITHOUT | {"succeeded"}
"""Nothing more is expected to happen to these."""
UNDER_WAY = frozenset({"sending", "pending", "requires_action", "unknown"})
"""Money that is on its way back, as far as we know."""

REFUNDED, PARTIALLY_REFUNDED = "payment.refunded", "payment.partially_refunded"
"""What is derived for a payment, and stands in the history of its subscription."""

_HARMLESS = frozenset({"won", "warning_closed"})
_WATCH = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1))


class RefundReason(StrEnum):
    """Why money is given back. `withdrawal` is said by the withdrawal function alone."""

    REQUESTED = "requested_by_customer"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    SERVICE_PROBLEM = "service_problem"
    GOODWILL = "goodwill"
    OTHER = "other"
    WITHDRAWAL = "withdrawal"


FOR_STAFF = tuple(reason for reason in RefundReason if reason is not RefundReason.WITHDRAWAL)


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a payment decides about refunds. `held` is what refunds have given back, or hold for that."""

    paid: bool
    total: Money | None
    held: Money
    disputed: bool

    @property
    def left(self) -> Money:
        """What can still be given back; nothing of what was not paid."""
        nothing = Money.zero(self.held.currency)
        if not self.paid or self.total is None:
            return nothing
        return max(nothing, self.total - self.held)


def is_disputed(disputed_minor: int, dispute_status: str | None) -> bool:
    """Whether a dispute stands in the way. One that was won, and a mere warning that was closed, do not; a status
    that nobody knows does."""
    return disputed_minor > 0 or (dispute_status is not None and dispute_status not in _HARMLESS)


def check_refundable(standing: Standing) -> None:
    """Raises `PaymentNotRefundable`, `PaymentDisputed`."""
    if not standing.paid or not standing.total:
        raise PaymentNotRefundable("Nothing was collected with this payment, so there is nothing to give back.")
    if standing.disputed:
        raise PaymentDisputed(
            "The buyer's bank decides about this payment. Answer the dispute, or accept it; a refund would pay twice."
        )


def amount_of(standing: Standing, wanted: Money | None) -> Money:
    """The amount to give back: the one wanted, or all that is left.

    Raises `PaymentNotRefundable`, `PaymentDisputed`, `InvalidRefund`, `RefundCurrencyMismatch`, `NothingLeftToRefund`,
    `AboveWhatIsLeft`.
    """
    check_refundable(standing)
    left = standing.left
    if wanted is not None and wanted.amount_minor <= 0:
        raise invalid("amount", "A refund is more than zero. Leave the amount out to give back all that is left.")
    if wanted is not None and wanted.currency != left.currency:
        raise RefundCurrencyMismatch(
            f"The payment was made in {left.currency.upper()}; a refund of it is, too.",
            extra={"currency": left.currency},
        )
    if not left:
        raise NothingLeftToRefund("Everything that was paid has been given back already, or is on its way.")
    if wanted is None:
        return left
    if wanted > left:
        raise above(left)
    return wanted


def check_still_left(standing: Standing, amount: Money) -> None:
    """That a refund which holds its amount can still be sent: what the gateway's dashboard gave back meanwhile was
    counted, not asked for. Raises `NothingLeftToRefund`, `AboveWhatIsLeft`."""
    if standing.total is not None and standing.held > standing.total:
        raise above(max(Money.zero(amount.currency), standing.total - (standing.held - amount)))


def above(left: Money) -> QuntedgeError:
    """The error for a refund that is more than what is left."""
    if not left:
        return NothingLeftToRefund("Everything that was paid has been given back already, or is on its way.")
    return AboveWhatIsLeft(f"At most {left} can still be given back of this payment.", extra={"left": left.to_json()})


def needs_approval(amount: Money, unapproved: Money, limits: Mapping[str, Money]) -> bool:
    """Whether a second person has to agree: above the limit of the currency, and wherever none is set.

    `unapproved` is what was given back of the same payment without a second person before; it counts as well, so that
    nobody gets around the limit in slices.
    """
    limit = limits.get(amount.currency)
    return limit is None or amount + unapproved > limit


def reason_for_staff(reason: str) -> RefundReason:
    """The reason that staff gave. Raises `InvalidRefund`."""
    if reason not in FOR_STAFF:
        raise invalid("reason", f"Choose one of {', '.join(FOR_STAFF)}.")
    return RefundReason(reason)


def note_text(note: str | None) -> str | None:
    """A note in the form in which it is kept; None for an empty one. Raises `InvalidRefund`."""
    # A lone surrogate can arrive through JSON and has no form in which it could be kept.
    kept = unicodedata.normalize("NFC", "".join(c for c in note or "" if not 0xD800 <= ord(c) <= 0xDFFF)).strip()
    if len(kept) > NOTE_MAXIMUM:
        raise invalid("note", f"Use at most {NOTE_MAXIMUM} characters.")
    return kept or None


def invalid(field: str, message: str) -> InvalidRefund:
    """The error for one field."""
    return InvalidRefund(message, errors=[{"field": field, "message": message}])


def for_customers(status: str) -> str:
    """The status as customers see it: who still has to agree, and whether the gateway has answered, is our affair."""
    return "pending" if status in SENT or status in ("requested", "approved") else status


def next_look(looks: int) -> timedelta:
    """How long after this many looks at a refund that has not ended the gateway is asked again."""
    return _WATCH[min(looks, len(_WATCH) - 1)]
