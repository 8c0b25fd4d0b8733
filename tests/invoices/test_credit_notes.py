"""Credit notes: one for each refund, to the cent, and one that takes it back when the refund failed after all."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from quntedge.bookkeeping.rules import tax_given_back
from quntedge.gateway.port import PaymentStatus, RefundStatus
from quntedge.invoices.events import CreditNoteIssued
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction
from quntedge.pricing.credits import Credited
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.invoices.builders import refund
from tests.payments.builders import AT, apply, rows, snapshot

NOTES = "SELECT number, total_minor, tax_minor, reverses_id IS NOT NULL FROM credit_note ORDER BY number"
TAXED: dict[str, Any] = {
    "subtotal": Money(2900, "usd"),
    "tax": Money(261, "usd"),
    "tax_behavior": "exclusive",
    "total": Money(3161, "usd"),
}


@pytest.fixture
def issued(bus: EventBus) -> list[CreditNoteIssued]:
    """Every fact that a credit note was issued."""
    heard: list[CreditNoteIssued] = []

    async def hear(unit: UnitOfWork, facts: Sequence[CreditNoteIssued]) -> None:
        heard.extend(facts)

    bus.subscribe(CreditNoteIssued, hear)
    return heard


async def _paid(shop: UnitOfWorkFactory) -> str:
    async with shop() as unit:
        await apply(unit, snapshot(**TAXED))
        await unit.commit()
    ((transaction_id,),) = await rows(shop, "SELECT id FROM payment_transaction")
    return str(transaction_id)


async def _refunded(shop: UnitOfWorkFactory, transaction_id: str, amount: int, refund_id: str, **over: object) -> None:
    async with shop() as unit:
        await refund(unit, transaction_id, "pay_1", amount, refund_id, **over)  # type: ignore[arg-type]
        await unit.commit()


async def test_partial_refunds_are_credited_and_their_tax_adds_up(
    shop: UnitOfWorkFactory, issued: list[CreditNoteIssued]
) -> None:
    transaction_id = await _paid(shop)
    for number, amount in enumerate((1000, 1000, 1161), start=1):
        await _refunded(shop, transaction_id, amount, f"rf_{number}")
    assert await rows(shop, NOTES) == [
        ("CN-2026-000001", 1000, 83, False),
        ("CN-2026-000002", 1000, 82, False),
        ("CN-2026-000003", 1161, 96, False),
    ]
    assert await rows(shop, "SELECT status, credited_minor, refunded_minor, number FROM invoice") == [
        ("refunded", 3161, 3161, "INV-2026-000001")
    ]
    lines = await rows(
        shop,
        "SELECT kind, label, amount_minor, tax_basis_points FROM credit_note_line ORDER BY 1, 3 DESC",
    )
    assert [lines[0], lines[-1]] == [
        ("adjustment", "Refund for invoice INV-2026-000001", 1065, None),
        ("tax", "VAT", 82, 900),
    ]
    assert [(fact.number, fact.total_minor, fact.invoice_number) for fact in issued] == [
        ("CN-2026-000001", 1000, "INV-2026-000001"),
        ("CN-2026-000002", 1000, "INV-2026-000001"),
        ("CN-2026-000003", 1161, "INV-2026-000001"),
    ]


async def test_a_refund_is_credited_when_it_counts_and_once(shop: UnitOfWorkFactory) -> None:
    transaction_id = await _paid(shop)
    await _refunded(shop, transaction_id, 1000, "rf_1", status=RefundStatus.PENDING)
    assert await rows(shop, NOTES) == []
    for hours in (2, 2, 3):
        await _refunded(shop, transaction_id, 1000, "rf_1", hours=hours)
    assert await rows(shop, NOTES) == [("CN-2026-000001", 1000, 83, False)]


async def test_a_refund_that_failed_after_all_is_taken_back_and_nothing_is_deleted(
    shop: UnitOfWorkFactory, issued: list[CreditNoteIssued]
) -> None:
    transaction_id = await _paid(shop)
    await _refunded(shop, transaction_id, 1000, "rf_1")
    await _refunded(shop, transaction_id, 1000, "rf_1", status=RefundStatus.FAILED, hours=5)
    assert await rows(shop, NOTES) == [("CN-2026-000001", 1000, 83, False), ("CN-2026-000002", -1000, -83, True)]
    assert await rows(shop, "SELECT status, credited_minor FROM invoice") == [("paid", 0)]
    # Another refund of everything takes all of the tax with it.
    await _refunded(shop, transaction_id, 3161, "rf_2", hours=6)
    assert (await rows(shop, NOTES))[2] == ("CN-2026-000003", 3161, 261, False)
    assert [fact.reverses_id is not None for fact in issued] == [False, True, False]


async def test_a_refund_that_fails_and_goes_through_again_is_credited_again(shop: UnitOfWorkFactory) -> None:
    transaction_id = await _paid(shop)
    await _refunded(shop, transaction_id, 1000, "rf_1")
    for hours in (5, 7):
        await _refunded(shop, transaction_id, 1000, "rf_1", status=RefundStatus.FAILED, hours=hours)
        for again in range(2):
            await _refunded(shop, transaction_id, 1000, "rf_1", hours=hours + 1 + again)
    credit, back = (1000, 83, False), (-1000, -83, True)
    expected = [credit, back, credit, back, credit]
    assert await rows(shop, NOTES) == [(f"CN-2026-{number:06d}", *said) for number, said in enumerate(expected, 1)]
    assert await rows(shop, "SELECT status, credited_minor FROM invoice") == [("partially_refunded", 1000)]
    assert await rows(shop, "SELECT occasion FROM credit_note ORDER BY number") == [(1,), (1,), (2,), (2,), (3,)]


async def test_a_refund_that_is_known_before_the_payment_is_settled_is_credited_with_the_number(
    shop: UnitOfWorkFactory,
) -> None:
    async with shop() as unit:
        await apply(unit, snapshot(**TAXED, status=PaymentStatus.OPEN, raw_status="open", paid_at=None))
        await unit.commit()
    ((transaction_id,),) = await rows(shop, "SELECT id FROM payment_transaction")
    await _refunded(shop, transaction_id, 1000, "rf_1")
    assert await rows(shop, NOTES) == []
    async with shop() as unit:
        await apply(unit, snapshot(**TAXED, updated_at=AT + timedelta(hours=9)))
        await unit.commit()
    assert await rows(shop, NOTES) == [("CN-2026-000001", 1000, 83, False)]


async def test_refund_and_payment_in_one_transaction(shop: UnitOfWorkFactory) -> None:
    async with shop() as unit:
        await apply(unit, snapshot(**TAXED))
        await unit.session.flush()
        (transaction_id,) = [row[0] for row in await unit.session.execute(select(PaymentTransaction.id))]
        await refund(unit, transaction_id, "pay_1", 3161)
        await unit.commit()
    assert await rows(shop, NOTES) == [("CN-2026-000001", 3161, 261, False)]
    assert await rows(shop, "SELECT status, credited_minor FROM invoice") == [("refunded", 3161)]


async def test_the_year_of_a_credit_note_is_that_of_its_day(shop: UnitOfWorkFactory, clock: FrozenClock) -> None:
    transaction_id = await _paid(shop)
    clock.set(AT.replace(year=2027))
    await _refunded(shop, transaction_id, 100, "rf_1")
    assert await rows(shop, "SELECT number FROM credit_note") == [("CN-2027-000001",)]


async def test_a_few_cents_bear_the_rate_of_their_invoice(shop: UnitOfWorkFactory) -> None:
    transaction_id = await _paid(shop)
    await _refunded(shop, transaction_id, 3, "rf_1")
    lines = await rows(shop, "SELECT kind, amount_minor, tax_basis_points FROM credit_note_line ORDER BY position")
    assert lines == [("adjustment", 3, None), ("tax", 0, 900)]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(total=st.integers(1, 10**9), share=st.integers(0, 10_000), parts=st.lists(st.integers(1, 10**9), max_size=12))
def test_credit_notes_and_ledger_give_back_the_same_tax(total: int, share: int, parts: list[int]) -> None:
    tax = total * share // 10_000
    nothing = Money.zero("usd")
    so_far = Credited(Money(total, "usd"), Money(tax, "usd"), nothing, nothing)
    for part in [*parts, total]:
        so_far = so_far.and_also(min(Money(part, "usd"), so_far.left))
        assert so_far.tax_credited.amount_minor == tax_given_back(total, tax, so_far.credited.amount_minor)
    assert so_far.tax_credited.amount_minor == tax
