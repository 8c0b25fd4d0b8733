"""Snapshots from the real database, and the sharing of one trip among many callers."""

import asyncio
from datetime import timedelta

from sqlalchemy import event, text

from quntedge.access.rules import Reason
from quntedge.access.service import AccessService, Question
from quntedge.kit.crypto import token_digest
from quntedge.kit.ids import new_id
from tests.edge.shop import Person, Shop


async def test_a_customer_without_subscription_has_the_free_plan(shop: Shop, kim: Person) -> None:
    decisions = await shop.services.access.decide_all(kim.user_id)
    assert {code for code, decision in decisions.items() if decision.allowed} == {
        "basic_dashboard",
        "limited_accounts",
        "community_access",
        "price_alerts",
    }
    assert decisions["advanced_analytics"].reason is Reason.NO_SUBSCRIPTION
    assert len(decisions) == 9


async def test_a_limit_comes_with_what_it_is_worth(shop: Shop, kim: Person) -> None:
    free = await shop.services.access.decide(kim.user_id, "price_alerts")
    assert (free.allowed, free.reason, free.value, free.until) == (True, Reason.FREE_PLAN, 5, None)
    await shop.subscribe(kim.user_id, "quarterly")
    bought = await shop.services.access.decide(kim.user_id, "price_alerts")
    assert (bought.reason, bought.value) == (Reason.SUBSCRIPTION_ACTIVE, 250)
    assert bought.until == shop.clock.now() + timedelta(days=30), "then it may be the free plan's number again"
    assert (await shop.services.access.decide(kim.user_id, "community_access")).value is None
    async with shop.units() as unit:
        await unit.session.execute(text("UPDATE subscription SET plan_id = (SELECT id FROM plan WHERE code='yearly')"))
        await unit.commit()
    unlimited = await shop.services.access.decide(kim.user_id, "price_alerts")
    assert (unlimited.allowed, unlimited.reason, unlimited.value) == (True, Reason.SUBSCRIPTION_ACTIVE, None)


async def test_a_change_of_the_catalogue_counts_at_once(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    (before,) = await shop.services.access.snapshots([kim.user_id])
    (again,) = await shop.services.access.snapshots([kim.user_id])
    assert again.features is before.features, "what has not changed is not made anew"
    for change, feature, value in (
        ("UPDATE plan_feature SET value = '101' WHERE value = '100'", "price_alerts", 101),
        ("UPDATE feature SET kind = 'boolean' WHERE code = 'price_alerts'", "price_alerts", None),
    ):
        async with shop.units() as unit:
            await unit.session.execute(text(change))
            await unit.commit()
        assert (await shop.services.access.decide(kim.user_id, feature)).value == value
    async with shop.units() as unit:
        await unit.session.execute(text("DELETE FROM plan_feature WHERE feature_code = 'advanced_analytics'"))
        await unit.commit()
    assert not (await shop.services.access.decide(kim.user_id, "advanced_analytics")).allowed


async def test_a_subscription_opens_its_plan(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    decision = await shop.services.access.decide(kim.user_id, "advanced_analytics")
    assert (decision.allowed, decision.reason) == (True, Reason.SUBSCRIPTION_ACTIVE)
    assert decision.until == shop.clock.now() + timedelta(days=30)
    assert (await shop.services.access.decide(kim.user_id, "custom_integrations")).reason is Reason.NOT_IN_PLAN


async def test_the_live_subscription_speaks_before_newer_ones(shop: Shop, kim: Person) -> None:
    now = shop.clock.now()
    await shop.subscribe(kim.user_id, "yearly", created_at=now - timedelta(days=9))
    await shop.subscribe(kim.user_id, "monthly", status="incomplete", created_at=now)
    assert (await shop.services.access.decide(kim.user_id, "api_access")).allowed


async def test_paid_time_that_still_runs_speaks_before_an_unfinished_purchase(shop: Shop, kim: Person) -> None:
    now = shop.clock.now()
    end = now + timedelta(days=3)
    await shop.subscribe(kim.user_id, "yearly", status="canceled", ended_at=end, created_at=now - timedelta(days=9))
    await shop.subscribe(kim.user_id, "monthly", status="incomplete", created_at=now)
    decision = await shop.services.access.decide(kim.user_id, "api_access")
    assert (decision.allowed, decision.until) == (True, end)
    shop.clock.set(end)
    assert not (await shop.services.access.decide(kim.user_id, "api_access")).allowed


async def test_answers_come_in_the_order_of_the_questions_also_for_unknown_users(shop: Shop, kim: Person) -> None:
    nobody = new_id("usr", shop.clock.now())
    snapshots = await shop.services.access.snapshots([nobody, kim.user_id, nobody])
    assert [s.user_id for s in snapshots] == [nobody, kim.user_id, nobody]
    assert [s.exists for s in snapshots] == [False, True, False]


async def test_a_key_is_known_until_it_is_revoked_and_not_a_moment_longer(shop: Shop, kim: Person) -> None:
    token = await shop.api_key("access:read")
    question = Question((kim.user_id,), token_digest(token))
    assert (await shop.services.access.ask(question)).scopes == {"access:read"}
    async with shop.units() as unit:
        (key,) = await shop.services.api_keys.list(unit)
        await shop.services.api_keys.revoke(unit, key.id)
        await unit.commit()
    assert (await shop.services.access.ask(question)).scopes is None
    assert (await shop.services.access.ask(Question((kim.user_id,), b"x" * 32))).scopes is None


async def test_callers_at_the_same_moment_share_trips_to_the_database(shop: Shop, kim: Person) -> None:
    await shop.subscribe(kim.user_id)
    access = AccessService(shop.services.engine, shop.clock)
    await access.decide(kim.user_id, "api_access")
    trips = 0

    def count(*_: object) -> None:
        nonlocal trips
        trips += 1

    event.listen(shop.services.engine.sync_engine, "checkout", count)
    decisions = await asyncio.gather(*(access.decide(kim.user_id, "unlimited_accounts") for _ in range(100)))
    event.remove(shop.services.engine.sync_engine, "checkout", count)
    assert all(decision.allowed for decision in decisions)
    assert trips <= 2
