"""Paying the balance out to the seller's bank, and what may become of that."""

from datetime import datetime

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life.balance import balance
from quntedge.gateway.emulator.state.finance_records import Payout
from quntedge.gateway.emulator.wire.errors import bad_request, conflict
from quntedge.kit.money import Money

UNDER_WAY = ("requested", "in_review", "processing")
RETURNED = ("reversed", "canceled", "failed", "denied")
STATUSES = (*UNDER_WAY, "completed", *RETURNED)


def pay_out(world: World, amount: Money | None, fee: Money, currency: str, status: str, at: datetime) -> Payout:
    """Takes an amount, or the whole balance in this currency, out of the balance.

    Raises:
        ApiFault: 409 when there is nothing to pay out, 400 for more than there is and for a fee beyond the amount.
    """
    there = balance(world.store, currency)
    if there <= Money.zero(currency):
        raise conflict("There is nothing to pay out.")
    amount = there if amount is None else amount
    if not Money.zero(currency) < amount <= there:
        raise bad_request(f"The payout must be more than zero and at most {there.to_major_text()}.")
    if not Money.zero(currency) <= fee < amount:
        raise bad_request("The fee must be less than the amount.")
    made = Payout(id=world.store.new_id("wdrl"), created_at=at, updated_at=at, amount=amount, fee=fee, status=status)
    return world.store.add(world.store.tables.payouts, made)


def move(world: World, payout: Payout, status: str, at: datetime) -> None:
    """Brings a payout to a status; one that does not reach the bank gives the money back.

    Raises:
        ApiFault: 409 when it has ended: only what was paid out can still be reversed.
    """
    if payout.status in RETURNED or (payout.status == "completed" and status != "reversed"):
        raise conflict(f"This payout is {payout.status} already.")
    payout.status = status
    if status in RETURNED:
        payout.returned_at = at
        payout.failure_code = "destination_rejected"
    world.store.touch(payout, at)
