"""What buyers have and are, played with the official SDK: memberships, members, users."""

from typing import Any

from whop_sdk import AsyncWhop

from tests.emulator.contract.recording import recording_sdk
from tests.emulator.contract.stage import FAILS_LATER, Stage


async def memberships(stage: Stage) -> None:
    """A membership through everything the API can do to it."""
    sdk = stage.sdk
    mem = (await stage.buy("kim@customer.test"))["membership"]["id"]
    read = await sdk.memberships.retrieve(mem)
    assert read.status == "active"
    assert (await sdk.memberships.retrieve(str(read.license_key))).id == mem
    assert (await sdk.memberships.update(mem, cancel_at_period_end=True)).most_recent_action == "canceling_on"
    assert (await sdk.memberships.update(mem, cancel_at_period_end=False)).most_recent_action == "renewing_on"
    assert (await sdk.memberships.update(mem, metadata={"more": "yes"})).metadata["more"] == "yes"
    assert (await sdk.memberships.update(mem, billing_period_days=60)).billing_period_days == 60
    assert (await sdk.memberships.pause(mem)).most_recent_action == "paused_at"
    assert (await sdk.memberships.pause(mem)).most_recent_action == "paused_at"
    assert (await sdk.memberships.resume(mem)).status == "active"
    assert (await sdk.memberships.extend(mem, days=10)).id == mem
    preferences = await sdk.accounts.preferences.update(
        stage.account, feedback_options=[{"category": "too_expensive", "label": "Too dear"}]
    )
    assert preferences.feedback_options
    flagged = await sdk.memberships.cancel(
        mem, cancel_at_period_end=True, reason="too dear", feedback_option_id=preferences.feedback_options[0].id
    )
    assert (flagged.status, flagged.cancel_option) == ("active", "too_expensive")
    assert (await sdk.memberships.cancel(mem, reason="now")).status == "canceled"
    await stage.refused(409, sdk.memberships.cancel(mem))
    await stage.refused(409, sdk.memberships.pause(mem))
    assert mem in await stage.walk(sdk.memberships.list, account_id=stage.account)


async def membership_states(stage: Stage) -> None:
    """Memberships in every status they can have."""
    sdk = stage.sdk
    once: dict[str, Any] = {"plan_type": "one_time", "billing_period": None, "initial_price": 20, "renewal_price": 0}
    trial = (await stage.buy("trial@customer.test", trial_period_days=7))["membership"]["id"]
    quitter = (await stage.buy("quitter@customer.test", trial_period_days=7))["membership"]["id"]
    lifetime = (await stage.buy("lifetime@customer.test", **once))["membership"]["id"]
    expiring = (await stage.buy("expiring@customer.test", **once, expiration_days=10))["membership"]["id"]
    late = (await stage.buy("late@customer.test", FAILS_LATER))["membership"]["id"]
    for mem, status in ((trial, "trialing"), (lifetime, "completed"), (expiring, "completed"), (late, "active")):
        assert (await sdk.memberships.retrieve(mem)).status == status
    assert (await sdk.memberships.cancel(quitter, cancel_at_period_end=True)).most_recent_action == "trial_canceling_on"
    await stage.emu.advance(days=30)
    for mem, status in (
        (trial, "active"),
        (quitter, "canceled"),
        (lifetime, "completed"),
        (expiring, "expired"),
        (late, "past_due"),
    ):
        assert (await sdk.memberships.retrieve(mem)).status == status
    await sdk.memberships.cancel(lifetime)
    assert (await sdk.memberships.reactivate(lifetime)).status == "completed"


async def ownership(stage: Stage) -> None:
    """The buyer's own doing: another plan, and giving the membership away."""
    sdk = stage.sdk
    bought = await stage.buy("giver@customer.test")
    mem = bought["membership"]["id"]
    dearer = await stage.plan(renewal_price=59, title="Dearer")
    await stage.control(f"memberships/{mem}/switch_plan", plan_id=dearer)
    assert (await sdk.memberships.retrieve(mem)).plan_id == dearer
    updates = await sdk.payments.list(membership_id=mem, billing_reason="subscription_cycle")
    assert [one.billing_reason async for one in updates] == ["subscription_update"]
    assert (await sdk.memberships.transfer(mem)).url.startswith("http")
    await stage.control(f"memberships/{mem}/transfer", email="taker@customer.test")
    assert (await sdk.memberships.retrieve(mem)).user_id != bought["membership"]["user_id"]


async def people(stage: Stage) -> None:
    """Members, and what users may enter."""
    sdk = stage.sdk
    bought = await stage.buy("member@customer.test")
    member = await sdk.members.retrieve(bought["payment"]["member_id"])
    assert (member.email, member.access_level) == ("member@customer.test", "customer")
    assert member.id in await stage.walk(sdk.members.list, account_id=stage.account)
    user_id = bought["membership"]["user_id"]
    for resource in (stage.product_id, stage.account):
        assert (await sdk.users.check_access(user_id, resource)).has_access
    await stage.control(f"users/{user_id}", name="Kim Member")
    assert (await sdk.users.retrieve(user_id)).name == "Kim Member"
    assert user_id in [one.id async for one in await sdk.users.list(query="member")]
    assert (await sdk.memberships.resync_access(bought["membership"]["id"])).status == "active"
    await sdk.memberships.cancel(bought["membership"]["id"])
    refused = await sdk.users.check_access(user_id, stage.product_id)
    assert (refused.has_access, refused.access_level) == (False, "no_access")
    assert (await sdk.members.retrieve(member.id)).access_level == "no_access"


async def credentials(stage: Stage) -> None:
    """A short-lived token, and what keys may be allowed."""
    bought = await stage.buy("token@customer.test")
    made = await stage.sdk.access_tokens.create(account_id=stage.account, user_id=bought["membership"]["user_id"])
    assert made.token
    assert (await stage.sdk.api_keys.list_permissions()).data


async def restricted_keys(stage: Stage) -> None:
    """Keys that may read, and not all of it: what they do not see is null, what they may not do is refused."""
    bought = await stage.buy("hidden@customer.test")
    reads = ["payment:basic:read", "member:basic:read", "payment:setup_intent:read", "access_pass:basic:read"]
    for permissions in (reads, ["payment:basic:read"], []):
        made = await stage.control("api_keys", permissions=permissions)
        async with recording_sdk(stage.emu, stage.record, made["secret"]) as sdk:
            await _reads(stage, sdk, bought, permissions)
            await stage.refused(403, sdk.payments.refund(bought["payment"]["id"]))
            await stage.refused(403, sdk.promo_codes.list(account_id=stage.account))


async def _reads(stage: Stage, sdk: AsyncWhop, bought: dict[str, Any], permissions: list[str]) -> None:
    payment_id, membership_id = bought["payment"]["id"], bought["membership"]["id"]
    plan = await sdk.variants.retrieve(bought["membership"]["plan_id"])
    assert (plan.internal_notes, plan.member_count) == (None, None)
    if "payment:basic:read" in permissions:
        payment = await sdk.payments.retrieve(payment_id)
        assert payment.customer_email is None
        assert (payment.membership_id is None) is ("member:basic:read" not in permissions)
    else:
        await stage.refused(403, sdk.payments.retrieve(payment_id))
    if "member:basic:read" in permissions:
        assert (await sdk.memberships.retrieve(membership_id)).manage_url is None
        assert (await sdk.members.retrieve(bought["payment"]["member_id"])).email is None
        assert [one async for one in await sdk.setup_intents.list(account_id=stage.account)]
        assert [one async for one in await sdk.products.list(account_id=stage.account)]
    else:
        await stage.refused(403, sdk.memberships.retrieve(membership_id))


async def everything_again(stage: Stage) -> None:
    """Reads every list once more, now that there is one of everything."""
    sdk = stage.sdk
    for listing in (
        sdk.products.list,
        sdk.variants.list,
        sdk.plans.list,
        sdk.checkout_configurations.list,
        sdk.promo_codes.list,
        sdk.memberships.list,
        sdk.payments.list,
        sdk.refunds.list,
        sdk.disputes.list,
        sdk.dispute_alerts.list,
        sdk.setup_intents.list,
        sdk.payment_methods.list,
        sdk.invoices.list,
        sdk.members.list,
        sdk.webhooks.list,
    ):
        await stage.walk(listing, account_id=stage.account)
    await stage.walk(sdk.users.list, query="refund")


PEOPLE = (memberships, membership_states, ownership, people, credentials, restricted_keys, everything_again)
