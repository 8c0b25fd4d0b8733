"""Telling many: in portions, exactly once, whoever dies or asks again in between; and taking it back."""

import asyncio

import pytest
from sqlalchemy import text

from quntedge.plan_migrations import candidates
from quntedge.plan_migrations.errors import (
    InvalidMigration,
    MigrationOver,
    MigrationRunning,
    MigrationUnknown,
    NothingRenews,
    UnknownPlan,
    VersionNotSold,
)
from quntedge.plan_migrations.service import Ask
from tests.plan_migrations.conftest import BY, Shop

# A crowd of subscribers, copied from one who has really bought: nobody calls the gateway for them.
_COPY = """
    WITH people AS (
        INSERT INTO app_user SELECT (jsonb_populate_record(u, jsonb_build_object(
            'id', 'usr_crowd' || n, 'whop_user_id', null, 'email', null, 'email_index', null))).*
        FROM app_user u, generate_series(1, :many) n WHERE u.id = :user RETURNING id
    )
    INSERT INTO subscription SELECT (jsonb_populate_record(s, jsonb_build_object(
        'id', 'sub_crowd' || n, 'user_id', 'usr_crowd' || n, 'whop_membership_id', 'mem_crowd' || n,
        'checkout_id', null))).*
    FROM subscription s, generate_series(1, :many) n WHERE s.user_id = :user
"""


async def told(shop: Shop) -> list[str]:
    return [fact.subscription_id for fact in shop.announced]


async def test_everybody_is_told_once_and_keeps_their_price_when_it_is_taken_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "PORTION", 10)
    world = shop.world
    kim = await world.customer("quarterly")
    async with world.units() as unit:
        await unit.session.execute(text(_COPY), {"many": 34, "user": kim.user_id})
        await unit.session.commit()
    await shop.reprice(quarterly=8500)
    begun = await shop.migrations.start(Ask("quarterly"), by=BY)
    portions = shop.migrations.tell(begun.id)
    assert await anext(portions) == 10
    await portions.aclose()  # the process ends here; two others go on at once
    await asyncio.gather(shop.migrations.work_due(), shop.migrations.work_due())
    view = await shop.migrations.view(begun.id)
    assert (view.state, view.counts["waiting"]) == ("running", 35)
    assert (len(await told(shop)), len(set(await told(shop)))) == (35, 35)

    taken = await shop.migrations.withdraw(begun.id, by="service:key_1")
    assert taken.state == "withdrawing"
    with pytest.raises(MigrationRunning):
        await shop.migrations.start(Ask("quarterly"), by=BY)
    await asyncio.gather(shop.migrations.work_due(), shop.migrations.work_due())
    view = await shop.migrations.view(begun.id)
    assert (view.state, view.withdrawn_by, view.counts["withdrawn"]) == ("withdrawn", "service:key_1", 35)
    assert sorted(fact.subscription_id for fact in shop.withdrawn) == sorted(await told(shop))
    assert (await shop.migrations.withdraw(begun.id, by=BY)).withdrawn_by == "service:key_1"
    assert await shop.migrations.work_due() == 0


async def test_what_has_not_begun_is_taken_back_at_the_gateway_too(shop: Shop) -> None:
    world = shop.world
    kim = await world.customer("yearly")
    await shop.reprice(yearly=26000)
    view = await shop.migrate("yearly")
    await shop.to(kim, days=363, hours=1)
    assert (await shop.item(kim)).state == "moving"
    assert (await world.gateway.membership(kim.membership_id)).cancel_at_period_end
    await shop.migrations.withdraw(view.id, by=BY)
    await shop.go_on(kim)
    assert not (await world.gateway.membership(kim.membership_id)).cancel_at_period_end
    assert (await shop.item(kim)).state == "withdrawn"
    await shop.to(kim, days=3)
    row = await world.subscription(kim)
    assert (row.status, row.plan_version, await world.collected(kim)) == ("active", 1, 50000)


async def test_a_still_newer_version_takes_the_migration_back(shop: Shop) -> None:
    """Nobody can be charged at terms that are not on sale any more, and nobody at terms they were not told of."""
    world = shop.world
    kim = await world.customer("yearly")
    await shop.reprice(yearly=27000)
    view = await shop.migrate("yearly", from_version=(await world.subscription(kim)).plan_version)
    await shop.reprice(yearly=28000)
    await shop.to(kim, days=363, hours=1)
    await shop.to(kim, hours=2)
    view = await shop.migrations.view(view.id)
    assert (view.state, view.withdrawn_by) == ("withdrawn", "system:newer_version")
    assert (await shop.item(kim)).state == "withdrawn"


async def test_what_is_refused(shop: Shop) -> None:
    await shop.reprice(monthly=3900)
    migrations = shop.migrations
    for ask, error in (
        (Ask("gold"), UnknownPlan),
        (Ask("x" * 300), UnknownPlan),
        (Ask("free"), NothingRenews),
        (Ask("lifetime"), NothingRenews),
        (Ask("monthly", to_version=1), VersionNotSold),
        (Ask("monthly", to_version=99), VersionNotSold),
        (Ask("monthly", from_version=2), InvalidMigration),
        (Ask("monthly", from_version=0), InvalidMigration),
        (Ask("monthly", notice_days=29), InvalidMigration),
        (Ask("monthly", notice_days=366), InvalidMigration),
    ):
        with pytest.raises(error):
            await migrations.start(ask, by=BY)
        with pytest.raises(error):
            await migrations.outlook(ask)
    for unknown in ("mig_01k4a2f0e8f9xa3s6m1q2r7v5z", "nonsense", ""):
        with pytest.raises(MigrationUnknown):
            await migrations.withdraw(unknown, by=BY)
    nobody = await shop.migrate("monthly")
    assert nobody.state == "done"
    with pytest.raises(MigrationOver):
        await migrations.withdraw(nobody.id, by=BY)
