"""The same at the command line."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import SETTINGS, Cli, bare_environment, cli, untouched_logging
from tests.disputes.world import START, World

__all__ = ["bare_environment", "cli", "untouched_logging"]


@pytest.fixture
def command(world: World, bare_environment: pytest.MonkeyPatch, cli: Cli) -> Cli:
    """Runs commands on the database and at the Whop of this world, by its clock."""
    for name, value in SETTINGS.items():
        bare_environment.setenv(name, value)
    bare_environment.setenv("DATABASE_URL", world.runtime.database_url)
    bare_environment.setenv("WHOP_BASE_URL", world.emulator.api_base_url)
    bare_environment.setenv("WHOP_API_KEY", world.emulator.config.api_key)
    bare_environment.setenv("QUNTEDGE_CLOCK_URL", world.emulator.control_url)
    return cli


async def test_a_dispute_is_listed_packed_and_answered(world: World, command: Cli, tmp_path: Path) -> None:
    await world.buy()
    whop_id = await world.dispute()
    listed = await command("disputes", "list", "--waiting", "--json")
    assert listed.exit_code == 0, listed.output
    (found,) = json.loads(listed.stdout)
    assert (found["whop_dispute_id"], found["status"]) == (whop_id, "needs_response")
    assert "29.00 USD" in (await command("disputes", "list")).stdout

    packed = await command("disputes", "evidence", found["id"], "--out", "file.zip", "--notes", "See the log.")
    assert packed.exit_code == 0, packed.output
    assert "Not on record: " in packed.stderr
    with zipfile.ZipFile(tmp_path / "file.zip") as archive:
        texts = json.loads(archive.read(f"{found['id']}/texts-for-whop.json"))
    assert texts["notes"] == "See the log."

    declined = await command("disputes", "submit", whop_id, input="n\n")
    assert declined.exit_code == 1
    assert "nothing was sent" in declined.stderr
    assert (await world.runtime.gateway.dispute(whop_id)).evidence_submitted_at is None
    usage = tmp_path / "usage of Kim Doe.pdf"
    for content, said in ((b"", "is empty"), (b"<html>", "does not begin as such files do")):
        usage.write_bytes(content)
        refused = await command("disputes", "submit", whop_id, "--yes", "--attach", f"digital_fulfillment={usage}")
        assert (refused.exit_code, said in refused.stderr) == (1, True), refused.output
    usage.write_bytes(b"%PDF-1.7 twelve charts")
    unsaid = await command("disputes", "submit", whop_id, "--yes", "--attach", str(usage))
    assert "with what the file proves" in unsaid.stderr
    assert await world.rows("SELECT id FROM dispute_response") == []
    sent = await command("disputes", "submit", whop_id, "--yes", "--attach", f"digital_fulfillment={usage}")
    assert sent.exit_code == 0, sent.output
    assert "under review" in sent.stdout
    shown = await command("disputes", "show", whop_id)
    assert "evidence by staff:" in shown.stdout
    assert "evidence.pdf" in shown.stdout
    detail = json.loads((await command("disputes", "show", whop_id, "--json")).stdout)
    assert {one["state"] for one in detail["documents"]} == {"sent"}
    assert detail["documents"][0]["name"] == "attachment-1.pdf", "the file's own name may tell of a person"
    at_whop = (await world.whop("GET", f"/disputes/{whop_id}"))["evidence"]["documents"]
    assert [one["id"] for one in at_whop] == [one["whop_file_id"] for one in detail["documents"]]
    again = await command("disputes", "accept", whop_id, "--yes")
    assert again.exit_code == 1
    assert "under review" in again.stderr


async def test_alarms_and_what_does_not_exist(world: World, command: Cli) -> None:
    await world.buy()
    await world.emulator.raise_alert(world.payment_id, type="dispute_alert")
    await world.hear()
    (alarm,) = json.loads((await command("disputes", "alarms", "--json")).stdout)
    assert f"{START:%Y-%m-%d}" in (await command("disputes", "alerts")).stdout
    assert (await command("disputes", "resolve", alarm["id"], "--note", "Refunded by hand.")).exit_code == 0
    assert "Nobody has to look" in (await command("disputes", "alarms")).stdout
    missing = await command("disputes", "show", "dsp_nobody")
    assert missing.exit_code == 1
    assert "There is no dispute dsp_nobody" in missing.stderr
