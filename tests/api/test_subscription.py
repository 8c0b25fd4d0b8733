from datetime import timedelta

import pytest

from quntedge.kit.ids import new_id
from tests.edge.shop import Person, Shop


async def test_the_plans_come_with_prices_and_features(shop: Shop) -> None:
    answer = await shop.client().get("/api/subscription/plans")
    plans = {plan["code"]: plan for plan in answer.json()["data"]}
    assert list(plans) == ["free", "monthly", "quarterly", "yearly", "lifetime"]
    assert plans["monthly"]["price"] == {"amount_minor": 2900, "currency": "usd"}
    assert plans["monthly"]["trial_days"] == 7
    assert plans["lifetime"]["period_days"] is None
    assert "custom_integrations" in {feature["code"] for feature in plans["lifetime"]["features"]}


async def test_a_customer_without_subscription(shop: Shop, kim: Person) -> None:
    answer = (await kim.http.get("/api/subscription")).json()
    assert answer["subscription"] is None
    assert answer["problem"] is None
    assert answer["features"]["basic_dashboard"] == {
        "allowed": True,
        "reason": "free_plan",
        "until": None,
        "grace": False,
        "value": None,
    }


async def test_a_customer_with_a_failed_payment_is_told(shop: Shop, kim: Person) -> None:
    until = shop.clock.now() + timedelta(days=7)
    subscription_id = await shop.subscribe(kim.user_id, status="past_due", grace_until=until)
    answer = (await kim.http.get("/api/subscription")).json()
    assert answer["subscription"]["id"] == subscription_id
    assert answer["subscription"]["plan"] == "monthly"
    assert answer["subscription"]["price"] == {"amount_minor": 2900, "currency": "usd"}
    assert answer["problem"] == "payment_failed"
    assert answer["features"]["advanced_analytics"] == {
        "allowed": True,
        "reason": "grace_period",
        "until": "2026-09-08T12:00:00Z",
        "grace": True,
        "value": None,
    }


async def test_nothing_renews_in_an_ended_subscription(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id, status="expired", ended_at=shop.clock.now())
    assert (await kim.http.get("/api/subscription")).json()["subscription"]["price"] is None


async def test_a_service_asks_about_one_user(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    headers = {"Authorization": f"Bearer {await shop.api_key('subscription:read')}"}
    client = shop.client()
    answer = await client.get(f"/api/subscription?user={kim.user_id}", headers=headers)
    assert answer.json()["subscription"]["status"] == "active"
    nobody = await client.get(f"/api/subscription?user={new_id('usr', shop.clock.now())}", headers=headers)
    assert nobody.status_code == 200
    assert nobody.json()["subscription"] is None
    assert nobody.json()["features"]["basic_dashboard"]["reason"] == "unknown_user"
    missing = await client.get("/api/subscription", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (400, "missing_user")
    odd = await client.get("/api/subscription?user=usr_%20", headers=headers)
    assert (odd.status_code, odd.json()["code"]) == (400, "invalid_id")


async def test_a_customer_cannot_ask_about_another(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    await shop.subscribe(other.user_id)
    answer = await kim.http.get(f"/api/subscription?user={other.user_id}")
    assert answer.json()["user"] == kim.user_id
    assert answer.json()["subscription"] is None


async def test_a_bad_key_is_a_401_even_beside_a_good_cookie(kim: Person, subtests: pytest.Subtests) -> None:
    for bad in ("", "Bearer", "Bearer qk_wrong", "Basic eA==", "Bearer " + "qk_" + "A" * 43, "é"):
        for path in ("/api/subscription", "/api/subscription/access", "/api/subscription/access/api_access"):
            with subtests.test(path=path, bad=bad):
                headers: dict[str, bytes] = {"Authorization": bad.encode()}
                answer = await kim.http.get(f"{path}?user={kim.user_id}", headers=headers)  # type: ignore[arg-type]
                assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_opens_only_what_it_was_made_for(shop: Shop, kim: Person) -> None:
    headers = {"Authorization": f"Bearer {await shop.api_key('access:read')}"}
    answer = await shop.client().get(f"/api/subscription?user={kim.user_id}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_the_history_is_paged_newest_first_without_gaps(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    mine, theirs = await shop.subscribe(kim.user_id), await shop.subscribe(other.user_id)
    # Three at the same moment: the id decides, and the pages' border runs through them.
    made = [await shop.event(kim.user_id, mine, shop.clock.now() + timedelta(hours=hour)) for hour in (0, 1, 1, 1, 2)]
    await shop.event(other.user_id, theirs, shop.clock.now())
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await kim.http.get("/api/subscription/events", params=params)).json()
        seen += [event["id"] for event in page["data"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == [made[4], *sorted(made[1:4], reverse=True), made[0]]
    assert set(page["data"][0]) == {"id", "subscription_id", "kind", "status", "at"}


async def test_bad_paging_is_a_400(kim: Person, subtests: pytest.Subtests) -> None:
    for path in ("subscription/events", "payment/transactions", "payment/invoices", "payment/refunds"):
        for query, code in (
            ("cursor=nonsense", "invalid_cursor"),
            ("cursor=", "invalid_cursor"),
            ("cursor=" + "A" * 5000, "invalid_cursor"),
            ("limit=0", "invalid_limit"),
            ("limit=101", "invalid_limit"),
            ("limit=-1", "invalid_limit"),
            ("limit=ten", "invalid_limit"),
            ("limit=", "invalid_limit"),
        ):
            with subtests.test(path=path, query=query):
                answer = await kim.http.get(f"/api/{path}?{query}")
                assert (answer.status_code, answer.json()["code"]) == (400, code)
