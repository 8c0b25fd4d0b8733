"""Refunds as Whop reports them, and what they sum up to."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from quntedge.gateway.port import RefundSnapshot, RefundStatus
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.refunds.service import ObservedRefund, RefundedPayment, RefundService
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.payments.builders import AT, USER, apply, rows, seed, snapshot

LATER = AT + timedelta(hours=1)
PAYMENT = "SELECT status, refunded_minor, refund_pending FROM payment_transaction"
REFUNDS = "SELECT whop_refund_id, status, amount_minor FROM refund ORDER BY whop_refund_id"


@pytest.fixture
async def paid(units: UnitOfWorkFactory) -> UnitOfWorkFactory:
    """A customer who has paid $31.61."""
    await seed(units)
    async with units() as unit:
        await apply(unit, snapshot())
        await unit.commit()
    return units


def refund(
    refund_id: str, amount_minor: int, status: str = "succeeded", updated_at: datetime | None = AT
) -> RefundSnapshot:
    """A refund as Whop describes it."""
    return RefundSnapshot(
        refund_id=refund_id,
        status=RefundStatus(status),
        raw_status=status,
        amount=Money(amount_minor, "usd"),
        payment_id="pay_1",
        created_at=AT,
        updated_at=updated_at,
    )


async def take(unit: UnitOfWork, *refunds: RefundSnapshot) -> None:
    """Applies refunds; commits nothing."""
    connection = await unit.driver_connection()
    found = await (await connection.execute("SELECT id FROM payment_transaction")).fetchall()
    payments = {"pay_1": RefundedPayment(found[0][0], USER)}
    observed: Sequence[ObservedRefund] = [ObservedRefund(each, "msg_1") for each in refunds]
    await RefundService(PaymentService()).apply(unit, observed, payments)


async def take_all(units: UnitOfWorkFactory, *refunds: RefundSnapshot) -> None:
    """Applies refunds in a transaction of their own."""
    async with units() as unit:
        await take(unit, *refunds)
        await unit.commit()


async def test_only_what_really_went_back_counts(paid: UnitOfWorkFactory) -> None:
    await take_all(paid, refund("rf_1", 500), refund("rf_2", 1000, "pending"), refund("rf_3", 2000, "failed"))
    assert await rows(paid, PAYMENT) == [("partially_refunded", 500, True)]
    await take_all(paid, refund("rf_2", 1000, "succeeded", LATER))
    assert await rows(paid, PAYMENT) == [("partially_refunded", 1500, False)]
    await take_all(paid, refund("rf_4", 1661))
    assert await rows(paid, PAYMENT) == [("refunded", 3161, False)]
    await take_all(paid, *(refund(f"rf_{n}", 1, "failed", LATER) for n in (1, 2, 4)))
    assert await rows(paid, PAYMENT) == [("paid", 0, False)]
    assert [row[:2] for row in await rows(paid, REFUNDS)] == [(f"rf_{n}", "failed") for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("unclear", ["requires_action", "unknown"])
async def test_a_refund_whose_end_is_open_is_pending(paid: UnitOfWorkFactory, unclear: str) -> None:
    await take_all(paid, refund("rf_1", 500, unclear))
    assert await rows(paid, PAYMENT) == [("paid", 0, True)]
    await take_all(paid, refund("rf_1", 500, "canceled", LATER))
    assert await rows(paid, PAYMENT) == [("paid", 0, False)]


async def test_an_older_answer_never_overwrites_a_newer_one(paid: UnitOfWorkFactory) -> None:
    newer, older = refund("rf_1", 500, "succeeded", LATER), refund("rf_1", 500, "pending", AT)
    await take_all(paid, newer)
    await take_all(paid, older)
    assert await rows(paid, REFUNDS) == [("rf_1", "succeeded", 500)]
    assert await rows(paid, PAYMENT) == [("partially_refunded", 500, False)]


async def test_the_newest_of_several_answers_in_one_batch_counts(paid: UnitOfWorkFactory) -> None:
    answers = [refund("rf_1", 500, "pending", AT), refund("rf_1", 500, "succeeded", LATER)]
    await take_all(paid, *answers, *answers[::-1])
    assert await rows(paid, REFUNDS) == [("rf_1", "succeeded", 500)]


async def test_the_same_refund_twice_at_once_is_one(paid: UnitOfWorkFactory) -> None:
    await asyncio.gather(*(take_all(paid, refund("rf_1", 500)) for _ in range(8)))
    assert await rows(paid, REFUNDS) == [("rf_1", "succeeded", 500)]
    assert await rows(paid, PAYMENT) == [("partially_refunded", 500, False)]


async def test_many_refunds_of_one_payment_at_once_all_count(paid: UnitOfWorkFactory) -> None:
    await asyncio.gather(*(take_all(paid, refund(f"rf_{number}", 100)) for number in range(10)))
    assert await rows(paid, PAYMENT) == [("partially_refunded", 1000, False)]
