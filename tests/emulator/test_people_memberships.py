"""What can be done to a membership, and what cannot: every operation in every state."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from whop_sdk.core.api_error import ApiError

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import FAILS_LATER, GOOD, NO_CERTIFICATES, START, Shop
from tests.emulator.receiver import Receiver

LIFETIME: dict[str, Any] = {"plan_type": "one_time", "billing_period": None, "initial_price": 5, "renewal_price": 0}


@pytest.fixture(scope="module")
async def emu() -> AsyncIterator[RunningEmulator]:
    """One emulator for all tests of this file: each has buyers of its own, and time only goes on."""
    async with running_emulator(EmulatorConfig(start=START)) as running:
        yield running


def at(text: Any) -> datetime:
    return datetime.fromisoformat(text)


async def in_state(shop: Shop, api: httpx.AsyncClient, state: str) -> str:
    """A membership of a fresh buyer in one of the states a membership can be in; returns its id."""
    plan = LIFETIME if state in ("completed", "expiring", "expired") else {}
    if state in ("expiring", "expired"):
        plan = {**plan, "expiration_days": 10}
    if state == "trialing":
        plan = {"trial_period_days": 14}
    card = FAILS_LATER if state == "past_due" else GOOD
    mem: str = (await shop.sell(f"{state}@states.test", card, **plan))["membership"]["id"]
    if state in ("past_due", "expired"):
        await shop.emu.advance(days=30)
    if state in ("canceling", "canceled"):
        body = {"cancel_at_period_end": state == "canceling"}
        (await api.post(f"memberships/{mem}/cancel", json=body)).raise_for_status()
    if state == "paused":
        (await api.post(f"memberships/{mem}/pause")).raise_for_status()
    return mem


OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cancel": ("POST", "/cancel", {}),
    "at_end": ("POST", "/cancel", {"cancel_at_period_end": True}),
    "keep": ("PATCH", "", {"cancel_at_period_end": False}),
    "pause": ("POST", "/pause", {}),
    "resume": ("POST", "/resume", {}),
    "extend": ("POST", "/extend", {"days": 5}),
    "period": ("PATCH", "", {"billing_period_days": 60}),
    "reactivate": ("POST", "/reactivate", {"days": 5}),
    "promo": ("POST", "/apply_promo_code", {"promo_code": "LESS"}),
    "end_trial": ("CONTROL", "/end_trial", {}),
}
POSSIBLE = {
    "active": {"cancel", "at_end", "keep", "pause", "extend", "period", "promo"},
    "trialing": {"cancel", "at_end", "keep", "pause", "extend", "period", "promo", "end_trial"},
    "past_due": {"cancel", "at_end", "keep", "period"},
    "paused": {"cancel", "at_end", "keep", "pause", "resume", "extend", "period", "promo"},
    "canceling": {"cancel", "at_end", "keep", "pause", "extend", "promo"},
    "completed": {"cancel"},
    "expiring": {"cancel", "extend"},
    "canceled": set[str](),
    "expired": {"reactivate"},
}


@pytest.mark.parametrize("state", POSSIBLE)
async def test_every_operation_in_every_state(state: str, shop: Shop, api: httpx.AsyncClient) -> None:
    """What is possible is answered 200; everything else 409, and changes nothing."""
    promo = {"code": "LESS", "promo_type": "percentage", "amount_off": 0.1, "base_currency": "usd"}
    terms = {"account_id": "biz_emulator", "promo_duration_months": 1, "new_users_only": False}
    await api.post("promo_codes", json={**promo, **terms})
    for name, (method, path, body) in OPERATIONS.items():
        mem = await in_state(shop, api, state)
        before = (await api.get(f"memberships/{mem}")).json()
        url = f"memberships/{mem}{path}"
        if method == "CONTROL":
            answer = await shop.emu.control.post(url, json=body)
        else:
            answer = await api.request(method, url, json=body)
        after = (await api.get(f"memberships/{mem}")).json()
        if name in POSSIBLE[state]:
            assert answer.status_code == 200, (name, answer.text)
            if method != "CONTROL":
                assert answer.json() == after
        else:
            assert answer.status_code == 409, (name, answer.text)
            assert answer.json()["error"]["type"]
            assert before == after, name


async def test_reasons_to_cancel(shop: Shop) -> None:
    account = shop.emu.config.account_id
    wanted = [{"category": "too_expensive", "label": "Costs too much"}, {"category": "other", "label": "Else"}]
    made = (await shop.sdk.accounts.preferences.update(account, feedback_options=wanted)).feedback_options
    kept = [{"id": made[1].id, "category": "other", "label": "Something else"}]
    mem = (await shop.sell("reasons@customer.test"))["membership"]["id"]
    canceled = await shop.sdk.memberships.cancel(
        mem, cancel_at_period_end=True, feedback_option_id=made[0].id, reason="see you"
    )
    assert canceled.feedback_option is not None
    assert (canceled.cancel_option, canceled.feedback_option.label, canceled.cancellation_reason) == (
        *("too_expensive", "Costs too much", "see you"),
    )
    changed = (await shop.sdk.accounts.preferences.update(account, feedback_options=kept)).feedback_options
    assert [(option.id, option.label) for option in changed] == [(made[1].id, "Something else")]
    still = (await shop.sdk.memberships.retrieve(mem)).feedback_option
    assert still is not None
    assert still.label == "Costs too much"
    kept_again = await shop.sdk.memberships.update(mem, cancel_at_period_end=False)
    assert (kept_again.cancel_option, kept_again.feedback_option, kept_again.cancellation_reason) == (None, None, None)
    with pytest.raises(ApiError) as gone:
        await shop.sdk.memberships.cancel(mem, feedback_option_id=made[0].id)
    assert gone.value.status_code == 404
    assert (await shop.sdk.memberships.retrieve(mem)).status == "active"


async def test_preferences(shop: Shop, api: httpx.AsyncClient) -> None:
    account = shop.emu.config.account_id
    preferences = shop.sdk.accounts.preferences
    await preferences.update(account, feedback_options=[])
    before = await preferences.retrieve(account)
    assert (before.subscription_failure_behavior, before.feedback_options) == ("cancel", [])
    assert before.preferred_settlement_currency_changeable_at is None
    changed = await preferences.update(account, preferred_settlement_currency="eur")
    assert changed.preferred_settlement_currency == "eur"
    assert changed.preferred_settlement_currency_changeable_at is not None
    with pytest.raises(ApiError) as too_soon:
        await preferences.update(account, preferred_settlement_currency="gbp")
    assert too_soon.value.status_code == 409
    await shop.emu.advance(days=7)
    cleared = await api.patch(f"accounts/{account}/preferences", json={"preferred_settlement_currency": None})
    assert cleared.json()["preferred_settlement_currency"] is None
    refusals: list[dict[str, Any]] = [
        {"subscription_failure_behavior": "maybe"},
        {"preferred_settlement_currency": "jpy"},
        {"feedback_options": [{"category": "weather", "label": "Rain"}]},
        {"feedback_options": [{"category": "other", "label": "x" * 101}]},
        {"feedback_options": [{"category": "other"}]},
        {"feedback_options": ["other"]},
        {"surprise": 1},
    ]
    for body in refusals:
        assert (await api.patch(f"accounts/{account}/preferences", json=body)).status_code == 400, body
    unknown = {"feedback_options": [{"id": "fo_none", "category": "other", "label": "Else"}]}
    assert (await api.patch(f"accounts/{account}/preferences", json=unknown)).status_code == 404
    assert (await api.get("accounts/biz_other/preferences")).status_code == 404


async def test_failing_renewals_can_be_made_to_go_on(shop: Shop) -> None:
    account = shop.emu.config.account_id
    await shop.sdk.accounts.preferences.update(account, subscription_failure_behavior="none")
    mem = (await shop.sell("goes-on@customer.test", FAILS_LATER))["membership"]["id"]
    await shop.emu.advance(days=60)
    assert (await shop.sdk.memberships.retrieve(mem)).status == "past_due"
    await shop.sdk.accounts.preferences.update(account, subscription_failure_behavior="cancel")
    await shop.emu.advance(days=40)
    assert (await shop.sdk.memberships.retrieve(mem)).status == "canceled"


async def test_billing_period(shop: Shop, api: httpx.AsyncClient) -> None:
    paid = await shop.sell("period@customer.test")
    mem, start = paid["membership"]["id"], at(paid["membership"]["current_period_start"])
    changed = await shop.sdk.memberships.update(mem, billing_period_days=60)
    assert (changed.billing_period_days, at(changed.current_period_end)) == (60, start + timedelta(days=60))
    await shop.emu.advance(days=20)
    for days in (1, 20, 0, 366):
        assert (await api.patch(f"memberships/{mem}", json={"billing_period_days": days})).status_code == 400
    shorter = await shop.sdk.memberships.update(mem, billing_period_days=21)
    assert at(shorter.current_period_end) == start + timedelta(days=21)
    await shop.emu.advance(days=1)
    renewed = await shop.sdk.memberships.retrieve(mem)
    assert at(renewed.current_period_end) == start + timedelta(days=42)


async def test_reactivation(shop: Shop, api: httpx.AsyncClient) -> None:
    lifetime = (await shop.sell("back@customer.test", **LIFETIME))["membership"]["id"]
    await shop.sdk.memberships.cancel(lifetime, reason="by mistake")
    back = await shop.sdk.memberships.reactivate(lifetime)
    assert (back.status, back.canceled_at, back.current_period_end) == ("completed", None, None)
    limited = (await shop.sell("back@customer.test", **LIFETIME, expiration_days=10))["membership"]
    assert limited["current_period_end"] == limited["expires_at"] is not None
    await shop.sdk.memberships.cancel(limited["id"])
    again = await shop.sdk.memberships.reactivate(limited["id"])
    assert again.expires_at == limited["expires_at"]
    await shop.emu.advance(days=11)
    assert (await shop.sdk.memberships.retrieve(limited["id"])).status == "expired"
    assert (await api.post(f"memberships/{limited['id']}/reactivate")).status_code == 400
    longer = await shop.sdk.memberships.reactivate(limited["id"], days=3)
    now = at((await shop.emu.state())["now"])
    assert timedelta(days=2, hours=23) < at(longer.expires_at) - now <= timedelta(days=3)
    await shop.emu.advance(days=3)
    assert (await shop.sdk.memberships.retrieve(limited["id"])).status == "expired"


async def test_status_filters_of_what_was_bought_once(shop: Shop) -> None:
    forever = (await shop.sell("filters@customer.test", **LIFETIME))["membership"]
    limited = (await shop.sell("filters@customer.test", **LIFETIME, expiration_days=9))["membership"]["id"]
    member = forever["member_id"]

    async def found(status: str) -> list[str]:
        return [m.id async for m in await shop.sdk.memberships.list(member_id=member, status=status)]

    assert await found("one_time") == [forever["id"]]
    assert await found("expiring") == [limited]
    assert set(await found("completed")) == {forever["id"], limited}
    assert await found("unclaimed") == await found("banned") == []


async def test_metadata_stays_within_bounds(shop: Shop, api: httpx.AsyncClient) -> None:
    mem = (await shop.sell("meta@customer.test"))["membership"]["id"]
    many = {"metadata": {str(number): "x" for number in range(49)}}
    assert (await api.patch(f"memberships/{mem}", json=many)).status_code == 200
    assert (await api.patch(f"memberships/{mem}", json={"metadata": {"one": 1, "more": 2}})).status_code == 400
    for value, status in (
        ('["\\ud800"]', 400),
        ('[["\\ud800"]]', 400),
        ("1e999", 400),
        ("1" * 4000, 400),
        ("[" * 900 + "]" * 900, 400),
        ('{"deep": [1.5, null, true]}', 200),
    ):
        body = f'{{"metadata": {{"0": {value}}}}}'
        assert (await api.patch(f"memberships/{mem}", content=body)).status_code == status, value[:20]
    kept = (await api.get(f"memberships/{mem}")).json()["metadata"]
    assert (kept["0"], kept["1"]) == ({"deep": [1.5, None, True]}, "x")


async def test_a_trial_ends_early(shop: Shop, api: httpx.AsyncClient, receiver: Receiver) -> None:
    endpoint = await shop.emu.register_webhook(receiver.url, "ws_early", events=["membership.trial_ending_soon"])
    paid = await shop.sell("early@customer.test", trial_period_days=14)
    mem = paid["membership"]["id"]
    ended = (await shop.emu.control.post(f"memberships/{mem}/end_trial", json={})).json()
    assert ended["status"] == "active"
    charged = [p async for p in await shop.sdk.payments.list(membership_id=mem)]
    assert [(p.billing_reason, p.total.amount) for p in charged if p.total is not None] == [
        ("subscription_cycle", "29.00"),
        ("subscription_create", "0.00"),
    ]
    await shop.emu.advance(days=14)
    assert receiver.types == []  # what has ended is not announced to end
    declined = (await shop.sell("early-2@customer.test", FAILS_LATER, trial_period_days=14))["membership"]["id"]
    assert (await shop.emu.control.post(f"memberships/{declined}/end_trial", json={})).json()["status"] == "past_due"
    await api.delete(f"webhooks/{endpoint['id']}")


async def test_a_longer_trial_is_announced_once_more(shop: Shop, api: httpx.AsyncClient, receiver: Receiver) -> None:
    endpoint = await shop.emu.register_webhook(receiver.url, "ws_notice", events=["membership.trial_ending_soon"])
    mem = (await shop.sell("notice@customer.test", trial_period_days=7))["membership"]["id"]
    await shop.emu.advance(days=5)
    assert [one.data["id"] for one in receiver.received] == [mem]
    await shop.sdk.memberships.extend(mem, days=10)
    await shop.emu.advance(days=9)
    assert [one.data["id"] for one in receiver.received] == [mem, mem]
    canceling = await shop.sdk.memberships.update(mem, cancel_at_period_end=True)
    assert canceling.most_recent_action == "trial_canceling_on"
    await shop.emu.advance(days=3)
    assert (await shop.sdk.memberships.retrieve(mem)).status == "canceled"
    await api.delete(f"webhooks/{endpoint['id']}")


@pytest.fixture
async def browser(emu: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emu.url, verify=NO_CERTIFICATES) as client:
        yield client


async def test_the_portal_asks_why(shop: Shop, browser: httpx.AsyncClient) -> None:
    account = shop.emu.config.account_id
    wanted = [{"category": "unused", "label": "I <b>never</b> used it"}]
    option = (await shop.sdk.accounts.preferences.update(account, feedback_options=wanted)).feedback_options[0]
    bought = (await shop.sell("portal@customer.test"))["membership"]
    portal = bought["manage_url"].removeprefix(shop.emu.url)
    page = (await browser.get(portal)).text
    assert option.id in page
    assert "<b>never" not in page
    form = {"action": "cancel", "membership_id": bought["id"], "reason": option.id}
    assert (await browser.post(portal, data=form)).status_code == 303
    assert (await shop.sdk.memberships.retrieve(bought["id"])).cancel_option == "unused"
    for wrong in ({"reason": "fo_none"}, {"action": "dance"}, {"action": "switch", "plan_id": "plan_none"}):
        assert (await browser.post(portal, data={**form, "action": "keep", **wrong})).status_code in (303, 422)
    assert (await browser.post(portal, data={**form, "action": "dance"})).status_code == 422
    await shop.sdk.accounts.preferences.update(account, feedback_options=[])
