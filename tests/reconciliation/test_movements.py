"""What the gateway's own ledger moved, compared with what it lists, and what is in which currency."""

import pytest
from sqlalchemy.exc import IntegrityError

from quntedge.kit.errors import QuntedgeError
from quntedge.reconciliation import queries
from quntedge.reconciliation.queries import Filter
from quntedge.reconciliation.settling import Verdict
from tests.reconciliation.world import World


async def stands(world: World, account: str, currency: str = "usd") -> int:
    [row] = await world.rows(
        "SELECT coalesce(sum(amount_minor), 0) AS minor FROM ledger_line WHERE account = :account AND currency = :c",
        account=account,
        c=currency,
    )
    return int(row["minor"])


async def open_ones(world: World) -> list[dict[str, object]]:
    return await world.rows(
        "SELECT id, cause, measure, object_kind, currency, gateway_minor, moved_minor, ledger_minor, amount_minor"
        " FROM money_difference WHERE resolution IS NULL ORDER BY measure, currency"
    )


async def test_the_gateways_ledger_is_held_against_its_lists(world: World) -> None:
    payment = await world.known()
    await world.refund(payment, 10)
    await world.learn()
    run = await world.run()
    sums = await world.rows("SELECT measure, moved_minor FROM reconciliation_sum WHERE run_id = :run", run=run.id)
    assert {row["measure"]: row["moved_minor"] for row in sums} == {"charge": 7500, "fee": None, "refund": None}
    # Part of the charge is taken back, another refund is made and more arrives in another currency: nothing lists it.
    await world.emulator.add_movement("payment_gross_reversal", "-5.00", payment_id=payment)
    await world.emulator.add_movement("payment_refund", "-3.00", payment_id=payment)
    await world.emulator.advance(minutes=10)
    await world.run()
    charge, refund = await open_ones(world)
    assert (charge["cause"], charge["measure"], charge["amount_minor"]) == ("moved", "charge", -500)
    assert (charge["gateway_minor"], charge["moved_minor"], charge["ledger_minor"]) == (7500, 7000, 7500)
    assert (refund["cause"], refund["object_kind"], refund["amount_minor"]) == ("moved", "payment", 300)
    assert (refund["gateway_minor"], refund["moved_minor"], refund["ledger_minor"]) == (None, 1300, 1000)
    before = await stands(world, "gateway_clearing")
    async with world.runtime.units() as unit:
        for row in (await queries.differences(unit, Filter(), None, 10)).data:
            await world.reconciliation.settling.resolve(unit, row.id, Verdict("adjusted", "taken by Whop", "robin"))
            await world.reconciliation.settling.approve(unit, row.id, "lee")
        await unit.commit()
    assert await stands(world, "gateway_clearing") == before - 500 - 300
    await world.run()
    assert await open_ones(world) == []
    await world.emulator.add_movement("payment_gross", "80.00", payment_id=payment, currency="eur")
    await world.emulator.advance(minutes=10)
    await world.run()
    [converted] = await open_ones(world)
    assert (converted["cause"], converted["currency"], converted["amount_minor"]) == ("conversion", "eur", 8000)


async def test_fees_are_booked_in_the_currency_they_were_taken_in(world: World) -> None:
    payment = await world.known()
    await world.emulator.add_movement("fx_percentage_fee", "-0.50", payment_id=payment, currency="eur")
    for _ in range(2):
        run = await world.run()
        assert await world.found() == [("fee", "fee", "repaired")]
    assert (await world.sums(run.id))["fee", "eur"] == (50, None, 50, 0)
    assert (await world.sums(run.id))["fee", "usd"] == (233, None, 233, 0)
    assert (await stands(world, "gateway_fees", "eur"), await stands(world, "gateway_clearing", "eur")) == (50, -50)
    # News of the payment change nothing about fees that were posted as they are listed.
    await world.change("UPDATE payment_transaction SET fee_minor = 240")
    async with world.runtime.units() as unit:
        [row] = await world.rows("SELECT id FROM payment_transaction")
        await world.runtime.bookkeeping.records.post(unit, [row["id"]], "test")
        await unit.commit()
    assert await stands(world, "gateway_fees") == 233


async def test_nobody_adjusts_alone(world: World) -> None:
    payment = await world.known()
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.44", payment_id=payment)
    await world.run()
    settling = world.reconciliation.settling
    [row] = await open_ones(world)
    one = str(row["id"])
    async with world.runtime.units() as unit:
        with pytest.raises(QuntedgeError, match="Nobody has proposed"):
            await settling.approve(unit, one, "lee")
        proposed = await settling.resolve(unit, one, Verdict("adjusted", "a card from abroad", "robin"))
        assert (proposed.resolution, proposed.proposed_by) == (None, "robin")
        with pytest.raises(QuntedgeError, match="somebody else"):
            await settling.approve(unit, one, "robin")
        await unit.commit()
    assert await world.rows("SELECT id FROM ledger_entry WHERE kind = 'adjustment'") == []
    with pytest.raises(IntegrityError, match="two_people"):
        await world.change(
            "UPDATE money_difference SET resolution = 'adjusted', resolved_at = now(), resolved_by = proposed_by"
        )
    with pytest.raises(IntegrityError, match="adjusted_by_two"):
        await world.change(
            "UPDATE money_difference SET resolution = 'adjusted', resolved_at = now(), resolved_by = 'lee',"
            " proposed_by = NULL, proposed_at = NULL"
        )
    await world.run()
    assert (await world.rows("SELECT proposed_by FROM money_difference")) == [{"proposed_by": "robin"}]
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.01", payment_id=payment)
    await world.run()
    async with world.runtime.units() as unit:
        with pytest.raises(QuntedgeError, match="amounts have changed"):
            await settling.approve(unit, one, "lee")
        await settling.resolve(unit, one, Verdict("adjusted", "a card from abroad", "robin"))
        assert (await settling.reject(unit, one, "robin")).proposed_by is None
