"""Fixtures on real servers: PostgreSQL built by the migrations, cloned from a template for each test."""

import base64
import contextlib
import functools
import hashlib
import itertools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import structlog
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.kit.clock import FrozenClock
from quntedge.kit.crypto import KeyRing
from quntedge.schema import all_tables
from quntedge.settings import Settings, load_settings
from quntedge.storage import migrate
from quntedge.storage.embedded import EmbeddedServer
from quntedge.storage.engine import create_engine, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
WEBHOOK_SECRET = "ws_test_0123456789abcdef"
ENCRYPTION_KEYS = "test:" + base64.b64encode(hashlib.sha256(b"a key for tests, known to everybody").digest()).decode()

_PLENTY_BYTES = 4 * 1024**3
_FOLDER = "quntedge-test-"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what takes long, visibly."""
    if "QUNTEDGE_TEST_LONG" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="takes long: make test-long"))


def _fast_folder() -> Path | None:
    """Memory, where there is plenty: a database for each test is some hundred files that are soon deleted."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        return None
    for left in memory.glob(f"{_FOLDER}*"):
        _forget(left)
    return memory if shutil.disk_usage(memory).free >= _PLENTY_BYTES else None


def _forget(folder: Path) -> None:
    """Stops and removes what a test run left that was killed; it is memory that it holds."""
    server = folder / "postgres"
    try:
        users = json.loads((server / ".handle_pids.json").read_text())
        postmaster = int((server / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return  # only just being made
    if not any(psutil.pid_exists(pid) for pid in users):
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster, signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _cheap_habits() -> Iterator[None]:
    """What libraries do at each turn although once, or not at all, would do for tests.

    A coloured trace with all local variables for each error that a test provokes, and reading the certificate
    authorities of the system for each client that will talk to this machine alone.
    """
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx._transports.default, "create_ssl_context", functools.cache(httpx.create_ssl_context))
        yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """Address of the maintenance database: `TEST_DATABASE_URL`, or an embedded server for this run."""
    configured = os.environ.get("TEST_DATABASE_URL")
    if configured:
        yield configured
        return
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=_fast_folder()))
    server = EmbeddedServer(folder)
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        # A test database may be lost with the machine; waiting for the disk is measured in bench/, not here.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        # Each database lives for a second.
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.admin_url()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _database(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template_database(database_server: str) -> str:
    """A migrated database that tests are cloned from, one for each test process."""
    name = f"template_{os.getpid()}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate.upgrade(_database(database_server, name), all_tables())
    return name


@contextmanager
def cloned_database(server_url: str, template: str) -> Iterator[str]:
    """Address of a clean, migrated database, which is dropped at the end."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(
            # Copying files costs 25 ms here, the default way through the log 140 ms.
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    yield _database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(database_server: str, template_database: str) -> Iterator[str]:
    """Address of a clean, migrated database of this test's own."""
    with cloned_database(database_server, template_database) as url:
        yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's database."""
    engine = create_engine(database_url, pool_size=12)
    yield engine
    await engine.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    """A clock that stands at 2026-09-01T12:00:00Z until moved."""
    return FrozenClock(START)


@pytest.fixture
def bus() -> EventBus:
    """A bus without subscribers."""
    return EventBus()


@pytest.fixture
def units(engine: AsyncEngine, clock: FrozenClock, bus: EventBus) -> UnitOfWorkFactory:
    """Units of work on the test's database."""
    return UnitOfWorkFactory(session_factory(engine), clock, bus)


@pytest.fixture
def key_ring() -> KeyRing:
    """A key ring with a visibly fake key."""
    return KeyRing.parse(ENCRYPTION_KEYS)


@pytest.fixture
def vault(key_ring: KeyRing) -> Vault:
    """A vault on the fake key."""
    return Vault(key_ring)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with visibly fake secrets; nothing comes from the environment's own Whop or mail settings."""
    return load_settings(
        database_url=database_url,
        data_dir=tmp_path,
        secret_key="test-secret-key-test-secret-key-0000",
        encryption_keys=ENCRYPTION_KEYS,
        whop_environment="custom",
        whop_base_url="http://127.0.0.1:1/api/v1",
        whop_api_key="test-key",
        whop_account_id="biz_test",
        whop_webhook_secrets=WEBHOOK_SECRET,
    )
