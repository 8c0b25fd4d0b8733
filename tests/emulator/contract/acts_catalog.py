"""What the seller sets up, played with the official SDK: account, products, plans, checkouts, promo codes, webhooks."""

import socket

from tests.emulator.contract.stage import GOOD, Stage


async def account(stage: Stage) -> None:
    """The account and what it does when renewals keep failing."""
    sdk = stage.sdk
    assert (await sdk.accounts.me()).id == stage.account
    assert (await sdk.accounts.retrieve(stage.account)).id == stage.account
    assert [one.id async for one in await sdk.accounts.list()] == [stage.account]
    assert (await sdk.accounts.preferences.retrieve(stage.account)).subscription_failure_behavior == "cancel"
    for behavior in ("none", "cancel"):
        changed = await sdk.accounts.preferences.update(stage.account, subscription_failure_behavior=behavior)
        assert changed.subscription_failure_behavior == behavior
    changed = await sdk.accounts.preferences.update(stage.account, preferred_settlement_currency="usd")
    assert changed.preferred_settlement_currency == "usd"


async def products(stage: Stage) -> None:
    """Products in every visibility."""
    sdk = stage.sdk
    made = await sdk.products.create(
        title="Charts",
        account_id=stage.account,
        headline="See more",
        description="All the charts",
        metadata={"tier": "pro"},
        route="charts",
    )
    for visibility in ("hidden", "archived", "quick_link", "visible"):
        changed = await sdk.products.update(made.id, visibility=visibility, headline=f"Now {visibility}")
        assert changed.visibility == visibility
    assert (await sdk.products.retrieve(made.id)).metadata == {"tier": "pro"}
    assert made.id in await stage.walk(sdk.products.list, account_id=stage.account)
    spare = await sdk.products.create(title="Spare", account_id=stage.account)
    assert (await sdk.products.delete(spare.id)).deleted


async def plans(stage: Stage) -> None:
    """Plans of every kind, under both of their names."""
    sdk = stage.sdk
    for module in (sdk.variants, sdk.plans):
        made = await module.create(
            account_id=stage.account,
            product_id=stage.product_id,
            plan_type="renewal",
            billing_period=30,
            initial_price=5,
            renewal_price=29.99,
            trial_period_days=7,
            currency="usd",
            title="Everything set",
            description="With a trial",
            internal_notes="for the contract",
            stock=10,
            unlimited_stock=False,
            metadata={"code": "monthly"},
        )
        assert (made.renewal_price, made.trial_period_days, made.stock) == (29.99, 7, 10)
        once = await module.create(
            account_id=stage.account,
            product_id=stage.product_id,
            plan_type="one_time",
            initial_price=20,
            expiration_days=10,
            release_method="waitlist",
            currency="jpy",
        )
        assert (once.plan_type, once.release_method, once.initial_price_due.amount) == ("one_time", "waitlist", "20")
        for visibility in ("visible", "hidden", "quick_link"):
            assert (await module.update(made.id, visibility=visibility)).visibility == visibility
        assert (await module.retrieve(made.id)).metadata == {"code": "monthly"}
        assert made.id in await stage.walk(module.list, account_id=stage.account)
        assert (await module.delete(once.id)).deleted
        assert (await module.retrieve(once.id)).visibility == "archived"


async def checkouts(stage: Stage) -> None:
    """Checkout configurations for a plan, for an inline plan, and for saving a card."""
    sdk = stage.sdk
    made = await sdk.checkout_configurations.create(
        account_id=stage.account,
        plan_id=await stage.plan(trial_period_days=7),
        redirect_url="https://app.example.com/return",
        metadata={"intent_id": "chk_9"},
        affiliate_code="kim",
        three_ds_level="mandate_challenge",
    )
    inline = await sdk.checkout_configurations.create(
        account_id=stage.account,
        plan={
            "product_id": stage.product_id,
            "plan_type": "one_time",
            "initial_price": 10,
            "currency": "usd",
            "force_create_new_plan": True,
        },
    )
    assert inline.plan is not None
    setup = await sdk.checkout_configurations.create(account_id=stage.account, mode="setup", currency="usd")
    assert setup.mode == "setup"
    assert (await sdk.checkout_configurations.retrieve(setup.id)).plan is None
    read = await sdk.checkout_configurations.retrieve(made.id)
    assert (read.metadata, read.redirect_url) == ({"intent_id": "chk_9"}, "https://app.example.com/return")
    listed = await stage.walk(sdk.checkout_configurations.list, account_id=stage.account)
    assert {made.id, inline.id, setup.id} <= set(listed)
    assert (await sdk.checkout_configurations.delete(inline.id)).deleted
    await stage.refused(404, sdk.checkout_configurations.retrieve(inline.id))


async def promo_codes(stage: Stage) -> None:
    """Promo codes of both types, used at the checkout and on a running membership, until archived."""
    sdk = stage.sdk
    percent = await sdk.promo_codes.create(
        account_id=stage.account,
        code="SPRING",
        promo_type="percentage",
        amount_off=0.2,
        base_currency="usd",
        promo_duration_months=3,
        new_users_only=False,
        product_id=stage.product_id,
        stock=50,
        unlimited_stock=False,
        expires_at="2027-09-01T00:00:00Z",
    )
    flat = await sdk.promo_codes.create(
        account_id=stage.account,
        code="FIVE",
        promo_type="flat_amount",
        amount_off=5,
        base_currency="usd",
        promo_duration_months=0,
        new_users_only=False,
    )
    once = await sdk.promo_codes.create(
        account_id=stage.account,
        code="ONCE",
        promo_type="percentage",
        amount_off=0.5,
        base_currency="usd",
        promo_duration_months=1,
        new_users_only=True,
        one_per_customer=True,
    )
    assert [one.duration for one in (percent, flat, once)] == ["repeating", "forever", "once"]
    checkout = await sdk.checkout_configurations.create(account_id=stage.account, plan_id=await stage.plan())
    paid = await stage.control(
        "pay", checkout_id=checkout.id, card=GOOD, email="promo@customer.test", promo_code="spring"
    )
    assert paid["payment"]["promo_code_id"] == percent.id
    assert (await sdk.promo_codes.deactivate(flat.id)).status == "inactive"
    assert (await sdk.promo_codes.activate(flat.id)).status == "active"
    assert len(await stage.walk(sdk.promo_codes.list, account_id=stage.account)) == 3
    late = await stage.buy("late-promo@customer.test")
    applied = await sdk.memberships.apply_promo_code(late["membership"]["id"], promo_code="FIVE")
    assert applied.promo_code_id == flat.id
    await stage.refused(409, sdk.memberships.apply_promo_code(late["membership"]["id"], promo_code="FIVE"))
    assert (await sdk.promo_codes.delete(once.id)).deleted
    assert (await sdk.promo_codes.retrieve(once.id)).status == "archived"


async def webhooks(stage: Stage) -> None:
    """Endpoints with their deliveries, replays and samples."""
    sdk = stage.sdk
    made = await sdk.webhooks.create(
        url=stage.other.url, resource_id=stage.account, events=["product.created"], api_version_date="2026-10-15-1"
    )
    assert made.webhook_secret is not None
    assert (await sdk.webhooks.retrieve(made.id)).webhook_secret is None
    await stage.walk(sdk.webhooks.list, account_id=stage.account)
    for number in range(2):
        await sdk.products.create(title=f"Delivered {number}", account_id=stage.account)
    await stage.emu.settle()
    deliveries = [one async for one in await sdk.webhooks.list_deliveries(made.id, first=1)]
    assert [one.event for one in deliveries] == ["product.created"] * 2
    assert (await sdk.webhooks.replay_delivery(made.id, deliveries[0].id)).success
    await sdk.webhooks.replay(made.id, sent_after=deliveries[-1].sent_at)
    await stage.emu.settle()
    assert any(one.replayed_from for one in [d async for d in await sdk.webhooks.list_deliveries(made.id)])
    assert (await sdk.webhooks.test(made.id, event="membership.activated")).success
    assert (await sdk.webhooks.update(made.id, enabled=False)).enabled is False
    assert (await sdk.webhooks.update(made.id, enabled=True)).enabled is True
    spare = await sdk.webhooks.create(url=stage.other.url, resource_id=stage.account, events=["product.created"])
    assert (await sdk.webhooks.delete(spare.id)).deleted


async def dead_webhook(stage: Stage) -> None:
    """An endpoint nobody answers for fails for three days and is disabled."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        await _fails(stage, f"http://127.0.0.1:{nobody.getsockname()[1]}/nobody")


async def _fails(stage: Stage, url: str) -> None:
    sdk = stage.sdk
    made = await sdk.webhooks.create(url=url, resource_id=stage.account, events=["product.updated"])
    for number in range(12):
        await sdk.products.update(stage.product_id, headline=f"Nobody hears {number}")
    await stage.emu.advance(hours=1)
    failing = await sdk.webhooks.retrieve(made.id)
    assert failing.failing_since is not None
    await stage.emu.advance(days=3)
    await sdk.products.update(stage.product_id, headline="Nor this")
    await stage.emu.advance(hours=1)
    disabled = await sdk.webhooks.retrieve(made.id)
    assert (disabled.enabled, disabled.disabled_reason) == (False, "delivery_failures")
    assert (await sdk.webhooks.update(made.id, enabled=True)).enabled
    await sdk.webhooks.update(made.id, enabled=False)


CATALOG = (account, products, plans, checkouts, promo_codes, webhooks, dead_webhook)
