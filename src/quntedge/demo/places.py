"""The demo's folder, and the secrets and settings it makes for itself."""

import base64
import fcntl
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quntedge.kit.crypto import new_key, random_token
from quntedge.settings import Settings

ACCOUNT_ID = "biz_demo"
API_KEY = "QUNTEDGE_DEMO_API_KEY"
"""Name under which the demo remembers its own API key; also the sign that the customers were made."""

_KEPT = ("QUNTEDGE_SECRET_KEY", "QUNTEDGE_ENCRYPTION_KEYS", "WHOP_API_KEY", "WHOP_WEBHOOK_SECRETS", API_KEY)
_HEAD = """\
# The demo's settings. To use the command line on the demo's data:
#   set -a; . {path}; set +a
# The secrets are random and open nothing but this demo.
"""


class DemoProblem(Exception):
    """The demo cannot start, or had to stop. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo listens, all on 127.0.0.1."""

    web: int
    emulator: int

    @property
    def web_url(self) -> str:
        """Address of the pages."""
        return f"http://127.0.0.1:{self.web}"

    @property
    def emulator_url(self) -> str:
        """Address of the emulator."""
        return f"http://127.0.0.1:{self.emulator}"


@dataclass(frozen=True, slots=True)
class Places:
    """Everything the demo keeps lies in one folder (absolute)."""

    root: Path

    @property
    def environment(self) -> Path:
        """Secrets and settings, readable by the owner only."""
        return self.root / "demo.env"

    @property
    def postgres(self) -> Path:
        """The embedded database."""
        return self.root / "postgres"

    @property
    def emulator_state(self) -> Path:
        """The emulator's state, a SQLite file."""
        return self.root / "emulator.sqlite"

    @property
    def mailbox(self) -> Path:
        """The mails; the web process looks for them here too."""
        return self.root / "mailbox"

    @property
    def logs(self) -> Path:
        """A log file for each process."""
        return self.root / "logs"

    def prepare(self) -> None:
        """Makes the folders. Raises `DemoProblem` when they cannot be made or hold somebody else's database."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self.mailbox.mkdir(exist_ok=True)
        except OSError as error:
            raise DemoProblem(f"The folder {self.root} cannot be used: {error.strerror}.") from None
        if (self.postgres / "PG_VERSION").exists() and not self.environment.exists():
            raise DemoProblem(
                f"{self.postgres} holds a database that the demo did not make; choose another place with --folder."
            )

    def forget(self) -> None:
        """Deletes what the demo made, and nothing else."""
        for folder in (self.postgres, self.mailbox, self.logs):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.environment, self.emulator_state, self.emulator_state.with_name("emulator.sqlite-wal")):
            file.unlink(missing_ok=True)


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Raises `DemoProblem` while another demo runs in the same folder. The lock goes with the process."""
    places.root.mkdir(parents=True, exist_ok=True)
    with (places.root / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoProblem(f"A demo is running in {places.root} already; stop that one with Ctrl-C first.") from None
        yield


def read_environment(places: Places) -> dict[str, str]:
    """What the last demo in this folder wrote down; empty before the first."""
    if not places.environment.exists():
        return {}
    pairs = (part.partition("=") for part in shlex.split(places.environment.read_text("utf-8"), comments=True))
    return {name: value for name, equals, value in pairs if equals}


def write_environment(places: Places, values: Mapping[str, str]) -> None:
    """Replaces the file in one step; nobody but the owner can ever read it."""
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    fresh = places.environment.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines([_HEAD.format(path=shlex.quote(str(places.environment))), *lines])
    fresh.replace(places.environment)


def demo_environment(places: Places, ports: Ports, smtp_port: int) -> dict[str, str]:
    """All settings of the demo: old secrets where there are some, fresh ones otherwise."""
    known = read_environment(places)
    secrets = _fresh_secrets() | {name: known[name] for name in _KEPT if name in known}
    return secrets | {
        "QUNTEDGE_DATA_DIR": str(places.root),
        "QUNTEDGE_BASE_URL": ports.web_url,
        "QUNTEDGE_HOST": "127.0.0.1",
        "QUNTEDGE_PORT": str(ports.web),
        "QUNTEDGE_DEMO": "true",
        "QUNTEDGE_CLOCK_URL": f"{ports.emulator_url}/_control",
        "WHOP_ENVIRONMENT": "custom",
        "WHOP_BASE_URL": f"{ports.emulator_url}/api/v1",
        "WHOP_ACCOUNT_ID": ACCOUNT_ID,
        "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}",
        "MAIL_FROM": "QuntEdge <billing@quntedge.test>",
        "SUPPORT_EMAIL": "support@quntedge.test",
    }


def _fresh_secrets() -> dict[str, str]:
    return {
        "QUNTEDGE_SECRET_KEY": random_token(48),
        "QUNTEDGE_ENCRYPTION_KEYS": f"demo:{base64.b64encode(new_key()).decode()}",
        "WHOP_API_KEY": f"whop_demo_{random_token(24)}",
        "WHOP_WEBHOOK_SECRETS": f"ws_{random_token(32)}",
    }


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment that says nothing about the product, Whop or PostgreSQL.

    Whoever has real keys in their shell and tries the demo must not have it talk to the real account or database.
    """
    ours = {str(field.validation_alias) for field in Settings.model_fields.values()}
    prefixes = ("WHOP", "QUNTEDGE_", "PG")
    return {
        name: value
        for name, value in environment.items()
        if name.upper() not in ours and not name.upper().startswith(prefixes) and not name.upper().endswith("_PROXY")
    }
