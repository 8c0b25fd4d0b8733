"""Many who number at the same time, some of whom give up or are killed: no gap, no double, in no series."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from quntedge.invoices.feature import Invoices
from quntedge.kit.clock import FrozenClock
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.invoices.builders import refund
from tests.payments.builders import apply, rows, snapshot

CROWD = 50


@pytest.fixture
async def crowd(database_url: str, clock: FrozenClock, shop: UnitOfWorkFactory) -> AsyncIterator[UnitOfWorkFactory]:
    """The shop on fifty connections."""
    engine = create_engine(database_url, pool_size=CROWD)
    yield UnitOfWorkFactory(session_factory(engine), clock, shop.bus)
    await engine.dispose()


async def test_fifty_at_once_some_rolled_back_and_some_killed(
    crowd: UnitOfWorkFactory, billing: Invoices, database_url: str
) -> None:
    all_open = asyncio.Barrier(CROWD)
    fates = ("commit", "roll back", "killed while holding the number", "killed while committing", "commit")

    async def live(number: int) -> None:
        # A payment or two, so that a unit takes more than one number at once.
        payment, *others = (f"pay_{number}_{part}" for part in range(1 + number % 3 // 2))
        async with crowd() as unit:
            await apply(unit, *map(snapshot, (payment, *others)))
            session_id = await _session_id(unit)
            await all_open.wait()
            await unit.dispatch()
            # Half of them give some of it back at once: another series, in the same transaction.
            if number % 2:
                await _give_back(unit, payment, number)
            fate = fates[number % len(fates)]
            if fate == "commit":
                await unit.commit()
            elif fate == "roll back":
                await unit.rollback()
            elif fate == "killed while committing":
                done = await asyncio.gather(unit.commit(), _kill(database_url, session_id), return_exceptions=True)
                assert done[0] is None or isinstance(done[0], DBAPIError)
            else:
                await _kill(database_url, session_id)
                with pytest.raises(DBAPIError):
                    await unit.commit()

    outcomes = await asyncio.gather(*(live(number) for number in range(CROWD)), return_exceptions=True)
    strange = [outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, DBAPIError)]
    assert strange == []
    await _check(crowd)
    # The series go on where they stand.
    async with crowd() as unit:
        await apply(unit, snapshot("pay_after"))
        await unit.commit()
    await _check(crowd)


async def _check(crowd: UnitOfWorkFactory) -> None:
    last = dict(await rows(crowd, "SELECT series, last_number FROM invoice_counter"))
    for table, series in (("invoice", "INV-2026"), ("credit_note", "CN-2026")):
        found = [number for (number,) in await rows(crowd, f"SELECT number FROM {table} ORDER BY number")]
        assert found == [f"{series}-{n:06d}" for n in range(1, len(found) + 1)]
        assert last[series] == len(found)
    ((invoices, credits),) = await rows(
        crowd, "SELECT (SELECT count(*) FROM invoice), (SELECT count(*) FROM credit_note)"
    )
    assert invoices >= CROWD * 2 // 5, "everybody who committed has an invoice"
    assert credits >= CROWD // 5
    broken = await rows(
        crowd,
        "SELECT id FROM invoice AS i WHERE legal_entity_id IS NULL OR total_minor IS DISTINCT FROM"
        " (SELECT sum(amount_minor) FROM invoice_line WHERE invoice_id = i.id) OR credited_minor IS DISTINCT FROM"
        " (SELECT coalesce(sum(total_minor), 0) FROM credit_note WHERE invoice_id = i.id)",
    )
    assert broken == []


async def _give_back(unit: UnitOfWork, payment: str, number: int) -> None:
    found = await unit.session.execute(
        text("SELECT id FROM payment_transaction WHERE whop_payment_id = :p"), {"p": payment}
    )
    await refund(unit, found.scalar_one(), payment, 500 + number, f"rf_{number}")
    await unit.dispatch()


async def _session_id(unit: UnitOfWork) -> int:
    return int((await unit.session.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def _kill(database_url: str, session_id: int) -> None:
    async with await psycopg.AsyncConnection.connect(libpq_url(database_url), autocommit=True) as connection:
        await connection.execute("SELECT pg_terminate_backend(%s)", (session_id,))
