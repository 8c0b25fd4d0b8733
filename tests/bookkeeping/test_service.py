"""What money events mean in the ledger."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.bookkeeping.positions import Payout
from quntedge.bookkeeping.rules import PayoutState
from quntedge.gateway.port import PaymentStatus
from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.ledger.rules import Account
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.bookkeeping.world import Books

ENTRIES = "SELECT kind, sequence, reverses IS NOT NULL FROM ledger_entry ORDER BY id"


async def test_a_payment_is_divided_among_what_it_is_made_of(books: Books) -> None:
    await books.pay(total=3161, tax=261, net=2785)
    assert await books.stands() == {
        Account.GATEWAY_CLEARING: 2785,
        Account.GATEWAY_FEES: 115,
        Account.TAX_REMITTED: 261,
        Account.REVENUE: -2900,
        Account.TAX_PAYABLE: -261,
    }
    assert await books.findings() == []


async def test_tax_that_stays_with_the_seller_is_a_debt(
    units: UnitOfWorkFactory, clock: FrozenClock, engine: AsyncEngine
) -> None:
    books = await Books(units, clock, engine, gateway_remits=False).open()
    await books.pay(total=3161, tax=261, net=3046)
    assert await books.stands() == {
        Account.GATEWAY_CLEARING: 3046,
        Account.GATEWAY_FEES: 115,
        Account.REVENUE: -2900,
        Account.TAX_PAYABLE: -261,
    }
    assert await books.findings() == []


async def test_what_was_not_collected_or_is_nothing_is_not_posted(books: Books) -> None:
    await books.pay("pay_open", status=PaymentStatus.OPEN)
    await books.pay("pay_trial", total=0)
    await books.pay("pay_void", status=PaymentStatus.VOID)
    assert await books.rows(ENTRIES) == []
    await books.pay("pay_open", net=3000)
    assert await books.rows(ENTRIES) == [("payment", 0, False)]
    assert await books.findings() == []


async def test_fees_that_become_known_or_change_later_are_posted_as_differences(books: Books) -> None:
    await books.pay(total=2900)
    assert await books.stands() == {Account.GATEWAY_CLEARING: 2900, Account.REVENUE: -2900}
    await books.pay(total=2900, net=2800)
    assert await books.stands() == {
        Account.GATEWAY_CLEARING: 2800,
        Account.GATEWAY_FEES: 100,
        Account.REVENUE: -2900,
    }
    await books.pay(total=2900, net=2800, tax=0)
    await books.say(books.snapshots["pay_1"])
    assert await books.rows(ENTRIES) == [("payment", 0, False), ("payment", 1, False)]
    assert await books.findings() == []


async def test_silence_about_fees_takes_nothing_back(books: Books) -> None:
    await books.pay(total=2900, net=2800)
    await books.execute("UPDATE payment_transaction SET fee_minor = NULL, net_minor = NULL")
    await books.pay(total=2900)
    assert (await books.stands())[Account.GATEWAY_FEES] == 100


async def test_refunds_take_back_exactly_the_tax(books: Books) -> None:
    await books.pay(total=3161, tax=261, net=2785)
    taxes = []
    for number, amount in enumerate([1000, 1000, 1, 1160]):
        await books.refund(f"rf_{number}", amount)
        assert await books.findings() == []
        taxes.append(-(await books.stands()).get(Account.TAX_PAYABLE, 0))
    # 261 · 1000/3161 = 82.57, 261 · 2000/3161 = 165.14, 261 · 2001/3161 = 165.22
    assert taxes == [261 - 83, 261 - 165, 261 - 165, 0]
    stands = await books.stands()
    assert stands[Account.REFUNDS] == -stands[Account.REVENUE] == 2900
    assert stands[Account.GATEWAY_CLEARING] == -(115 + 261)


async def test_a_refund_that_failed_after_all_is_undone(books: Books) -> None:
    await books.pay(total=3161, tax=261)
    paid = await books.stands()
    await books.refund("rf_1", 1000, "pending")
    assert await books.stands() == paid
    await books.refund("rf_1", 1000)
    await books.refund("rf_1", 1000)
    assert (await books.stands())[Account.REFUNDS] == 917
    await books.refund("rf_1", 1000, "failed")
    assert await books.stands() == paid
    assert await books.rows(ENTRIES) == [("payment", 0, False), ("refund", 0, False), ("refund", 1, True)]
    await books.refund("rf_1", 1000)
    await books.refund("rf_2", 2161)
    assert (await books.stands()).get(Account.TAX_PAYABLE, 0) == 0
    assert await books.findings() == []


async def test_an_undone_refund_leaves_the_others_their_own_tax(books: Books) -> None:
    await books.pay(total=100, tax=50)
    # 0.5 rounds to 1, and 1.0 of both together leaves 0 for the second, which alone is worth 1 again.
    await books.refund("rf_1", 1)
    await books.refund("rf_2", 1)
    await books.refund("rf_1", 1, "failed")
    assert await books.stands() == {
        Account.GATEWAY_CLEARING: 99,
        Account.REVENUE: -50,
        Account.TAX_PAYABLE: -49,
    }
    assert await books.findings() == []
    await books.refund("rf_1", 1)
    await books.refund("rf_3", 98)
    assert await books.stands() == {Account.REVENUE: -50, Account.REFUNDS: 50}
    assert await books.findings() == []


async def test_refunds_at_once_share_the_tax_between_them(books: Books) -> None:
    await books.pay(total=1000, tax=5)
    await asyncio.gather(*(books.refund(f"rf_{number}", 100) for number in range(10)))
    assert await books.stands() == {Account.REVENUE: -995, Account.REFUNDS: 995}
    assert await books.findings() == []


async def test_a_dispute_that_is_won_costs_its_fee(books: Books) -> None:
    await books.pay(total=2900, net=2800)
    fee = Money(1500, "usd")
    await books.dispute("dspt_1", "needs_response", fee=fee)
    held = {Account.DISPUTED_FUNDS: 2900, Account.DISPUTE_FEES: 1500, Account.GATEWAY_CLEARING: 2800 - 2900 - 1500}
    assert await books.stands() == held | {Account.GATEWAY_FEES: 100, Account.REVENUE: -2900}
    await books.dispute("dspt_1", "under_review", fee=fee)
    await books.dispute("dspt_1", "won", fee=fee)
    assert await books.stands() == {
        Account.GATEWAY_CLEARING: 1300,
        Account.DISPUTE_FEES: 1500,
        Account.GATEWAY_FEES: 100,
        Account.REVENUE: -2900,
    }
    assert await books.findings() == []


async def test_a_dispute_that_is_lost_is_a_loss_and_no_refund(books: Books) -> None:
    await books.pay(total=2900, net=2800)
    await books.dispute("dspt_1", "needs_response")
    await books.dispute("dspt_1", "lost")
    stands = await books.stands()
    assert stands[Account.DISPUTE_LOSSES] == 2900
    assert Account.DISPUTED_FUNDS not in stands
    assert Account.REFUNDS not in stands
    assert await books.findings() == []


async def test_an_inquiry_moves_nothing(books: Books) -> None:
    await books.pay(total=2900)
    before = await books.stands()
    await books.dispute("dspt_1", "warning_needs_response", inquiry=True)
    await books.dispute("dspt_1", "warning_closed", inquiry=True)
    assert await books.stands() == before


async def test_a_dispute_fee_is_in_its_own_currency(books: Books) -> None:
    await books.pay(total=2900, currency="eur")
    await books.dispute("dspt_1", "needs_response", fee=Money(1500, "usd"))
    assert await books.stands("usd") == {Account.DISPUTE_FEES: 1500, Account.GATEWAY_CLEARING: -1500}
    assert await books.stands("eur") == {Account.DISPUTED_FUNDS: 2900, Account.REVENUE: -2900}
    assert await books.findings() == []


async def test_a_payout_travels_to_the_bank_or_comes_back(books: Books, clock: FrozenClock) -> None:
    async def payout(payout_id: str, state: PayoutState, fee: int = 25) -> bool:
        whole = Payout(payout_id, Money(10_000, "usd"), Money(fee, "usd"), state, clock.now(), "reconcile")
        async with books.units() as unit:
            is_new = await books.bookkeeping.service.post_payout(unit, whole)
            await unit.commit()
        return is_new

    assert sorted(await asyncio.gather(*(payout("po_1", PayoutState.IN_TRANSIT) for _ in range(4)))) == [0, 0, 0, 1]
    assert await books.stands() == {
        Account.PAYOUT_IN_TRANSIT: 10_000,
        Account.PAYOUT_FEES: 25,
        Account.GATEWAY_CLEARING: -10_025,
    }
    assert await payout("po_1", PayoutState.PAID)
    assert not await payout("po_1", PayoutState.PAID)
    assert await books.stands() == {Account.BANK: 10_000, Account.PAYOUT_FEES: 25, Account.GATEWAY_CLEARING: -10_025}
    assert await payout("po_1", PayoutState.RETURNED, fee=0)
    assert await books.stands() == {}


async def test_fees_as_the_gateway_lists_them_have_the_last_word(books: Books, clock: FrozenClock) -> None:
    await books.pay(total=3161, tax=261, net=2785)
    (transaction_id,) = (await books.rows("SELECT id FROM payment_transaction"))[0]

    async def listed(fees: int, tax: int) -> bool:
        async with books.units() as unit:
            posted = await books.bookkeeping.service.post_fees(
                unit,
                transaction_id,
                fees=Money(fees, "usd"),
                tax_remitted=Money(tax, "usd"),
                occurred_at=clock.now(),
                cause="reconcile",
            )
            await unit.commit()
        return posted

    assert not await listed(115, 261)
    assert await listed(376, 0)
    assert not await listed(376, 0)
    stands = await books.stands()
    assert (stands[Account.GATEWAY_FEES], stands[Account.GATEWAY_CLEARING]) == (376, 2785)
    assert Account.TAX_REMITTED not in stands
    assert await listed(120, 261)
    assert (await books.stands())[Account.GATEWAY_CLEARING] == 2780


async def test_a_correction_takes_two(books: Books) -> None:
    async def correct(source: str, requested_by: str, approved_by: str) -> bool:
        async with books.units() as unit:
            posted = await books.bookkeeping.service.post_adjustment(
                unit,
                source,
                debit=Account.ADJUSTMENTS,
                credit=Account.GATEWAY_CLEARING,
                amount=Money(7, "usd"),
                reason="written off",
                requested_by=requested_by,
                approved_by=approved_by,
                occurred_at=books.clock.now(),
                cause="cli",
            )
            await unit.commit()
        return posted

    with pytest.raises(psycopg.errors.CheckViolation, match="four_eyes"):
        await correct("dif_1", "kim", "kim")
    assert await books.stands() == {}
    assert [await correct("dif_1", "kim", "lee"), await correct("dif_1", "kim", "lee")] == [True, False]
    assert await books.stands() == {Account.ADJUSTMENTS: 7, Account.GATEWAY_CLEARING: -7}


async def test_a_rounding_is_posted_once(books: Books) -> None:
    for gain, expected in ((Money(-1, "usd"), True), (Money(-1, "usd"), False)):
        async with books.units() as unit:
            posted = await books.bookkeeping.service.post_rounding(
                unit, "po_1", gain=gain, occurred_at=books.clock.now() + timedelta(days=1), cause="reconcile"
            )
            await unit.commit()
        assert posted is expected
    assert await books.stands() == {Account.ROUNDING: 1, Account.GATEWAY_CLEARING: -1}
