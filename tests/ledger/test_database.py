"""The database itself keeps the ledger: whoever has the whole of it in their hands cannot unbalance or rewrite it."""

from collections.abc import Iterable

import psycopg
import pytest

from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.ledger.builders import AT, entry, post, rows, run_sql

NOW = f"'{AT.isoformat()}'"


def header(entry_id: str = "led_new", lines: int = 2, **values: str) -> str:
    given = {"kind": "'payment'", "source": f"'{entry_id}'", "sequence": "0"} | values
    return (
        f"INSERT INTO ledger_entry (id, line_count, user_id, occurred_at, posted_at, cause, {', '.join(given)})"
        f" VALUES ('{entry_id}', {lines}, 'usr_1', {NOW}, {NOW}, 'by hand', {', '.join(given.values())})"
    )


def lines(*amounts: tuple[str, int], entry_id: str = "led_new", first: int = 1, user: str = "usr_1") -> str:
    values = ", ".join(
        f"('{entry_id}', {position}, '{user}', '{account}', 'usd', {amount}, {NOW})"
        for position, (account, amount) in enumerate(amounts, start=first)
    )
    return (
        "INSERT INTO ledger_line (entry_id, position, user_id, account, currency, amount_minor, occurred_at)"
        f" VALUES {values}"
    )


BALANCED = (("bank", 100), ("revenue", -100))


@pytest.fixture
async def posted(units: UnitOfWorkFactory) -> str:
    """The id of an entry that is there already."""
    return (await post(units, entry()))[0].entry_id


def refused(database_url: str, statements: Iterable[str], *, constraint: str | None = None) -> None:
    with pytest.raises(psycopg.Error) as caught:
        run_sql(database_url, list(statements))
    if constraint is None:
        assert isinstance(caught.value, psycopg.errors.RestrictViolation)
    else:
        assert caught.value.diag.constraint_name == constraint


async def test_a_whole_and_balanced_entry_is_taken(database_url: str, units: UnitOfWorkFactory) -> None:
    run_sql(database_url, [header(), lines(BALANCED[0]), lines(BALANCED[1], first=2)])
    assert await rows(units, "SELECT sum(amount_minor)::bigint, count(*) FROM ledger_line") == [(0, 2)]


async def test_what_is_not_balanced_or_not_whole_is_refused_at_the_commit(
    database_url: str, units: UnitOfWorkFactory
) -> None:
    for case, statements in {
        "one cent short": [header(), lines(("bank", 100), ("revenue", -99))],
        "no lines": [header()],
        "a line is missing": [header(lines=3), lines(*BALANCED)],
        "two currencies": [header(), lines(*BALANCED).replace("'usd', -", "'eur', -")],
        "somebody else's lines": [header(), lines(*BALANCED, user="usr_2")],
        "another time": [header(), lines(*BALANCED).replace("12:00", "13:00")],
    }.items():
        refused(database_url, statements, constraint="ledger_entry_is_balanced")
        assert await rows(units, "SELECT count(*) FROM ledger_entry") == [(0,)], case


async def test_the_check_waits_for_the_commit(database_url: str, units: UnitOfWorkFactory) -> None:
    run_sql(database_url, [header(), header("led_other"), lines(*BALANCED), lines(*BALANCED, entry_id="led_other")])
    assert await rows(units, "SELECT count(*) FROM ledger_entry") == [(2,)]


async def test_nothing_is_slipped_into_an_entry_that_is_there(database_url: str, posted: str) -> None:
    more = (("bank", 100), ("rounding", -100))
    for first in (4, 100):
        refused(database_url, [lines(*more, entry_id=posted, first=first)], constraint="ledger_lines_fit")
    refused(database_url, [lines(*more, entry_id=posted, first=2)], constraint="pk_ledger_line")


async def test_checking_early_opens_no_gap(database_url: str) -> None:
    early = [header(), lines(*BALANCED), "SET CONSTRAINTS ALL IMMEDIATE"]
    refused(database_url, [*early, lines(("rounding", 5), first=3)], constraint="ledger_lines_fit")
    refused(database_url, [header(), "SET CONSTRAINTS ALL IMMEDIATE"], constraint="ledger_entry_is_balanced")


async def test_a_line_needs_its_entry_and_its_account(database_url: str) -> None:
    refused(database_url, [lines(*BALANCED, entry_id="led_none")], constraint="ledger_lines_fit")
    refused(database_url, [header(), lines(("petty_cash", 100), ("revenue", -100))], constraint="ledger_lines_fit")


async def test_what_was_posted_is_never_changed(database_url: str, units: UnitOfWorkFactory, posted: str) -> None:
    before = await rows(units, "SELECT * FROM ledger_line ORDER BY position")
    for attempt in (
        "UPDATE ledger_line SET amount_minor = amount_minor * 2",
        "UPDATE ledger_entry SET occurred_at = occurred_at - interval '1 day'",
        "UPDATE ledger_entry SET line_count = 5",
        f"DELETE FROM ledger_line WHERE entry_id = '{posted}'",
        f"DELETE FROM ledger_entry WHERE id = '{posted}'",
        "TRUNCATE ledger_line",
        "TRUNCATE ledger_entry",
        "TRUNCATE ledger_entry, ledger_line CASCADE",
    ):
        refused(database_url, [attempt])
        assert await rows(units, "SELECT * FROM ledger_line ORDER BY position") == before, attempt


async def test_a_header_is_sensible(database_url: str) -> None:
    for statement, constraint in (
        (header(kind="'gift'"), "ck_ledger_entry_kind"),
        (header(sequence="-1"), "ck_ledger_entry_sequence"),
        (header(lines=1), "ck_ledger_entry_line_count"),
        (header(kind="'adjustment'"), "ck_ledger_entry_adjustment_is_approved"),
        (header(requested_by="'kim'", approved_by="'kim'"), "ck_ledger_entry_four_eyes"),
    ):
        refused(database_url, [statement, lines(*BALANCED)], constraint=constraint)


async def test_a_line_is_sensible(database_url: str) -> None:
    refused(database_url, [header(), lines(("bank", 0), ("revenue", 0))], constraint="ck_ledger_line_amount")
    for code in ("USD", "us", "usdt"):
        statement = lines(*BALANCED).replace("'usd'", f"'{code}'")
        refused(database_url, [header(), statement], constraint="ck_ledger_line_currency")


async def test_an_entry_is_undone_once(database_url: str, posted: str) -> None:
    undoing = [header("led_a", reverses=f"'{posted}'"), lines(*BALANCED, entry_id="led_a")]
    run_sql(database_url, undoing)
    again = [statement.replace("led_a", "led_b") for statement in undoing]
    refused(database_url, again, constraint="uq_ledger_entry_reverses")
