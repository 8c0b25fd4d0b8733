"""How the amounts of a payment, a refund, a dispute and a payout are divided among what they are made of. Pure.

All amounts are in minor units of the currency they are about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from quntedge.kit.money import round_half_away

USUAL_CHANGE: Final = Fraction(1, 5)
"""How far a rate of exchange may be from the one before without somebody having to look."""


@dataclass(frozen=True, slots=True)
class PaymentShares:
    """Of a collected payment: what comes in (`clearing` is ours at the gateway, `fees` it kept for itself,
    `tax_remitted` it passes on) and what that is for (`revenue` and `tax`). The first three sum to the last two."""

    clearing: int
    fees: int
    tax_remitted: int
    revenue: int
    tax: int


def payment_shares(total: int, tax: int | None, fee: int | None, *, gateway_remits: bool) -> PaymentShares:
    """Divides a collected payment of `total`. `tax` None is none; `fee` None is not known yet, and counts for nothing
    until it is.

    With `gateway_remits` the gateway passes on the tax, and `fee` includes it: of a fee that is smaller than the tax,
    all is tax.
    """
    owed = tax or 0
    kept = fee or 0
    remitted = min(owed, kept) if gateway_remits else 0
    return PaymentShares(
        clearing=total - kept, fees=kept - remitted, tax_remitted=remitted, revenue=total - owed, tax=owed
    )


def tax_given_back(total: int, tax: int | None, refunded: int) -> int:
    """How much tax there is in the refunds of a payment when `refunded` went back of `total` so far.

    Always counted over all of them together: parts that are rounded one by one would not sum up to the tax of the
    payment, whereas the difference of two such sums is what the next refund takes. All back means all tax back.
    """
    if not tax or total <= 0:
        return 0
    return round_half_away(Fraction(tax * min(refunded, total), total))


@dataclass(frozen=True, slots=True)
class DisputeShares:
    """Of what a dispute withdraws: `held` until the ruling, or lost for good (`loss`)."""

    held: int
    loss: int


def dispute_shares(withdrawn: int, *, lost: bool) -> DisputeShares:
    """Where the money stands that the gateway holds back because of a dispute."""
    return DisputeShares(held=0 if lost else withdrawn, loss=withdrawn if lost else 0)


class PayoutState(StrEnum):
    """Where the money of a payout is."""

    IN_TRANSIT = "in_transit"
    PAID = "paid"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class PayoutShares:
    """Of a payout: what left `clearing`, and where it is: `in_transit`, at the `bank`, or kept as `fees`."""

    clearing: int
    in_transit: int
    bank: int
    fees: int


def payout_shares(amount: int, fee: int, state: PayoutState) -> PayoutShares:
    """What of a payout stands where. `amount` is what reaches the bank, `fee` what leaves the gateway on top of it.

    A payout that came back is as if it had never been; a fee that is kept all the same is named.
    """
    if state is PayoutState.RETURNED:
        return PayoutShares(clearing=-fee, in_transit=0, bank=0, fees=fee)
    paid = state is PayoutState.PAID
    return PayoutShares(clearing=-amount - fee, in_transit=0 if paid else amount, bank=amount if paid else 0, fees=fee)


def is_exchange(given: Mapping[str, int], received: Mapping[str, int], reference: Fraction | None) -> bool:
    """Whether amounts that the books say in one currency are those the gateway moved in another.

    Both by what they are about (the payment first), signed, in minor units. Everything has to have moved in the same
    direction, and at about the same rate as each other and as `reference`, the last one known, if there is one. What
    came to nothing in the books (a dispute that was won) may leave a little, because rates change in between.
    """
    rates = [Fraction(received[name], given[name]) for name in received if given[name]]
    if reference is not None:
        rates.insert(0, reference)
    if not rates or rates[0] <= 0 or any(abs(rate - rates[0]) > USUAL_CHANGE * rates[0] for rate in rates):
        return False
    most = max((abs(received[name]) for name in received if given[name]), default=0)
    return all(abs(received[name]) <= USUAL_CHANGE * most for name in received if not given[name])
