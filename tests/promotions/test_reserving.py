"""Holding a use: exact however many want the last one, with and without the lock."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import Money
from quntedge.promotions import errors, reserving
from quntedge.promotions.reserving import give_back, locked
from tests.promotions.conftest import Counter, hold, spec, usd

RACERS = 100


async def test_a_use_is_held_with_what_was_promised(counter: Counter) -> None:
    await counter.save(spec(percent_bp=1450, periods=3, max_uses=5, max_per_customer=2))
    user = await counter.user()
    held = await counter.reserve(user, " launch２０ ")
    assert held.discount == usd(421)
    assert held.whop_code.startswith("LAUNCH20-")
    (row,) = await counter.rows("SELECT * FROM promotion_reservation")
    assert (row["discount_minor"], row["price_minor"], row["periods"], row["percent_bp"]) == (421, 2900, 3, 1450)
    assert (row["state"], row["whop_plan_id"].split("_")[0]) == ("held", "plan")
    assert await _counts(counter) == (1, 1, 1)


async def test_what_is_too_little_to_be_charged_comes_off_as_well(counter: Counter) -> None:
    await counter.save(spec(percent_bp=None, amounts={"usd": usd(2850)}))
    assert (await counter.reserve(await counter.user())).discount == usd(2900)


@pytest.mark.parametrize("with_lock", [True, False])
async def test_the_last_use_raced_a_hundred_times_is_held_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, with_lock: bool
) -> None:
    monkeypatch.setattr(reserving, "LOCK", with_lock)
    await counter.save(spec(max_uses=3))
    users = await counter.users(RACERS + 2)
    for user in users[:2]:
        await counter.reserve(user)

    async def race(user: str) -> str:
        try:
            await counter.reserve(user)
        except errors.PromotionUsedUp:
            return "used up"
        return "held"

    outcomes = await asyncio.gather(*(race(user) for user in users[2:]))
    assert sorted(outcomes) == ["held"] + ["used up"] * (RACERS - 1)
    assert (await _counts(counter))[:2] == (3, 3)
    (row,) = await counter.rows("SELECT count(*) AS n FROM promotion_reservation")
    assert row["n"] == 3


@pytest.mark.parametrize("with_lock", [True, False])
async def test_a_code_of_one_use_and_a_customer_of_one_use_hold_against_races(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, with_lock: bool
) -> None:
    monkeypatch.setattr(reserving, "LOCK", with_lock)
    await counter.save(spec(max_per_customer=1))
    user = await counter.user()
    async with counter.units() as unit:
        batch = await counter.promotions.service.add_codes(unit, "launch", by="cli:test", count=1, max_uses=1)
        await unit.commit()

    async def race(user_id: str, code: str) -> bool:
        try:
            await counter.reserve(user_id, code)
        except (errors.PromotionUsedUp, errors.PromotionUsedByCustomer):
            return False
        return True

    others = await counter.users(10)
    assert sum(await asyncio.gather(*(race(other, batch.codes[0]) for other in others))) == 1
    assert sum(await asyncio.gather(*(race(user, "LAUNCH20") for _ in range(10)))) == 1


async def test_the_database_itself_refuses_one_use_too_many(counter: Counter, engine: AsyncEngine) -> None:
    await counter.save(spec(max_uses=1))
    await counter.reserve(await counter.user())
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE promotion SET uses = uses + 1"))


async def test_a_refused_reservation_leaves_nothing_behind(counter: Counter) -> None:
    await counter.save(spec(max_per_customer=1))
    user = await counter.user()
    await counter.reserve(user)
    with pytest.raises(errors.PromotionUsedByCustomer):
        await counter.reserve(user)
    assert await _counts(counter) == (1, 1, 1)


async def test_a_use_given_back_can_be_held_again(counter: Counter) -> None:
    await counter.save(spec(max_uses=1, max_per_customer=1))
    user = await counter.user()
    held = await counter.reserve(user)
    async with counter.units() as unit:
        await give_back(unit.session, await locked(unit, held.id))
        await unit.commit()
    assert await _counts(counter) == (0, 0, 0)
    await counter.reserve(user)
    with pytest.raises(errors.PromotionUsedUp):
        await counter.reserve(await counter.user())


async def test_a_promise_is_kept_when_the_promotion_changes(counter: Counter) -> None:
    await counter.save(spec(percent_bp=5000))
    first = await counter.reserve(await counter.user())
    await counter.save(spec(percent_bp=1000))
    second = await counter.reserve(await counter.user())
    assert (first.discount, second.discount) == (usd(1450), usd(290))
    rows = await counter.rows(
        "SELECT promotion_version AS v, discount_minor AS d FROM promotion_reservation ORDER BY 1"
    )
    assert rows == [{"v": 1, "d": 1450}, {"v": 2, "d": 290}]


async def test_a_code_that_does_not_fit_is_refused_and_changes_nothing(counter: Counter) -> None:
    euros = {"percent_bp": None, "amounts": {"eur": Money(500, "eur")}}
    cases: list[tuple[dict[str, object], str, bool, type[QuntedgeError]]] = [
        ({}, "NOBODY", False, errors.PromotionCodeUnknown),
        ({}, "!", False, errors.PromotionCodeMalformed),
        ({"plans": ("yearly",)}, "LAUNCH20", False, errors.PromotionNotForPlan),
        (euros, "LAUNCH20", False, errors.PromotionNotForCurrency),
        ({"first_purchase_only": True}, "LAUNCH20", True, errors.PromotionFirstPurchaseOnly),
    ]
    user, sold = await counter.user(), await counter.plan()
    for changes, typed, bought, expected in cases:
        await counter.save(spec(**changes))
        with pytest.raises(expected):
            async with counter.units() as unit:
                await hold(unit, counter.promotions, user, typed, sold, sold.prices[0], bought_before=bought)
        with pytest.raises(expected):
            async with counter.units() as unit:
                await counter.promotions.desk.offer(unit, typed, sold, sold.prices[0], user, bought)
    assert (await _counts(counter))[:2] == (0, 0)


async def test_two_addresses_of_one_mailbox_are_one_customer(counter: Counter) -> None:
    kim, kims_other, somebody = await counter.users(3)
    async with counter.units() as unit:
        await unit.session.execute(
            text("UPDATE app_user SET mailbox_index = convert_to('kim', 'UTF8') WHERE id IN (:one, :other)"),
            {"one": kim, "other": kims_other},
        )
        await unit.commit()
    for terms in ({"code": "once", "max_per_customer": 1}, {"code": "new", "first_purchase_only": True}):
        code = str(terms["code"]).upper()
        await counter.save(spec(**terms), codes=(code,))
        await counter.reserve(kim, code)
        for user in (kim, kims_other):
            with pytest.raises(errors.PromotionUsedByCustomer):
                await counter.reserve(user, code)
        await counter.reserve(somebody, code)


async def test_windows_open_and_close_to_the_second(counter: Counter, clock: FrozenClock) -> None:
    now = clock.now()
    await counter.save(spec(starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2)))
    user = await counter.user()
    with pytest.raises(errors.PromotionNotStarted):
        await counter.reserve(user)
    clock.advance(timedelta(hours=1))
    await counter.reserve(user)
    clock.advance(timedelta(hours=1))
    with pytest.raises(errors.PromotionExpired):
        await counter.reserve(user)


async def _counts(counter: Counter) -> tuple[int, int, int]:
    """Uses of the promotion, of its first code, and of all customers together."""
    (row,) = await counter.rows(
        "SELECT (SELECT uses FROM promotion) AS p, (SELECT uses FROM promotion_code ORDER BY created_at, id LIMIT 1)"
        " AS c, (SELECT coalesce(sum(uses), 0)::int FROM promotion_customer) AS u"
    )
    return row["p"], row["c"], row["u"]
