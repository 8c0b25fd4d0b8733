"""Posting, undoing, and the sums by day."""

import asyncio
from datetime import timedelta

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.ledger import queries, service
from quntedge.ledger.queries import EntryFilter
from quntedge.ledger.rules import Account, EntryKind, UnbalancedEntry
from quntedge.ledger.service import LedgerService
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.ledger.builders import AT, USER, entry, post, rows

DAY = timedelta(days=1)
COUNTS = "SELECT (SELECT count(*) FROM ledger_entry), (SELECT count(*) FROM ledger_line)"


async def test_an_effect_is_posted_once(units: UnitOfWorkFactory) -> None:
    assert [one.is_new for one in await post(units, entry("txn_1"), entry("txn_2"))] == [True, True]
    again = await post(units, entry("txn_2"), entry("txn_3"), entry("txn_3"), entry("txn_2", sequence=1))
    assert [(one.entry.source, one.entry.sequence, one.is_new) for one in again] == [
        ("txn_2", 0, False),
        ("txn_2", 1, True),
        ("txn_3", 0, True),
        ("txn_3", 0, False),
    ]
    assert await rows(units, COUNTS) == [(4, 12)]


async def test_an_effect_posted_on_many_connections_at_once_is_posted_once(units: UnitOfWorkFactory) -> None:
    everywhere = [f"txn_{number}" for number in range(20)]
    batches = (everywhere, everywhere[::-1])
    posted = await asyncio.gather(*(post(units, *map(entry, batches[turn % 2])) for turn in range(8)))
    assert sum(one.is_new for batch in posted for one in batch) == 20
    assert await rows(units, COUNTS) == [(20, 60)]


async def test_what_is_rolled_back_can_be_posted_again(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        await LedgerService().post(unit, [entry()])
        await unit.rollback()
    assert await rows(units, COUNTS) == [(0, 0)]
    assert (await post(units, entry()))[0].is_new
    with pytest.raises(UnbalancedEntry):
        entry("txn_2", (Account.BANK, 1))


async def test_undoing_leaves_nothing_and_is_done_once(units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    first, second = (one.entry_id for one in await post(units, entry("ref_1"), entry("ref_2")))

    async def undo(*entry_ids: str) -> int:
        async with units() as unit:
            undone = await LedgerService().reverse(unit, entry_ids, occurred_at=clock.now(), cause="msg_2")
            await unit.commit()
        return sum(one.is_new for one in undone)

    assert sum(await asyncio.gather(*(undo(first) for _ in range(4)))) == 1
    assert await undo(first, second) == 1
    assert await rows(units, "SELECT source, sequence, reverses FROM ledger_entry ORDER BY source, sequence") == [
        ("ref_1", 0, None),
        ("ref_1", 1, first),
        ("ref_2", 0, None),
        ("ref_2", 1, second),
    ]
    async with units() as unit:
        stands = await queries.balances(await unit.connection())
    assert {balance.balance_minor for balance in stands} == {0}


async def test_an_adjustment_is_undone_only_by_another(units: UnitOfWorkFactory) -> None:
    correction = entry(
        "dif_1", kind=EntryKind.ADJUSTMENT, reason="lost in transit", requested_by="system", approved_by="kim"
    )
    (made,) = await post(units, correction)
    async with units() as unit:
        with pytest.raises(ValueError, match="another adjustment"):
            await LedgerService().reverse(unit, [made.entry_id], occurred_at=AT, cause="cli")


async def test_the_sums_by_day_are_those_of_the_lines(
    units: UnitOfWorkFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PORTION", 7)
    ledger = LedgerService()
    for turn in range(3):
        await post(units, *(entry(f"txn_{turn}_{n}", at=AT + n * DAY, currency="eur") for n in range(10)))
        added = await asyncio.gather(*(ledger.roll_up(units) for _ in range(3)))
        assert sum(added) == 10
    assert await rows(units, "SELECT count(*) FROM ledger_pending") == [(0,)]
    daily = "SELECT account, currency, day, debit_minor, credit_minor, line_count FROM ledger_daily ORDER BY 1, 2, 3"
    lines = (
        "SELECT account, currency, (occurred_at AT TIME ZONE 'UTC')::date AS day,"
        " sum(greatest(amount_minor, 0))::bigint, sum(greatest(-amount_minor, 0))::bigint, count(*)"
        " FROM ledger_line GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    assert len(await rows(units, daily)) == 30
    assert await rows(units, daily) == await rows(units, lines)


async def test_balances_as_of_any_moment_however_far_the_sums_have_come(units: UnitOfWorkFactory) -> None:
    hours = [entry(f"txn_{n}", at=AT + n * timedelta(hours=7)) for n in range(12)]

    async def stands(until: timedelta | None) -> dict[str, int]:
        async with units() as unit:
            found = await queries.balances(await unit.connection(), None if until is None else AT + until)
        assert sum(balance.balance_minor for balance in found) == 0
        return {balance.account: balance.balance_minor for balance in found}

    for part in (hours[:4], hours[4:8], hours[8:]):
        await post(units, *part)
        if part is not hours[8:]:
            await LedgerService().roll_up(units)
        for count in range(len(hours)):
            reached = min(count, len(part) + hours.index(part[0]))
            expected = {"gateway_clearing": 2800 * reached, "gateway_fees": 100 * reached, "revenue": -2900 * reached}
            assert await stands(count * timedelta(hours=7)) == (expected if reached else {})
    # To the moment: what happens at it is not before it.
    assert (await stands(timedelta(hours=7, microseconds=1)))["revenue"] == -5800
    assert (await stands(None))["revenue"] == -2900 * 12


async def test_the_activity_of_days(units: UnitOfWorkFactory) -> None:
    await post(units, *(entry(f"txn_{n}", at=AT + n * DAY) for n in range(3)))
    await LedgerService().roll_up(units)
    await post(units, *(entry(f"txn_{n}", at=AT + n * DAY) for n in range(3, 6)))
    async with units() as unit:
        connection = await unit.connection()
        day = AT.date()
        found = await queries.activity(connection, day + DAY, day + 4 * DAY)
        assert {each.account: each.balance_minor for each in found}[Account.REVENUE] == -3 * 2900
        assert await queries.activity(connection, day - DAY, day) == []


async def test_statements_page_through_everything_once(units: UnitOfWorkFactory) -> None:
    # Three at a time share their moment, so that pages break within it.
    await post(units, *(entry(f"txn_{n}", at=AT + n // 3 * DAY, user_id=f"usr_{n % 2}") for n in range(12)))
    seen: list[str] = []
    cursor = None
    async with units() as unit:
        while True:
            page = await queries.statement(unit.session, Account.REVENUE, "usd", cursor, 5)
            seen += [each.entry.source for each in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(seen) == sorted(f"txn_{n}" for n in range(12))
        some = await queries.statement(
            unit.session, Account.REVENUE, "usd", None, 20, since=AT + DAY, until=AT + 3 * DAY
        )
        assert {each.entry.source for each in some.data} == {f"txn_{n}" for n in range(3, 9)}
        assert not (await queries.statement(unit.session, Account.REVENUE, "eur", None, 20)).data


async def test_entries_are_found_by_whose_and_what_they_are_about(units: UnitOfWorkFactory) -> None:
    await post(units, entry("txn_1"), entry("txn_2", user_id="usr_2"))
    await post(units, entry("ref_1", kind=EntryKind.REFUND, transaction_id="txn_1"))

    async def found(**which: str) -> list[str]:
        pages, cursor = [], None
        async with units() as unit:
            while True:
                page = await queries.entries(unit.session, EntryFilter(**which), cursor, 1)
                pages += [each.entry.source for each in page.data]
                assert all(len(each.lines) == 3 for each in page.data)
                cursor = page.next_cursor
                if cursor is None:
                    return pages

    assert await found() == ["ref_1", "txn_2", "txn_1"]
    assert await found(user_id=USER) == ["ref_1", "txn_1"]
    assert await found(source="txn_1") == ["txn_1"]
    assert await found(transaction_id="txn_1") == ["ref_1", "txn_1"]
    assert await found(user_id="usr_2", source="txn_1") == []
