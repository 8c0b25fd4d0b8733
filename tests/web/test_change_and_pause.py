"""Changing the plan and pausing on pages: what is said before anything is confirmed, and where it cannot be done."""

from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text, update

from quntedge.promotions.rules import PromotionSpec
from quntedge.subscriptions.models import Subscription
from quntedge.web import i18n
from quntedge.web.pauses import Wish, wish_of
from tests.edge.shop import Person, Shop
from tests.web.browser import HTML, form

LATER = timedelta(days=15)
ON_SALE = text("UPDATE plan_price SET whop_plan_id = concat_ws('_', 'plan', plan_id, currency) WHERE kind <> 'free'")


async def half_used(shop: Shop, kim: Person, **values: object) -> None:
    """A subscription whose month began half a month ago; nothing was paid for it."""
    now = shop.clock.now()
    await shop.subscribe(kim.user_id, **{"period_start": now - LATER, "period_end": now + LATER} | values)


async def become(shop: Shop, kim: Person, **values: object) -> None:
    """Has the subscription stand otherwise."""
    async with shop.units() as unit:
        await unit.session.execute(ON_SALE)
        await unit.session.execute(update(Subscription).where(Subscription.user_id == kim.user_id).values(**values))
        await unit.commit()


async def test_who_cannot_change_the_plan_is_told_what_comes_first(shop: Shop, kim: Person) -> None:
    await half_used(shop, kim)
    cases: list[tuple[dict[str, object], str, str]] = [
        ({"status": "past_due"}, "A payment of your subscription is overdue.", "/billing/recover"),
        ({"status": "paused"}, "Your subscription is paused.", "/billing"),
        ({"status": "completed"}, "Your plan is yours for ever", "/billing"),
        ({"status": "active", "cancel_at_period_end": True}, "is going to end with its period.", "/billing"),
    ]
    for values, reason, link in cases:
        await become(shop, kim, **values)
        choice = await kim.http.get("/billing/change", headers=HTML)
        assert choice.status_code == 200
        assert reason in choice.text
        assert f'href="{link}" class="btn' in choice.text
        preview = await kim.http.get("/billing/change/yearly", headers=HTML)
        assert preview.status_code == 409
        assert reason in preview.text
    await become(shop, kim, cancel_at_period_end=False, period_end=shop.clock.now())
    renewing = await kim.http.get("/billing/change/yearly", headers=HTML)
    assert renewing.status_code == 409
    assert "being renewed at this moment" in renewing.text


async def test_a_preview_says_what_is_gained_given_up_and_lost_of_a_discount(shop: Shop, kim: Person) -> None:
    await half_used(shop, kim, code="quarterly", renewal_price_minor=6412)
    await become(shop, kim, status="active")
    up = (await kim.http.get("/billing/change/yearly", headers=HTML)).text
    assert "Your discount belongs to Quarterly, where the next payment would be $64.12." in up
    assert "After that $250.00 per year." in up
    assert "250 price alerts</span> → Unlimited price alerts" in up
    assert "API access<span" in up
    assert "no longer" not in up
    down = (await kim.http.get("/billing/change/monthly", headers=HTML)).text
    assert "Priority support (no longer)" in down
    preview = await kim.http.post("/api/subscription/change/preview", json={"plan": "monthly"}, headers=kim.headers())
    assert preview.json()["ending_discount"] == {"code": None, "renewal": {"amount_minor": 6412, "currency": "usd"}}
    assert preview.json()["features"] == [
        {"code": "price_alerts", "before": 250, "after": 100, "better": False},
        {"code": "priority_support", "before": True, "after": False, "better": False},
    ]


async def test_the_pricing_page_leads_subscribers_to_the_change(shop: Shop, kim: Person) -> None:
    await half_used(shop, kim)
    await become(shop, kim, status="active")
    async with shop.units() as unit:
        once = PromotionSpec("once", "Once", percent_bp=2000)
        await shop.services.promotions.service.save(unit, once, by="cli:test", codes=("ONCE",))
        await unit.commit()
    page = (await kim.http.get("/pricing?code=ONCE", headers=HTML)).text
    for code, name in (("yearly", "Yearly"), ("lifetime", "Lifetime"), ("free", "Free")):
        assert f'href="/billing/change/{code}"' in page
        assert f"Change to {name}" in page
    assert "Codes are for a new purchase." in page
    assert 'name="code"' not in page
    assert "Start free trial" not in page
    await become(shop, kim, status="canceled", ended_at=shop.clock.now())
    page = (await kim.http.get("/pricing?code=ONCE", headers=HTML)).text
    assert ("Change to" in page, 'name="code"' in page, "The code ONCE is applied." in page) == (False, True, True)


async def test_who_cannot_pause_is_told_why(shop: Shop, kim: Person) -> None:
    await half_used(shop, kim)
    fields = form(await kim.http.get("/billing/pause", headers=HTML), "/billing/pause") | {"length": "30"}
    cases: list[tuple[dict[str, object], str]] = [
        ({"status": "past_due"}, "The last payment is still open."),
        ({"status": "trialing"}, "A trial cannot be paused."),
        ({"status": "completed"}, "nothing renews"),
        (
            {"status": "active", "cancel_at_period_end": True},
            "undone the cancellation, you can pause it.",
        ),
    ]
    for values, reason in cases:
        await become(shop, kim, **values)
        asked = await kim.http.get("/billing/pause", headers=HTML)
        sent = await kim.http.post("/billing/pause", data=fields, headers=HTML)
        assert [asked.status_code, sent.status_code] == [409, 409]
        assert reason in asked.text
        assert reason in sent.text


def test_a_day_is_chosen_by_the_readers_calendar() -> None:
    """Ten in the morning of 2 September in Auckland, where clocks change before 5 October."""

    def chosen() -> Wish:
        i18n.settle("Pacific/Auckland", "UTC")
        return wish_of({"length": "date", "date": "2026-10-05"}, datetime(2026, 9, 1, 22, 0, tzinfo=UTC))

    assert copy_context().run(chosen) == Wish(until=datetime(2026, 10, 4, 21, 0, tzinfo=UTC))


async def test_every_day_on_a_page_is_the_readers(shop: Shop, kim: Person) -> None:
    """Those in sentences that are made before the page is, too."""
    zone = ZoneInfo("Pacific/Kiritimati")
    end = shop.clock.now().replace(hour=18) + LATER
    await half_used(shop, kim, code="yearly", period_end=end)
    await become(shop, kim, status="active")
    for name in ("UTC", zone.key):
        await kim.http.patch("/api/account/me", json={"time_zone": name}, headers=kim.headers())
        day = i18n.date(end.astimezone(ZoneInfo(name)))
        assert f"You keep Yearly until {day}" in (await kim.http.get("/billing/change/free", headers=HTML)).text
        page = (await kim.http.get("/billing/pause", headers=HTML)).text
        latest = (shop.clock.now() + timedelta(days=180)).astimezone(ZoneInfo(name)).date()
        assert f'max="{latest.isoformat()}"' in page
    assert end.date() != end.astimezone(zone).date()


async def test_a_pause_is_moved_instead_of_begun_again_and_ends_once(shop: Shop, kim: Person) -> None:
    await half_used(shop, kim, status="paused")
    again = await kim.http.get("/billing/pause", headers=HTML)
    assert (again.status_code, again.headers["location"]) == (303, "/billing/pause/move")
    page = await kim.http.get("/billing", headers=HTML)
    fields = form(page, "/billing/pause/end")
    await become(shop, kim, status="active")
    ended = await kim.http.post("/billing/pause/end", data=fields, headers=HTML)
    assert (ended.status_code, ended.headers["location"]) == (303, "/billing")
    assert "Your pause has ended meanwhile." in (await kim.http.get("/billing", headers=HTML)).text
