"""An unpaid renewal from its first failure to the money or the end."""

from datetime import timedelta

from tests.dunning.world import FAILS_LATER, LOST_LATER, World


async def test_whop_tries_three_times_and_the_third_is_paid(world: World) -> None:
    await world.buy()
    await world.emulator.decline_next(world.membership_id, 3, "insufficient_funds")
    await world.fail_renewal()
    case = await world.case()
    assert (case["state"], case["decline_class"], case["next_attempt_at"]) == ("open", "soft", None)
    assert case["look_at"] == case["gateway_next_at"] + timedelta(hours=1)
    assert abs(case["grace_until"] - case["last_failed_at"] - timedelta(days=7)) < timedelta(seconds=1)
    await world.travel(days=6)
    case = await world.case()
    assert (case["state"], case["outcome"], case["closed_by"]) == ("recovered", "paid", "whop")
    assert case["next_due_at"] is None
    assert await world.attempts() == [("whop", "failed")] * 3 + [("whop", "paid")]
    assert await world.status() == "active"
    assert await world.mails() == ["payment_failed"] * 3 + ["payment_recovered"]


async def test_whop_gives_up_and_so_do_we(world: World) -> None:
    await world.buy(FAILS_LATER)
    await world.fail_renewal()
    await world.travel(days=10)
    case = await world.case()
    assert (case["state"], case["outcome"], case["closed_by"]) == ("exhausted", "unpaid", "whop")
    assert await world.attempts() == [("whop", "failed")] * 4
    assert await world.status() == "canceled"
    assert not await world.allowed()
    assert await world.mails() == ["payment_failed"] * 3 + ["ended_unpaid"]


async def test_our_tries_follow_whops_until_one_is_paid(patient: World) -> None:
    await patient.buy()
    await patient.emulator.decline_next(patient.membership_id, 6, "insufficient_funds")
    await patient.fail_renewal()
    await patient.travel(days=5, hours=1)
    case = await patient.case()
    assert (case["attempts_gateway"], case["attempts_own"]) == (4, 0)
    assert case["next_attempt_at"] is not None
    await patient.travel(days=2, hours=1)
    assert not await patient.allowed()
    assert (await patient.case())["access_paused_at"] is not None
    await patient.travel(days=20)
    case = await patient.case()
    assert (case["state"], case["closed_by"], case["attempts_own"]) == ("recovered", "us", 3)
    assert await patient.attempts() == [("whop", "failed")] * 4 + [("us", "failed")] * 2 + [("us", "paid")]
    assert (await patient.status(), await patient.allowed()) == ("active", True)
    mails = await patient.mails()
    assert sorted(mails) == sorted(["payment_failed"] * 6 + ["grace_ending", "access_paused", "payment_recovered"])
    assert mails[-1] == "payment_recovered"


async def test_nothing_helps_so_we_end_it_ourselves(patient: World) -> None:
    await patient.buy(FAILS_LATER)
    await patient.fail_renewal()
    await patient.travel(days=30)
    case = await patient.case()
    assert (case["state"], case["outcome"], case["closed_by"]) == ("exhausted", "unpaid", "us")
    assert await patient.attempts() == [("whop", "failed")] * 4 + [("us", "failed")] * 3
    status, payment = await patient.at_whop()
    assert (status, payment) == ("canceled", {"status": "void", "failed": 7})
    assert await patient.status() == "canceled"
    mails = await patient.mails()
    assert sorted(mails) == sorted(["payment_failed"] * 7 + ["grace_ending", "access_paused", "ended_unpaid"])
    assert mails[-1] == "ended_unpaid"
    processes = await patient.rows("SELECT kind, state FROM process ORDER BY id")
    assert {process["state"] for process in processes} == {"done"}
    last_try = case["closed_at"] - case["last_failed_at"]
    assert timedelta(days=1) <= last_try < timedelta(days=2)


async def test_a_lost_card_is_not_tried_by_us(patient: World) -> None:
    await patient.buy(LOST_LATER)
    await patient.fail_renewal()
    await patient.travel(days=40)
    case = await patient.case()
    assert (case["state"], case["decline_class"], case["attempts_own"]) == ("exhausted", "hard", 0)
    assert ("us", "failed") not in await patient.attempts()
    # As long as a card that is tried again has: 1 + 3 + 9 days.
    assert timedelta(days=13) <= case["closed_at"] - case["opened_at"] < timedelta(days=14)
    assert (await patient.mails())[-1] == "ended_unpaid"
