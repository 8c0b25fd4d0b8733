"""Making, changing and ending promotions and codes."""

import asyncio

import pytest

from quntedge.promotions import errors, queries
from quntedge.promotions.rules import MOST_CODES_AT_ONCE
from quntedge.promotions.service import Batch
from tests.promotions.conftest import Counter, spec, usd


async def test_a_promotion_reads_as_it_was_written(counter: Counter) -> None:
    wanted = spec(percent_bp=None, amounts={"usd": usd(500)}, plans=("monthly", "yearly"), periods=None, max_uses=9)
    await counter.save(wanted, codes=("hello", "HELLO", "Ｈello"))
    async with counter.units() as unit:
        (view,) = await queries.promotions(unit.session)
    assert view.spec == wanted
    assert (view.codes, view.uses, view.version, view.created_by) == (1, 0, 1, "cli:test")


async def test_saving_again_changes_what_differs_and_nothing_else(counter: Counter) -> None:
    await counter.save()
    await counter.save()
    assert (await counter.rows("SELECT version FROM promotion"))[0]["version"] == 1
    await counter.save(spec(name="Another name", max_uses=3))
    assert (await counter.rows("SELECT version FROM promotion"))[0]["version"] == 1
    await counter.save(spec(percent_bp=None, amounts={"usd": usd(100)}, plans=("monthly",)))
    row = (await counter.rows("SELECT version, kind, percent_bp, max_uses, every_plan FROM promotion"))[0]
    assert row == {"version": 2, "kind": "amount", "percent_bp": None, "max_uses": None, "every_plan": False}
    await counter.save()
    assert (
        await counter.rows("SELECT * FROM promotion_amount") == await counter.rows("SELECT * FROM promotion_plan") == []
    )


async def test_a_limit_cannot_fall_below_what_is_taken(counter: Counter) -> None:
    await counter.save()
    for _ in range(2):
        await counter.reserve(await counter.user())
    with pytest.raises(errors.InvalidPromotion, match="2 uses"):
        await counter.save(spec(max_uses=1))
    await counter.save(spec(max_uses=2))


async def test_codes_are_unique_regardless_of_case_also_under_races(counter: Counter) -> None:
    await counter.save()
    await counter.save(spec(code="other"), codes=())

    async def add(code: str, promotion: str) -> bool:
        async with counter.units() as unit:
            try:
                await counter.promotions.service.add_codes(unit, promotion, by="cli:test", named=[code])
            except errors.PromotionCodeTaken:
                return False
            await unit.commit()
            return True

    assert not await add("launch20", "other")
    spellings = [("summer", "launch"), ("SUMMER", "other"), ("Ｓummer", "launch"), (" suMMer ", "other")]
    assert sum(await asyncio.gather(*(add(code, promotion) for code, promotion in spellings))) == 1


async def test_a_batch_of_codes(counter: Counter) -> None:
    await counter.save(codes=())
    batch = await _bulk(counter, count=1000, prefix="vip ", max_uses=1)
    assert len(set(batch.codes)) == 1000
    assert all(code.startswith("VIP-") for code in batch.codes)
    async with counter.units() as unit:
        (view,) = await queries.promotions(unit.session)
        found, cursor = [], None
        while True:
            page = await queries.codes(unit.session, view.id, cursor, 300, batch=batch.id)
            found += [one.code for one in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert sorted(found) == sorted(batch.codes)


async def test_a_batch_that_cannot_be(counter: Counter) -> None:
    await counter.save(codes=())
    wrongs: list[dict[str, object]] = [
        {"count": 0},
        {"count": MOST_CODES_AT_ONCE + 1},
        {"count": -1},
        {"count": 1, "max_uses": 0},
        {"count": 1, "named": ["ABC"]},
    ]
    for wrong in wrongs:
        with pytest.raises(errors.InvalidPromotion):
            await _bulk(counter, **wrong)
    assert await counter.rows("SELECT * FROM promotion_code") == []


async def test_an_archived_promotion_is_over_until_it_is_saved_again(counter: Counter) -> None:
    await counter.save()
    async with counter.units() as unit:
        for _ in range(2):
            view = await counter.promotions.service.archive(unit, "launch")
        await unit.commit()
    assert view.archived_at is not None
    with pytest.raises(errors.PromotionExpired):
        await counter.reserve(await counter.user())
    with pytest.raises(errors.PromotionArchived):
        await _bulk(counter, count=1)
    await counter.save()
    await counter.reserve(await counter.user())


async def test_one_code_can_end_alone(counter: Counter) -> None:
    await counter.save(codes=("ONE", "TWO"))
    async with counter.units() as unit:
        await counter.promotions.service.archive_code(unit, "one")
        await unit.commit()
    with pytest.raises(errors.PromotionExpired):
        await counter.reserve(await counter.user(), "ONE")
    await counter.reserve(await counter.user(), "TWO")


async def test_unknown_names_and_plans_are_refused(counter: Counter) -> None:
    async with counter.units() as unit:
        for act in (counter.promotions.service.get, counter.promotions.service.archive):
            with pytest.raises(errors.PromotionNotFound):
                await act(unit, "nothing")
        with pytest.raises(errors.PromotionCodeUnknown):
            await counter.promotions.service.archive_code(unit, "NOTHING")
    for plan in ("gold", "free"):
        with pytest.raises(errors.InvalidPromotion, match=plan):
            await counter.save(spec(plans=(plan,)))
    with pytest.raises(errors.PromotionNotFound):
        await _bulk(counter, count=1)


async def _bulk(counter: Counter, **wanted: object) -> Batch:
    async with counter.units() as unit:
        batch = await counter.promotions.service.add_codes(unit, "launch", by="cli:test", **wanted)  # type: ignore[arg-type]
        await unit.commit()
    return batch
