"""Who has access to what, who the members are, and what a key with some permissions only gets to see."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, get_args

import httpx
import pytest
from whop_sdk import AsyncWhop, WhopEnvironment
from whop_sdk.core.api_error import ApiError
from whop_sdk.types import PermissionAction

from quntedge.gateway.emulator.app import API_ROUTES
from quntedge.gateway.emulator.calls.permissions import RULES, catalogue, needed
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import FAILS_LATER, NO_CERTIFICATES, START, Shop, sdk_for
from tests.emulator.receiver import Receiver


async def restricted(emu: RunningEmulator, *permissions: str, **over: Any) -> dict[str, str]:
    """The headers of a fresh key with these permissions."""
    made = await emu.control.post("api_keys", json={"permissions": list(permissions), **over})
    assert made.status_code == 201, made.text
    return {"authorization": f"Bearer {made.json()['secret']}"}


@pytest.fixture
async def plain(emu: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the API, without a key."""
    async with httpx.AsyncClient(base_url=f"{emu.api_base_url}/", verify=NO_CERTIFICATES) as client:
        yield client


async def test_access_follows_the_membership(shop: Shop) -> None:
    bought = (await shop.sell(card=FAILS_LATER))["membership"]
    other = await shop.sdk.products.create(title="Other", account_id=shop.emu.config.account_id)
    user = await shop.sdk.users.retrieve(bought["user_id"])

    async def access(resource: str, who: str = bought["user_id"]) -> tuple[bool, Any]:
        answer = await shop.sdk.users.check_access(who, resource)
        return answer.has_access, answer.access_level

    assert await access(bought["product_id"]) == (True, "customer")
    assert await access("biz_emulator", user.username) == (True, "customer")
    assert await access(other.id) == (False, "no_access")
    assert await access("biz_emulator", "user_emulatorowner") == (True, "admin")
    await shop.sdk.memberships.update(bought["id"], cancel_at_period_end=True)
    assert await access(bought["product_id"]) == (True, "customer")
    await shop.sdk.memberships.update(bought["id"], cancel_at_period_end=False)
    await shop.emu.advance(days=30)
    assert (await shop.sdk.memberships.retrieve(bought["id"])).status == "past_due"
    assert await access(bought["product_id"]) == (True, "customer")
    await shop.emu.advance(days=6)
    assert await access(bought["product_id"]) == (False, "no_access")
    for who, resource in (("user_none", "biz_emulator"), (bought["user_id"], "exp_1"), (bought["user_id"], "prod_x")):
        with pytest.raises(ApiError) as unknown:
            await shop.sdk.users.check_access(who, resource)
        assert unknown.value.status_code == 404


async def test_past_due_can_mean_no_access() -> None:
    async with (
        running_emulator(EmulatorConfig(start=START, past_due_access=False)) as emu,
        httpx.AsyncClient(verify=NO_CERTIFICATES) as http,
    ):
        sdk = sdk_for(emu, http)
        product = await sdk.products.create(title="Strict", account_id=emu.config.account_id)
        bought = (await Shop(emu, sdk, product.id).sell(card=FAILS_LATER))["membership"]
        assert (await sdk.users.check_access(bought["user_id"], product.id)).has_access
        await emu.advance(days=30)
        assert not (await sdk.users.check_access(bought["user_id"], product.id)).has_access


async def test_users(shop: Shop, hooked: Receiver) -> None:
    user_id = (await shop.emu.pay(await shop.checkout(await shop.plan()), email="kim@customer.test", name="Kim Doe"))[
        "membership"
    ]["user_id"]
    user = await shop.sdk.users.retrieve(user_id)
    assert (user.name, user.email) == ("Kim Doe", None)
    assert [one.id async for one in await shop.sdk.users.list(query="kim D")] == [user_id]
    assert [one.id async for one in await shop.sdk.users.list()] == []
    with pytest.raises(ApiError) as nobody:
        await shop.sdk.users.me()
    assert nobody.value.status_code == 404
    await shop.emu.settle()
    hooked.clear()
    body = {"email": "Kim@new.test", "name": "Kim Poe", "username": "kim-poe"}
    assert (await shop.emu.control.post(f"users/{user_id}", json=body)).status_code == 200
    await shop.emu.settle()
    (updated,) = hooked.received
    assert (updated.type, updated.data["email"]) == ("member.updated", "kim@new.test")
    again = await shop.sell("kim@new.test")
    assert again["membership"]["user_id"] == user_id
    assert (await shop.sdk.users.retrieve("kim-poe")).name == "Kim Poe"
    lee = (await shop.sell("lee@customer.test"))["membership"]["user_id"]
    for taken in ({"email": "kim@new.test"}, {"username": "kim-poe"}):
        assert (await shop.emu.control.post(f"users/{lee}", json=taken)).status_code == 409


async def test_members_are_found_by_what_they_have(shop: Shop) -> None:
    sdk, emu = shop.sdk, shop.emu
    once: dict[str, Any] = {"plan_type": "one_time", "billing_period": None, "initial_price": 5, "renewal_price": 0}
    kim = (await shop.sell("kim@customer.test"))["membership"]
    lee = (await shop.sell("lee@customer.test", trial_period_days=7))["membership"]
    mia = (await shop.sell("mia@customer.test", **once))["membership"]
    ned = (await shop.sell("ned@customer.test", renewal_price=10))["membership"]
    await sdk.memberships.cancel(ned["id"])

    async def found(**filters: Any) -> list[str]:
        names = {kim["member_id"]: "kim", lee["member_id"]: "lee", mia["member_id"]: "mia", ned["member_id"]: "ned"}
        listed = await sdk.members.list(account_id=emu.config.account_id, direction="asc", **filters)
        return [names[member.id] async for member in listed]

    assert await found() == ["kim", "lee", "mia", "ned"]
    assert await found(membership_status="inactive") == ["ned"]
    assert await found(access_level="customer", product_ids=[shop.product_id]) == ["kim", "lee", "mia"]
    assert await found(access_level="no_access") == ["ned"]
    assert await found(most_recent_actions=["trialing", "churned"]) == ["lee", "ned"]
    assert await found(most_recent_actions=["paid_once"]) == ["mia"]
    assert await found(plan_ids=[kim["plan_id"], ned["plan_id"]], membership_status="active") == ["kim"]
    assert await found(query="lee@customer.test") == ["lee"]
    assert await found(query="customer.test") == []
    assert await found(user_ids=[mia["user_id"], "user_none"]) == ["mia"]
    assert await found(order="usd_total_spent") == ["lee", "mia", "ned", "kim"]
    assert await found(order="usd_total_spent", first=1) == ["lee", "mia", "ned", "kim"]
    await emu.advance(days=30)
    assert (await sdk.members.retrieve(kim["member_id"])).most_recent_action == "renewing"
    await sdk.memberships.update(kim["id"], cancel_at_period_end=True)
    assert (await sdk.members.retrieve(kim["member_id"])).most_recent_action == "canceling"


async def test_fields_are_null_without_permission(shop: Shop, plain: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    paid = await shop.sell()
    paths = {
        "pay": f"payments/{paid['payment']['id']}",
        "mem": f"memberships/{paid['membership']['id']}",
        "mber": f"members/{paid['membership']['member_id']}",
        "plan": f"variants/{paid['membership']['plan_id']}",
        "ch": f"checkout_configurations/{paid['payment']['checkout_configuration_id']}",
    }
    blind = await restricted(shop.emu, "payment:basic:read", "member:basic:read")
    seeing = await restricted(
        shop.emu,
        *("payment:basic:read", "member:basic:read", "member:email:read", "member:manage"),
        *("plan:basic:read", "checkout_configuration:basic:read"),
    )
    secret = {
        "pay": {"customer_email", "needs_tracking"},
        "mem": {"manage_url"},
        "mber": {"email"},
        "plan": {"deletable", "internal_notes", "member_count", "offer_cancel_discount", "stock"},
        "ch": {"metadata"},
    }
    for prefix, path in paths.items():
        whole, less = (await api.get(path)).json(), (await plain.get(path, headers=blind)).json()
        differing = {name for name in whole if whole[name] != less[name]}
        assert differing == {name for name in secret[prefix] if whole[name] is not None}, prefix
        assert all(less[name] is None for name in differing)
        shown = (await plain.get(path, headers=seeing)).json()
        assert {name for name in whole if whole[name] != shown[name]} <= {"needs_tracking"}, prefix
    listed = (await plain.get("payments", headers=blind)).json()["data"]
    assert [one["customer_email"] for one in listed] == [None]
    stranger = (await plain.get(paths["pay"], headers=await restricted(shop.emu, "payment:basic:read"))).json()
    assert (stranger["member_id"], stranger["membership_id"]) == (None, None)


async def test_the_sdk_parses_what_a_restricted_key_gets(shop: Shop) -> None:
    paid = await shop.sell()
    head = await restricted(shop.emu, "payment:basic:read")
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        environment = WhopEnvironment(api=shop.emu.api_base_url, vault=shop.emu.api_base_url)
        token = head["authorization"].removeprefix("Bearer ")
        sdk = AsyncWhop(token=token, environment=environment, httpx_client=http, max_retries=0)
        payment = await sdk.payments.retrieve(paid["payment"]["id"])
        assert (payment.membership_id, payment.customer_email) == (None, None)
        assert (await sdk.variants.retrieve(str(payment.plan_id))).member_count is None
        with pytest.raises(ApiError) as refused:
            await sdk.memberships.retrieve(paid["membership"]["id"])
        assert refused.value.status_code == 403


async def test_a_permission_is_needed_for_each_operation(shop: Shop, plain: httpx.AsyncClient) -> None:
    mem = (await shop.sell())["membership"]
    everything = sorted({name for rule in RULES.values() for names in (rule.read, rule.write) for name in names})
    for method, path, body, permission in (
        ("GET", f"memberships/{mem['id']}", None, "member:basic:read"),
        ("PATCH", f"memberships/{mem['id']}", {"metadata": {"a": "b"}}, "membership:update"),
        ("POST", f"memberships/{mem['id']}/pause", {}, "member:manage"),
        ("POST", f"memberships/{mem['id']}/transfer", {}, "membership:transfer"),
        ("POST", f"memberships/{mem['id']}/cancel", {}, "membership:cancel"),
        ("POST", "variants", {"product_id": shop.product_id, "billing_period": 30, "renewal_price": 5}, "plan:create"),
        ("GET", "webhooks", None, "developer:manage_webhook"),
    ):
        lacking = [name for name in everything if name not in (permission, "membership:update")]
        without, having = await restricted(shop.emu, *lacking), await restricted(shop.emu, permission)
        refused = await plain.request(method, path, json=body, headers=without)
        assert (refused.status_code, refused.json()["error"]["type"]) == (403, "forbidden"), path
        assert (await plain.request(method, path, json=body, headers=having)).status_code in (200, 201), path
    method_id = {"payment_method_id": "payt_1"}
    head = await restricted(shop.emu, "membership:update")
    assert (await plain.patch(f"memberships/{mem['id']}", json=method_id, headers=head)).status_code == 403


async def test_keys_end(shop: Shop, plain: httpx.AsyncClient) -> None:
    head = await restricted(shop.emu, "payment:basic:read", expires_at="2026-09-02T00:00:00Z")
    assert (await plain.get("payments", headers=head)).status_code == 200
    await shop.emu.advance(days=1)
    assert (await plain.get("payments", headers=head)).status_code == 401
    made = (await shop.emu.control.post("api_keys", json={"permissions": [], "secret": "own-secret"})).json()
    own = {"authorization": "Bearer own-secret"}
    assert (await plain.get("users/me", headers=own)).status_code == 404
    assert (await plain.get("accounts/me", headers=own)).status_code == 403
    for body in ({"permissions": [], "secret": "own-secret"}, {"permissions": [], "secret": "whop_emulator_key"}):
        assert (await shop.emu.control.post("api_keys", json=body)).status_code == 409
    assert (await shop.emu.control.post("api_keys", json={"permissions": ["party"]})).status_code == 400
    assert (await shop.emu.control.delete(f"api_keys/{made['id']}")).status_code == 200
    assert (await plain.get("users/me", headers=own)).status_code == 401


def test_every_route_says_which_permission_it_needs() -> None:
    for route in API_ROUTES:
        for method in route.methods or ():
            assert needed(method, route.path) is not None, (method, route.path)
    assert needed("GET", "/something_new") is None


async def test_the_catalogue_of_permissions(shop: Shop) -> None:
    listed = (await shop.sdk.api_keys.list_permissions()).data
    assert {one.action for one in listed} == catalogue()
    named = get_args(get_args(PermissionAction)[0])
    assert catalogue() <= set(named)


async def test_short_lived_tokens(shop: Shop, plain: httpx.AsyncClient) -> None:
    paid = await shop.sell()
    account = shop.emu.config.account_id
    whole = await shop.sdk.access_tokens.create(account_id=account)
    narrow = await shop.sdk.access_tokens.create(account_id=account, scoped_actions=["payment:basic:read"])
    own = await shop.sdk.access_tokens.create(user_id=paid["membership"]["user_id"])

    async def status(token: str, path: str, method: str = "GET") -> int:
        head = {"authorization": f"Bearer {token}"}
        return (await plain.request(method, path, headers=head, json={} if method == "POST" else None)).status_code

    payment, membership = f"payments/{paid['payment']['id']}", f"memberships/{paid['membership']['id']}"
    assert [await status(whole.token, path) for path in (payment, membership, "webhooks")] == [200, 200, 200]
    assert [await status(narrow.token, path) for path in (payment, membership, "webhooks")] == [200, 403, 403]
    assert [await status(own.token, path) for path in (payment, membership, "users/me")] == [403, 200, 200]
    head = {"authorization": f"Bearer {narrow.token}"}
    wider = await plain.post("access_tokens", headers=head, json={"scoped_actions": ["plan:create"]})
    assert wider.status_code == 403
    inherited = (await plain.post("access_tokens", headers=head, json={})).json()["token"]
    assert [await status(inherited, path) for path in (payment, membership)] == [200, 403]
    assert await status(own.token, "access_tokens", "POST") == 403
    nothing = (await plain.post("access_tokens", headers=await restricted(shop.emu), json={})).json()["token"]
    assert [await status(nothing, path) for path in (payment, membership)] == [403, 403]
    now = datetime.fromisoformat((await shop.emu.state())["now"])
    for hours, wanted in ((-1, 400), (4, 400), (2, 200)):
        body = {"expires_at": (now + timedelta(hours=hours)).isoformat()}
        made = await plain.post("access_tokens", headers={"authorization": f"Bearer {whole.token}"}, json=body)
        assert made.status_code == wanted
    await shop.emu.advance(hours=1)
    assert await status(whole.token, payment) == 401
    assert await status(made.json()["token"], payment) == 200


async def test_keys_and_applications_outlive_a_reset(shop: Shop, plain: httpx.AsyncClient) -> None:
    head = await restricted(shop.emu, "payment:basic:read")
    await shop.sell()
    await shop.emu.reset()
    assert (await plain.get("payments", headers=head)).json()["data"] == []


async def test_who_is_banned_has_no_access(shop: Shop, hooked: Receiver) -> None:
    bought = (await shop.sell())["membership"]
    hooked.clear()
    banned = await shop.emu.control.post(f"members/{bought['member_id']}", json={"banned": True, "status": "left"})
    assert banned.status_code == 200
    await shop.emu.settle()
    (updated,) = hooked.received
    assert (updated.type, updated.data["status"], updated.data["access_level"]) == (
        "member.updated",
        "left",
        "no_access",
    )
    assert not (await shop.sdk.users.check_access(bought["user_id"], bought["product_id"])).has_access
    assert [m.id async for m in await shop.sdk.memberships.list(status="banned")] == [bought["id"]]
    assert (await shop.sdk.memberships.retrieve(bought["id"])).status == "active"
    assert [m.id async for m in await shop.sdk.members.list(status="left")] == [bought["member_id"]]
    await shop.emu.control.post(f"members/{bought['member_id']}", json={"banned": False})
    assert (await shop.sdk.users.check_access(bought["user_id"], bought["product_id"])).has_access
