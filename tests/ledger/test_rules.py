"""What makes an entry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.kit.money import Money
from quntedge.ledger.models import LedgerEntry
from quntedge.ledger.rules import CHART, Account, EntryKind, Line, UnbalancedEntry, merged, mirrored, steps
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.ledger.builders import entry, line, rows

amounts = st.integers(-(10**12), 10**12)
positions = st.dictionaries(
    st.tuples(st.sampled_from(Account), st.sampled_from(["usd", "jpy", "kwd"])), amounts, max_size=8
)


def test_lines_come_to_nothing_in_each_currency() -> None:
    assert len(entry().lines) == 3
    for crooked in (
        [(Account.BANK, 100)],
        [(Account.BANK, 100), (Account.REVENUE, -99)],
        [(Account.BANK, 0), (Account.REVENUE, 0)],
        [(Account.BANK, 100), (Account.BANK, -100)],
    ):
        with pytest.raises(UnbalancedEntry):
            entry("txn_1", *crooked)


def test_two_currencies_balance_each_by_itself() -> None:
    mixed = (line(Account.BANK, 100, "eur"), line(Account.GATEWAY_CLEARING, -100, "eur"))
    also = (line(Account.ROUNDING, 1, "usd"), line(Account.GATEWAY_CLEARING, -1, "usd"))
    assert len(entry_of(*mixed, *also)) == 4
    with pytest.raises(UnbalancedEntry):
        entry_of(line(Account.BANK, 100, "eur"), line(Account.REVENUE, -100, "usd"))


def entry_of(*lines: Line) -> tuple[Line, ...]:
    whole = entry()
    return type(whole)(whole.kind, whole.source, 0, whole.occurred_at, whole.cause, lines).lines


def test_an_account_has_one_line_and_nothing_has_none() -> None:
    given_lines = [line(Account.BANK, 3), line(Account.REVENUE, -5), line(Account.BANK, 2), line(Account.ROUNDING, 0)]
    assert merged(given_lines) == (line(Account.BANK, 5), line(Account.REVENUE, -5))
    assert mirrored(merged(given_lines)) == (line(Account.BANK, -5), line(Account.REVENUE, 5))


@given(positions, positions)
def test_steps_lead_from_what_stands_to_what_should(
    held: dict[tuple[Account, str], int], wanted: dict[tuple[Account, str], int]
) -> None:
    reached = dict(held)
    for step in steps(held, wanted):
        key = (step.account, step.amount.currency)
        assert step.amount
        reached[key] = reached.get(key, 0) + step.amount.amount_minor
    assert {key: amount for key, amount in reached.items() if amount} == {
        key: amount for key, amount in wanted.items() if amount
    }
    assert steps(wanted, wanted) == ()


def test_amounts_are_money() -> None:
    with pytest.raises(TypeError):
        Money(1.5, "usd")  # type: ignore[arg-type]


async def test_the_chart_is_the_same_in_code_and_database(units: UnitOfWorkFactory) -> None:
    found = await rows(units, "SELECT code, kind, side, title FROM ledger_account")
    assert sorted(found) == sorted((code, facts.kind, facts.side, facts.title) for code, facts in CHART.items())
    assert set(CHART) == set(Account)
    (check,) = await rows(
        units, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_ledger_entry_kind'"
    )
    assert all(f"'{kind.value}'" in check[0] for kind in EntryKind)
    assert LedgerEntry.__tablename__ == "ledger_entry"
