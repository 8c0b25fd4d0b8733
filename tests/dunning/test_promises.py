"""What customers are told of the time they have, measured by what they then get."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from tests.dunning.world import FAILS_LATER, World


async def set_at_whop(world: World, behavior: str) -> None:
    await world.api("PATCH", "/accounts/biz_test/preferences", {"subscription_failure_behavior": behavior})


@pytest.mark.long
async def test_where_whop_cancels_nobody_is_promised_more_than_it_leaves(world: World) -> None:
    assert await world.runtime.unpaid.check() == 1
    await world.buy(FAILS_LATER)
    await world.fail_renewal()
    case = await world.case()
    promised = case["grace_until"]
    assert abs(promised - case["last_failed_at"] - timedelta(days=5)) < timedelta(seconds=1)
    await world.travel(days=4, hours=23)
    assert await world.allowed()
    await world.travel(days=5)
    (subscription,) = await world.rows("SELECT status, ended_at FROM subscription")
    assert subscription["status"] == "canceled"
    # Access lasted as long as was said, and the end is named by its own day.
    assert abs(subscription["ended_at"] - promised) < timedelta(minutes=2)
    assert await world.mails() == ["payment_failed"] * 3 + ["grace_ending", "ended_unpaid"]


async def test_where_whop_keeps_the_membership_the_plan_is_taken_at_its_word(patient: World) -> None:
    assert await patient.runtime.unpaid.check() == 1
    await patient.buy(FAILS_LATER)
    await patient.fail_renewal()
    case = await patient.case()
    assert abs(case["grace_until"] - case["last_failed_at"] - timedelta(days=7)) < timedelta(seconds=1)


async def test_a_change_at_whop_is_noticed_and_silence_changes_nothing(world: World) -> None:
    watch = world.runtime.unpaid
    async with world.runtime.units() as unit:
        await unit.session.execute(text("INSERT INTO gateway_account VALUES ('biz_earlier', 'none', now())"))
        await unit.commit()
    assert [await watch.check(), await watch.check()] == [1, 0]
    await set_at_whop(world, "none")
    await world.emulator.faults(fault="garbage", kind="html", match="GET /accounts/**")
    assert await watch.check() == 0
    assert (await world.rows("SELECT unpaid FROM gateway_account")) == [{"unpaid": "cancel"}]
    await world.emulator.disarm()
    assert await watch.check() == 1
    assert (await world.rows("SELECT unpaid FROM gateway_account")) == [{"unpaid": "none"}]


async def test_who_cancels_at_whop_while_a_payment_is_open_is_charged_no_more(patient: World) -> None:
    await patient.buy(FAILS_LATER)
    await patient.fail_renewal()
    async with httpx.AsyncClient(trust_env=False) as portal:
        page = f"{patient.emulator.url}/billing/manage/{patient.member_id}/"
        answer = await portal.post(page, data={"action": "cancel", "membership_id": patient.membership_id})
    assert answer.status_code == 303
    asked_at = patient.clock.now()
    await patient.hear()
    # Until it is done nobody tries the card; twice heard is once done.
    await patient.hear()
    assert (await patient.case())["cancel_requested"] is True
    await patient.work()
    await patient.travel(days=30)
    status, payment = await patient.at_whop()
    assert (status, payment) == ("canceled", {"status": "void", "failed": 1})
    case = await patient.case()
    assert (case["state"], case["outcome"], case["closed_by"]) == ("canceled", "cancellation", "customer")
    (row,) = await patient.rows("SELECT timing, state, actor, requested_at, ended_at FROM cancellation")
    assert (row["timing"], row["state"], row["actor"]) == ("now", "done", "whop")
    assert row["ended_at"] >= row["requested_at"] - timedelta(minutes=2)
    assert row["ended_at"] - asked_at < timedelta(minutes=2)
    assert await patient.mails() == ["payment_failed", "subscription_ended"]
