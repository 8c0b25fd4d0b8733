"""The demo's folder: its secrets, and what it keeps away from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quntedge.demo.places import (
    API_KEY,
    DemoProblem,
    Places,
    Ports,
    demo_environment,
    only_one,
    read_environment,
    without_settings,
    write_environment,
)
from quntedge.settings import Settings, load_settings
from quntedge.storage.embedded import forget_dead_users
from tests.cli.conftest import Cli

PORTS = Ports(8000, 8090)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = Places(tmp_path / "demo folder")
    made.prepare()
    return made


def test_secrets_are_made_once_and_stay(places: Places) -> None:
    first = demo_environment(places, PORTS, 2525)
    write_environment(places, first | {API_KEY: "qk_made"})
    again = demo_environment(places, Ports(9000, 9090), 2626)
    for name in ("QUNTEDGE_SECRET_KEY", "QUNTEDGE_ENCRYPTION_KEYS", "WHOP_API_KEY", "WHOP_WEBHOOK_SECRETS"):
        assert again[name] == first[name]
    assert again[API_KEY] == "qk_made"
    assert again["QUNTEDGE_BASE_URL"] == "http://127.0.0.1:9000"
    assert again["SMTP_URL"] == "smtp://127.0.0.1:2626"
    other = demo_environment(Places(places.root / "other"), PORTS, 2525)
    assert other["QUNTEDGE_SECRET_KEY"] != first["QUNTEDGE_SECRET_KEY"]


def test_the_file_is_for_its_owner_only_and_for_a_shell(places: Places) -> None:
    values = demo_environment(places, PORTS, 2525)
    places.environment.touch(0o644)
    write_environment(places, values)
    assert places.environment.stat().st_mode & 0o777 == 0o600
    assert read_environment(places) == values
    shell = subprocess.run(
        ["/bin/sh", "-c", '. "$1"; printf %s "$MAIL_FROM"', "sh", str(places.environment)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell.stdout == values["MAIL_FROM"] == "QuntEdge <billing@quntedge.test>"


def test_the_settings_are_complete_and_safe(places: Places, bare_environment: pytest.MonkeyPatch) -> None:
    for name, value in demo_environment(places, PORTS, 2525).items():
        bare_environment.setenv(name, value)
    settings = load_settings()
    assert settings.demo
    assert settings.whop_base_url == "http://127.0.0.1:8090/api/v1"
    assert settings.data_dir == places.root


def test_nothing_of_the_users_own_settings_reaches_the_demo() -> None:
    own = {str(field.validation_alias): "mine" for field in Settings.model_fields.values()}
    own |= {"WHOP_SANDBOX_KEY": "mine", "whop_api_key": "mine", "PGHOST": "mine", "PGPASSWORD": "mine"}
    own |= {"HTTPS_PROXY": "mine", "https_proxy": "mine", "QUNTEDGE_ANYTHING": "mine"}
    assert without_settings(own | {"PATH": "/bin", "HOME": "/root"}) == {"PATH": "/bin", "HOME": "/root"}


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(DemoProblem, match="did not make"):
        Places(tmp_path).prepare()


def test_forgetting_leaves_what_is_not_the_demos(places: Places) -> None:
    write_environment(places, {"A": "b"})
    for folder in (places.postgres, places.mailbox, places.logs):
        folder.mkdir(exist_ok=True)
        (folder / "file").touch()
    places.emulator_state.touch()
    (places.root / "notes.txt").write_text("mine")
    places.forget()
    assert [path.name for path in places.root.iterdir()] == ["notes.txt"]
    places.forget()


def test_two_demos_never_share_a_folder(places: Places) -> None:
    with only_one(places), pytest.raises(DemoProblem, match="is running"), only_one(places):
        pass
    with only_one(places):
        pass


async def test_the_command_forgets_on_request(cli: Cli, places: Places) -> None:
    write_environment(places, {"A": "b"})
    result = await cli("demo", "--forget", "--folder", str(places.root))
    assert result.exit_code == 0
    assert not places.environment.exists()
    with only_one(places):
        busy = await cli("demo", "--fresh", "--folder", str(places.root))
    assert busy.exit_code == 1
    assert "is running in" in busy.stderr


async def test_one_port_cannot_serve_two(cli: Cli, tmp_path: Path) -> None:
    result = await cli("demo", "--port", "8123", "--emulator-port", "8123", "--folder", str(tmp_path))
    assert result.stderr == "Error: --port and --emulator-port must differ.\n"


def test_processes_that_were_killed_no_longer_hold_the_database(places: Places) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    places.postgres.mkdir()
    users = places.postgres / ".handle_pids.json"
    users.write_text(f"[{os.getpid()}, {gone.stdout.decode().strip()}]")
    forget_dead_users(places.root)
    assert users.read_text() == f"[{os.getpid()}]"
