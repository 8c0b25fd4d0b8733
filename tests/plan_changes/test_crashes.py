"""The process is killed at every boundary of a change; whoever finds it completes it, or leaves all as it was."""

from collections.abc import Awaitable, Callable

import pytest

from tests.plan_changes.world import FAILS_LATER, Customer, Killed, World

pytestmark = pytest.mark.long

Act = Callable[[], Awaitable[object]]


async def mortal(world: World, kim: Customer, act: Act) -> int:
    """Does something that may be cut off, and does it again until it is not; how often it was. Access never ends."""
    deaths = 0
    while True:
        world.killer.armed = True
        try:
            await act()
        except Killed:
            deaths += 1
        except BaseExceptionGroup as group:
            if group.subgroup(Killed) is None:
                raise
            deaths += 1
        else:
            return deaths
        finally:
            world.killer.armed = False
        assert await world.allowed(kim), f"after dying at {world.killer.points[-1]}"
        assert deaths < 100


async def carried_out(world: World, kim: Customer, plan: str, *, by_checkout: bool = False) -> int:
    """A change from the click to the end, by workers that die; how many did."""
    preview = await world.changes.service.preview(kim.user_id, plan, by_checkout=by_checkout)
    confirm = world.changes.service.confirm
    deaths = await mortal(world, kim, lambda: confirm(kim.user_id, plan, preview.quote))
    if preview.moment == "period_end":
        deaths += await worked(world, kim)
        await world.move(days=90, seconds=30)
    elif by_checkout:
        deaths += await worked(world, kim)
        change = await world.change(kim)
        await world.pay(str(change.purchase_url), kim)
    return deaths + await worked(world, kim)


async def worked(world: World, kim: Customer) -> int:
    """Time passes, deliveries arrive, workers do what is due."""
    deaths = 0
    for _ in range(20):
        await world.news(kim)
        if not await world.busy():
            return deaths
        deaths += await mortal(world, kim, world.run_jobs)
        await world.move(seconds=31)
        deaths += await mortal(world, kim, world.runner.resume_due)
    raise AssertionError("it never came to an end")


def points(*writes: str) -> list[str]:
    return [f"{moment} {write}" for write in writes for moment in ("before", "after")]


async def check_done(world: World, kim: Customer, plan: str, collected: int) -> None:
    change = await world.change(kim)
    assert (change.state, change.review, change.failure) == ("done", None, None)
    [only] = await world.alive(kim)
    row = await world.subscription(kim)
    assert (row.status, row.whop_membership_id) == ("active", only.membership_id)
    assert (await world.plan_of(kim), await world.collected(kim)) == (plan, collected)
    assert len(await world.paid(kim)) == 2, "one purchase, one change"
    assert await world.allowed(kim)
    assert await world.active_promos() == 0


@pytest.fixture(autouse=True)
def rested(world: World) -> None:
    world.killer.rest()


@pytest.mark.parametrize("point", ["after create_promo", *points("charge", "cancel_membership")])
async def test_an_upgrade_is_completed(world: World, point: str) -> None:
    kim = await world.customer()
    world.killer.at = {point}
    assert await carried_out(world, kim, "yearly") == 1
    await check_done(world, kim, "yearly", 25000)


@pytest.mark.parametrize("point", [*points("create_checkout", "refund_payment"), "after cancel_membership"])
async def test_an_upgrade_on_the_gateways_page_is_completed(world: World, point: str) -> None:
    kim = await world.customer()
    world.killer.at = {point}
    assert await carried_out(world, kim, "yearly", by_checkout=True) == 1
    await check_done(world, kim, "yearly", 25000)


@pytest.mark.parametrize("point", points("cancel_membership", "charge"))
async def test_a_downgrade_is_completed(world: World, point: str) -> None:
    kim = await world.customer()
    world.killer.at = {point}
    assert await carried_out(world, kim, "monthly") == 1
    await check_done(world, kim, "monthly", 7500 + 2900)


@pytest.mark.parametrize("point", ["after charge", "after void_payment"])
async def test_a_declined_upgrade_leaves_everything_as_it_was(world: World, point: str) -> None:
    kim = await world.customer(card=FAILS_LATER)
    world.killer.at = {point}
    assert await carried_out(world, kim, "yearly") == 1
    change = await world.change(kim)
    assert (change.state, change.failure, change.review) == ("failed", "soft", None)
    assert [one.membership_id for one in await world.alive(kim)] == [kim.membership_id]
    assert (await world.plan_of(kim), await world.collected(kim)) == ("quarterly", 7500)
    assert await world.active_promos() == 0


@pytest.mark.parametrize(
    ("first", "plan", "by_checkout", "collected"),
    [
        (0, "yearly", False, 25000),
        (1, "yearly", False, 25000),
        (2, "yearly", False, 25000),
        (0, "yearly", True, 25000),
        (1, "monthly", False, 7500 + 2900),
    ],
)
async def test_dying_after_every_third_commit(
    world: World, first: int, plan: str, by_checkout: bool, collected: int
) -> None:
    """Two commits make a step: what is intended, and what came of it. So every kind of boundary is met."""
    kim = await world.customer()
    world.killer.commits = first
    assert await carried_out(world, kim, plan, by_checkout=by_checkout) >= 3
    await check_done(world, kim, plan, collected)


async def test_whoever_follows_hours_later_asks_for_the_price_anew(world: World) -> None:
    """The plan moved to has a trial, so its price was quoted; the quote has run out by the time somebody comes."""
    kim = await world.customer()
    await world.begin(kim, "monthly")
    await worked(world, kim)
    world.killer.at = {"before charge"}
    await world.move(days=90, seconds=30)
    assert await mortal(world, kim, world.runner.resume_due) == 1
    await world.move(hours=3)
    await worked(world, kim)
    await check_done(world, kim, "monthly", 7500 + 2900)
    assert (await world.change(kim)).attempt == 1


async def test_dying_before_and_after_every_write_of_one_change(world: World) -> None:
    kim = await world.customer()
    world.killer.at = set(points("create_promo", "charge", "cancel_membership", "archive_promo"))
    assert await carried_out(world, kim, "yearly") == 8
    await check_done(world, kim, "yearly", 25000)
