"""Renewals that nobody told us of: asked for in time, not too often, and written down when Whop has none either."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from quntedge.jobs.quiet import Quiet
from quntedge.jobs.sweeps import checking
from quntedge.jobs.ticker import Awaited, Ticker
from quntedge.kit.metrics import REGISTRY
from tests.gateway.objects import native_membership
from tests.jobs.conftest import until
from tests.jobs.test_quiet import Inbox as Idle
from tests.jobs.test_ticker import ticking
from tests.webhooks.world import World, ours

END = datetime(2026, 10, 29, 10, 15, 20, tzinfo=UTC)
NEXT_END = END + timedelta(days=30)
HOUR = timedelta(hours=1)
RENEWED = {
    "current_period_start": END.isoformat(),
    "current_period_end": NEXT_END.isoformat(),
    "updated_at": (END + timedelta(seconds=11)).isoformat(),
}
MEMBERSHIP = native_membership()["id"]
READ = f"memberships/{MEMBERSHIP}"


@pytest.fixture
async def sold(world: World) -> World:
    """One customer with a monthly subscription that is paid until `END`."""
    world.whop.put("memberships", native_membership(**ours()))
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.work()
    assert (await world.row("SELECT status, period_end FROM subscription")) == {"status": "active", "period_end": END}
    return world


async def _check(world: World, at: datetime) -> int:
    """Looks for renewals at this time; how often Whop was asked."""
    world.clock.set(at)
    before = len(world.whop.reads)
    assert await world.runtime.renewals.check() <= 1
    assert world.whop.reads[before:] == [READ] * (len(world.whop.reads) - before)
    return len(world.whop.reads) - before


async def _differences(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT kind, outcome FROM gateway_difference ORDER BY found_at, kind")
    return [(row["kind"], row["outcome"]) for row in rows]


async def _execute(world: World, sql: str, **values: Any) -> None:
    async with world.runtime.units() as unit:
        await unit.session.execute(text(sql), values)
        await unit.commit()


async def test_a_renewal_whose_deliveries_were_lost_is_found_six_hours_later(sold: World) -> None:
    sold.whop.put("memberships", native_membership(**ours(**RENEWED)))
    assert await _check(sold, END + 6 * HOUR - timedelta(seconds=1)) == 0
    assert await _check(sold, END + 6 * HOUR) == 1
    assert (await sold.row("SELECT period_end FROM subscription"))["period_end"] == NEXT_END
    assert await _differences(sold) == [("membership", "repaired")]
    assert await _check(sold, END + timedelta(days=3)) == 0
    assert await _check(sold, NEXT_END + 6 * HOUR) == 1, "the next period is watched too"


async def test_one_that_whop_has_not_renewed_is_written_down_once_and_asked_for_ever_less(sold: World) -> None:
    metric = ("quntedge_renewal_gaps_total", {"outcome": "not_seen"})
    before = REGISTRY.get_sample_value(*metric) or 0
    asked = []
    at = END
    while at < END + timedelta(days=4):
        at += HOUR
        if await _check(sold, at):
            asked.append((at - END) / HOUR)
    assert asked == [6, 12, 36, 60, 84]
    assert await _differences(sold) == [("renewal_not_seen", "open")]
    assert REGISTRY.get_sample_value(*metric) == before + 5
    row = await sold.row("SELECT whop_object_id, user_id FROM gateway_difference")
    assert row == await sold.row("SELECT whop_membership_id AS whop_object_id, user_id FROM subscription")
    assert (await sold.row("SELECT status FROM subscription"))["status"] == "active", "only news may end access"
    # That the membership can be read and applied, as every night, brings no renewal.
    await sold.runtime.reconciler.memberships([MEMBERSHIP], at)
    assert await _differences(sold) == [("renewal_not_seen", "open")]


@pytest.mark.parametrize("news", [RENEWED, {"status": "past_due", "updated_at": (END + 8 * HOUR).isoformat()}])
async def test_it_is_settled_when_whop_says_what_became_of_it(sold: World, news: dict[str, str]) -> None:
    await _check(sold, END + 6 * HOUR)
    assert await _differences(sold) == [("renewal_not_seen", "open")]
    # Something else about it, without a word about the period, settles nothing.
    odd = native_membership(**ours(renewal_price=None, updated_at=(END - HOUR).isoformat()))
    await sold.event("membership.updated", odd, "msg_2")
    await sold.work()
    assert await _differences(sold) == [("renewal_not_seen", "open")]
    sold.clock.set(END + 9 * HOUR)
    await sold.event("membership.updated", native_membership(**ours(**news)), "msg_3")
    await sold.work()
    assert await _differences(sold) == [("renewal_not_seen", "repaired")]
    assert await _check(sold, END + timedelta(days=9)) == 0


async def test_where_no_renewal_is_expected_nobody_asks(sold: World) -> None:
    changes: list[dict[str, Any]] = [
        {"cancel_at_period_end": True},
        {"status": "past_due"},
        {"status": "completed"},
        {"status": "canceled"},
    ]
    for number, over in enumerate(changes):
        told_at = END - HOUR + timedelta(minutes=number)
        changed = native_membership(**ours(updated_at=told_at.isoformat(), **over))
        await sold.event("membership.updated", changed, f"msg_later{number}")
        await sold.work()
        assert await _check(sold, END + timedelta(days=40)) == 0, over
        sold.clock.set(END - HOUR)
    assert await _differences(sold) == []


async def test_what_is_replaced_or_does_not_renew_leaves_the_watch(sold: World) -> None:
    watched = await sold.row("SELECT renewal_check_at FROM subscription")
    await _execute(sold, "ALTER TABLE plan_price DROP CONSTRAINT fk_plan_price_plan_id_kind")
    for change in ("UPDATE subscription_membership SET superseded_at = first_seen_at", "UPDATE plan SET kind = 'free'"):
        await _execute(sold, "UPDATE subscription SET renewal_check_at = :renewal_check_at", **watched)
        await _execute(sold, change)
        assert await _check(sold, END + timedelta(days=40)) == 0
        assert await sold.row("SELECT renewal_check_at FROM subscription") == {"renewal_check_at": None}
        await _execute(sold, "UPDATE subscription_membership SET superseded_at = NULL")
    assert await _differences(sold) == []


async def test_the_clock_stops_for_it_on_its_way_through_months(sold: World) -> None:
    await _execute(sold, "DELETE FROM procrastinate_jobs")
    ticker = Ticker(sold.clock, [checking("renewals.check", sold.runtime.renewals.check, Awaited.RENEWALS)])
    async with ticking(ticker):
        await until(lambda: not ticker.busy)
        quiet = Quiet(sold.runtime.units, ticker, Idle(), mails=False)
        assert await quiet.settle() == END + 6 * HOUR
        await sold.event("membership.updated", native_membership(**ours(**RENEWED)), "msg_2")
        await sold.work()
        await _execute(sold, "DELETE FROM procrastinate_jobs")
        assert await quiet.settle() == NEXT_END + 6 * HOUR, "a renewal that came needs no stop"


async def test_a_gateway_that_is_away_is_asked_again_shortly(sold: World) -> None:
    sold.whop.put("memberships", native_membership(**ours(**RENEWED)))
    sold.whop.outages[:] = [503] * 20
    assert await _check(sold, END + 6 * HOUR) > 0
    assert await _differences(sold) == [], "nobody has said that it was not renewed"
    sold.whop.outages.clear()
    assert await _check(sold, END + 6 * HOUR + timedelta(minutes=15)) == 1
    assert (await sold.row("SELECT period_end FROM subscription"))["period_end"] == NEXT_END


async def test_a_renewal_of_this_moment_is_not_missed(sold: World) -> None:
    """Its deliveries are on the way."""
    at = END + 6 * HOUR
    news = RENEWED | {"updated_at": (at - timedelta(seconds=1)).isoformat()}
    sold.whop.put("memberships", native_membership(**ours(**news)))
    assert await _check(sold, at) == 1
    assert await _differences(sold) == []
    assert await _check(sold, at + timedelta(minutes=15)) == 1
    assert await _differences(sold) == [("membership", "repaired")]
