"""Deliveries that come late, twice, backwards, alone, in old shapes, or not at all."""

import asyncio
from typing import Any

from tests.disputes.world import SECRET, World


async def _told(world: World) -> dict[str, Any]:
    """What we hold, apart from ids and times of our own."""
    dispute = await world.row(
        "SELECT d.status, d.withdrawn_minor, d.inquiry, p.disputed_minor, p.dispute_status, p.status AS payment"
        " FROM dispute d JOIN payment_transaction p ON p.id = d.transaction_id"
    )
    return dispute | {"access": await world.allowed()}


async def test_backwards_and_twice_comes_to_the_same(world: World) -> None:
    """Every delivery is only a hint: what is applied is what Whop says when asked."""
    await world.buy("held")
    opened = await world.emulator.open_dispute(world.payment_id)
    await world.advance(hours=1)
    await world.emulator.rule_dispute(opened["id"], "under_review")
    await world.advance(hours=1)
    await world.emulator.rule_dispute(opened["id"], "won")
    deliveries = [d for d in await world.pending() if b'"dispute.' in d.body]
    assert len(deliveries) == 3
    for delivery in [*reversed(deliveries), *deliveries]:
        await world.take([delivery])
    assert await _told(world) == {
        "status": "won",
        "withdrawn_minor": 0,
        "inquiry": False,
        "disputed_minor": 0,
        "dispute_status": "won",
        "payment": "paid",
        "access": (True, "subscription_active"),
    }
    assert [(move.status, move.opened, move.won) for move in world.moves] == [("won", True, True)]


async def test_a_dispute_about_a_payment_nobody_told_us_of(world: World) -> None:
    user_id = await world.sign_up("new@customers.test")
    view = await world.runtime.services.checkout.start(user_id, "kept", "buy")
    bought = await world.emulator.pay(str(view.purchase_url).partition("session=")[2], email="new@customers.test")
    await world.emulator.open_dispute(bought["payment"]["id"])
    only = [d for d in await world.pending() if b'"dispute.created"' in d.body]
    await world.take(only)
    (row,) = await world.rows("SELECT user_id, subscription_id IS NOT NULL AS linked FROM dispute")
    assert row == {"user_id": user_id, "linked": True}


async def test_an_old_endpoint_speaks_old_shapes(world: World) -> None:
    """Unpinned endpoints carry nested objects, other names and no time of change: read again before it counts."""
    await world.buy()
    await world.emulator.register_webhook(f"{world.receiver.url}/old", SECRET, legacy=True)
    await world.emulator.raise_alert(world.payment_id, type="early_fraud_warning")
    await world.emulator.open_dispute(world.payment_id, reason="product_not_received")
    old = [d for d in await world.pending() if b'"company_id"' in d.body and b'"type":"dispute' in d.body]
    assert len(old) == 2
    await world.take(old)
    row = await world.row("SELECT status, reason, reason_code, fee_minor, gateway_updated_at FROM dispute")
    assert (row["status"], row["reason"], row["reason_code"], row["fee_minor"]) == (
        "needs_response",
        "product_not_received",
        "13.1",
        1500,
    )
    assert row["gateway_updated_at"] is not None
    assert (await world.row("SELECT kind FROM dispute_alert"))["kind"] == "early_fraud_warning"


async def test_what_nobody_tells_us_is_found(world: World) -> None:
    await world.buy("held")
    await world.emulator.open_dispute(world.payment_id)
    await world.emulator.raise_alert(world.payment_id, type="dispute_alert")
    await world.pending()  # lost on the way
    assert await world.runtime.disputes.discover(world.clock.now()) == 2
    assert await world.allowed() == (False, "payment_disputed")
    assert (await world.row("SELECT count(*) AS n FROM dispute_alert"))["n"] == 1
    assert await world.runtime.disputes.discover(world.clock.now()) == 0


async def test_an_open_dispute_is_read_again_every_day(world: World) -> None:
    await world.buy("held")
    dispute_id = await world.dispute()
    assert await world.runtime.disputes.check() == 0

    await world.emulator.rule_dispute(dispute_id, "won")
    await world.advance(hours=25)
    await world.pending()  # lost on the way
    assert await world.runtime.disputes.check() == 1
    assert (await _told(world))["status"] == "won"
    assert await world.allowed() == (True, "subscription_active")
    await world.advance(hours=25)
    assert await world.runtime.disputes.check() == 0


async def test_staff_is_told_once_before_the_time_for_evidence_runs_out(world: World) -> None:
    await world.buy()
    await world.dispute(respond_within_days=7)

    async def remind() -> int:
        async with world.runtime.units() as unit:
            count = await world.runtime.services.disputes.service.remind(unit, unit.clock.now())
            await unit.commit()
        return count

    await world.advance(hours=95)
    assert await remind() == 0
    # Three days before there is a mail, two days before an alarm, one day before another mail.
    for step in (1, 24, 24):
        await world.advance(hours=step)
        assert await remind() == 1
        await world.runtime.disputes.check()
        assert await remind() == 0
    assert await world.alarms() == ["deadline"]


async def test_two_who_find_the_same_dispute_at_once_write_it_once(world: World) -> None:
    await world.buy("held")
    await world.emulator.open_dispute(world.payment_id)
    await world.pending()
    now = world.clock.now()
    await asyncio.gather(*(world.runtime.disputes.discover(now) for _ in range(4)))
    assert (await world.row("SELECT count(*) AS n FROM dispute"))["n"] == 1
    assert [move.opened for move in world.moves] == [True]
    assert (await world.history()).count("payment.disputed") == 1
