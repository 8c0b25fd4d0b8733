"""Whatever becomes of the gateway's answer: exactly one refund, and nobody has to help."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from quntedge.gateway.errors import GatewayOutcomeUnknown
from quntedge.jobs.sweeps import processes_due
from quntedge.kit.money import Money
from quntedge.processes.runner import HANDOVER
from quntedge.processes.steps import retry_at
from quntedge.storage.unit_of_work import UnitOfWork
from tests.refunds.world import KIM, Killed, Payer, World

REFUND = "POST /payments/*/refund"
USD = Money(4500, "usd")
FOUND_WITHIN = timedelta(minutes=2)
MOST_COMMITS = 15


async def is_one(world: World, payer: Payer, refund_id: str) -> None:
    """Exactly one refund there and here, and nothing is left to do but to wait for its end."""
    assert await world.made(payer) == [(4500, refund_id)]
    assert (await world.refund(refund_id)).status == "pending"
    assert await world.held(payer) == 4500
    await world.settles(payer)
    assert (await world.refund(refund_id)).status == "succeeded"
    assert await world.payment(payer) == ("partially_refunded", 4500, False)
    of_payment = "SELECT id FROM refund WHERE transaction_id = :id"
    assert await world.rows(of_payment, id=payer.payment) == [{"id": refund_id}]


async def test_a_lost_answer_is_found_again(world: World) -> None:
    """Carried out and the connection cut; answered with 500 before or after; cut off in the middle; nonsense."""
    payer, asked = await world.buy(), []
    for fault in ("cut_after", "error_after", "cut_body", "garbage", "error_before", "cut_before"):
        await world.emulator.faults(fault=fault, match=REFUND, times=1)
        row = await world.ask(payer, Money(1000, "usd"))
        assert row.status == "unknown", fault
        await world.pass_by(seconds=5)
        assert (await world.refund(row.id)).status == "pending", fault
        asked.append(row.id)
    assert await world.made(payer) == [(1000, refund_id) for refund_id in asked]
    await world.settles(payer)
    assert await world.payment(payer) == ("partially_refunded", 6000, False)
    for refund_id in asked:
        assert [status for status, _ in await world.history(refund_id)] == [
            "approved", "sending", "unknown", "pending", "succeeded",
        ]  # fmt: skip


class LateNetwork(httpx.AsyncBaseTransport):
    """Holds the first refund back until the caller has long given up, and then delivers it all the same."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._held: httpx.Request | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx asks for."""
        if self._held is None and request.url.path.endswith("/refund"):
            self._held = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            raise httpx.ReadTimeout("the answer did not come", request=request)
        return await self._inner.handle_async_request(request)

    async def deliver(self) -> int:
        """What was held back arrives; the status it is answered with."""
        assert self._held is not None
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.send(self._held)).status_code


@contextmanager
def late_network(world: World) -> Iterator[LateNetwork]:
    client: Any = world.runtime.gateway._exchange._http
    inner, client._transport = client._transport, LateNetwork(client._transport)
    yield client._transport
    client._transport = inner


async def test_a_request_that_hangs_and_is_carried_out_before_anybody_looks(world: World) -> None:
    payer = await world.buy()
    with late_network(world) as network:
        row = await world.ask(payer, USD)
        assert row.status == "unknown"
        assert await network.deliver() == httpx.codes.OK
        await world.pass_by(seconds=5)
        await is_one(world, payer, row.id)


async def test_a_request_that_hangs_and_is_carried_out_after_it_was_sent_again(world: World) -> None:
    payer = await world.buy()
    with late_network(world) as network:
        row = await world.ask(payer, USD)
        await world.pass_by(seconds=5)
        assert (await world.refund(row.id)).status == "pending"
        await network.deliver()
        await is_one(world, payer, row.id)


async def test_the_webhook_may_be_faster_than_the_answer(world: World) -> None:
    payer = await world.buy()
    await world.emulator.faults(fault="cut_after", match=REFUND, times=1)
    row = await world.ask(payer, USD)
    await world.hear(payer.membership_id)
    assert (await world.refund(row.id)).status == "pending"
    await world.pass_by(seconds=5)
    await is_one(world, payer, row.id)


async def test_a_gateway_that_is_away_for_hours_is_asked_until_it_answers(world: World) -> None:
    payer = await world.buy()
    await world.emulator.faults(fault="error_before", match=REFUND)
    row = await world.ask(payer, USD)
    for _ in range(6):
        await world.pass_by(minutes=20)
    assert (await world.refund(row.id)).status == "unknown"
    assert await world.held(payer) == 4500, "what may have been given back is not promised again"
    await world.emulator.disarm()
    await world.pass_by(hours=2)
    await is_one(world, payer, row.id)


async def test_all_are_known_within_two_minutes_although_one_try_in_three_fails(world: World) -> None:
    """The first try of all of them fails, carried out or not, then one try in three of those that are left."""
    payer, count = await world.buy(), 9
    for fault, times, skip in (
        ("error_before", 6, 0),
        ("cut_after", 3, 0),
        ("error_before", 2, 0),
        ("cut_before", 1, 4),
    ):
        await world.emulator.faults(fault=fault, match=REFUND, times=times, skip=skip)
    for _ in range(count):
        assert (await world.ask(payer, Money(50, "usd"))).status == "unknown"
    every = processes_due(world.runtime.processes.resume_due).every
    while await world.rows("SELECT id FROM refund WHERE status = 'unknown'"):
        await world.pass_by(seconds=every.total_seconds())  # as often as a worker looks
    rows = await world.rows(
        "SELECT max(at) FILTER (WHERE after = 'pending') - min(at) FILTER (WHERE after = 'sending') AS took"
        " FROM refund_event GROUP BY refund_id ORDER BY took"
    )
    assert len(rows) == len(await world.made(payer)) == count
    assert rows[-1]["took"] < FOUND_WITHIN


def test_four_tries_fit_into_two_minutes() -> None:
    """So that fewer than one in a hundred is open for longer while fewer than three calls in ten fail."""

    async def nothing() -> int:
        return 0

    begun = at = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
    for failures in (1, 2, 3):
        at = retry_at(failures, at) + processes_due(nothing).every
    assert at - begun < FOUND_WITHIN
    assert 0.3**4 < 0.01


@contextmanager
def dying_after_commit(number: int) -> Iterator[list[int]]:
    """The process dies right after its commit of this number; the list holds how many there were."""
    commit, done = UnitOfWork.commit, [0]

    async def counted(unit: UnitOfWork) -> None:
        await commit(unit)
        done[0] += 1
        if done[0] == number:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnitOfWork, "commit", counted)
        yield done


async def test_killed_after_every_commit_it_is_one_refund(world: World) -> None:
    payer, amount, asked = await world.buy(), Money(100, "usd"), []
    for number in range(1, MOST_COMMITS):
        key = world.desk.new_refund_id()
        with dying_after_commit(number) as commits:
            try:
                await world.desk.request(payer.payment, key=key, actor=KIM, amount=amount)
            except Killed:
                pass
            else:
                assert commits[0] < number
                return
        await world.pass_by(seconds=HANDOVER.total_seconds())
        asked.append((100, key))
        assert await world.made(payer) == asked
        assert (await world.refund(key)).status == "pending"
    pytest.fail("there are more commits than were tried")


async def test_killed_before_and_after_the_call_it_is_one_refund(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real, payer, asked = world.runtime.gateway.refund_payment, await world.buy(), []
    for point, error in (("before", Killed()), ("after", Killed()), ("after", GatewayOutcomeUnknown("cut"))):
        key = world.desk.new_refund_id()

        async def dying(*arguments: Any, point: str = point, error: BaseException = error, **options: Any) -> Any:
            if point == "after":
                await real(*arguments, **options)
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(world.runtime.gateway, "refund_payment", dying, raising=False)
            try:
                await world.desk.request(payer.payment, key=key, actor=KIM, amount=Money(100, "usd"))
            except Killed:
                assert isinstance(error, Killed)
        await world.pass_by(seconds=HANDOVER.total_seconds())
        asked.append((100, key))
        assert await world.made(payer) == asked
        assert (await world.refund(key)).status == "pending"
