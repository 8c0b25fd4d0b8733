"""Lists as the official SDK walks them: by cursor, in both directions, by time."""

from datetime import UTC, datetime

import httpx
from whop_sdk import AsyncWhop

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import Shop
from tests.emulator.receiver import SECRET, Receiver


async def test_pages_are_walked_by_cursor(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    made = [(await emu.pay(checkout_id, email=f"c{n}@customer.test"))["payment"]["id"] for n in range(7)]
    pager = await sdk.payments.list(account_id=emu.config.account_id, first=3)
    assert [p.id async for p in pager] == made[::-1]
    ascending = await sdk.payments.list(account_id=emu.config.account_id, first=3, direction="asc")
    assert [p.id async for p in ascending] == made


async def test_pages_backwards(emu: RunningEmulator, api: httpx.AsyncClient, shop: Shop) -> None:
    checkout_id = await shop.checkout(await shop.plan())
    made = [(await emu.pay(checkout_id, email=f"c{n}@customer.test"))["payment"]["id"] for n in range(5)][::-1]
    first = (await api.get("payments", params={"first": 4})).json()
    info = first["page_info"]
    assert (info["has_next_page"], info["has_previous_page"]) == (True, False)
    back = (await api.get("payments", params={"before": info["end_cursor"], "last": 2})).json()
    assert [p["id"] for p in back["data"]] == made[1:3]
    assert (back["page_info"]["has_next_page"], back["page_info"]["has_previous_page"]) == (True, True)


async def test_created_filters(emu: RunningEmulator, sdk: AsyncWhop, shop: Shop) -> None:
    old = await shop.sell("old@customer.test")
    await emu.advance(days=1)
    border = datetime.fromisoformat((await emu.state())["now"]).astimezone(UTC)
    new = await shop.sell("new@customer.test")
    after = await sdk.payments.list(created_after=border)
    before = await sdk.payments.list(created_before=border)
    assert [p.id async for p in after] == [new["payment"]["id"]]
    assert [p.id async for p in before] == [old["payment"]["id"]]


async def test_secret_of_the_control_endpoint(emu: RunningEmulator, receiver: Receiver, shop: Shop) -> None:
    await emu.register_webhook(receiver.url, SECRET, events=["member.created"])
    await shop.sell()
    assert [(one.type, one.signature_is_right()) for one in receiver.received] == [("member.created", True)]
