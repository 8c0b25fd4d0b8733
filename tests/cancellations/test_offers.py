"""What is offered to stay: shown once in a customer's life, given exactly as shown, and never in the way."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from quntedge.cancellations.errors import OfferUnavailable
from quntedge.cancellations.offers import SaveOfferService
from quntedge.cancellations.service import CancellationService, new_cancellation_id
from quntedge.gateway.errors import GatewayOutcomeUnknown, GatewayRejected
from quntedge.kit.errors import Conflict
from quntedge.kit.money import Money
from tests.cancellations.test_crash import dying_after_commit
from tests.cancellations.world import Buyer, Killed, World, once

TWENTY_PERCENT = {"kind": "discount", "percent_bp": 2000, "amount": None, "periods": 3, "days": None}
TEN_DOLLARS = TWENTY_PERCENT | {"percent_bp": None, "amount": {"amount_minor": 1000, "currency": "usd"}, "periods": 1}
A_PAUSE = {"kind": "pause", "percent_bp": None, "amount": None, "periods": None, "days": 30}


async def offer(world: World, terms: dict[str, Any]) -> None:
    """All plans offer this."""
    async with world.units() as unit:
        await unit.session.execute(
            text("UPDATE plan SET rules = rules || jsonb_build_object('save_offer', CAST(:terms AS jsonb))"),
            {"terms": json.dumps(terms)},
        )
        await unit.commit()


async def outcome(world: World, buyer: Buyer) -> str:
    (row,) = await world.rows("SELECT state FROM save_offer WHERE user_id = :id", id=buyer.user_id)
    return str(row["state"])


async def test_a_discount_lowers_the_next_charges_and_only_those(world: World) -> None:
    await offer(world, TWENTY_PERCENT)
    kim = await world.buy()
    shown = (await world.cancellations.service.preview(kim.user_id)).offer
    assert shown is not None
    assert (shown.price_before, shown.price_after) == (Money(7500, "usd"), Money(6000, "usd"))
    again = (await world.cancellations.service.preview(kim.user_id)).offer
    assert again == shown
    accepted = await world.cancellations.offers.accept(kim.user_id)
    assert accepted.state == "accepted"
    assert await world.cancellations.offers.accept(kim.user_id) == accepted
    assert world.cut.count("create_promo") == world.cut.count("apply_promo") == 1
    assert (await world.subscription(kim))["renewal_price_minor"] == 6000
    assert (await world.cancellations.service.preview(kim.user_id)).offer is None
    for _ in range(4):
        await world.advance(days=90, minutes=1)
    await world.hear_of(kim.membership_id)
    paid = await world.rows("SELECT total_minor FROM payment_transaction ORDER BY paid_at")
    assert [row["total_minor"] for row in paid] == [7500, 6000, 6000, 6000, 7500]
    assert await world.states(kim) == []


async def test_canceling_declines_it_for_good(world: World) -> None:
    await offer(world, TEN_DOLLARS)
    kim = await world.buy()
    shown = (await world.cancellations.service.preview(kim.user_id)).offer
    assert shown is not None
    assert shown.price_after == Money(6500, "usd")
    await world.cancellations.service.cancel(kim.user_id, key=new_cancellation_id(world.clock.now()))
    assert await outcome(world, kim) == "declined"
    await world.cancellations.service.resume(kim.user_id)
    assert (await world.cancellations.service.preview(kim.user_id)).offer is None
    with pytest.raises(OfferUnavailable):
        await world.cancellations.offers.accept(kim.user_id)
    lou = await world.buy()
    with pytest.raises(OfferUnavailable):
        await world.cancellations.offers.accept(lou.user_id)


async def test_a_refused_discount_says_so_and_leaves_everything_as_it_was(world: World) -> None:
    await offer(world, TWENTY_PERCENT)
    kim = await world.buy()
    await world.cancellations.service.preview(kim.user_id)
    world.cut.trouble = once("before apply_promo", GatewayRejected("another one is running"))
    with pytest.raises(OfferUnavailable):
        await world.cancellations.offers.accept(kim.user_id)
    assert (await world.subscription(kim))["renewal_price_minor"] == 7500
    # Nothing was given, so nothing is used up: the same offer can be accepted once more.
    assert await outcome(world, kim) == "shown"
    assert (await world.cancellations.service.preview(kim.user_id)).offer is not None
    assert (await world.cancellations.offers.accept(kim.user_id)).state == "accepted"
    assert (await world.subscription(kim))["renewal_price_minor"] == 6000
    assert len(world.emulator.runtime.world.store.tables.promos) == 1


async def test_whoever_pays_less_already_is_offered_no_second_discount(world: World) -> None:
    await offer(world, TWENTY_PERCENT)
    kim = await world.buy()
    async with world.units() as unit:
        await unit.session.execute(
            text("UPDATE subscription SET renewal_price_minor = 6412 WHERE user_id = :id"), {"id": kim.user_id}
        )
        await unit.commit()
    assert (await world.cancellations.service.preview(kim.user_id)).offer is None
    assert await world.rows("SELECT id FROM save_offer WHERE user_id = :id", id=kim.user_id) == []


async def test_killed_anywhere_the_discount_is_given_once(world: World) -> None:
    await offer(world, TWENTY_PERCENT)

    async def ready() -> Buyer:
        buyer = await world.buy()
        await world.cancellations.service.preview(buyer.user_id)
        return buyer

    async def check(buyer: Buyer) -> None:
        await world.recover()
        assert await outcome(world, buyer) == "accepted"
        assert (await world.subscription(buyer))["renewal_price_minor"] == 6000

    for point in ("before create_promo", "after create_promo", "before apply_promo", "after apply_promo"):
        buyer = await ready()
        world.cut.trouble = once(point, Killed())
        with pytest.raises(Killed):
            await world.cancellations.offers.accept(buyer.user_id)
        await check(buyer)
        buyer = await ready()
        world.cut.trouble = once(point, GatewayOutcomeUnknown("cut off"))
        assert (await world.cancellations.offers.accept(buyer.user_id)).state == "accepting"
        await check(buyer)
    for number in range(1, 6):
        buyer = await ready()
        with dying_after_commit(number), pytest.raises(Killed):
            await world.cancellations.offers.accept(buyer.user_id)
        await check(buyer)
    promos = world.emulator.runtime.world.store.tables.promos.values()
    assert {promo.uses for promo in promos} == {1}
    assert len(promos) == world.buyers


async def test_a_pause_is_done_by_whoever_knows_pauses(world: World) -> None:
    await offer(world, A_PAUSE)
    kim = await world.buy()
    assert (await world.cancellations.service.preview(kim.user_id)).offer is None, "nobody can pause here"
    paused: list[tuple[str, int]] = []
    refuse = True

    async def pause(user_id: str, days: int) -> None:
        if refuse:
            raise Conflict("not now")
        paused.append((user_id, days))

    offers = SaveOfferService(world.units, world.processes, pause)
    service = CancellationService(world.units, world.processes, world.vault, offers, world.cancellations.outcomes)
    shown = (await service.preview(kim.user_id)).offer
    assert shown is not None
    assert (shown.kind, shown.days, shown.price_after) == ("pause", 30, None)
    with pytest.raises(Conflict, match="not now"):
        await offers.accept(kim.user_id)
    assert await outcome(world, kim) == "shown"
    refuse = False
    assert (await offers.accept(kim.user_id)).state == "accepted"
    assert paused == [(kim.user_id, 30)]
    assert (await offers.accept(kim.user_id)).state == "accepted"
    assert len(paused) == 1


async def test_a_subscription_without_anything_to_save_gets_no_offer(world: World) -> None:
    await offer(world, TEN_DOLLARS | {"amount": {"amount_minor": 1000, "currency": "eur"}})
    kim = await world.buy()
    assert (await world.cancellations.service.preview(kim.user_id)).offer is None
    assert await world.rows("SELECT id FROM save_offer") == []
