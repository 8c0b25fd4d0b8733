"""Codes that stand at the gateway under their own name: made, made anew when their terms change, taken away."""

from datetime import timedelta

import pytest

from quntedge.gateway.acts import PromoRequest
from quntedge.gateway.errors import GatewayNotFound
from quntedge.kit.clock import FrozenClock
from quntedge.promotions.sync import PromoSyncReport
from tests.promotions.conftest import Store, spec, usd


async def test_a_code_stands_at_the_gateway_until_it_is_over(store: Store, clock: FrozenClock) -> None:
    sync = store.promotions.sync
    wanted = spec(percent_bp=2500, periods=None, at_whop=True, ends_at=clock.now() + timedelta(days=30))
    await store.save(wanted, codes=("HELLO", "SALUT"))
    assert [one.make for one in await sync.pending()] == [True, True]
    assert await sync.run() == PromoSyncReport(made=("HELLO", "SALUT"))
    assert await sync.run() == PromoSyncReport()
    assert {promo.code for promo in await store.gateway.promos() if not promo.archived} == {"HELLO", "SALUT"}

    # Somebody buys with it without having been here: known by the promo code's id.
    user = await store.user()
    view = await store.checkouts.start(user, "quarterly", "key-1")
    payment = await store.pay(user, view, promo_code="hello")
    assert payment.total == usd(5625)
    row = await store.one("SELECT r.*, p.code FROM promotion_redemption r JOIN promotion p ON p.id = r.promotion_id")
    assert (row["code"], row["reservation_id"], row["discount_minor"]) == ("launch", None, 1875)

    # Nothing can be edited there: other terms, another code of the same name.
    before = {promo.promo_id for promo in await store.gateway.promos()}
    await store.save(spec(percent_bp=1000, at_whop=True), codes=())
    assert (await sync.run()).made == ("HELLO", "SALUT")
    there = await store.gateway.promos()
    assert {promo.promo_id for promo in there if promo.archived} == before
    assert len(there) == 4

    async with store.units() as unit:
        await store.promotions.service.archive_code(unit, "SALUT")
        await unit.commit()
    assert (await sync.run()).archived == ("SALUT",)
    async with store.units() as unit:
        await store.promotions.service.archive(unit, "launch")
        await unit.commit()
    assert (await sync.run()).archived == ("HELLO",)
    assert all(promo.archived for promo in await store.gateway.promos())


async def test_a_lost_answer_makes_no_second_code(store: Store, clock: FrozenClock) -> None:
    await store.save(spec(at_whop=True), codes=("HELLO",))
    store.wire.faults = ["lost"]
    first = await store.promotions.sync.run()
    assert list(first.refused) == ["HELLO"]
    clock.advance(timedelta(minutes=1))
    await store.work()
    assert [promo.code for promo in await store.gateway.promos()] == ["HELLO"]
    assert await store.promotions.sync.run() == PromoSyncReport()


async def test_a_code_that_is_taken_there_is_refused_and_said(store: Store) -> None:
    taken = PromoRequest("HELLO", usd(500), [str((await store.plan("quarterly")).whop_plan_id)])
    await store.gateway.create_promo(taken, idempotency_key="by-hand")
    await store.save(spec(at_whop=True), codes=("HELLO",))
    assert list((await store.promotions.sync.run()).refused) == ["HELLO"]
    assert [one.code for one in await store.promotions.sync.pending()] == ["HELLO"]


async def test_a_promo_code_for_ever_and_without_limit(store: Store) -> None:
    plan = await store.plan("quarterly")
    request = PromoRequest("ALWAYS", usd(500), [str(plan.whop_plan_id)], uses=None, periods=None)
    made = await store.gateway.create_promo(request, idempotency_key="always")
    assert await store.gateway.promo(made.promo_id) == made
    with pytest.raises(GatewayNotFound):
        await store.gateway.promo("promo_unknown")
    user = await store.user()
    payment = await store.pay(user, await store.checkouts.start(user, "quarterly", "key-1"), promo_code="ALWAYS")
    membership = await store.gateway.membership(str(payment.membership_id))
    assert (payment.total, membership.renewal_price) == (usd(7000), usd(7000))
