"""`python -m bench.reconcile`: rows a second of a comparison of money, read and compared.

The gateway's pages come from memory, so that this is the price of our own part: keeping a page is a transaction, and so
is comparing a week. Whop itself gives at most 60,000 rows a minute. One payment in a thousand is wrong on purpose, and
the run must find exactly those.
"""

import argparse
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import uvloop

from bench import world
from bench.database import bench_server
from quntedge.gateway.finance import Movement, MovementKind, PaymentFee, PayoutSnapshot
from quntedge.gateway.port import PaymentSnapshot, PaymentStatus, RefundSnapshot
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.reconciliation.rules import Stage
from quntedge.reconciliation.service import ReconciliationService
from quntedge.wiring import Runtime, build

SINCE = datetime(2026, 9, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
NOW = SINCE + timedelta(days=40)
PAGE = 100
TOTAL, PERCENTAGE, FIXED = Money(2900, "usd"), Money(-78, "usd"), Money(-30, "usd")
EVERY = 1000
"""One payment in so many has another fee at the gateway than with us."""


class Pages:
    """What the gateway would answer about `count` payments, spread over a month."""

    def __init__(self, count: int) -> None:
        self._count = count

    def _numbers(self, since: datetime, until: datetime) -> range:
        first = max(0, -(-int((since - SINCE) / MONTH * self._count * 10**6) // 10**6))
        while self.at(first) < since:
            first += 1
        last = min(self._count, int((until - SINCE) / MONTH * self._count) + 1)
        while last > first and self.at(last - 1) >= until:
            last -= 1
        return range(first, last)

    def at(self, number: int) -> datetime:
        """When a payment was made."""
        return SINCE + MONTH * number / self._count

    async def fees_of(self, payment_id: str) -> list[PaymentFee]:
        """Nobody asks."""
        raise NotImplementedError

    async def payment(self, payment_id: str) -> PaymentSnapshot:
        """Nobody asks: all payments are of the month that is compared."""
        raise NotImplementedError

    async def refunds_of(self, payment_id: str) -> list[RefundSnapshot]:
        """Nobody asks."""
        raise NotImplementedError

    async def movements_of(self, payment_id: str) -> list[Movement]:
        """Nobody asks."""
        raise NotImplementedError

    async def payments_between(self, since: datetime, until: datetime) -> AsyncIterator[list[PaymentSnapshot]]:
        """Pages of a hundred."""
        numbers = self._numbers(since, until)
        for start in range(numbers.start, numbers.stop, PAGE):
            yield [self._payment(number) for number in range(start, min(start + PAGE, numbers.stop))]

    def _payment(self, number: int) -> PaymentSnapshot:
        at = self.at(number)
        return PaymentSnapshot(
            f"pay_{number}", PaymentStatus.PAID, "paid", "usd", total=TOTAL, paid_at=at, created_at=at, updated_at=at
        )

    async def movements_between(self, since: datetime, until: datetime) -> AsyncIterator[list[Movement]]:
        """Three for each payment."""
        numbers = self._numbers(since, until)
        for start in range(numbers.start, numbers.stop, PAGE // 3):
            page = range(start, min(start + PAGE // 3, numbers.stop))
            yield [movement for number in page for movement in self._movements(number)]

    def _movements(self, number: int) -> list[Movement]:
        wrong = Money(1 if number % EVERY == 0 else 0, "usd")
        lines = (
            ("payment_gross", MovementKind.CHARGE, TOTAL),
            ("payment_processing_percentage_fee", MovementKind.FEE, PERCENTAGE - wrong),
            ("payment_processing_fixed_fee", MovementKind.FEE, FIXED),
        )
        return [
            Movement(f"line_{number}_{kind}", kind, meaning, amount, 0, self.at(number), f"pay_{number}")
            for kind, meaning, amount in lines
        ]

    async def refunds_between(self, since: datetime, until: datetime) -> AsyncIterator[list[RefundSnapshot]]:
        """None."""
        if until <= since:
            yield []

    async def payouts_between(self, since: datetime, until: datetime) -> AsyncIterator[list[PayoutSnapshot]]:
        """None."""
        if until <= since:
            yield []


def _seed(url: str, count: int) -> None:
    """The same payments with us."""
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO app_user (id, created_at) VALUES ('usr_bench', now())")
        connection.execute(
            """
            INSERT INTO payment_transaction (id, user_id, whop_payment_id, status, raw_status, currency, total_minor,
                                             fee_minor, net_minor, occurred_at, paid_at, gateway_updated_at, created_at,
                                             updated_at)
            SELECT 'txn_' || lpad(n::text, 8, '0'), 'usr_bench', 'pay_' || n, 'paid', 'paid', 'usd', 2900, 108, 2792,
                   at, at, at, at, at
            FROM generate_series(0, %(count)s - 1) AS n,
                 LATERAL (SELECT %(since)s + interval '30 days' * n / %(count)s AS at) AS made
            """,
            {"count": count, "since": SINCE},
        )


async def _run(url: str, count: int) -> None:
    runtime = build(world.settings(url), url, FrozenClock(NOW))
    begun = time.perf_counter()
    await runtime.bookkeeping.backfill.run()
    print(f"posted {count:,} payments in {time.perf_counter() - begun:.1f} s")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    try:
        await _compare(runtime, count)
    finally:
        await runtime.close()


async def _compare(runtime: Runtime, count: int) -> None:
    service = ReconciliationService(runtime.units, Pages(count), runtime.services.reconciliation.service.repairs)
    reached: dict[Stage, float] = {}
    run_id = await service.begin(SINCE, SINCE + MONTH, trigger="manual", requested_by="bench")
    begun = time.perf_counter()
    run = await service.work(run_id, lambda stage, share, rows: reached.update({stage: time.perf_counter() - begun}))
    reading, whole = reached[Stage.PAYOUTS], reached[Stage.COMPARE]
    expected = -(-count // EVERY)
    if (run.state, run.compared, run.found) != ("done", count, expected):
        raise SystemExit(f"wrong: {run.state}, {run.compared:,} compared, {run.found:,} found, {expected:,} expected")
    print(f"read      {run.rows_read / reading:>10,.0f} rows/s  ({run.rows_read:,} rows in {reading:.1f} s)")
    print(f"compared  {count / (whole - reading):>10,.0f} payments/s  ({count:,} in {whole - reading:.1f} s)")
    print(f"together  {run.rows_read / whole:>10,.0f} rows/s, {run.found:,} differences found, none missed")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    count = parser.parse_args().payments
    with bench_server() as server:
        url = server.migrated("reconcile")
        _seed(url, count)
        uvloop.run(_run(url, count))


if __name__ == "__main__":
    main()
