"""`quntedge keys`: fresh ones, what depends on which, and moving it to a new one."""

import json

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.audit.models import AuditEvent
from quntedge.commands.checks import Finding, upkeep
from quntedge.kit.crypto import KeyRing
from quntedge.schema import KEY_STORES
from quntedge.settings import load_settings
from quntedge.storage.engine import libpq_url
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.wiring import build
from tests.cli.conftest import Cli
from tests.conftest import ENCRYPTION_KEYS, START

KEY = "k2:7mH2Vd0M3xmZ0v7p1nq2hPqVJrW0dC1kQ9sT5aYb8uE="


@pytest.fixture
async def person(configured: pytest.MonkeyPatch, engine: AsyncEngine, units: UnitOfWorkFactory) -> str:
    """Somebody whose data key is wrapped by the key of the settings."""
    vault = Vault(KeyRing.parse(ENCRYPTION_KEYS))
    async with engine.begin() as connection:
        await vault.open(connection, KEY_STORES, START)
    async with units() as unit:
        await vault.create(unit.session, ["usr_1"], START)
        await unit.commit()
    return "usr_1"


async def test_a_key_is_moved_and_then_taken_away(cli: Cli, person: str, units: UnitOfWorkFactory) -> None:
    (old,) = KeyRing.parse(ENCRYPTION_KEYS).names
    both = f"{KEY},{ENCRYPTION_KEYS}"
    before = json.loads((await cli("keys", "status", "--json", QUNTEDGE_ENCRYPTION_KEYS=both)).stdout)["keys"]
    nothing = {"data_key": 0, "index_key": 0, "inbox_key": 0}
    assert before == [
        {"key": "k2", "standing": "current", "wraps": nothing},
        {"key": old, "standing": "still needed", "wraps": nothing | {"data_key": 1, "index_key": 3}},
    ]
    early = await cli("api-key", "list", QUNTEDGE_ENCRYPTION_KEYS=KEY)
    assert early.exit_code == 1
    assert f"QUNTEDGE_ENCRYPTION_KEYS lacks the key '{old}'" in early.stderr
    assert "Traceback" not in early.output

    moved = await cli("keys", "rewrap", QUNTEDGE_ENCRYPTION_KEYS=both)
    assert moved.exit_code == 0, moved.output
    assert "data keys of persons: 1 moved." in moved.stdout
    again = await cli("keys", "rewrap", QUNTEDGE_ENCRYPTION_KEYS=both)
    assert "data keys of persons: nothing to move." in again.stdout
    shown = (await cli("keys", "status", QUNTEDGE_ENCRYPTION_KEYS=both)).stdout
    assert "can be removed" in shown
    assert KEY.partition(":")[2] not in shown
    assert (await cli("api-key", "list", QUNTEDGE_ENCRYPTION_KEYS=KEY)).exit_code == 0
    async with units() as unit:
        events = await unit.session.scalars(select(AuditEvent).where(AuditEvent.act == "encryption_key.rewrap"))
        assert [(event.subject_id, event.details) for event in events] == [("k2", {"moved": 4})]


async def test_a_missing_key_is_named(cli: Cli, person: str) -> None:
    (old,) = KeyRing.parse(ENCRYPTION_KEYS).names
    shown = await cli("keys", "status", QUNTEDGE_ENCRYPTION_KEYS=KEY)
    assert shown.exit_code == 2
    assert f"Put {old} back into QUNTEDGE_ENCRYPTION_KEYS" in shown.stderr
    refused = await cli("keys", "rewrap", QUNTEDGE_ENCRYPTION_KEYS=KEY)
    assert refused.exit_code == 1
    assert f"lacks the key '{old}'" in refused.stderr


async def test_the_doctor_looks_at_keys_and_jobs(person: str, units: UnitOfWorkFactory) -> None:
    (old,) = KeyRing.parse(ENCRYPTION_KEYS).names
    keys, jobs = await _upkeep(f"{ENCRYPTION_KEYS},{KEY}")
    assert (keys.level, jobs.level) == ("ok", "ok")
    assert "Nothing here depends on k2 any more" in keys.text
    async with units() as unit:
        connection = await unit.connection()
        await connection.execute(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES ('default', 'a.task', 'failed')"
            )
        )
        await unit.commit()
    _, jobs = await _upkeep(ENCRYPTION_KEYS)
    assert jobs.level == "warn"
    assert "1 of a.task" in jobs.text
    (missing,) = await _upkeep(KEY)
    assert missing.level == "bad"
    assert f"lacks the key '{old}'" in missing.text


async def _upkeep(keys: str) -> list[Finding]:
    settings = load_settings(encryption_keys=keys)
    assert settings.database_url is not None
    runtime = build(settings, libpq_url(settings.database_url))
    try:
        return await upkeep(runtime)
    finally:
        await runtime.close()
