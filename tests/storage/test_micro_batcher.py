"""Joining concurrent calls into batches."""

import asyncio
from collections.abc import Sequence

import pytest

from quntedge.storage.batching import MicroBatcher


class Work:
    """A run that remembers its batches, waits at a gate while it is shut, and fails where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = 0
        self.most_running = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            if min(items) < 0:
                raise ValueError(f"refused {min(items)}")
            return [item * 10 for item in items]
        finally:
            self.running -= 1


async def _settle() -> None:
    """Gives everything that can go on the turns it needs."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_concurrent_callers_share_a_batch_and_each_gets_its_own_answer() -> None:
    work = Work()
    batcher = MicroBatcher(work.run)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(5))) == [0, 10, 20, 30, 40]
    assert work.batches == [[0, 1, 2, 3, 4]]


async def test_callers_that_come_meanwhile_wait_together_for_the_next() -> None:
    work = Work()
    batcher = MicroBatcher(work.run)
    work.gate.clear()
    first = batcher.submit(1)
    await _settle()
    late = [batcher.submit(n) for n in (2, 3)]
    await _settle()
    assert work.batches == [[1]]
    work.gate.set()
    assert await asyncio.gather(first, *late) == [10, 20, 30]
    assert work.batches == [[1], [2, 3]]
    assert await batcher.submit(4) == 40


async def test_no_batch_is_larger_than_allowed() -> None:
    work = Work()
    batcher = MicroBatcher(work.run, max_batch=3)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(8))) == [n * 10 for n in range(8)]
    assert work.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_a_failure_reaches_every_caller_of_its_batch_and_nobody_else() -> None:
    work = Work()
    batcher = MicroBatcher(work.run, max_batch=2)
    answers = await asyncio.gather(*(batcher.submit(n) for n in (1, -2, 3, 4)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["refused -2", "refused -2", "30", "40"]
    with pytest.raises(ValueError, match="refused -5"):
        await batcher.submit(-5)
    assert await batcher.submit(6) == 60


async def test_a_caller_who_leaves_does_not_break_the_batch() -> None:
    for failing in (1, -1):
        work = Work()
        batcher = MicroBatcher(work.run)
        work.gate.clear()
        leaving, staying = batcher.submit(2), batcher.submit(failing)
        await _settle()
        leaving.cancel()
        work.gate.set()
        async with asyncio.timeout(60):
            (answer,) = await asyncio.gather(staying, return_exceptions=True)
        assert str(answer) == ("10" if failing == 1 else "refused -1")
        assert leaving.cancelled()
        assert await batcher.submit(3) == 30


async def test_a_run_that_answers_too_little_fails_instead_of_leaving_somebody_waiting() -> None:
    async def forgetful(items: Sequence[int]) -> list[int]:
        return list(items)[1:]

    batcher = MicroBatcher(forgetful)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]


@pytest.mark.parametrize("lanes", [1, 3])
async def test_as_many_batches_at_once_as_there_are_lanes(lanes: int) -> None:
    work = Work()
    batcher = MicroBatcher(work.run, max_batch=2, lanes=lanes)
    work.gate.clear()
    answers = [batcher.submit(n) for n in range(10)]
    await _settle()
    assert work.running == lanes
    assert len(work.batches) == lanes
    work.gate.set()
    assert await asyncio.gather(*answers) == [n * 10 for n in range(10)]
    assert work.most_running == lanes
    assert sorted(n for batch in work.batches for n in batch) == list(range(10))


async def test_pacing_gathers_steady_traffic_and_spares_the_first_call() -> None:
    work = Work()
    batcher = MicroBatcher(work.run, max_batch=3, pace_seconds=3600)
    assert await batcher.submit(1) == 10
    waiting = [batcher.submit(n) for n in (2, 3)]
    await _settle()
    assert work.batches == [[1]]
    assert not any(answer.done() for answer in waiting)
    for answer in waiting:
        answer.cancel()


async def test_enough_calls_together_do_not_wait_for_the_pace() -> None:
    work = Work()
    batcher = MicroBatcher(work.run, pace_seconds=3600, enough=3)
    assert await batcher.submit(1) == 10
    waiting = [batcher.submit(n) for n in (2, 3)]
    await _settle()
    assert work.batches == [[1]]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*waiting, batcher.submit(4)) == [20, 30, 40]
    assert work.batches == [[1], [2, 3, 4]]
