"""Pausing over HTTP where nothing reaches the gateway: previews, refusals, what the pages offer."""

from datetime import timedelta

from tests.edge.fixtures import kim, shop
from tests.edge.shop import Person, Shop
from tests.web.browser import HTML

__all__ = ["kim", "shop"]


async def test_a_preview_says_what_would_be_and_changes_nothing(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id, period_end=shop.clock.now() + timedelta(days=12))
    for params, resumes in (({"days": 5}, 5), ({"until": "2026-10-01T12:00:00Z"}, 30)):
        answer = await kim.http.get("/api/subscription/pause/preview", params=params)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        # A pause that ends within the paid period interrupts nothing.
        assert found["access_until"] == (None if resumes < 12 else "2026-09-13T12:00:00Z")
        charged = shop.clock.now() + timedelta(days=max(resumes, 12))
        assert found["charge_at"] == f"{charged:%Y-%m-%dT%H:%M:%SZ}"
    assert (await kim.http.get("/api/subscription")).json()["subscription"]["status"] == "active"


async def test_a_length_that_cannot_be_is_refused(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    wrong: list[tuple[dict[str, object], str]] = [
        ({"days": 0}, "malformed"),
        ({"until": "2026-10-01T12:00:00"}, "malformed"),
        ({"months": 1}, "malformed"),
        ({"days": 400}, "invalid_pause_end"),
        ({}, "invalid_pause_end"),
        ({"days": 5, "until": "2026-10-01T12:00:00Z"}, "invalid_pause_end"),
    ]
    for body, code in wrong:
        answer = await kim.http.post("/api/subscription/pause", json=body, headers=kim.headers())
        assert (answer.status_code, answer.json()["code"]) == (422, code), body


async def test_what_cannot_be_paused_says_why_and_is_not_offered(shop: Shop) -> None:
    obstacles: list[tuple[str, dict[str, object], str]] = [
        ("monthly", {"status": "trialing"}, "pause_in_trial"),
        ("monthly", {"status": "past_due"}, "pause_while_past_due"),
        ("monthly", {"cancel_at_period_end": True}, "pause_while_cancelling"),
        ("lifetime", {"status": "completed", "period_end": None}, "nothing_to_pause"),
        ("monthly", {"status": "canceled"}, "nothing_to_pause"),
    ]
    for plan, values, code in obstacles:
        lou = await shop.sign_up()
        await shop.subscribe(lou.user_id, plan, **values)
        answer = await lou.http.post("/api/subscription/pause", json={"days": 30}, headers=lou.headers())
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        page = await lou.http.get("/billing", headers=HTML)
        assert page.status_code == 200
        assert "/billing/pause" not in page.text


async def test_pausing_needs_a_signed_in_customer_and_the_form_token(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    for path in ("/api/subscription/pause", "/api/subscription/unpause"):
        assert (await shop.client().post(path, json={})).status_code == 401
        assert (await kim.http.post(path, json={})).status_code == 403
    for path in ("/billing/pause", "/billing/pause/end"):
        assert (await kim.http.post(path, data={"length": "30"}, headers=HTML)).status_code == 403


async def test_the_page_names_every_length_with_its_dates(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id, period_end=shop.clock.now() + timedelta(days=40))
    assert "/billing/pause" in (await kim.http.get("/billing", headers=HTML)).text
    text = " ".join((await kim.http.get("/billing/pause", headers=HTML)).text.split())
    for day in ("1 Oct 2026", "31 Oct 2026", "30 Nov 2026"):
        assert f"{day}</time>" in text
    # The paid period outlasts the first month.
    assert "11 Oct 2026</time>" in text
    assert "$29.00" in text
    assert "Until I resume" not in text
