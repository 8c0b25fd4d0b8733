"""Fees that nobody tells us of in time are learned and posted, without waiting for a comparison."""

from datetime import UTC, datetime

import pytest

from tests.reconciliation.test_movements import stands
from tests.reconciliation.world import World


async def test_what_a_payment_cost_that_was_refunded_before_we_saw_it(world: World) -> None:
    payment = await world.buy()
    await world.refund(payment, 10)
    await world.learn()
    assert await world.rows("SELECT fee_minor FROM payment_transaction") == [{"fee_minor": None}]
    await world.emulator.faults(fault="error_before", match="GET /payments/*/fees", times=3)
    assert await world.runtime.awaited_fees.post_due() == 1
    assert await stands(world, "gateway_fees") == 0
    await world.emulator.disarm()
    await world.emulator.advance(hours=7)
    assert await world.runtime.awaited_fees.post_due() == 1
    assert await world.rows("SELECT fee_minor FROM payment_transaction") == [{"fee_minor": 233}]
    assert (await stands(world, "gateway_fees"), await stands(world, "gateway_clearing")) == (233, 7500 - 1000 - 233)
    assert await world.rows("SELECT source FROM fee_awaited") == []
    await world.run()
    assert await world.found() == [], "nothing is left to be mended"
    verification = world.runtime.bookkeeping.verification(world.runtime.engine)
    assert [finding async for portion in verification.payments() for finding in portion.findings] == []


async def test_what_an_alert_cost(world: World) -> None:
    payment = await world.known()
    await world.emulator.raise_alert(payment, type="dispute_alert", fee_charged=True)
    await world.learn()
    assert await stands(world, "dispute_fees") == 2900, "in the transaction that stored it"
    await world.run()
    assert await world.found() == []


@pytest.mark.long
async def test_a_month_with_every_kind_of_movement_is_closed(world: World) -> None:
    """Charges with tax that Whop remits, partial refunds, disputes lost and won, an alert, payouts with a fee, one of
    which comes back, fees in other currencies and fractions: nothing is left unexplained."""
    await world.emulator.set_taxes({"de": 1900})
    names = ("kim", "lee", "max", "noa", "pat", "sam")
    kim, lee, max_, noa, pat, sam = [await world.buy(name) for name in names]
    # Disputes and alerts cost dollars, whatever was paid in.
    abroad = await world.buy("uma", currency="eur")
    await world.learn()
    await world.emulator.open_dispute(abroad)
    await world.refund(kim, 10)
    await world.refund(kim, 5.55)
    lost = await world.emulator.open_dispute(lee)
    won = await world.emulator.open_dispute(max_)
    await world.emulator.raise_alert(noa, type="dispute_alert", fee_charged=True)
    await world.emulator.add_movement("fx_percentage_fee", "-0.50", payment_id=pat, currency="eur")
    await world.emulator.add_movement("fx_percentage_fee", "-0.00600000", payment_id=sam)
    await world.emulator.advance(days=3)
    await world.learn()
    await world.emulator.rule_dispute(lost["id"], "lost")
    await world.emulator.rule_dispute(won["id"], "won")
    await world.emulator.pay_out(amount=50, fee=1)
    returned = await world.emulator.pay_out(amount=20, fee=1)
    await world.emulator.advance(days=3)
    await world.emulator.move_payout(returned["id"], "reversed")
    late = await world.buy("zoe")
    await world.refund(late, 1)
    await world.learn()
    while await world.runtime.awaited_fees.post_due():
        pass
    await world.emulator.advance(to="2026-10-05T00:00:00Z")
    run = await world.run(until=datetime(2026, 10, 1, tzinfo=UTC))
    assert await world.rows("SELECT id FROM money_difference WHERE resolution IS NULL") == []
    assert {unexplained for *_, unexplained in (await world.sums(run.id)).values()} == {0}
    kinds = {measure for measure, _ in await world.sums(run.id)}
    assert kinds >= {"charge", "fee", "refund", "dispute", "dispute_fee", "payout", "payout_fee"}
    async with world.runtime.units() as unit:
        await world.reconciliation.settling.close(unit, "2026-09", "robin")
        await unit.commit()
    # What the ledger says is at Whop is what is there, in every currency.
    for currency in ("usd", "eur"):
        there = await world.rows(
            "SELECT sum(amount_minor) + round(sum(residue) / 1e8) AS minor FROM gateway_movement WHERE currency = :c",
            c=currency,
        )
        assert await stands(world, "gateway_clearing", currency) == there[0]["minor"]
