"""Promotions at the command line."""

import csv
import json
from pathlib import Path

import pytest

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.cli.conftest import Cli

pytestmark = pytest.mark.usefixtures("configured")


async def test_a_promotion_from_its_making_to_its_end(cli: Cli, tmp_path: Path) -> None:
    assert (await cli("promotions", "list")).stdout.startswith("There is no promotion")
    made = await cli(
        "promotions", "create", "launch", "--title", "Launch", "--percent", "12.5", "--periods", "3",
        "--code", "launch20", "--max-uses", "500", "--ends", "2099-01-01",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert made.stdout == "launch: 12.5% off, version 1, 1 code.\n"
    listed = json.loads((await cli("promotions", "list", "--json")).stdout)
    assert [(one["code"], one["percent_bp"], one["periods"]) for one in listed] == [("launch", 1250, 3)]
    assert "0 of 500" in (await cli("promotions", "list")).stdout

    await cli("promotions", "create", "gone", "--title", "Gone", "--percent", "5", "--ends", "2020-01-01")
    states = [line.split()[-1] for line in (await cli("promotions", "list")).stdout.splitlines()[1:]]
    assert states == ["ended", "active"]
    assert (await cli("promotions", "archive", "gone", "--yes")).exit_code == 0

    target = tmp_path / "codes.csv"
    bulk = await cli(
        "promotions", "codes", "launch", "--count", "25", "--prefix", "VIP", "--max-uses", "1", "--csv", str(target)
    )
    assert bulk.exit_code == 0, bulk.output
    with target.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["code"] for row in rows}) == 25
    assert {(row["uses"], row["max_uses"]) for row in rows} == {("0", "1")}
    everything = list(csv.DictReader((await cli("promotions", "codes", "launch")).stdout.splitlines()))
    assert len(everything) == 26

    assert (await cli("promotions", "report")).stdout == "Nothing has been paid with a promotion.\n"
    assert json.loads((await cli("promotions", "report", "--json", "--since", "30d")).stdout) == {
        "rows": [],
        "holdings": [],
    }
    kept = await cli("promotions", "archive", "launch", input="n\n")
    assert kept.exit_code == 1
    assert (await cli("promotions", "archive", "launch", "--yes")).exit_code == 0
    assert (await cli("promotions", "list")).stdout.startswith("There is no promotion")
    assert "archived" in (await cli("promotions", "list", "--archived")).stdout


async def test_a_mistake_is_one_clear_sentence(cli: Cli) -> None:
    cases = [
        (("create", "launch", "--title", "L", "--percent", "1e2"), "no percentage"),
        (("create", "launch", "--title", "L", "--percent", "２０"), "no percentage"),
        (("create", "launch", "--title", "L", "--percent", "100.01"), "no percentage"),
        (("create", "launch", "--title", "L", "--amount", "usd=10.001"), "finer"),
        (("create", "launch", "--title", "L", "--amount", "5.00"), "usd=5.00"),
        (("create", "launch", "--title", "L", "--percent", "5", "--ends", "30d"), "is not a time"),
        (("create", "launch", "--title", "L"), "either a percentage or amounts"),
        (("create", "Launch!", "--title", "L", "--percent", "5"), "lower-case"),
        (("create", "launch", "--title", "L", "--percent", "5", "--code", "?"), "3 to 40"),
        (("archive", "nothing", "--yes"), "no promotion of this name"),
        (("codes", "nothing"), "no promotion of this name"),
    ]
    for arguments, words in cases:
        answer = await cli("promotions", *arguments)
        assert answer.exit_code != 0, arguments
        assert words in " ".join(answer.output.split()), arguments


async def test_the_catalogue_brings_promotions_and_their_codes_at_whop(
    cli: Cli, emulator: RunningEmulator, tmp_path: Path
) -> None:
    file = tmp_path / "catalog.toml"
    text = (
        '[[plans]]\ncode = "monthly"\nname = "Monthly"\nkind = "recurring"\nprice = "29.00"\nperiod_days = 30\n'
        '[[promotions]]\ncode = "hello"\nname = "Hello"\npercent = "20"\nat_whop = true\ncodes = ["HELLO"]\n'
    )
    file.write_text(text, "utf-8")
    different = await cli("catalog", "diff", str(file))
    assert different.exit_code == 2
    assert "add promotion hello" in different.stdout
    applied = await cli("catalog", "apply", str(file), "--yes")
    assert applied.exit_code == 0, applied.output
    assert "Made at Whop: HELLO." in applied.stdout
    assert (await cli("catalog", "diff", str(file))).exit_code == 0
    assert (await cli("promotions", "sync")).stdout == "Whop has every promo code as it should be.\n"
    file.write_text(text.replace('"20"', '"30"'), "utf-8")
    changed = await cli("catalog", "apply", str(file), "--yes")
    assert "update promotion hello: percent_bp 2000 → 3000" in changed.stdout
    assert "Made at Whop: HELLO." in changed.stdout
    archived = await cli("promotions", "archive", "hello", "--yes")
    assert "Archived at Whop: HELLO." in archived.stdout
