"""Snapshots bring everything back, the clock included; branches go on side by side."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.kit.following_clock import FollowingClock
from tests.emulator.conftest import FAILS_LATER, START, Shop
from tests.emulator.receiver import Receiver

HOUR = timedelta(hours=1)
"""More than any machine stalls for."""


async def status(shop: Shop, sold: dict[str, Any]) -> str:
    return str((await shop.sdk.memberships.retrieve(sold["membership"]["id"])).status)


async def now(emu: RunningEmulator) -> datetime:
    return datetime.fromisoformat((await emu.state())["now"])


async def post(emu: RunningEmulator, path: str, **body: object) -> httpx.Response:
    return await emu.control.post(path, json=body)


async def test_restoring_undoes_what_happened_since(shop: Shop, emu: RunningEmulator) -> None:
    good, bad = await shop.sell("kim@customer.test"), await shop.sell("lee@customer.test", FAILS_LATER)
    taken = await emu.snapshot("before-renewals")
    assert taken["counts"]["memberships"] == 2
    before = emu.runtime.world.store.tables.memberships
    for _ in range(2):  # a snapshot can be restored any number of times
        await emu.advance(days=40)
        assert (await status(shop, good), await status(shop, bad)) == ("active", "canceled")
        later = await shop.sell("late@customer.test")
        restored = await emu.restore("before-renewals")
        assert restored["branch"] == "main"
        assert await now(emu) - datetime.fromisoformat(taken["at"]) < HOUR
        assert (await status(shop, good), await status(shop, bad)) == ("active", "active")
        gone = await emu.control.get(
            f"{emu.api_base_url}/memberships/{later['membership']['id']}",
            headers={"authorization": f"Bearer {emu.config.api_key}"},
        )
        assert gone.status_code == 404
    assert emu.runtime.world.store.tables.memberships is not before


async def test_what_was_due_happens_again_after_a_restore(shop: Shop, emu: RunningEmulator, hooked: Receiver) -> None:
    await shop.sell()
    await emu.snapshot("start")
    seen = []
    for _ in range(2):
        await emu.advance(days=31)
        seen.append(hooked.types.count("payment.succeeded"))
        await emu.restore("start")
        await emu.settle()
    assert seen == [2, 3]
    ids = [one.headers["webhook-id"] for one in hooked.of("payment.succeeded")]
    assert len(set(ids)) == 3
    payments = {one.data["id"] for one in hooked.of("payment.succeeded")}
    assert len(payments) == 3


async def test_deliveries_under_way_belong_to_the_state_that_is_left(
    shop: Shop, emu: RunningEmulator, hooked: Receiver
) -> None:
    await emu.snapshot("quiet")
    hooked.statuses.append(500)
    await shop.sdk.products.create(title="Another", account_id=emu.config.account_id)
    await emu.settle()
    assert (await emu.state())["deliveries"]["waiting_for_retry"] == 1
    await emu.restore("quiet")
    await emu.advance(days=4)
    assert hooked.types.count("product.created") == 1
    assert (await emu.state())["counts"]["endpoints"] == 1


async def test_branches_live_side_by_side(shop: Shop, emu: RunningEmulator) -> None:
    sold = await shop.sell()
    await emu.branch("loses-card")
    await emu.decline_next(sold["membership"]["id"], times=10)
    await emu.advance(days=50)
    assert await status(shop, sold) == "canceled"
    left_at = await now(emu)
    back = await emu.switch("main")
    assert back["branch"] == "main"
    assert await status(shop, sold) == "active"
    assert await now(emu) - START < HOUR
    await emu.advance(days=31)
    assert await status(shop, sold) == "active"
    await emu.switch("loses-card")
    assert await status(shop, sold) == "canceled"
    assert await now(emu) - left_at < HOUR
    listed = (await emu.control.get("branches")).json()["data"]
    assert [(one["name"], one["current"]) for one in listed] == [("loses-card", True), ("main", False)]


async def test_a_branch_begins_at_a_snapshot(shop: Shop, emu: RunningEmulator) -> None:
    sold = await shop.sell()
    await emu.snapshot("start")
    await emu.advance(days=31)
    begun = await emu.branch("again", snapshot="start")
    assert (begun["branch"], await now(emu) - START < HOUR) == ("again", True)
    assert len((await shop.sdk.payments.list(account_id=emu.config.account_id)).items or []) == 1
    await emu.switch("main")
    assert await now(emu) - START >= timedelta(days=31)
    assert await status(shop, sold) == "active"


async def test_who_follows_the_clock_is_asked_about(emu: RunningEmulator) -> None:
    await emu.snapshot("start")
    await emu.branch("other")
    clock = FollowingClock(emu.control_url)
    await clock.start()
    try:
        await emu.advance(days=10)
        for path, body in (
            ("snapshots/start/restore", {}),
            ("branches/main/switch", {}),
            ("branches", {"name": "third", "snapshot": "start"}),
        ):
            refused = await post(emu, path, **body)
            assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict"), path
            assert "follow the clock" in refused.json()["error"]["message"]
        assert clock.now() - START > timedelta(days=9)
        assert (await emu.state())["branch"] == "other"
        await emu.branch("from-now")  # moves nobody's time
        await emu.restore("start", force=True)
        assert clock.now() - START < HOUR
    finally:
        await clock.stop()


async def test_snapshots_and_branches_survive_a_restart(tmp_path: Path) -> None:
    config = EmulatorConfig(start=START, state_path=tmp_path / "emulator.sqlite")
    async with running_emulator(config) as emu:
        await emu.snapshot("start")
        await emu.branch("other")
        await emu.advance(days=3)
        await emu.snapshot("later")
        assert (await emu.control.delete("snapshots/start")).json() == {"name": "start", "deleted": True}
    async with running_emulator(config) as emu:
        assert [one["name"] for one in (await emu.control.get("snapshots")).json()["data"]] == ["later"]
        assert (await emu.state())["branch"] == "other"
        await emu.switch("main")
        assert await now(emu) - START < HOUR
        await emu.restore("later")
        assert timedelta(days=3) <= await now(emu) - START < timedelta(days=3) + HOUR
        assert (await emu.control.delete("branches/other")).status_code == 200
    async with running_emulator(config) as emu:
        listed = (await emu.control.get("branches")).json()["data"]
        assert [one["name"] for one in listed] == ["main"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 61, "-x", "é"])
async def test_names_that_cannot_be_used(name: str, emu: RunningEmulator) -> None:
    for kind in ("snapshots", "branches"):
        refused = await post(emu, kind, name=name)
        assert refused.status_code == 400, kind
        assert refused.json()["error"]["message"]


async def test_what_is_not_there_or_taken(emu: RunningEmulator) -> None:
    await emu.snapshot("one")
    await emu.branch("two")
    expected = {
        ("POST", "snapshots", "one"): 409,
        ("POST", "branches", "two"): 409,
        ("POST", "branches", "main"): 409,
        ("POST", "snapshots/none/restore", None): 404,
        ("POST", "branches/none/switch", None): 404,
        ("DELETE", "snapshots/none", None): 404,
        ("DELETE", "branches/two", None): 409,
        ("DELETE", "branches/none", None): 404,
    }
    for (method, path, name), code in expected.items():
        answer = await emu.control.request(method, path, json=None if name is None else {"name": name})
        assert answer.status_code == code, (method, path, name)
    assert (await post(emu, "branches", name="three", snapshot="none")).status_code == 404
    assert (await post(emu, "branches", name="three", colour="red")).status_code == 400
    foreign = await emu.control.post("snapshots/one/restore", headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert (await emu.switch("two"))["branch"] == "two"
