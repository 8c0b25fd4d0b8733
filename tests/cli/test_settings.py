"""What commands say when the settings or the database are not usable, and the commands that make settings."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from quntedge.commands.checks import seller, webhook_endpoint
from quntedge.commands.doctor import explain_settings
from quntedge.settings import Settings, load_settings
from quntedge.storage import migrate
from tests.cli.conftest import SETTINGS, Cli


@pytest.fixture
def empty_database(database_server: str, database_url: str) -> Iterator[str]:
    """A database without any schema."""
    url = make_url(database_url)
    name = f"{url.database}_empty"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield url.set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def test_a_missing_setting_is_named(cli: Cli) -> None:
    result = await cli("webhooks", "list")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: QUNTEDGE_SECRET_KEY is missing.")
    assert len(result.stderr.splitlines()) == 1


async def test_doctor_explains_every_setting_even_when_some_are_missing(cli: Cli) -> None:
    result = await cli("doctor", QUNTEDGE_PORT="9000")
    for field in Settings.model_fields.values():
        assert str(field.validation_alias) in result.stdout
    assert "QUNTEDGE_PORT  environment  9000" in result.stdout
    assert "QUNTEDGE_HOST  default  127.0.0.1" in result.stdout
    assert "WHOP_API_KEY  missing" in result.stdout
    assert result.exit_code == 1


def test_a_setting_from_the_file_is_told_from_one_of_the_environment(configured: pytest.MonkeyPatch) -> None:
    with open(".env", "w") as file:
        file.write("PRODUCT_NAME=Acme\nWHOP_API_KEY=from-the-file\n")
    found = {setting.name: setting for setting in explain_settings()}
    assert (found["PRODUCT_NAME"].source, found["PRODUCT_NAME"].shown) == (".env", "Acme")
    assert found["WHOP_API_KEY"].source == "environment"


async def test_an_unreachable_database_is_one_sentence_without_the_password(
    cli: Cli, configured: pytest.MonkeyPatch
) -> None:
    result = await cli("api-key", "list", DATABASE_URL="postgresql://app:geheim@127.0.0.1:1/app")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The database cannot be reached: ")
    assert "geheim" not in result.output
    assert len(result.stderr.splitlines()) == 1


async def test_a_schema_that_is_missing_leads_to_migrate(
    cli: Cli, configured: pytest.MonkeyPatch, empty_database: str
) -> None:
    configured.setenv("DATABASE_URL", empty_database)
    result = await cli("api-key", "list")
    assert result.exit_code == 1
    assert "run `quntedge migrate` first" in result.stderr
    doctor = await cli("doctor")
    assert "the schema is at nothing" in doctor.stdout


async def test_migrate_says_from_where_to_where(cli: Cli, configured: pytest.MonkeyPatch, empty_database: str) -> None:
    configured.setenv("DATABASE_URL", empty_database)
    _, head = migrate.pending(empty_database)
    assert (await cli("migrate")).stdout == f"Schema migrated: empty → {head}.\n"
    assert migrate.pending(empty_database) == (head, head)
    assert (await cli("migrate")).stdout == f"The schema is up to date: {head}.\n"


async def test_fresh_keys_are_usable_settings(cli: Cli, bare_environment: pytest.MonkeyPatch) -> None:
    first, second = (await cli("keys")).stdout, (await cli("keys")).stdout
    assert first != second
    for line in first.splitlines():
        name, _, value = line.partition("=")
        bare_environment.setenv(name, value)
    for name in SETTINGS.keys() - {"QUNTEDGE_SECRET_KEY", "QUNTEDGE_ENCRYPTION_KEYS"}:
        bare_environment.setenv(name, SETTINGS[name])
    assert len(load_settings().key_ring().names) == 1


@pytest.mark.parametrize(
    ("base_url", "level"),
    [
        ("https://pay.example.com", "ok"),
        ("http://pay.example.com", "warn"),
        ("https://localhost", "warn"),
        ("https://10.0.0.7", "warn"),
        ("https://billing", "warn"),
    ],
)
def test_doctor_knows_which_addresses_whop_can_reach(configured: pytest.MonkeyPatch, base_url: str, level: str) -> None:
    configured.delenv("WHOP_BASE_URL")
    configured.setenv("WHOP_ENVIRONMENT", "sandbox")
    configured.setenv("WHOP_WEBHOOK_SECRETS", "ws_0123456789abcdef")
    [finding] = webhook_endpoint(load_settings(base_url=base_url))
    assert finding.level == level


def test_doctor_notices_a_secret_copied_without_its_prefix(configured: pytest.MonkeyPatch) -> None:
    configured.delenv("WHOP_BASE_URL")
    configured.setenv("WHOP_ENVIRONMENT", "sandbox")
    configured.setenv("WHOP_WEBHOOK_SECRETS", "ws_0123456789abcdef,0123456789abcdef0")
    *_, finding = webhook_endpoint(load_settings(base_url="https://pay.example.com"))
    assert finding.level == "warn"
    assert finding.text.startswith("1 of WHOP_WEBHOOK_SECRETS")


def test_doctor_says_what_invoices_lack_of_the_seller(configured: pytest.MonkeyPatch) -> None:
    bare = seller(load_settings())
    assert bare.level == "warn"
    assert "QUNTEDGE_SELLER_COUNTRY" in bare.text
    whole = load_settings(
        seller_name="X SA",
        seller_line1="1 rue A",
        seller_city="Paris",
        seller_country="FR",
        seller_vat_id="FR40303265045",
    )
    assert (seller(whole).level, seller(whole).text) == ("ok", "are from X SA, FR.")
