"""Payments that the gateway settles in another currency than their own: both balance, and nothing is left over."""

from typing import Any

import pytest

from quntedge.reconciliation.errors import CannotBeAdjusted
from quntedge.reconciliation.settling import Verdict
from tests.reconciliation.test_movements import open_ones
from tests.reconciliation.world import World

# Whole minor units of what came of each payment, and of what was kept of it.
AT_WHOP = """
    SELECT currency, sum(minor)::bigint AS minor FROM (
        SELECT currency, sum(amount_minor) + round(sum(residue) / 1e8) AS minor
        FROM gateway_movement
        GROUP BY currency, payment_id, CASE WHEN kind IN ('charge', 'refund', 'dispute') THEN '' ELSE kind END
    ) AS part GROUP BY 1 HAVING sum(minor) <> 0
"""
STANDS = """
    SELECT currency, sum(amount_minor)::bigint AS minor FROM ledger_line WHERE account = :account
    GROUP BY 1 HAVING sum(amount_minor) <> 0 ORDER BY 1
"""


async def stands(world: World, account: str) -> dict[str, int]:
    return {row["currency"]: row["minor"] for row in await world.rows(STANDS, account=account)}


async def at_whop(world: World) -> dict[str, int]:
    return {row["currency"]: row["minor"] for row in await world.rows(AT_WHOP)}


async def sell(world: World, name: str) -> str:
    """A quarter for 69 euros, of which we have heard."""
    payment = await world.buy(name, currency="eur")
    await world.learn()
    return payment


async def verified(world: World) -> list[Any]:
    work = world.runtime.bookkeeping.verification(world.runtime.engine)
    found = [finding async for portion in work.payments() for finding in portion.findings]
    return found + [finding async for portion in work.entries() for finding in portion.findings] + await work.sums()


@pytest.mark.long
async def test_what_was_exchanged_leaves_no_difference(world: World) -> None:
    await world.emulator.set_taxes({"de": 1900})
    await world.emulator.settle_in("usd", "eur", "1.08431")
    one, other = await sell(world, "kim"), await sell(world, "lou")
    await world.run()
    assert await open_ones(world) == []
    # 69.00 euros are 74.81739 dollars; of those fees of 1.863, 0.30 and 0.69 euros are kept.
    assert await stands(world, "gateway_clearing") == await at_whop(world)
    assert await stands(world, "conversion") == {"eur": 2 * 6900, "usd": -2 * 7482}
    assert await stands(world, "revenue") == {"eur": -2 * 6900}, "sales stay in the currency they were made in"
    assert set(await stands(world, "gateway_fees")) == {"usd"}

    # A part goes back, a dispute is lost, another one won, each at the rate of its own day.
    await world.emulator.settle_in("usd", "eur", "1.07")
    await world.refund(one, 10)
    lost = await world.emulator.open_dispute(other)
    won = await world.emulator.open_dispute(await sell(world, "mia"))
    await world.learn()
    await world.run()
    [refund] = await world.rows("SELECT currency, amount_minor FROM refund")
    assert (refund["currency"], refund["amount_minor"]) == ("eur", 1000), "Whop tells 10.70 dollars first"
    assert await stands(world, "gateway_clearing") == await at_whop(world)
    await world.emulator.settle_in("usd", "eur", "1.06")
    await world.emulator.rule_dispute(lost["id"], "lost")
    await world.emulator.rule_dispute(won["id"], "won")
    await world.learn()
    await world.run()
    assert await open_ones(world) == []
    assert await stands(world, "gateway_clearing") == await at_whop(world)
    assert await verified(world) == []
    before = await stands(world, "conversion")
    run = await world.run()
    assert (run.found, await stands(world, "conversion")) == (0, before), "and once is enough"


@pytest.mark.long
async def test_what_looks_wrong_waits_for_two_people(world: World) -> None:
    await world.emulator.settle_in("usd", "eur", "1.08")
    await sell(world, "kim")
    await world.run()
    await world.emulator.settle_in("usd", "eur", "10.8")
    payment = await sell(world, "lou")
    await world.run()
    [row] = await open_ones(world)
    assert (row["cause"], row["measure"], row["currency"]) == ("conversion", "conversion", "usd")
    assert row["amount_minor"] == 74520
    assert await stands(world, "conversion") == {"eur": 6900, "usd": -7452}
    settling, one = world.reconciliation.settling, str(row["id"])
    async with world.runtime.units() as unit:
        await settling.resolve(unit, one, Verdict("adjusted", "Whop says so, case 4711", "staff:robin"))
        await settling.approve(unit, one, "staff:lee")
        await unit.commit()
    await world.run()
    assert await open_ones(world) == []
    assert await stands(world, "gateway_clearing") == await at_whop(world)
    # What moved in the payment's own currency as well is not one exchange: nobody can book it by a word.
    await world.emulator.add_movement("payment_gross", "5.00", payment_id=payment, currency="eur")
    await world.emulator.advance(minutes=10)
    await world.run()
    assert [(row["cause"], row["currency"]) for row in await open_ones(world)] == [("moved", "eur")]


async def test_several_currencies_cannot_be_agreed_to(world: World) -> None:
    await world.emulator.settle_in("usd", "eur", "1.08")
    payment = await sell(world, "kim")
    await world.emulator.add_movement("payment_gross", "5.000", payment_id=payment, currency="kwd")
    await world.emulator.advance(minutes=10)
    await world.run()
    found = await open_ones(world)
    assert {(row["measure"], row["currency"]) for row in found} == {("conversion", "kwd"), ("conversion", "usd")}
    async with world.runtime.units() as unit:
        for row in found:
            with pytest.raises(CannotBeAdjusted, match="not one payment exchanged"):
                await world.reconciliation.settling.resolve(unit, str(row["id"]), Verdict("adjusted", "why not", "kim"))
