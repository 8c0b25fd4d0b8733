"""Many at once, on connections of their own: what was paid is never promised twice, whoever guards it."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.refunds import queries
from quntedge.refunds.errors import AboveWhatIsLeft, NothingLeftToRefund
from quntedge.refunds.models import Refund
from quntedge.refunds.rules import Standing
from quntedge.storage.engine import libpq_url
from tests.refunds.world import Payer, World

SIXTY_PERCENT = Money(4500, "usd")
AT_ONCE = 8


async def race(world: World, payer: Payer) -> list[Refund | BaseException]:
    return await asyncio.gather(*(world.ask(payer, SIXTY_PERCENT) for _ in range(AT_ONCE)), return_exceptions=True)


async def one_was_accepted(world: World, payer: Payer, answers: list[Refund | BaseException]) -> None:
    accepted = [answer for answer in answers if isinstance(answer, Refund)]
    refused = [answer for answer in answers if isinstance(answer, AboveWhatIsLeft)]
    assert (len(accepted), len(refused)) == (1, AT_ONCE - 1)
    assert await world.made(payer) == [(4500, accepted[0].id)]
    assert await world.held(payer) == 4500
    assert len(await world.denied()) == AT_ONCE - 1


async def test_eight_times_sixty_percent_is_one_refund(world: World) -> None:
    payer = await world.buy()
    await one_was_accepted(world, payer, await race(world, payer))


async def test_also_without_the_lock_of_the_application(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them look before any of them writes: only the database can tell now."""
    payer = await world.buy()
    everybody = asyncio.Barrier(AT_ONCE)
    look: Callable[..., Awaitable[Standing]] = queries.standing
    looked: set[asyncio.Task[object] | None] = set()

    async def look_together(*arguments: object) -> Standing:
        found = await look(*arguments)
        if asyncio.current_task() not in looked:
            looked.add(asyncio.current_task())
            await everybody.wait()
        return found

    async def no_lock(*arguments: object) -> None:
        """Nobody waits."""

    with monkeypatch.context() as patch:
        patch.setattr(queries, "standing", look_together)
        patch.setattr(PaymentService, "lock", no_lock)
        answers = await race(world, payer)
    await one_was_accepted(world, payer, answers)


async def test_all_of_it_is_asked_for_once_and_sent_once_however_many_agree(world: World) -> None:
    payer = await world.buy("yearly")
    answers = await asyncio.gather(*(world.ask(payer) for _ in range(4)), return_exceptions=True)
    (row,) = [answer for answer in answers if isinstance(answer, Refund)]
    assert sum(isinstance(answer, NothingLeftToRefund) for answer in answers) == 3
    await asyncio.gather(
        *(world.desk.approve(row.id, actor=f"staff:{name}") for name in ("lou", "max", "ada")), return_exceptions=True
    )
    assert await world.made(payer) == [(row.amount_minor, row.id)]


async def test_the_database_alone_refuses(world: World) -> None:
    """Whoever writes past the application, at whatever isolation, promises no more than was paid."""
    payer = await world.buy()
    now = world.clock.now()
    insert = (
        "INSERT INTO refund (id, user_id, transaction_id, status, amount_minor, currency, requested_by, requested_at,"
        " approved_by, approved_at, occurred_at, created_at, updated_at)"
        " VALUES (%(id)s, %(user)s, %(payment)s, %(status)s, %(minor)s, %(currency)s, 'staff:kim', %(at)s, %(by)s,"
        " %(at)s, %(at)s, %(at)s, %(at)s)"
    )

    async def write(minor: int, currency: str = "usd", status: str = "approved", by: str = "staff:lou") -> None:
        row = {"id": new_id("ref", now), "user": payer.user_id, "payment": payer.payment, "at": now}
        async with await psycopg.AsyncConnection.connect(libpq_url(world.runtime.database_url)) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await connection.execute(insert, row | {"minor": minor, "currency": currency, "status": status, "by": by})

    outcomes = await asyncio.gather(*(write(4500) for _ in range(AT_ONCE)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert await world.held(payer) == 4500
    for wrong in (
        write(3001),
        write(0),
        write(-1),
        write(100, currency="eur"),
        write(100, by="staff:kim"),
        write(100, status="succeeded"),
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            await wrong
    await write(3000)
    assert await world.held(payer) == 7500


async def test_histories_are_never_changed(world: World) -> None:
    payer = await world.buy()
    await world.ask(payer, SIXTY_PERCENT)
    url = libpq_url(world.runtime.database_url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in ("UPDATE refund_event SET actor = 'x'", "DELETE FROM refund_event", "TRUNCATE refund_event"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                await connection.execute(statement)
