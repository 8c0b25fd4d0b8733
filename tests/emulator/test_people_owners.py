"""What buyers do on Whop's side: they change to another plan, and hand their memberships on."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import FAILS_LATER, NO_CERTIFICATES, Shop
from tests.emulator.receiver import Receiver


@pytest.fixture
async def browser(emu: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emu.url, verify=NO_CERTIFICATES) as client:
        yield client


def at(text: Any) -> datetime:
    return datetime.fromisoformat(text)


async def switch(shop: Shop, membership_id: str, plan_id: str) -> httpx.Response:
    return await shop.emu.control.post(f"memberships/{membership_id}/switch_plan", json={"plan_id": plan_id})


async def test_changing_the_plan_on_the_portal(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    yearly = await shop.plan(billing_period=365, renewal_price=290, title="Yearly")
    hidden = await shop.plan(visibility="hidden")
    bought = (await shop.sell())["membership"]
    portal = bought["manage_url"].removeprefix(shop.emu.url)
    page = (await browser.get(portal)).text
    assert yearly in page
    assert hidden not in page
    await shop.emu.advance(days=10)
    hooked.clear()
    form = {"action": "switch", "membership_id": bought["id"]}
    assert (await browser.post(portal, data={**form, "plan_id": hidden})).status_code == 422
    assert (await browser.post(portal, data={**form, "plan_id": yearly})).status_code == 303
    await shop.emu.settle()
    assert sorted(hooked.types) == [
        "membership.activated",
        "membership.updated",
        "payment.created",
        "payment.succeeded",
    ]
    (paid,) = hooked.of("payment.succeeded")
    assert (paid.data["billing_reason"], paid.data["total"]["amount"]) == ("subscription_update", "290.00")
    assert (paid.data["membership_id"], paid.data["plan_id"]) == (bought["id"], yearly)
    (updated,) = hooked.of("membership.updated")
    assert updated.event["previous_attributes"]["plan_id"] == bought["plan_id"]
    now = await shop.sdk.memberships.retrieve(bought["id"])
    assert (now.plan_id, now.billing_period_days, now.status) == (yearly, 365, "active")
    assert now.renewal_price is not None
    assert now.renewal_price.amount == "290.00"
    assert at(now.current_period_end) - at(now.current_period_start) == timedelta(days=365)
    assert at(now.current_period_start) - at(bought["current_period_start"]) >= timedelta(days=10)
    listed = await shop.sdk.payments.list(membership_id=bought["id"], billing_reason="subscription_cycle")
    assert [p.id async for p in listed] == [paid.data["id"]]  # as at Whop, this filter finds updates as well
    await shop.emu.advance(days=365)
    renewed = await shop.sdk.memberships.retrieve(bought["id"])
    assert renewed.current_period_start == now.current_period_end


async def test_a_declined_change_changes_nothing(shop: Shop, hooked: Receiver) -> None:
    other = await shop.plan(renewal_price=99)
    bought = (await shop.sell(card=FAILS_LATER))["membership"]
    hooked.clear()
    refused = await switch(shop, bought["id"], other)
    assert (refused.status_code, refused.json()["error"]["type"]) == (402, "payment_failed")
    await shop.emu.settle()
    assert sorted(hooked.types) == ["payment.canceled", "payment.created", "payment.failed"]
    now = await shop.sdk.memberships.retrieve(bought["id"])
    assert (now.plan_id, now.current_period_end) == (bought["plan_id"], bought["current_period_end"])
    assert now.updated_at == bought["updated_at"]


async def test_changing_during_a_trial_costs_nothing_yet(shop: Shop) -> None:
    other = await shop.plan(renewal_price=99)
    bought = (await shop.sell(trial_period_days=7))["membership"]
    changed = (await switch(shop, bought["id"], other)).json()
    assert (changed["status"], changed["plan_id"]) == ("trialing", other)
    assert changed["current_period_end"] == bought["current_period_end"]
    await shop.emu.advance(days=7)
    paid = [p async for p in await shop.sdk.payments.list(membership_id=bought["id"])]
    assert [p.total.amount for p in paid if p.total is not None] == ["99.00", "0.00"]


async def test_plans_a_membership_cannot_change_to(shop: Shop, api: httpx.AsyncClient) -> None:
    bought = (await shop.sell())["membership"]
    elsewhere = await shop.sdk.products.create(title="Other", account_id=shop.emu.config.account_id)
    archived = await shop.plan()
    await shop.sdk.variants.delete(archived)
    once: dict[str, Any] = {"plan_type": "one_time", "billing_period": None, "initial_price": 5, "renewal_price": 0}
    for plan_id in (
        bought["plan_id"],
        archived,
        await shop.plan(currency="eur"),
        await shop.plan(**once),
        await Shop(shop.emu, shop.sdk, elsewhere.id).plan(),
    ):
        assert (await switch(shop, bought["id"], plan_id)).status_code == 400
    assert (await switch(shop, bought["id"], "plan_none")).status_code == 404
    good = await shop.plan(renewal_price=5)
    for path in ("pause", "cancel"):
        await api.post(f"memberships/{bought['id']}/{path}", json={})
        assert (await switch(shop, bought["id"], good)).status_code == 409


async def test_a_transfer_by_link(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    bought = (await shop.sell("kim@customer.test"))["membership"]
    url = (await shop.sdk.memberships.transfer(bought["id"])).url
    path = url.removeprefix(shop.emu.url)
    assert "QuntEdge" in (await browser.get(path)).text
    for email in ("nobody", "kim@customer.test"):
        assert (await browser.post(path, data={"email": email})).status_code == 422
    hooked.clear()
    claimed = await browser.post(path, data={"email": "Lee@customer.test", "name": "Lee"})
    assert claimed.status_code == 303
    await shop.emu.settle()
    assert sorted(hooked.types) == ["member.created", "membership.updated"]
    (updated,) = hooked.of("membership.updated")
    previous = updated.event["previous_attributes"]
    assert (previous["user_id"], previous["member_id"]) == (bought["user_id"], bought["member_id"])
    now = await shop.sdk.memberships.retrieve(bought["id"])
    assert (now.user_id, now.member_id) == (updated.data["user_id"], updated.data["member_id"])
    assert now.user_id != bought["user_id"]
    member = await shop.sdk.members.retrieve(str(now.member_id))
    assert (member.email, member.access_level, member.usd_total_spent.amount) == (
        *("lee@customer.test", "customer", "0.00"),
    )
    assert (await shop.sdk.members.retrieve(bought["member_id"])).access_level == "no_access"
    for method in ("GET", "POST"):
        again = await browser.request(method, path, data={"email": "mia@customer.test"})
        assert again.status_code == 404


async def test_the_card_stays_with_whoever_stored_it(shop: Shop, hooked: Receiver) -> None:
    bought = (await shop.sell("kim@customer.test"))["membership"]
    moved = await shop.emu.control.post(f"memberships/{bought['id']}/transfer", json={"email": "lee@customer.test"})
    assert moved.status_code == 200
    again = await shop.emu.control.post(f"memberships/{bought['id']}/transfer", json={"email": "lee@customer.test"})
    assert again.status_code == 409
    hooked.clear()
    await shop.emu.advance(days=30)
    (failed,) = hooked.of("payment.failed")
    assert (failed.data["payment_method_id"], failed.data["member_id"]) == (None, moved.json()["member_id"])
    assert (await shop.sdk.memberships.retrieve(bought["id"])).status == "past_due"


async def test_a_new_owner_pays_with_the_own_card(shop: Shop) -> None:
    bought = (await shop.sell("kim@customer.test"))["membership"]
    own = await shop.sell("lee@customer.test")
    await shop.emu.control.post(f"memberships/{bought['id']}/transfer", json={"email": "lee@customer.test"})
    await shop.emu.advance(days=30)
    renewals = [p async for p in await shop.sdk.payments.list(membership_id=bought["id"], status="paid")]
    assert [p.member_id for p in renewals] == [own["membership"]["member_id"], bought["member_id"]]
    assert renewals[0].payment_method_id == own["payment"]["payment_method_id"]


async def test_the_portal_gives_the_link(shop: Shop, browser: httpx.AsyncClient) -> None:
    bought = (await shop.sell())["membership"]
    portal = bought["manage_url"].removeprefix(shop.emu.url)
    form = {"action": "transfer", "membership_id": bought["id"]}
    text = (await browser.post(portal, data=form)).text
    link = text.partition(f'href="{shop.emu.url}')[2].partition('"')[0]
    assert (await browser.post(link, data={"email": "lee@customer.test"})).status_code == 303
    assert (await browser.post(portal, data=form)).status_code == 400  # it is somebody else's now
    await shop.sdk.memberships.cancel(bought["id"])
    theirs = (await shop.sdk.memberships.retrieve(bought["id"])).manage_url
    assert (await browser.post(str(theirs).removeprefix(shop.emu.url), data=form)).status_code == 422
