"""A customer's zone changes on the day of an attempt: nobody is charged in their night, old or new, nor twice."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from quntedge.dunning.daytime import is_within
from tests.dunning.world import FAILS_LATER, World

WINDOW = (9, 18)
PARIS, AUCKLAND = ZoneInfo("Europe/Paris"), ZoneInfo("Pacific/Auckland")


async def move_to(world: World, zone: ZoneInfo) -> None:
    async with world.runtime.units() as unit:
        await world.runtime.services.accounts.set_time_zone(unit, world.user_id, zone.key)
        await unit.commit()


async def next_attempt(world: World) -> datetime:
    at: datetime = (await world.case())["next_attempt_at"]
    return at


async def test_an_attempt_planned_for_one_zone_is_made_in_the_daytime_of_the_other(patient: World) -> None:
    await move_to(patient, PARIS)
    await patient.buy(FAILS_LATER)
    await patient.jump(hours=95 * 24 + 1)
    await patient.hear()
    planned = await next_attempt(patient)
    assert is_within(planned, PARIS, WINDOW)
    assert not is_within(planned, AUCKLAND, WINDOW)
    # They move in the morning of that very day.
    await patient.jump(to=planned - timedelta(hours=1))
    await move_to(patient, AUCKLAND)
    await patient.jump(to=planned)
    await patient.work()
    failed = (await patient.at_whop())[1]["failed"]
    moved = await next_attempt(patient)
    assert (failed, moved > planned, is_within(moved, AUCKLAND, WINDOW)) == (4, True, True)
    assert moved - planned < timedelta(days=2)
    await patient.jump(to=moved)
    await patient.work()
    assert (await patient.at_whop())[1]["failed"] == 5
    # Back again: what comes next is planned for where they are when it falls due.
    following = await next_attempt(patient)
    await move_to(patient, PARIS)
    await patient.jump(to=following)
    await patient.work()
    if not is_within(following, PARIS, WINDOW):
        await patient.jump(to=await next_attempt(patient))
        await patient.work()
    assert is_within(patient.clock.now(), PARIS, WINDOW)
    assert (await patient.at_whop())[1]["failed"] == 6
    assert await patient.attempts() == [("whop", "failed")] * 4 + [("us", "failed")] * 2
