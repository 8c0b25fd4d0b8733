"""A restarted emulator continues where it stopped, however it stopped."""

import contextlib
import json
import sqlite3
import time
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from quntedge.gateway.emulator.app import create_emulator
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.keeping import keeper
from quntedge.gateway.emulator.keeping.branches import Shelf
from quntedge.gateway.emulator.keeping.codec import table_types
from quntedge.gateway.emulator.keeping.sqlite_state import StateFile, StateUnreadable
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.state.records import Product
from quntedge.gateway.emulator.state.store import Tables
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import FAILS_LATER, NO_CERTIFICATES, START, Shop, sdk_for
from tests.emulator.program import running_program
from tests.emulator.receiver import SECRET, Receiver

LISTS = (
    "products",
    "plans",
    "checkout_configurations",
    "memberships",
    "payments",
    "refunds",
    "members",
    "payment_methods",
    "webhooks",
    "promo_codes",
)


@pytest.fixture
def config(tmp_path: Path) -> EmulatorConfig:
    return EmulatorConfig(start=START, state_path=tmp_path / "state" / "emulator.sqlite", state_interval_seconds=0.02)


async def _story(emu: RunningEmulator, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """Leaves a bit of everything behind."""
    sdk = sdk_for(emu, http)
    product = await sdk.products.create(title="QuntEdge", account_id=emu.config.account_id)
    shop = Shop(emu, sdk, product.id)
    await shop.sell("trial@customer.test", trial_period_days=40)
    paid = await shop.sell("kim@customer.test")
    late = await shop.sell("late@customer.test", FAILS_LATER)
    await sdk.payments.refund(paid["payment"]["id"], partial_amount=5)
    await emu.decline_next(late["membership"]["id"], decline_code="expired_card")
    await emu.advance(days=30)
    await emu.register_webhook(receiver.url, SECRET, events=["payment.failed", "product.created"])
    receiver.statuses.append(500)
    await sdk.products.create(title="Another", account_id=emu.config.account_id)
    await emu.settle()


async def _everything(emu: RunningEmulator, http: httpx.AsyncClient) -> dict[str, object]:
    """What the API says; addresses are made comparable."""
    head = {"authorization": f"Bearer {emu.config.api_key}"}
    seen: dict[str, object] = {}
    for name in LISTS:
        answer = await http.get(
            f"{emu.api_base_url}/{name}", headers=head, params={"account_id": emu.config.account_id}
        )
        assert answer.status_code == 200, answer.text
        seen[name] = answer.json()["data"]
    return json.loads(json.dumps(seen).replace(emu.url, "BASE"))  # type: ignore[no-any-return]


async def _life(config: EmulatorConfig, receiver: Receiver) -> tuple[dict[str, object], Tables]:
    """A first life; returns what the API said at its end, and what lay in memory."""
    async with running_emulator(config) as emu, httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        await _story(emu, http, receiver)
        said = await _everything(emu, http)
    return said, emu.runtime.world.store.tables


def _held(config: EmulatorConfig) -> Tables:
    assert config.state_path is not None
    file = StateFile(config.state_path, config.account_id)
    with contextlib.closing(file):
        return file.load().tables


async def test_restart(config: EmulatorConfig, receiver: Receiver) -> None:
    before, tables = await _life(config, receiver)
    assert [one.type for one in receiver.received] == ["product.created"]
    assert _held(config) == tables
    async with running_emulator(config) as emu, httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        assert await _everything(emu, http) == before
        now = datetime.fromisoformat((await emu.state())["now"])
        assert timedelta(days=30) <= now - START < timedelta(days=30, hours=1)
        await emu.advance(days=5)
        assert receiver.types.count("product.created") == 2
        assert receiver.types.count("payment.failed") == 3
        counts = (await emu.state())["memberships_by_status"]
        assert counts == {"trialing": 1, "active": 1, "canceled": 1}
        await emu.advance(days=6)
        assert (await emu.state())["memberships_by_status"] == {"active": 2, "canceled": 1}


async def _written(emu: RunningEmulator) -> None:
    deadline = time.monotonic() + 60
    while not (await emu.state())["kept"]:
        assert time.monotonic() < deadline
    assert emu.runtime.kept


async def test_marked_changes_alone_are_the_whole_truth(
    config: EmulatorConfig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With many records only the marked ones are compared: nothing may change without being marked or counted."""
    monkeypatch.setattr(keeper, "SMALL", -1)
    monkeypatch.setattr(keeper, "_FULL_COST", 1e9)
    assert config.state_path is not None
    async with running_emulator(config) as emu, httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        head = {"authorization": f"Bearer {config.api_key}", "idempotency-key": "once"}
        await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
        await _story(emu, http, receiver)
        await emu.advance(days=3)
        await _written(emu)
        copy = tmp_path / "copy.sqlite"
        copy.write_bytes(config.state_path.read_bytes())
        log = config.state_path.with_name("emulator.sqlite-wal")
        copy.with_name("copy.sqlite-wal").write_bytes(log.read_bytes())
        file = StateFile(copy, config.account_id)
        with contextlib.closing(file):
            held, lies = file.load().tables, emu.runtime.world.store.tables
            assert held == lies
            for kind in table_types():
                assert list(getattr(held, kind)) == list(getattr(lies, kind)), f"{kind}: order of creation"


def test_a_killed_emulator_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path, head = tmp_path / "emulator.sqlite", {"authorization": "Bearer whop_emulator_key"}
    with running_program("--state", str(path)) as program, httpx.Client(trust_env=False, base_url=program.url) as http:
        made = [
            http.post("/api/v1/products", json={"title": f"Product {n}"}, headers=head).json()["id"] for n in range(20)
        ]
        http.post("/_control/clock/advance", json={"days": 400}).raise_for_status()
        deadline = time.monotonic() + 60
        while not http.get("/_control/state").json()["kept"]:
            assert time.monotonic() < deadline
        program.process.kill()
        program.process.wait()
    file = StateFile(path, "biz_emulator")
    with contextlib.closing(file):
        held = file.load()
    assert list(held.tables.products) == made
    assert held.clock_offset_seconds >= 400 * 86400 - 1


async def test_ids_are_never_used_twice(config: EmulatorConfig) -> None:
    ids = set()
    for _ in range(3):
        async with running_emulator(config) as emu:
            head = {"authorization": f"Bearer {config.api_key}"}
            made = await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
            ids.add(made.json()["id"])
            await emu.reset()
        assert _held(config).products == {}
    assert len(ids) == 3


async def test_idempotency_survives_a_restart(config: EmulatorConfig) -> None:
    head = {"authorization": f"Bearer {config.api_key}", "idempotency-key": "once"}
    seen = set()
    for _ in range(2):
        async with running_emulator(config) as emu:
            made = await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
            seen.add(made.json()["id"])
    assert len(seen) == 1


async def test_a_state_in_use_is_refused(config: EmulatorConfig) -> None:
    async with running_emulator(config):
        with pytest.raises(StateUnreadable, match="in use by another emulator"):
            create_emulator(config)


@pytest.mark.parametrize("content", [b"not a database, though long enough" * 40, b'{"format": 1}' * 40])
def test_a_damaged_file_stops_the_start_and_stays(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "emulator.sqlite"
    path.write_bytes(content)
    with pytest.raises(StateUnreadable, match=r"is damaged or no emulator state; move it away"):
        create_emulator(EmulatorConfig(state_path=path))
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "emulator.sqlite"):
        with pytest.raises(StateUnreadable, match="cannot be"):
            create_emulator(EmulatorConfig(state_path=path))


async def test_torn_pages_are_found(config: EmulatorConfig, receiver: Receiver) -> None:
    await _life(config, receiver)
    assert config.state_path is not None
    content = bytearray(config.state_path.read_bytes())
    content[4096 : len(content) - 4096] = b"\x00" * (len(content) - 2 * 4096)
    config.state_path.write_bytes(content)
    with pytest.raises(StateUnreadable):
        create_emulator(config)


async def test_foreign_newer_and_other_files_are_told_apart(config: EmulatorConfig, tmp_path: Path) -> None:
    foreign = tmp_path / "photos.sqlite"
    with contextlib.closing(sqlite3.connect(foreign)) as made:
        made.execute("CREATE TABLE photo (id)")
        made.commit()
    before = foreign.read_bytes()
    with pytest.raises(StateUnreadable, match="not an emulator's state"):
        create_emulator(EmulatorConfig(state_path=foreign))
    assert foreign.read_bytes() == before
    async with running_emulator(config) as emu:
        await emu.advance(days=1)
    assert config.state_path is not None
    with pytest.raises(StateUnreadable, match="another account"):
        create_emulator(EmulatorConfig(account_id="biz_other", state_path=config.state_path))
    changes = (
        ("PRAGMA user_version = 999", "another version"),
        ("INSERT INTO record VALUES ('dreams', 'x', 1, '{}')", "only a newer program knows"),
        ("INSERT INTO record VALUES ('products', 'x', 1, '{\"id\": 1}')", "damaged"),
    )
    for statement, words in changes:
        changed = tmp_path / f"{abs(hash(statement))}.sqlite"
        changed.write_bytes(config.state_path.read_bytes())
        with contextlib.closing(sqlite3.connect(changed)) as opened:
            opened.execute(statement)
            opened.commit()
        with pytest.raises(StateUnreadable, match=words):
            create_emulator(EmulatorConfig(state_path=changed))


async def test_what_a_full_disk_refused_is_written_later(tmp_path: Path) -> None:
    world, path = Runtime(EmulatorConfig(start=START)).world, tmp_path / "emulator.sqlite"
    file = StateFile(path, "biz_emulator")
    writer = keeper.Keeper(world, Shelf(), file, file.load())
    await writer.write()
    pages = file._db.execute("PRAGMA page_count").fetchone()[0]
    file._db.execute(f"PRAGMA max_page_count = {pages}")  # as real as a full disk can be made
    for number in range(200):
        world.store.add(world.store.tables.products, _product(f"prod_{number}", "x" * 500))
    del world.store.tables.products["prod_7"]
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await writer.write()
        assert not writer.up_to_date
    file._db.execute("PRAGMA max_page_count = 100000")
    await writer.write()
    assert writer.up_to_date
    await writer.close()
    with contextlib.closing(StateFile(path, "biz_emulator")) as opened:
        assert opened.load().tables == world.store.tables


def _product(product_id: str, title: str) -> Product:
    return Product(id=product_id, created_at=START, updated_at=START, title=title, route=product_id)
