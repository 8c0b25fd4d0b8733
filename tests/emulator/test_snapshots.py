"""A restarted emulator continues where it stopped."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from quntedge.gateway.emulator.app import create_emulator
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.snapshots import SnapshotUnreadable
from quntedge.gateway.emulator.testing import running_emulator
from tests.emulator.conftest import FAILS_LATER, START, Shop, sdk_for
from tests.emulator.receiver import SECRET, Receiver


@pytest.fixture
def config(tmp_path: Path) -> EmulatorConfig:
    return EmulatorConfig(start=START, snapshot_path=tmp_path / "state" / "emulator.json")


async def _life(config: EmulatorConfig, receiver: Receiver) -> dict[str, object]:
    """A first life that leaves a bit of everything behind; returns what the API said at its end."""
    async with running_emulator(config) as emu, httpx.AsyncClient() as http:
        sdk = sdk_for(emu, http)
        product = await sdk.products.create(title="QuntEdge", account_id=emu.config.account_id)
        shop = Shop(emu, sdk, product.id)
        await shop.sell("trial@customer.test", trial_period_days=40)
        paid = await shop.sell("kim@customer.test")
        await shop.sell("late@customer.test", FAILS_LATER)
        await sdk.payments.refund(paid["payment"]["id"], partial_amount=5)
        await emu.advance(days=30)
        await emu.register_webhook(receiver.url, SECRET, events=["payment.failed", "product.created"])
        receiver.statuses.append(500)
        await sdk.products.create(title="Another", account_id=emu.config.account_id)
        await emu.settle()
        return await _everything(http, emu.api_base_url, config)


async def _everything(http: httpx.AsyncClient, base: str, config: EmulatorConfig) -> dict[str, object]:
    head = {"authorization": f"Bearer {config.api_key}"}
    account = {"account_id": config.account_id}
    seen: dict[str, object] = {}
    for name in (
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
    ):
        seen[name] = (await http.get(f"{base}/{name}", headers=head, params=account)).json()["data"]
    return json.loads(json.dumps(seen).replace(base.removesuffix("/api/v1"), "BASE"))  # type: ignore[no-any-return]


async def test_restart(config: EmulatorConfig, receiver: Receiver) -> None:
    before = await _life(config, receiver)
    assert config.snapshot_path is not None
    assert not list(config.snapshot_path.parent.glob("*.new"))
    assert [one.type for one in receiver.received] == ["product.created"]
    async with running_emulator(config) as emu, httpx.AsyncClient() as http:
        assert await _everything(http, emu.api_base_url, config) == before
        now = datetime.fromisoformat((await emu.state())["now"])
        assert timedelta(days=30) <= now - START < timedelta(days=30, minutes=1)
        await emu.advance(days=5)
        assert receiver.types.count("product.created") == 2
        assert receiver.types.count("payment.failed") == 3
        counts = (await emu.state())["memberships_by_status"]
        assert counts == {"trialing": 1, "active": 1, "canceled": 1}
        await emu.advance(days=6)
        assert (await emu.state())["memberships_by_status"] == {"active": 2, "canceled": 1}


async def test_ids_are_never_used_twice(config: EmulatorConfig) -> None:
    ids = set()
    for _ in range(3):
        async with running_emulator(config) as emu:
            head = {"authorization": f"Bearer {config.api_key}"}
            made = await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
            ids.add(made.json()["id"])
            await emu.reset()
    assert len(ids) == 3


async def test_idempotency_survives_a_restart(config: EmulatorConfig) -> None:
    head = {"authorization": f"Bearer {config.api_key}", "idempotency-key": "once"}
    seen = set()
    for _ in range(2):
        async with running_emulator(config) as emu:
            made = await emu.control.post(f"{emu.api_base_url}/products", json={"title": "T"}, headers=head)
            seen.add(made.json()["id"])
    assert len(seen) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"format": 1}'])
def test_a_damaged_snapshot_stops_the_start(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "emulator.json"
    path.write_bytes(content)
    with pytest.raises(SnapshotUnreadable, match=str(path)):
        create_emulator(EmulatorConfig(snapshot_path=path))
    assert path.read_bytes() == content


async def test_a_snapshot_of_another_account_is_refused(config: EmulatorConfig) -> None:
    async with running_emulator(config) as emu:
        await emu.advance(days=1)
    with pytest.raises(SnapshotUnreadable, match="another account"):
        create_emulator(EmulatorConfig(account_id="biz_other", snapshot_path=config.snapshot_path))
