"""`quntedge ledger`: balances, statements, and whether the ledger is right."""

import json

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.bookkeeping.world import Books
from tests.cli.conftest import Cli


@pytest.fixture
async def books(
    configured: pytest.MonkeyPatch, units: UnitOfWorkFactory, clock: FrozenClock, engine: AsyncEngine
) -> Books:
    """A payment that was refunded in part."""
    books = await Books(units, clock, engine).open()
    await books.pay(total=3161, tax=261, net=2785)
    await books.refund("rf_1", 1000)
    return books


async def test_balances_and_statements_are_shown(cli: Cli, books: Books) -> None:
    shown = await cli("ledger", "balances")
    assert shown.exit_code == 0
    revenue = next(line for line in shown.stdout.splitlines() if line.startswith("revenue "))
    assert revenue.split()[1:8] == ["income", "0.00", "USD", "29.00", "USD", "29.00", "USD"]
    assert "Debits less credits in USD: 0.00 USD" in shown.stdout
    assert "still being posted" in shown.stderr
    document = json.loads((await cli("ledger", "balances", "--until", "2026-08-01", "--json")).stdout)
    assert document == {"complete": False, "balances": []}

    document = json.loads(
        (await cli("ledger", "statement", "--account", "refunds", "--currency", "USD", "--json")).stdout
    )
    assert [(line["kind"], line["amount_minor"]) for line in document["lines"]] == [("refund", 917)]
    (transaction_id,) = (await books.rows("SELECT id FROM payment_transaction"))[0]
    lines = (await cli("ledger", "statement", "--payment", transaction_id)).stdout.splitlines()
    assert len(lines) == 1 + 3 + 5
    assert "Nothing is posted there." in (await cli("ledger", "statement", "--user", "usr_nobody")).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--account", "petty_cash", "--currency", "usd"), "is not an account"),
        (("--account", "bank"), "needs --currency"),
        (("--account", "bank", "--currency", "doubloon"), "unknown currency"),
        (("--account", "bank", "--currency", "usd", "--user", "usr_1"), "not both"),
        (("--currency", "usd"), "goes with --account"),
    ],
)
async def test_a_statement_that_cannot_be_is_refused(
    cli: Cli, configured: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    refused = await cli("ledger", "statement", *arguments)
    assert refused.exit_code == 2
    assert sentence in " ".join(refused.stderr.replace("│", " ").split())


async def test_verify_says_whether_the_ledger_is_right(cli: Cli, books: Books) -> None:
    right = await cli("ledger", "verify")
    assert right.exit_code == 0
    assert right.stdout == "1 payment and 2 entries compared: the ledger is balanced, and is what was paid.\n"
    await books.execute("UPDATE payment_transaction SET total_minor = total_minor + 1")
    wrong = await cli("ledger", "verify")
    assert wrong.exit_code == 2
    (transaction_id,) = (await books.rows("SELECT id FROM payment_transaction"))[0]
    assert f"{transaction_id}  revenue: -29.00 USD in the ledger, -29.01 USD expected" in wrong.stdout
    assert "2 things differ" in wrong.stdout
    document = json.loads((await cli("ledger", "verify", "--json")).stdout)
    assert {finding["what"] for finding in document["findings"]} == {"revenue", "gateway_clearing"}


async def test_what_was_paid_before_is_posted_once(cli: Cli, books: Books) -> None:
    for arguments in ((), (), ("--again",)):
        done = await cli("ledger", "backfill", *arguments)
        assert done.exit_code == 0
    assert done.stdout == "1 payment looked at.\n"
    assert await books.rows("SELECT count(*) FROM ledger_entry") == [(2,)]
    assert (await cli("ledger", "balances")).stderr == ""
