"""A pause that runs gets another end: at the gateway, here, and in what is told."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from quntedge.catalog.rules import CatalogFile
from quntedge.catalog.toml import packaged
from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.pauses import errors
from quntedge.processes.runner import HANDOVER
from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up, subscription_of
from tests.journeys.world import Product, running_product
from tests.pauses.world import World
from tests.processes.world import Killed
from tests.web.browser import HTML, form

DAY = timedelta(days=1)


async def test_a_pause_is_made_longer_and_ends_then(world: World) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=40)
    await world.advance(days=35)
    async with world.units() as unit:
        agreed = await world.service.preview(unit, world.user_id, None, 20)
    moved = await world.service.move(world.user_id, days=20)
    assert (moved.resume_at, moved.charge_at) == (agreed.resume_at, agreed.charge_at)
    pause, row = await world.row("pause"), await world.row("subscription")
    assert moved.resume_at == pause["resume_at"] == row["resume_at"]
    assert pause["remind_at"] == moved.resume_at - 3 * DAY
    assert world.told() == ["PauseBegan", "PauseMoved"]
    assert await world.service.move(world.user_id, until=moved.resume_at) == moved
    assert world.acts.calls == ["pause", "pause"]
    await world.advance(days=19)
    await world.hear()
    assert (await world.paid_amounts(), (await world.row("subscription"))["status"]) == ([2900], "paused")
    await world.advance(days=2)
    await world.hear()
    assert (await world.paid_amounts(), (await world.row("subscription"))["status"]) == ([2900, 2900], "active")
    assert world.told() == ["PauseBegan", "PauseMoved", "PauseEnded"]


async def test_an_end_within_the_paid_time_gives_access_back(world: World) -> None:
    """Made shorter than the paid period, the pause interrupts nothing; made open, it does again."""
    await world.buy()
    end = (await world.row("subscription"))["period_end"]
    assert (await world.service.pause(world.user_id, days=40)).access_until == end
    assert (await world.service.move(world.user_id, days=5)).access_until is None
    opened = await world.service.move(world.user_id)
    assert (opened.resume_at, opened.access_until, opened.charge_at) == (None, end, None)
    pause = await world.row("pause")
    assert (pause["remind_at"], pause["check_at"]) == (None, None)


async def test_however_often_it_is_moved_a_pause_lasts_no_longer_than_the_plan_allows(world: World) -> None:
    await world.buy(rules={"pause": {"max_days": 60}})
    began = world.clock.now()
    await world.service.pause(world.user_id, days=40)
    await world.advance(days=30)
    await world.service.move(world.user_id, until=began + 60 * DAY)
    for until in (began + 60 * DAY + timedelta(minutes=1), world.clock.now() + timedelta(hours=1), world.clock.now()):
        with pytest.raises(errors.InvalidPauseEnd):
            await world.service.move(world.user_id, until=until)
    with pytest.raises(errors.InvalidPauseEnd):
        await world.service.move(world.user_id)
    assert (await world.row("pause"))["resume_at"] == began + 60 * DAY


async def test_without_a_pause_there_is_nothing_to_move(world: World) -> None:
    await world.buy()
    with pytest.raises(errors.NotPaused):
        await world.service.move(world.user_id, days=20)
    await world.service.pause(world.user_id, days=20)
    # Ended there, and nobody has told us yet: the gateway refuses, and all stays as it was.
    await world.gateway.cancel_membership(world.membership_id, at_period_end=False, idempotency_key="cancel")
    with pytest.raises(errors.PauseRefused):
        await world.service.move(world.user_id, days=30)
    assert world.told() == ["PauseBegan"]


@pytest.mark.parametrize("kind", ["killed", "unknown"])
@pytest.mark.parametrize("point", ["before pause", "after pause"])
async def test_cut_off_anywhere_the_end_is_moved_once(world: World, kind: str, point: str) -> None:
    await world.buy()
    await world.service.pause(world.user_id, days=20)
    error: BaseException = Killed() if kind == "killed" else GatewayOutcomeUnknown("cut off")

    def trouble(reached: str) -> None:
        if reached == point:
            world.acts.trouble = lambda _point: None
            raise error

    world.acts.trouble = trouble
    until = world.clock.now() + 30 * DAY
    with contextlib.suppress(Killed):
        await world.service.move(world.user_id, until=until)
    world.clock.advance(HANDOVER)
    await world.processes.resume_due()
    assert (await world.row("pause"))["resume_at"] == until
    assert world.told() == ["PauseBegan", "PauseMoved"]


@pytest.fixture
async def product(settings: Settings, database_url: str) -> AsyncIterator[Product]:
    async with running_product(settings, database_url) as running:
        yield running


@pytest.mark.long
async def test_an_open_pause_over_http_and_an_end_for_it(product: Product) -> None:
    """Without an end, over a renewal, then with one; nothing is charged before, and the mails say what holds."""
    seed = packaged()
    plan = seed.plans["quarterly"]
    rules = replace(plan.rules, pause=replace(plan.rules.pause, max_days=None))
    await product.runtime.catalog.apply(
        CatalogFile(seed.features, {**seed.plans, plan.code: replace(plan, rules=rules)})
    )
    async with product.browser() as kim:
        await sign_up(kim, "kim@customers.test")
        started = await check_out(kim, "quarterly")
        await product.emulator.pay(checkout_of(started["purchase_url"]), email="kim@customers.test")
        await product.settled()
        refused = await kim.patch("/api/subscription/pause", json={"days": 30})
        assert (refused.status_code, refused.json()["code"]) == (409, "not_paused")
        begun = await kim.post("/api/subscription/pause", json={})
        assert (begun.status_code, begun.json()["resume_at"]) == (200, None)

        await product.advance(days=100)
        await sign_in(kim, "kim@customers.test")
        assert (await subscription_of(kim))["status"] == "paused"
        assert not (await kim.get("/api/subscription/access/unlimited_accounts")).json()["allowed"]
        page = await kim.get("/billing/pause/move", headers=HTML)
        fields = form(page, "/billing/pause/move")
        wrong = await kim.post(
            "/billing/pause/move", data=fields | {"length": "date", "date": "2026-10-01"}, headers=HTML
        )
        assert wrong.status_code == 422
        day = product.emulator.runtime.world.now() + 10 * DAY
        done = await kim.post(
            "/billing/pause/move",
            data=fields | {"length": "date", "date": day.date().isoformat()},
            headers=HTML,
            follow_redirects=True,
        )
        assert "The end of your pause has been moved." in done.text
        moved = await kim.get("/api/subscription/pause/preview", params={"days": 30})
        assert moved.status_code == 200, moved.text
        await product.advance(days=11)
        assert ((await subscription_of(kim))["status"]) == "active"
        paid = (await kim.get("/api/payment/transactions")).json()["data"]
        assert [row["total"]["amount_minor"] for row in paid] == [7500, 7500]
        kinds = await product.rows("SELECT kind FROM notification WHERE kind LIKE '%pause%' ORDER BY created_at, id")
        assert [row["kind"] for row in kinds] == ["subscription_paused", "pause_moved", "pause_ending"]
        over = await kim.get("/billing/pause/move")
        assert (over.status_code, over.headers["location"]) == (303, "/billing")
