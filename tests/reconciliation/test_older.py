"""What is older than the nightly range is looked at all the same: while it is not settled, and when it moves."""

from tests.reconciliation.test_movements import stands
from tests.reconciliation.world import World


async def nightly(world: World) -> None:
    assert await world.reconciliation.service.work_due() == 1


async def test_a_dispute_after_two_months_and_a_difference_of_long_ago_are_seen(world: World) -> None:
    payment = await world.known()
    await world.change(
        "INSERT INTO payment_transaction (id, user_id, whop_payment_id, status, raw_status, currency, total_minor,"
        " occurred_at, paid_at, created_at, updated_at)"
        " SELECT 'txn_made_up', user_id, 'pay_madeup', 'paid', 'paid', 'usd', 500, occurred_at, paid_at, created_at,"
        " updated_at FROM payment_transaction"
    )
    await world.emulator.advance(hours=25)
    await nightly(world)
    assert await world.found() == [("missing_at_gateway", "charge", None)]
    await world.emulator.advance(days=60)
    dispute = await world.emulator.open_dispute(payment)
    await world.emulator.advance(minutes=10)
    await nightly(world)
    found = await world.found()
    assert ("dispute", "dispute", "repaired") in found
    assert ("missing_at_gateway", "charge", None) in found
    assert (await stands(world, "disputed_funds"), await stands(world, "dispute_fees")) == (7500, 1500)
    looked_at = await world.rows(
        "SELECT object_id FROM reconciliation_older WHERE looked_at IS NOT NULL ORDER BY object_id = :payment",
        payment=payment,
    )
    assert [row["object_id"] for row in looked_at] == ["pay_madeup", payment]
    await world.emulator.advance(hours=25)
    await nightly(world)
    again = await world.rows("SELECT object_id FROM reconciliation_older")
    assert again == [{"object_id": "pay_madeup"}], "what is settled is left alone, what is open is not"
    await world.change("DELETE FROM payment_transaction WHERE id = 'txn_made_up'")
    await world.emulator.rule_dispute(dispute["id"], "lost")
    await world.emulator.advance(hours=25)
    await nightly(world)
    assert ("missing_at_gateway", "charge", "repaired") in await world.found()
    assert await world.rows("SELECT id FROM money_difference WHERE resolution IS NULL") == []


async def test_a_run_by_hand_looks_at_what_moved_in_its_range_only(world: World) -> None:
    payment = await world.known()
    await world.run()
    await world.emulator.advance(days=60)
    since = world.now()
    await world.refund(payment, 10)
    run = await world.run(since)
    assert [row["object_id"] for row in await world.rows("SELECT object_id FROM reconciliation_older")] == [payment]
    assert ("missing_here", "refund", "repaired") in await world.found()
    assert await stands(world, "refunds") == 1000
    assert set(await world.sums(run.id)) == {("refund", "usd")}, "what is older is in no sum of the range"
