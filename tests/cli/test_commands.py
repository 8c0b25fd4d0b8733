"""Commands that read and change the product's data."""

from pathlib import Path

import pytest
from sqlalchemy import text

from quntedge.accounts.api_keys import ApiKeyService
from quntedge.accounts.errors import InvalidApiKey
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.wiring import build
from tests.cli.conftest import SETTINGS, Cli

pytestmark = pytest.mark.usefixtures("configured")

CATALOG = """
[[features]]
code = "reports"
name = "Reports"

[[plans]]
code = "pro"
name = "Pro"
kind = "recurring"
price = "12.00"
period_days = 30
features = ["reports"]
"""


async def _quarantined(settings: Settings, database_url: str, *bodies: bytes) -> None:
    """Deliveries that are kept because nobody understands them."""
    runtime = build(settings, database_url)
    for number, body in enumerate(bodies):
        await runtime.inbox.accept(f"msg_{number}", body)
    await runtime.close()


async def _states(units: UnitOfWorkFactory) -> list[str]:
    async with units() as unit:
        return list((await unit.session.execute(text("SELECT state FROM webhook_event ORDER BY id"))).scalars())


async def test_the_inbox_shows_what_is_in_trouble_and_why(cli: Cli, settings: Settings, database_url: str) -> None:
    await _quarantined(settings, database_url, b"not json", b"nor this")
    causes = await cli("webhooks", "causes")
    assert causes.exit_code == 0
    assert causes.stdout.splitlines()[1].split()[:2] == ["2", "quarantined"]
    listed = await cli("webhooks", "list", "--state", "quarantined")
    event_id = listed.stdout.splitlines()[1].split()[0]
    assert event_id.startswith("whe_")
    shown = await cli("webhooks", "show", event_id)
    assert "quarantined" in shown.stdout
    assert "not json" not in shown.output


async def test_a_payload_is_shown_on_request_with_a_warning(cli: Cli, settings: Settings, database_url: str) -> None:
    await _quarantined(settings, database_url, b'{"customer": "Zo\xc3\xab"}')
    event_id = (await cli("webhooks", "list")).stdout.splitlines()[1].split()[0]
    shown = await cli("webhooks", "show", event_id, "--body")
    assert '"customer": "Zoë"' in shown.stdout
    assert "personal data" in shown.stderr
    assert "personal data" not in shown.stdout


async def test_replaying_many_asks_first(
    cli: Cli, settings: Settings, database_url: str, units: UnitOfWorkFactory
) -> None:
    await _quarantined(settings, database_url, b"a", b"b")
    refused = await cli("webhooks", "replay", "--state", "quarantined", input="n\n")
    assert refused.exit_code == 1
    assert "Apply 2 events again?" in refused.stdout
    assert await _states(units) == ["quarantined", "quarantined"]
    agreed = await cli("webhooks", "replay", "--state", "quarantined", input="y\n")
    assert agreed.exit_code == 0
    assert await _states(units) == ["received", "received"]


async def test_replaying_chooses_by_state_outcome_and_time(
    cli: Cli, settings: Settings, database_url: str, units: UnitOfWorkFactory
) -> None:
    await _quarantined(settings, database_url, b"a")
    for options in (["--state", "dead"], ["--state", "quarantined", "--outcome", "other"]):
        assert "No event matches." in (await cli("webhooks", "replay", *options, "--yes")).stdout
    later = await cli("webhooks", "replay", "--state", "quarantined", "--since", "2999-01-01", "--yes")
    assert "No event matches." in later.stdout
    assert await _states(units) == ["quarantined"]
    one = await cli("webhooks", "replay", "--state", "quarantined", "--since", "5m", "--yes")
    assert one.stdout == "1 event is in the queue again.\n"
    assert await _states(units) == ["received"]


async def test_one_event_is_replayed_by_its_id(
    cli: Cli, settings: Settings, database_url: str, units: UnitOfWorkFactory
) -> None:
    await _quarantined(settings, database_url, b"a")
    event_id = (await cli("webhooks", "list")).stdout.splitlines()[1].split()[0]
    assert (await cli("webhooks", "replay", event_id)).exit_code == 0
    assert await _states(units) == ["received"]
    again = await cli("webhooks", "replay", event_id)
    assert again.exit_code == 1
    assert again.stderr == "Error: The event is received: it is in the queue already.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["webhooks", "show", "whe_nothing"], 1, "There is no webhook event whe_nothing"),
        (["webhooks", "replay", "whe_nothing"], 1, "There is no webhook event whe_nothing"),
        (["webhooks", "replay"], 2, "--state"),
        (["webhooks", "replay", "--state", "nope"], 2, "'nope' is not a state"),
        (["webhooks", "replay", "whe_x", "--state", "dead"], 2, "not both"),
        (["webhooks", "list", "--since", "yesterday"], 2, "is not a time"),
        (["api-key", "revoke", "key_nothing"], 1, "There is no API key 'key_nothing'"),
        (["api-key", "create", "X", "--scope", "everything"], 1, "Unknown: everything."),
        (["catalog", "apply", "missing.toml"], 2, "does not exist"),
        (["nonsense"], 2, "No such command"),
    ],
)
async def test_a_mistake_is_named(cli: Cli, arguments: list[str], code: int, words: str) -> None:
    result = await cli(*arguments)
    assert result.exit_code == code
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output


async def test_an_api_key_lives_from_its_making_to_its_end(cli: Cli, units: UnitOfWorkFactory) -> None:
    made = await cli("api-key", "create", "Host app", "--scope", "access:read")
    key = made.stdout.strip()
    assert "not shown again" in made.stderr
    async with units() as unit:
        caller = await ApiKeyService().authenticate(unit, key, "access:read")
    listed = await cli("api-key", "list")
    assert "Host app" in listed.stdout
    assert key not in listed.stdout
    revoked = await cli("api-key", "revoke", caller.key_id)
    assert revoked.stdout == f"{caller.key_id} (Host app) is revoked.\n"
    async with units() as unit:
        with pytest.raises(InvalidApiKey):
            await ApiKeyService().authenticate(unit, key, "access:read")


async def test_a_catalogue_is_compared_applied_and_shown(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    assert "empty" in (await cli("catalog", "show")).stdout
    new = await cli("catalog", "diff", str(file))
    assert new.stdout == "add feature reports\nadd plan pro\ncreate at Whop: pro version 1, 12.00 USD\n"
    assert new.exit_code == 2
    refused = await cli("catalog", "apply", str(file), "--no-sync", input="n\n")
    assert refused.exit_code == 1
    assert "Go on (2 changes here)?" in refused.stdout
    assert "empty" in (await cli("catalog", "show")).stdout
    assert (await cli("catalog", "apply", str(file), "--no-sync", input="y\n")).exit_code == 0
    shown = (await cli("catalog", "show")).stdout.splitlines()[1]
    assert shown.split() == ["pro", "Pro", "1", "$12.00", "30", "days", "–", "7", "days", "0", "–", "reports"]
    file.write_text(CATALOG.replace("12.00", "13.00"))
    changed = await cli("catalog", "diff", str(file))
    assert changed.stdout.splitlines() == [
        "update plan pro: price.usd 12.00 USD → 13.00 USD (version 2 begins)",
        "create at Whop: pro version 2, 13.00 USD",
    ]
    assert (await cli("catalog", "apply", str(file), "--no-sync", "--yes")).exit_code == 0
    everything = (await cli("catalog", "show", "--archived")).stdout.splitlines()
    assert [line.split()[:4] for line in everything[1:]] == [
        ["pro", "Pro", "1", "(earlier)"],
        ["pro", "2", "$13.00", "30"],
    ]


async def test_a_broken_catalogue_says_where(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG.replace('"12.00"', '"12.005"'))
    result = await cli("catalog", "apply", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: plans[1] (pro): price")
    assert (await cli("catalog", "diff", str(file))).exit_code == 1


async def test_applying_makes_the_plans_at_the_gateway(cli: Cli, emulator: RunningEmulator) -> None:
    first = await cli("catalog", "apply", input="y\n")
    assert "Go on (14 changes here and 8 steps at Whop)?" in first.stdout
    made = first.stdout.splitlines()[-1]
    assert made.startswith("Made at Whop: monthly version 1 in USD, monthly version 1 in EUR, quarterly version 1")
    again = await cli("catalog", "apply")
    assert again.stdout == "The database and the file agree already.\nWhop has every plan already.\n"
    assert (await emulator.state())["counts"]["plans"] == 8
    same = await cli("catalog", "diff")
    assert (same.exit_code, same.stdout) == (0, "The database, Whop and the file agree.\n")
    assert "plan_" in (await cli("catalog", "show")).stdout


async def test_a_gateway_out_of_reach_is_one_sentence(cli: Cli) -> None:
    result = await cli("catalog", "apply", "--yes")
    assert result.exit_code == 1
    hint, error = result.stderr.splitlines()
    assert "Run the same command again" in hint
    assert error.startswith("Error: ")


async def test_doctor_is_content(cli: Cli, emulator: RunningEmulator) -> None:
    result = await cli("doctor")
    assert result.exit_code == 0, result.output
    assert "✓ Database" in result.stdout
    assert "✓ Whop     custom, account biz_test." in result.stdout
    assert "! Mail     SMTP_URL is not set" in result.stdout


async def test_doctor_shows_no_secret(cli: Cli, emulator: RunningEmulator) -> None:
    result = await cli("doctor", SMTP_URL="smtp://user:pass-word@127.0.0.1:1")
    secrets = ("QUNTEDGE_SECRET_KEY", "QUNTEDGE_ENCRYPTION_KEYS", "WHOP_API_KEY", "WHOP_WEBHOOK_SECRETS")
    for name in secrets:
        assert f"{name}  environment  (set)" in result.stdout
        assert SETTINGS[name] not in result.output
    assert "pass-word" not in result.output
    assert "✗ Mail     127.0.0.1:1 cannot be used" in result.stdout
    assert result.exit_code == 1


async def test_doctor_finds_a_key_of_another_account(cli: Cli, emulator: RunningEmulator) -> None:
    result = await cli("doctor", WHOP_ACCOUNT_ID="biz_other")
    assert "✗ Whop     WHOP_API_KEY belongs to biz_test, WHOP_ACCOUNT_ID says biz_other." in result.stdout
    assert result.stderr == "Error: one check failed.\n"


async def test_doctor_hides_the_password_of_the_database(cli: Cli) -> None:
    result = await cli("doctor", DATABASE_URL="postgresql://app:geheim@127.0.0.1:1/app")
    assert "…@127.0.0.1:1/app" in result.stdout
    assert "geheim" not in result.output
    assert "✗ Database cannot be reached" in result.stdout
