"""The history alone gives the row, whatever happened and in whatever order."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions import history, receipts
from quntedge.subscriptions.history import Entry
from quntedge.subscriptions.models import Subscription
from quntedge.subscriptions.rebuild import Finding, Rebuild
from quntedge.subscriptions.receipts import Receipt
from tests.subscriptions.desk import Desk
from tests.subscriptions.states import AT, DAY, PERIOD_END

CUSTOMERS = 200


@pytest.fixture
async def desk(units: UnitOfWorkFactory, clock: FrozenClock) -> Desk:
    """Many customers, so that every example has one of its own."""
    return await Desk(units, clock).open(CUSTOMERS)


async def verified(desk: Desk, subscription_id: str | None = None) -> list[Finding]:
    """What differs from its history."""
    found: list[Finding] = []
    async with desk.units() as unit:
        engine = (await unit.connection()).engine
    async for portion in Rebuild(engine, desk.units).verify(subscription_id):
        found += portion.findings
    return found


_WORDS = st.sampled_from(
    ["drafted", "trialing", "active", "past_due", "completed", "canceled", "expired", "unknown", "unresolved"]
)
_SAY = st.tuples(st.just("say"), _WORDS, st.integers(0, 40), st.sampled_from([None, True, False]), st.booleans())
_AMEND = st.sampled_from(
    [
        ("amend", {"paused": True}),
        ("amend", {"paused": True, "resume_at": PERIOD_END}),
        ("amend", {"paused": False}),
        ("amend", {"superseded": True}),
        ("amend", {"superseded": False}),
    ]
)
_PAY = st.tuples(st.just("pay"), st.lists(st.integers(0, 40), min_size=1, max_size=2))
_STEPS = st.lists(st.tuples(st.booleans(), st.one_of(_SAY, _AMEND, _PAY)), min_size=1, max_size=8)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
async def test_the_fold_is_the_row_whatever_happened(desk: Desk, steps: list[tuple[bool, Any]]) -> None:
    number = len(desk.owners) // 2
    first, second = f"mem_{number}", f"mem_{number}b"
    desk.owners |= {first: f"usr_{number}", second: f"usr_{number}"}
    await desk.say(first, "active", AT)
    for other, step in steps:
        desk.clock.advance(timedelta(minutes=7))
        membership_id = second if other else first
        match step:
            case ("say", word, days, paused, read):
                at = AT + days * DAY
                over = {"paused": paused, "period_end": PERIOD_END + (days // 10) * 10 * DAY}
                await desk.say(membership_id, word, at, read=read, cancel_at_period_end=days % 3 == 0, **over)
            case ("amend", facts):
                await desk.amend(membership_id, **facts)
            case ("pay", days):
                mine = await desk.subscription(first)
                await desk.pay(mine["id"], *(AT + day * DAY for day in days))
    mine = await desk.rows("SELECT id FROM subscription WHERE user_id = :user", user=f"usr_{number}")
    assert [await verified(desk, row["id"]) for row in mine] == [[]] * len(mine)


async def test_the_first_entry_tells_everything(desk: Desk) -> None:
    """A column that no entry tells could never be rebuilt."""
    await desk.say("mem_0", "active", AT)
    (event,) = await desk.rows("SELECT subscription_id, version, user_id, after, at FROM subscription_event")
    columns = {column.name for column in Subscription.__table__.columns} - history.NOT_IN_HISTORY
    assert set(history.fold([Entry(**event)])) == columns == set(history.COLUMNS)


async def test_a_payment_is_an_entry_that_holds_nothing_else(desk: Desk) -> None:
    await desk.say("mem_0", "active", AT)
    held = await desk.subscription("mem_0")
    desk.clock.advance(DAY)
    await desk.pay(held["id"], AT, AT + DAY)
    await desk.pay(held["id"], AT, AT + DAY)
    await desk.pay("sub_unknown", AT)
    (paid,) = await desk.rows("SELECT before, after, version, cause, actor FROM subscription_event WHERE version > 1")
    assert paid == {
        "before": {"last_payment_at": None},
        "after": {"last_payment_at": (AT + DAY).isoformat()},
        "version": 2,
        "cause": "msg_2",
        "actor": "whop",
    }
    row = await desk.subscription("mem_0")
    news = {"last_payment_at": AT + DAY, "version": 2, "updated_at": desk.clock.now()}
    assert row == held | news


async def test_writers_at_the_same_time_number_their_entries_without_gaps(desk: Desk) -> None:
    await desk.say("mem_0", "active", AT)
    subscription_id = (await desk.subscription("mem_0"))["id"]

    async def change(number: int) -> None:
        at = AT + number * DAY
        await desk.say("mem_0", "active", at, period_end=PERIOD_END + number * DAY, read=True)
        await desk.pay(subscription_id, at)

    await asyncio.gather(*(change(number) for number in range(1, 9)))
    versions = await desk.rows("SELECT version FROM subscription_event ORDER BY version")
    assert [row["version"] for row in versions] == list(range(1, len(versions) + 1))
    assert len(versions) > 3
    assert await verified(desk) == []


async def test_the_number_of_an_entry_comes_from_the_row_as_the_other_writer_left_it(desk: Desk) -> None:
    await desk.say("mem_0", "active", AT)
    subscription_id = (await desk.subscription("mem_0"))["id"]
    async with desk.units() as unit:
        await receipts.note(unit, [Receipt(subscription_id, AT, "msg_a")])
        waiting = asyncio.create_task(desk.pay(subscription_id, AT + DAY))
        while not await _is_somebody_blocked(desk):
            await asyncio.sleep(0.01)
        await unit.commit()
        await waiting
    paid = await desk.rows("SELECT version, before FROM subscription_event WHERE version > 1 ORDER BY version")
    assert [row["version"] for row in paid] == [2, 3]
    assert paid[1]["before"] == {"last_payment_at": AT.isoformat()}
    assert await verified(desk) == []


async def _is_somebody_blocked(desk: Desk) -> bool:
    """Asked in a transaction of its own each time: within one, the view stays as it was first seen."""
    return bool(
        await desk.rows(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


async def test_two_entries_cannot_have_the_same_number(desk: Desk) -> None:
    await desk.say("mem_0", "active", AT)
    with pytest.raises(IntegrityError):
        await desk.execute(
            "INSERT INTO subscription_event (id, subscription_id, version, user_id, kind, actor, cause, after, at)"
            " SELECT 'sev_x', subscription_id, version, user_id, kind, actor, cause, after, at FROM subscription_event"
        )


def test_a_history_with_a_gap_or_without_a_beginning_is_told() -> None:
    entry = Entry("sub_1", 1, "usr_1", {"status": "active"}, AT)
    late = Entry("sub_1", 3, "usr_1", {"status": "canceled"}, AT)
    row = dict.fromkeys(history.COLUMNS)
    assert [one.history for one in history.compare(row, [entry, late]) if one.field == "(history)"] == ["entries 1, 3"]
    untold = {one.field for one in history.compare(row, []) if one.history == "(not told)"}
    assert untold == set(history.COLUMNS)
    assert not history.is_complete([entry, late])
    assert not history.is_complete([])
