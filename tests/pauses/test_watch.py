"""Pauses that others make and end, reminders, and the look at the gateway when nobody has told us."""

from datetime import timedelta

import httpx

from quntedge.kit.ids import new_id
from quntedge.pauses.events import PauseBegan, PauseEnding
from quntedge.payments.events import PaymentRecorded
from tests.pauses.world import World


async def at_the_gateway(world: World, act: str) -> None:
    """Somebody pauses or resumes at the gateway's own pages."""
    headers = {"authorization": f"Bearer {world.emulator.config.api_key}"}
    async with httpx.AsyncClient(base_url=world.emulator.api_base_url, headers=headers, trust_env=False) as api:
        answer = await api.post(f"/memberships/{world.membership_id}/{act}", json={})
        assert answer.status_code == 200, answer.text


async def test_a_pause_made_at_the_gateway_is_noticed_and_so_is_its_end(world: World) -> None:
    await world.buy()
    await world.advance(hours=1)
    await at_the_gateway(world, "pause")
    await world.hear()
    pause = await world.row("pause")
    assert (pause["state"], pause["actor"], pause["resume_at"]) == ("running", "whop", None)
    assert (await world.row("subscription"))["status"] == "paused"
    await world.hear()
    assert world.told() == ["PauseBegan"]
    await world.advance(hours=1)
    await at_the_gateway(world, "resume")
    await world.hear()
    assert (await world.row("pause"))["state"] == "ended"
    assert world.told() == ["PauseBegan", "PauseEnded"]


async def test_news_that_overtakes_our_own_answer_makes_one_pause_with_its_end(world: World) -> None:
    await world.buy()

    def delivered_first(point: str) -> None:
        if point == "after pause":
            raise ConnectionError("the answer is on its way; the delivery was faster")

    world.acts.trouble = delivered_first
    try:
        await world.service.pause(world.user_id, days=20)
    except ConnectionError:
        await world.hear()
    world.acts.trouble = lambda point: None
    early = await world.row("pause")
    world.clock.advance(timedelta(minutes=1))
    await world.processes.resume_due()
    pause, subscription = await world.row("pause"), await world.row("subscription")
    assert (early["state"], pause["id"]) == ("running", early["id"])
    assert pause["resume_at"] == early["resume_at"] == subscription["resume_at"]
    (began,) = (fact for fact in world.facts if isinstance(fact, PauseBegan))
    assert began.resume_at == pause["resume_at"]


async def test_the_end_of_a_pause_is_announced_once_and_only_where_it_comes(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=45)
    for days, expected in ((41, 0), (2, 1), (1, 0)):
        await world.advance(days=days)
        assert await _remind(world) == expected
    (ending,) = (fact for fact in world.facts if isinstance(fact, PauseEnding))
    pause = await world.row("pause")
    assert (ending.resume_at, ending.charge_at) == (pause["resume_at"], pause["resume_at"])
    await world.service.resume(world.user_id)
    assert (await world.row("pause"))["check_at"] is None


async def test_whoever_resumes_early_is_not_reminded(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=20)
    await world.service.resume(world.user_id)
    await world.advance(days=18)
    assert await _remind(world) == 0


async def test_an_end_nobody_told_us_of_is_found_by_looking(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=20)
    assert await world.watch.check_due() == 0
    await world.advance(days=20, minutes=5)
    assert await world.watch.check_due() == 0
    await world.advance(minutes=6)
    assert (await world.row("subscription"))["status"] == "paused"
    assert await world.watch.check_due() == 1
    assert (await world.row("subscription"))["status"] == "active"
    assert (await world.row("pause"))["state"] == "ended"
    assert await world.watch.check_due() == 0


async def test_a_pause_that_goes_on_is_looked_at_again_later(world: World) -> None:
    """Its end was moved at the gateway's pages: resumed there, and paused anew without an end."""
    await world.buy()
    await world.service.pause(world.user_id, days=20)
    await at_the_gateway(world, "resume")
    await at_the_gateway(world, "pause")
    await world.advance(days=20, minutes=20)
    assert await world.watch.check_due() == 1
    assert (await world.row("subscription"))["status"] == "paused"
    assert await world.watch.check_due() == 0
    await world.advance(hours=7)
    assert await world.watch.check_due() == 1


async def test_a_gateway_that_is_away_puts_the_look_off(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=20)
    await world.advance(days=20, minutes=20)
    await world.emulator.faults(fault="error_before", match="GET /memberships**", status=503)
    assert await world.watch.check_due() == 1
    await world.emulator.disarm()
    assert (await world.row("subscription"))["status"] == "paused"
    await world.advance(hours=7)
    assert await world.watch.check_due() == 1
    assert (await world.row("subscription"))["status"] == "active"


async def test_a_payment_for_a_new_period_raises_doubt(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id)
    await world.advance(hours=1)
    await at_the_gateway(world, "resume")
    await _payment_heard(world)
    assert await world.watch.check_due() == 1
    assert (await world.row("subscription"))["status"] == "active"


async def test_what_ends_while_paused_ends_the_pause_without_a_welcome(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id)
    await world.gateway.cancel_membership(world.membership_id, at_period_end=False, idempotency_key="cancel")
    await world.hear()
    assert (await world.row("pause"))["state"] == "ended"
    assert world.told() == ["PauseBegan"]


async def _remind(world: World) -> int:
    async with world.units() as unit:
        count = await world.watch.remind(unit, unit.clock.now())
        await unit.commit()
    return count


async def _payment_heard(world: World) -> None:
    now = world.clock.now()
    async with world.units() as unit:
        unit.record(
            PaymentRecorded(
                transaction_id=new_id("txn", now),
                user_id=world.user_id,
                subscription_id=None,
                plan_id=None,
                whop_payment_id="pay_1",
                whop_membership_id=world.membership_id,
                before_status=None,
                status="paid",
                billing_reason="subscription_cycle",
                currency="usd",
                subtotal_minor=2900,
                tax_minor=None,
                total_minor=2900,
                net_minor=None,
                refunded_minor=0,
                attempts_failed=0,
                newly_paid=True,
                newly_failed=False,
                failed_attempt=None,
                decline_class=None,
                paid_at=now,
                occurred_at=now,
                gateway_updated_at=now,
                checkout_id=None,
                cause="msg_2",
            )
        )
        await unit.commit()
