import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.checkout.idempotency import (
    Fresh,
    IdempotencyKeyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    IdempotencyService,
    Replay,
    checked_key,
    digest_of,
)
from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory

service = IdempotencyService()
DIGEST = digest_of({"plan": "monthly"})


async def begin(
    units: UnitOfWorkFactory,
    resource_id: str = "chk_1",
    *,
    caller: str = "usr_1",
    key: str | None = "key",
    operation: str = "op",
    digest: str = DIGEST,
) -> Fresh | Replay:
    return await service.begin(units, caller, key, operation, digest, resource_id)


async def finish(units: UnitOfWorkFactory, answer: str = "first") -> None:
    async with units() as unit:
        await service.finish(unit, "usr_1", "key", 201, {"answer": answer})
        await unit.commit()


async def test_done_once_and_answered_twice(units: UnitOfWorkFactory) -> None:
    assert await begin(units) == Fresh("chk_1", resumed=False)
    await finish(units)
    assert await begin(units, "chk_2") == Replay(201, {"answer": "first"})
    await finish(units, "second")
    assert await begin(units, "chk_3") == Replay(201, {"answer": "first"})


async def test_one_of_many_at_once_does_the_work(units: UnitOfWorkFactory) -> None:
    results = await asyncio.gather(*(begin(units, f"chk_{n}") for n in range(12)), return_exceptions=True)
    fresh = [result for result in results if isinstance(result, Fresh)]
    assert len(fresh) == 1
    others = [result for result in results if not isinstance(result, Fresh)]
    assert all(isinstance(result, IdempotencyKeyInFlight) for result in others)
    assert {result.extra["resource_id"] for result in others} == {fresh[0].resource_id}  # type: ignore[union-attr]


async def test_a_key_belongs_to_its_caller(units: UnitOfWorkFactory) -> None:
    await begin(units, "chk_1")
    assert await begin(units, "chk_2", caller="usr_2") == Fresh("chk_2", resumed=False)


async def test_another_request_with_the_key_is_refused_before_and_after_the_answer(units: UnitOfWorkFactory) -> None:
    await begin(units)
    for _ in range(2):
        with pytest.raises(IdempotencyKeyReused):
            await begin(units, digest=digest_of({"plan": "yearly"}))
        with pytest.raises(IdempotencyKeyReused):
            await begin(units, operation="other")
        await finish(units)


async def test_after_the_lease_a_crashed_request_is_resumed_once(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    await begin(units, "chk_1")
    clock.advance(timedelta(seconds=59))
    with pytest.raises(IdempotencyKeyInFlight):
        await begin(units, "chk_2")
    clock.advance(timedelta(seconds=1))
    results = await asyncio.gather(*(begin(units, f"chk_{n}") for n in range(2, 10)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, IdempotencyKeyInFlight)] == [
        Fresh("chk_1", resumed=True)
    ]


async def test_released_resumes_at_once_and_abandoned_starts_afresh(units: UnitOfWorkFactory) -> None:
    await begin(units, "chk_1")
    async with units() as unit:
        await service.release(unit, "usr_1", "key")
        await unit.commit()
    assert await begin(units, "chk_2") == Fresh("chk_1", resumed=True)
    async with units() as unit:
        await service.abandon(unit, "usr_1", "key")
        await unit.commit()
    assert await begin(units, "chk_3") == Fresh("chk_3", resumed=False)


async def test_an_answer_cannot_be_released_or_abandoned(units: UnitOfWorkFactory) -> None:
    await begin(units)
    await finish(units)
    async with units() as unit:
        await service.release(unit, "usr_1", "key")
        await service.abandon(unit, "usr_1", "key")
        await unit.commit()
    assert isinstance(await begin(units), Replay)


async def test_an_answer_is_kept_24_hours(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    await begin(units)
    await finish(units)
    clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert isinstance(await begin(units), Replay)
    clock.advance(timedelta(seconds=1))
    assert await begin(units, "chk_2") == Fresh("chk_2", resumed=False)


async def test_purge(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    await begin(units)
    clock.advance(timedelta(hours=23))
    await begin(units, key="younger")
    clock.advance(timedelta(hours=1))
    async with units() as unit:
        assert await service.purge(unit, clock.now()) == 1
        await unit.commit()
        assert await service.purge(unit, clock.now()) == 0


@pytest.mark.parametrize("key", ["", "a b", "a\n", "\x7f", "é", "x" * 256, "\x00"])
async def test_unusable_keys(units: UnitOfWorkFactory, key: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        await begin(units, key=key)


async def test_a_missing_key(units: UnitOfWorkFactory) -> None:
    with pytest.raises(IdempotencyKeyMissing):
        await begin(units, key=None)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255))
def test_any_visible_ascii_is_a_key(key: str) -> None:
    assert checked_key(key) == key


def test_the_digest_ignores_the_order_of_members() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": 3})
