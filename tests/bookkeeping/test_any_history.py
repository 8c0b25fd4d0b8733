"""After any history the ledger is balanced, and is what the records of payments, refunds and disputes add up to."""

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from quntedge.bookkeeping.positions import Payout
from quntedge.bookkeeping.rules import PayoutState
from quntedge.gateway.port import PaymentStatus
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.ledger.rules import Account
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.bookkeeping.world import Books
from tests.conftest import START

STEPS = 200
EXAMPLES = 25 if os.environ.get("QUNTEDGE_TEST_LIVES") else 1
CURRENCIES = ("usd", "jpy", "kwd")
# What the records say, summed up without the ledger and without its rules.
RECORDS = """
    SELECT coalesce(sum(total_minor), 0)::bigint, coalesce(sum(tax_minor), 0)::bigint,
           coalesce(sum(fee_minor), 0)::bigint,
           (SELECT coalesce(sum(refund.amount_minor), 0)::bigint FROM refund
            WHERE refund.status = 'succeeded' AND refund.currency = :currency),
           (SELECT coalesce(sum(withdrawn_minor), 0)::bigint FROM dispute WHERE currency = :currency),
           (SELECT coalesce(sum(withdrawn_minor), 0)::bigint FROM dispute
            WHERE currency = :currency AND status IN ('lost', 'prevented')),
           (SELECT coalesce(sum(fee_minor), 0)::bigint
            FROM (SELECT fee_minor, fee_currency FROM dispute
                  UNION ALL SELECT fee_minor, fee_currency FROM dispute_alert) AS charged
            WHERE fee_currency = :currency)
    FROM payment_transaction
    WHERE currency = :currency AND status IN ('paid', 'partially_refunded', 'refunded')
"""

Step = tuple[str, int, int]
KINDS = ("sell", "sell", "order", "tell", "repeat", "refund", "refund", "settle", "dispute", "rule", "alert", "pay_out")
steps = st.tuples(st.sampled_from(KINDS), st.integers(0, 10**6), st.integers(0, 10**6))
_numbers = itertools.count(1)


class Life:
    """A history: each step moves some of the money there is."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.payments: list[str] = []
        self.refunds: list[tuple[str, int, str]] = []
        self.disputes: list[tuple[str, str, Money | None]] = []
        self.alerts: list[tuple[str, str]] = []
        self.paid_out = dict.fromkeys(CURRENCIES, 0)
        self.taken = 0

    async def take(self, step: Step) -> None:
        """Takes a step, if there is anything to take it with."""
        kind, one, other = step
        act: Callable[[int, int], Coroutine[Any, Any, bool]] = getattr(self, kind)
        self.taken += await act(one, other)

    async def sell(self, one: int, other: int, status: PaymentStatus = PaymentStatus.PAID) -> bool:
        currency = CURRENCIES[one % 3]
        total = one // 3 if one % 7 else 0
        tax = None if other % 3 else other % (total + 1) // 4
        net = None if other % 2 else total - (other % (total + 1)) // 2
        payment_id = f"pay_{next(_numbers)}"
        await self.books.pay(payment_id, total, currency, tax=tax, net=net, status=status)
        self.payments.append(payment_id)
        return True

    async def order(self, one: int, other: int) -> bool:
        return await self.sell(one, other, PaymentStatus.OPEN)

    async def tell(self, one: int, other: int) -> bool:
        """More is known of a payment: that it is collected, what it cost."""
        if not self.payments:
            return False
        payment_id = self.payments[one % len(self.payments)]
        held = self.books.snapshots[payment_id]
        assert held.total is not None
        total, tax = held.total.amount_minor, held.tax.amount_minor if held.tax else None
        await self.books.pay(payment_id, total, held.currency, tax=tax, net=total - other % (total + 1))
        return True

    async def repeat(self, one: int, _other: int) -> bool:
        if not self.payments:
            return False
        await self.books.say(self.books.snapshots[self.payments[one % len(self.payments)]])
        return True

    async def refund(self, one: int, other: int) -> bool:
        """A part or all of a payment goes back, even more than is left of it: the gateway is believed."""
        payment = self._collected(one)
        if payment is None:
            return False
        total = self.books.snapshots[payment].total
        assert total is not None
        amount = total.amount_minor if other % 3 == 0 else 1 + other % total.amount_minor
        refund_id = f"rf_{next(_numbers)}"
        await self.books.refund(refund_id, amount, "succeeded" if other % 2 else "pending", payment)
        self.refunds.append((refund_id, amount, payment))
        return True

    async def settle(self, one: int, other: int) -> bool:
        """A refund ends, or turns out to have ended otherwise."""
        if not self.refunds:
            return False
        refund_id, amount, payment = self.refunds[one % len(self.refunds)]
        await self.books.refund(refund_id, amount, ("succeeded", "failed", "canceled")[other % 3], payment)
        return True

    async def dispute(self, one: int, other: int) -> bool:
        payment = self._collected(one)
        if payment is None:
            return False
        fee = None if other % 3 == 0 else Money(1500, "usd")
        dispute_id = f"dspt_{next(_numbers)}"
        inquiry = other % 5 == 0
        status = "warning_needs_response" if inquiry else "needs_response"
        await self.books.dispute(dispute_id, status, payment, fee=fee, inquiry=inquiry)
        if not inquiry:
            self.disputes.append((dispute_id, payment, fee))
        return True

    async def rule(self, one: int, other: int) -> bool:
        """A dispute goes on, is won or lost; a ruling may even be taken back."""
        if not self.disputes:
            return False
        dispute_id, payment, fee = self.disputes[one % len(self.disputes)]
        status = ("under_review", "won", "lost", "prevented")[other % 4]
        await self.books.dispute(dispute_id, status, payment, fee=fee)
        return True

    async def alert(self, one: int, other: int) -> bool:
        """A warning of a dispute, or another word about an earlier one: that it costs something after all."""
        payment = self._collected(one)
        if payment is None:
            return False
        fee = None if other % 3 == 0 else Money(1000 + other % 9000, CURRENCIES[other % 3])
        known = self.alerts and other % 4 == 0
        alert_id, payment = self.alerts[one % len(self.alerts)] if known else (f"dspa_{next(_numbers)}", payment)
        await self.books.alert(alert_id, payment, fee)
        if not known:
            self.alerts.append((alert_id, payment))
        return True

    async def pay_out(self, one: int, other: int) -> bool:
        currency = CURRENCIES[one % 3]
        state = (PayoutState.IN_TRANSIT, PayoutState.PAID, PayoutState.RETURNED)[other % 3]
        amount = 1 + one
        at = self.books.tick()
        whole = Payout(f"po_{next(_numbers)}", Money(amount, currency), Money.zero(currency), state, at, "test")
        async with self.books.units() as unit:
            await self.books.bookkeeping.service.post_payout(unit, whole)
            await unit.commit()
        if other % 4 == 0:
            await self.books.bookkeeping.roll_up()
        self.paid_out[currency] += 0 if state is PayoutState.RETURNED else amount
        return True

    def _collected(self, one: int) -> str | None:
        collected = [
            payment_id
            for payment_id in self.payments
            if (snapshot := self.books.snapshots[payment_id]).status is PaymentStatus.PAID and snapshot.total
        ]
        return collected[one % len(collected)] if collected else None


async def compare(books: Books, paid_out: dict[str, int]) -> None:
    """The ledger against the sums of the records, and against every record by itself."""
    for currency in CURRENCIES:
        total, tax, fees, refunded, withdrawn, lost, dispute_fees = (await books.rows(RECORDS, currency=currency))[0]
        stands = dict.fromkeys(Account, 0) | await books.stands(currency)
        assert -(stands[Account.REVENUE]) == total - tax
        assert stands[Account.GATEWAY_FEES] + stands[Account.TAX_REMITTED] == fees
        assert stands[Account.REFUNDS] + tax + stands[Account.TAX_PAYABLE] == refunded
        assert stands[Account.DISPUTED_FUNDS] + stands[Account.DISPUTE_LOSSES] == withdrawn
        assert stands[Account.DISPUTE_LOSSES] == lost
        assert stands[Account.DISPUTE_FEES] == dispute_fees
        assert stands[Account.BANK] + stands[Account.PAYOUT_IN_TRANSIT] == paid_out[currency]
        clearing = total - fees - refunded - withdrawn - dispute_fees - paid_out[currency]
        assert stands[Account.GATEWAY_CLEARING] == clearing
    assert await books.findings() == []


@contextmanager
def opened(database_url: str) -> Iterator[tuple[asyncio.Runner, Books]]:
    """Books on a loop of their own: examples are drawn outside of any."""
    with asyncio.Runner() as runner:
        engine = create_engine(database_url, pool_size=4)
        clock = FrozenClock(START)
        units = UnitOfWorkFactory(session_factory(engine), clock, EventBus())
        try:
            yield runner, runner.run(Books(units, clock, engine).open())
        finally:
            runner.run(engine.dispose())


def _has_all_kinds(history: list[Step]) -> bool:
    """The simplest history, which is tried first, is the same sale of nothing over and over."""
    return {kind for kind, _, _ in history} == set(KINDS)


def test_the_ledger_is_what_was_paid_after_any_history(database_url: str) -> None:
    paid_out = dict.fromkeys(CURRENCIES, 0)
    with opened(database_url) as (runner, books):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            # No smaller example is looked for: the books go on from one example to the next.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(steps, min_size=STEPS + 20, max_size=STEPS + 40).filter(_has_all_kinds))
        def live(history: list[Step]) -> None:
            async def run() -> int:
                life = Life(books)
                for position, step in enumerate(history, start=1):
                    await life.take(step)
                    if position % 100 == 0:
                        await compare(books, {c: paid_out[c] + life.paid_out[c] for c in CURRENCIES})
                for currency, amount in life.paid_out.items():
                    paid_out[currency] += amount
                await compare(books, paid_out)
                return life.taken

            assert runner.run(run()) >= STEPS

        live()
