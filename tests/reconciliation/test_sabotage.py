"""Somebody or something changes the books, ours or Whop's, behind everybody's back: each change is found, and named."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from quntedge.kit.money import Money
from tests.reconciliation.test_movements import stands
from tests.reconciliation.test_older import nightly
from tests.reconciliation.world import World

_ENTRY = text(
    "INSERT INTO ledger_entry (id, kind, source, sequence, line_count, occurred_at, posted_at, cause, reason,"
    " requested_by, approved_by)"
    " VALUES (:id, :kind, :source, :sequence, 2, :at, :at, 'forged', 'why not', 'staff:kim', 'staff:lee')"
)
_LINES = text(
    "INSERT INTO ledger_line (entry_id, position, account, currency, amount_minor, occurred_at)"
    " VALUES (:id, 1, :debit, 'usd', 1000, :at), (:id, 2, :credit, 'usd', -1000, :at)"
)


async def forge(world: World, kind: str, source: str, debit: str, credit: str, sequence: int = 0) -> None:
    """A balanced entry of 10 dollars that the database takes."""
    values = {"id": f"led_{kind}_{source}", "at": world.now() - timedelta(hours=1)}
    async with world.runtime.units() as unit:
        await unit.session.execute(_ENTRY, values | {"kind": kind, "source": source, "sequence": sequence})
        await unit.session.execute(_LINES, values | {"debit": debit, "credit": credit})
        await unit.commit()


async def open_ones(world: World) -> dict[tuple[str, str], str]:
    rows = await world.rows("SELECT object_id, measure, cause FROM money_difference WHERE resolution IS NULL")
    return {(row["object_id"], row["measure"]): row["cause"] for row in rows}


def at_whop(world: World) -> Any:
    """What Whop believes, to be tampered with."""
    return world.emulator.runtime.world.store.tables


async def test_entries_that_nothing_accounts_for_are_found_whatever_they_are_about(world: World) -> None:
    await world.known()
    [paid] = await world.rows("SELECT id FROM payment_transaction")
    await forge(world, "payout", "wdrl_nobody", "bank", "gateway_clearing")
    await forge(world, "dispute", "dsp_nobody", "dispute_losses", "gateway_clearing")
    await forge(world, "adjustment", "mdf_nobody", "adjustments", "gateway_clearing")
    await forge(world, "rounding", "mdf_no", "gateway_clearing", "rounding")
    await forge(world, "fee", "txn_nobody", "gateway_fees", "gateway_clearing")
    await forge(world, "refund", "ref_nobody", "refunds", "gateway_clearing")
    # Of something that exists, but on accounts on which it has no business.
    await forge(world, "payment", paid["id"], "bank", "gateway_clearing", sequence=7)
    await world.run()
    assert await open_ones(world) == {
        ("wdrl_nobody", "other"): "ledger_orphan",
        ("dsp_nobody", "other"): "ledger_orphan",
        ("mdf_nobody", "other"): "ledger_orphan",
        ("mdf_no", "other"): "ledger_orphan",
        ("txn_nobody", "other"): "ledger_orphan",
        ("ref_nobody", "refund"): "ledger_orphan",
        (paid["id"], "charge"): "ledger_orphan",
    }
    work = world.runtime.bookkeeping.verification(world.runtime.engine)
    said = {found.subject: found.what async for portion in work.entries() for found in portion.findings}
    assert said[f"led_payment_{paid['id']}"] == "is on an account that no entry about a payment is on"
    # Undone by its mirror image, it stands for nothing any more.
    async with world.runtime.units() as unit:
        await world.runtime.bookkeeping.ledger.reverse(
            unit, ["led_payout_wdrl_nobody"], occurred_at=world.now(), cause="test"
        )
        await unit.commit()
    await world.run()
    assert ("wdrl_nobody", "other") not in await open_ones(world)


async def test_what_whop_says_otherwise_than_before_is_found(world: World) -> None:
    moved, dearer, gone = [await world.buy(name) for name in ("kim", "lou", "mia")]
    await world.learn()
    payout = await world.emulator.pay_out(amount=30, fee=0.25)
    await world.emulator.advance(minutes=10)
    await world.run()
    assert await open_ones(world) == {}
    tables = at_whop(world)
    tables.payments[moved].paid_at += timedelta(days=29)
    tables.payments[dearer].total = Money(7600, "usd")
    del tables.payments[gone], tables.payouts[payout["id"]]
    await world.emulator.advance(days=30)
    await world.run(until=world.now() - timedelta(days=29))
    found = await open_ones(world)
    assert found[moved, "month"] == "month"
    assert found[gone, "charge"] == "missing_at_gateway"
    assert found[payout["id"], "payout"] == "missing_at_gateway"
    # Read again, it is booked as Whop has it now.
    assert (dearer, "charge") not in found
    assert await stands(world, "revenue") == -(7500 + 7600 + 7500)
    [month] = await world.rows("SELECT detail, owner FROM money_difference WHERE measure = 'month'")
    assert month == {
        "detail": "collected on 2026-10-01 at the gateway, on 2026-09-02 in the ledger",
        "owner": "finance",
    }


async def test_a_currency_that_changes_is_not_overlooked(world: World) -> None:
    payment = await world.known()
    await world.run()
    charged = at_whop(world).payments[payment]
    charged.total, charged.subtotal, charged.refunded = Money(7500, "eur"), Money(7500, "eur"), Money.zero("eur")
    await world.emulator.advance(minutes=10)
    await world.run()
    assert ("status", "charge", "repaired") in await world.found()
    assert (await stands(world, "revenue"), await stands(world, "revenue", "eur")) == (0, -7500)


@pytest.mark.long
async def test_payouts_are_seen_to_arrive_and_to_come_back_however_late(world: World) -> None:
    await world.known()
    paid = await world.emulator.pay_out(amount=30, fee=0.25)
    slow = await world.emulator.pay_out(amount=10, status="processing")
    await world.emulator.advance(hours=25)
    await nightly(world)
    assert (await stands(world, "bank"), await stands(world, "payout_in_transit")) == (2975, 1000)
    # No worker for two months: what was sold meanwhile, in more than the nightly range, is compared all the same.
    await world.emulator.advance(days=5)
    payment = await world.buy("lou", "lifetime")
    await world.emulator.advance(days=55)
    await world.emulator.move_payout(paid["id"], "reversed")
    await world.emulator.move_payout(slow["id"], "completed")
    await world.emulator.advance(minutes=10)
    await nightly(world)
    assert (await stands(world, "bank"), await stands(world, "payout_in_transit")) == (1000, 0)
    known = await world.rows("SELECT whop_payment_id FROM payment_transaction")
    assert {"whop_payment_id": payment} in known
