"""Fees, disputes, payouts, fractions and movements nobody expected."""

import pytest

from quntedge.kit.errors import QuntedgeError
from quntedge.reconciliation import queries
from quntedge.reconciliation.queries import Filter
from quntedge.reconciliation.rules import Stage
from quntedge.reconciliation.settling import Verdict
from tests.reconciliation.world import SINCE, World


async def resolve(world: World, resolution: str, note: str = "looked into it", by: str = "robin") -> None:
    """Says the same of all open differences; what has to be approved is, by somebody else."""
    settling = world.reconciliation.settling
    async with world.runtime.units() as unit:
        for row in (await queries.differences(unit, Filter(), None, 100)).data:
            said = await settling.resolve(unit, row.id, Verdict(resolution, note, by))
            if said.resolution is None:
                await settling.approve(unit, row.id, "lee")
        await unit.commit()


async def balance(world: World, account: str = "gateway_clearing") -> int:
    [row] = await world.rows(
        "SELECT coalesce(sum(amount_minor), 0) AS minor FROM ledger_line WHERE account = :account", account=account
    )
    return int(row["minor"])


async def test_a_fee_nobody_expected_stays_until_it_is_adjusted_or_gone(world: World) -> None:
    payment = await world.known()
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.44", payment_id=payment)
    before = await balance(world)
    run = await world.run()
    assert await world.found() == [("fee", "fee", None)]
    assert (await world.sums(run.id))["fee", "usd"] == (277, 233, 233, 0)
    await resolve(world, "adjusted", "the buyer's bank is abroad")
    assert await balance(world) == before - 44
    assert await balance(world, "adjustments") == 44
    [entry] = await world.rows("SELECT reason, requested_by, approved_by FROM ledger_entry WHERE kind = 'adjustment'")
    assert entry == {"reason": "the buyer's bank is abroad", "requested_by": "robin", "approved_by": "lee"}
    run = await world.run()
    assert await world.found() == [("fee", "fee", "adjusted")], "what is explained is not found again"
    assert (await world.sums(run.id))["fee", "usd"] == (277, 233, 233, 0)
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.01", payment_id=payment)
    await world.run()
    assert await world.found() == [("fee", "fee", None), ("fee", "fee", "adjusted")], "but what changed since is"


async def test_fees_that_only_the_feed_tells_are_posted(world: World) -> None:
    await world.known()
    await world.change("UPDATE payment_transaction SET fee_minor = NULL")
    payment = await world.rows("SELECT whop_payment_id AS id FROM payment_transaction")
    await world.emulator.add_movement("fx_percentage_fee", "-1.00", payment_id=payment[0]["id"])
    run = await world.run()
    assert await world.found() == [("fee", "fee", "repaired")]
    assert (await world.sums(run.id))["fee", "usd"] == (333, None, 333, 0)
    assert await balance(world, "gateway_fees") == 333


async def test_half_a_cent_is_posted_as_rounding(world: World) -> None:
    payment = await world.known()
    await world.emulator.add_movement("fx_percentage_fee", "-0.00600000", payment_id=payment)
    before = await balance(world)
    run = await world.run()
    assert await world.found() == [("rounding", "fee", "adjusted")]
    assert await balance(world) == before - 1
    assert (await world.sums(run.id))["fee", "usd"] == (234, 233, 233, 0)
    await world.emulator.add_movement("onboarding_reward", "0.00600000")
    await world.emulator.advance(minutes=10)
    await world.run()
    assert await balance(world) == before, "what comes in is a gain"
    await world.emulator.add_movement("fx_percentage_fee", "-0.00300000", payment_id=payment)
    await world.run()
    assert len(await world.found()) == 2, "nine tenths of a cent are a cent as well"


async def test_disputes_we_did_not_hear_of_are_read(world: World) -> None:
    payment = await world.known()
    dispute = await world.emulator.open_dispute(payment)
    await world.emulator.advance(minutes=10)
    run = await world.run()
    assert ("dispute", "dispute", "repaired") in await world.found()
    assert all(resolution == "repaired" for _, _, resolution in await world.found())
    assert (await world.sums(run.id))["dispute", "usd"] == (7500, 7500, 7500, 0)
    assert (await world.sums(run.id))["dispute_fee", "usd"] == (1500, 1500, 1500, 0)
    await world.emulator.rule_dispute(dispute["id"], "won")
    await world.learn()
    run = await world.run()
    assert (await world.sums(run.id))["dispute", "usd"] == (0, 0, 0, 0)
    assert await balance(world) == 7500 - 233 - 1500


async def test_payouts_are_posted_on_their_way_and_back(world: World) -> None:
    await world.known()
    made = await world.emulator.pay_out(amount=50, fee=1, status="processing")
    await world.emulator.advance(minutes=10)
    run = await world.run()
    assert (await world.sums(run.id))["payout", "usd"] == (4900, None, 4900, 0)
    assert (await balance(world, "payout_in_transit"), await balance(world, "bank")) == (4900, 0)
    await world.emulator.move_payout(made["id"], "completed")
    await world.run()
    assert (await balance(world, "payout_in_transit"), await balance(world, "bank")) == (0, 4900)
    await world.emulator.move_payout(made["id"], "reversed")
    await world.run()
    assert (await balance(world, "bank"), await balance(world, "payout_fees")) == (0, 0)
    assert await balance(world) == 7500 - 233
    assert await world.found() == [], "nobody but the gateway tells of payouts: none of this is a difference"


async def test_a_payout_that_stands_wrongly_in_the_ledger_is_put_right(world: World) -> None:
    await world.known()
    await world.emulator.pay_out(amount=50)
    await world.emulator.advance(minutes=10)
    run_id = await world.reconciliation.service.begin(SINCE, None, trigger="manual", requested_by="test")

    def tamper(stage: Stage, share: float, rows: int) -> None:
        if stage is Stage.PAYOUTS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await world.reconciliation.service.work(run_id, tamper)
    await world.change(
        "WITH made AS (INSERT INTO ledger_entry (id, kind, source, sequence, line_count, occurred_at, posted_at, cause)"
        " SELECT 'led_test', 'payout', source, 7, 2, occurred_at, posted_at, 'test' FROM ledger_entry"
        " WHERE kind = 'payout' RETURNING *)"
        " INSERT INTO ledger_line (entry_id, position, account, currency, amount_minor, occurred_at)"
        " SELECT id, position, account, 'usd', amount, occurred_at FROM made,"
        " (VALUES (1, 'gateway_clearing', 7), (2, 'bank', -7)) AS line (position, account, amount)"
    )
    await world.emulator.advance(minutes=10)
    run = await world.reconciliation.service.work(run_id)
    assert (run.state, await world.found()) == ("done", [("payout", "payout", "repaired")])
    assert await balance(world, "bank") == 5000


async def test_a_movement_that_belongs_to_nothing_is_shown(world: World) -> None:
    await world.known()
    movement = await world.emulator.add_movement("onboarding_reward", "25.00")
    await world.emulator.advance(minutes=10)
    await world.run()
    assert await world.found() == [("movement", "other", None)]
    [row] = await world.rows("SELECT object_id, amount_minor, owner FROM money_difference")
    assert row == {"object_id": movement["id"], "amount_minor": 2500, "owner": "finance"}
    with pytest.raises(QuntedgeError, match="Say one of"):
        await resolve(world, "repaired")
    with pytest.raises(QuntedgeError, match="note"):
        await resolve(world, "explained", "x")
    await resolve(world, "adjusted", "a present from Whop")
    assert await balance(world) == 7500 - 233 + 2500
    await world.run()
    assert await world.found() == [("movement", "other", "adjusted")]
