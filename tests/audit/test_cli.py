"""`quntedge audit`: looking, verifying, anchoring."""

import json
from pathlib import Path

import pytest

from quntedge.commands.operator import operator, operator_name
from tests.audit.world import CUSTOMER, Book
from tests.cli.conftest import SETTINGS, Cli, bare_environment, cli, untouched_logging

__all__ = ["bare_environment", "cli", "untouched_logging"]


@pytest.fixture(autouse=True)
def _configured(bare_environment: pytest.MonkeyPatch, database_url: str) -> None:
    for name, value in (SETTINGS | {"DATABASE_URL": database_url}).items():
        bare_environment.setenv(name, value)


async def test_listed_verified_and_anchored(cli: Cli, book: Book, tmp_path: Path) -> None:
    assert (await cli("audit", "verify")).stdout == "Nothing is sealed yet.\n"
    assert (await cli("audit", "list")).stdout == "Nothing in the audit log matches.\n"
    nothing = await cli("audit", "anchor")
    assert (nothing.exit_code, "nothing in the audit log" in nothing.stderr) == (1, True)

    await book.write(2)
    await book.write(1, CUSTOMER)
    listed = (await cli("audit", "list", "--actor", "key_kim")).stdout
    assert all(word in listed for word in ("refund.approve", "key_kim (staff:kim)", "ref_0", "amount_minor 101"))
    (only,) = json.loads((await cli("audit", "list", "--actor", str(CUSTOMER.id), "--json")).stdout)
    assert (only["actor_kind"], only["act"], only["outcome"]) == ("customer", "refund.approve", "done")
    assert (await cli("audit", "list", "--outcome", "perhaps")).exit_code == 2

    file = tmp_path / "anchor.json"
    assert "Number 3" in (await cli("audit", "anchor", "--out", str(file))).stdout
    kept = json.loads(file.read_text())
    assert json.loads((await cli("audit", "anchor")).stdout) == kept
    await book.filled(1)
    whole = await cli("audit", "verify", "--anchor", str(file))
    assert (whole.exit_code, "holds from 1 to 4, and it holds the anchor at number 3" in whole.stdout) == (0, True)

    file.write_text(json.dumps(kept | {"hash": "00" * 32}))
    other = await cli("audit", "verify", "--anchor", str(file))
    assert (other.exit_code, "broken at number 3" in other.stderr) == (1, True)
    file.write_text("{}")
    unread = await cli("audit", "verify", "--anchor", str(file))
    assert (unread.exit_code, "is not an anchor" in unread.stderr) == (1, True)


async def test_a_broken_chain_is_exit_code_1_with_the_first_place(cli: Cli, book: Book) -> None:
    await book.filled(4)
    await book.force("UPDATE audit_event SET holder = 'staff:lou' WHERE subject_id IN ('ref_1', 'ref_3')")
    broken = await cli("audit", "verify")
    assert (broken.exit_code, "broken at number 2 (aud_" in broken.stderr) == (1, True)
    told = await cli("audit", "verify", "--json")
    verdict = json.loads(told.stdout)
    assert (told.exit_code, verdict["broken"]["number"], verdict["newest"]["number"]) == (1, 2, 4)


async def test_what_waits_for_its_seal_too_long_is_said(cli: Cli, book: Book) -> None:
    await book.write(2)  # a while ago, by the clock of the commands
    late = await cli("audit", "verify")
    assert (late.exit_code, "2 waiting for a seal" in late.stdout, "is a worker running" in late.stderr) == (
        1,
        True,
        True,
    )


async def test_a_key_is_held_by_whoever_makes_it_unless_somebody_else_is_named(cli: Cli) -> None:
    mine = await cli("api-key", "create", "My tool", "--scope", "refunds:request")
    assert f"held by {operator_name()}" in mine.stderr
    lous = await cli("api-key", "create", "Lou's tool", "--scope", "refunds:approve", "--holder", "Lou")
    assert "held by lou" in lous.stderr
    shown = (await cli("api-key", "list")).stdout
    assert all(name in shown for name in (operator_name(), "lou"))
    odd = await cli("api-key", "create", "Odd", "--holder", "Lou & Co")
    assert (odd.exit_code, "named like a user" in odd.stderr) == (1, True)
    made = json.loads((await cli("audit", "list", "--act", "api_key.create", "--json")).stdout)
    assert [(row["holder"], row["details"]["holder"]) for row in made] == [
        (operator(), "lou"),
        (operator(), operator_name()),
    ]
