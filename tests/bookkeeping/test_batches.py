"""What the busiest path says to PostgreSQL because of the ledger."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from quntedge.gateway.port import PaymentSnapshot, PaymentStatus
from quntedge.kit.money import Money
from quntedge.payments.service import ObservedPayment, PaymentService
from tests.bookkeeping.world import Books, find_links

BATCH = 50


@contextmanager
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements about the ledger that are sent meanwhile."""
    said: list[str] = []
    original = psycopg.AsyncCursor.execute

    async def execute(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if "ledger_" in str(query):
            said.append(" ".join(str(query).split()[:3]))
        return await original(self, query, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", execute)
        yield said


async def renew(books: Books, status: PaymentStatus, first: int = 0) -> None:
    """As many renewals in one transaction as a batch holds."""
    at = books.tick()
    observed = [
        ObservedPayment(
            PaymentSnapshot(
                payment_id=f"pay_{number}",
                status=status,
                raw_status=status.value,
                currency="usd",
                total=Money(2900, "usd"),
                net=Money(2785, "usd"),
                paid_at=at if status is PaymentStatus.PAID else None,
                created_at=at,
                updated_at=at + timedelta(milliseconds=number),
            ),
            f"msg_{number}",
        )
        for number in range(first, first + BATCH)
    ]
    async with books.units() as unit:
        await PaymentService().apply(unit, observed, find_links)
        await unit.commit()


async def test_a_batch_of_renewals_costs_two_statements(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    with heard(monkeypatch) as said:
        await renew(books, PaymentStatus.OPEN)
    assert said == []
    with heard(monkeypatch) as said:
        await renew(books, PaymentStatus.PAID)
    assert said == ["INSERT INTO ledger_entry", "INSERT INTO ledger_line"]
    assert await books.rows("SELECT count(*) FROM ledger_entry") == [(BATCH,)]
    assert await books.findings() == []


async def test_batches_side_by_side_post_everything_once(books: Books) -> None:
    await asyncio.gather(*(renew(books, PaymentStatus.PAID, first) for first in (0, 50, 100)))
    await books.bookkeeping.roll_up()
    assert await books.rows("SELECT count(*) FROM ledger_entry") == [(3 * BATCH,)]
    assert await books.findings() == []
