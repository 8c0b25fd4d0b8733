"""A key with the permissions that the documentation asks for may do all that the gateway does."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from quntedge.gateway.acts import ChargeRequest, PromoRequest
from quntedge.gateway.errors import GatewayNotFound, GatewayRejected
from quntedge.gateway.port import CheckoutRequest, PlanRequest
from quntedge.gateway.whop.adapter import WhopGateway, connect
from quntedge.gateway.whop.limiter import Limiter
from quntedge.kit.money import Money
from tests.contract.shop import Shop, settings_for

PAGE = Path(__file__).parents[2] / "docs" / "whop.md"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

TODAY = datetime(2030, 1, 1, tzinfo=UTC)

Use = Callable[[WhopGateway], Awaitable[Any]]


async def listed(pages: AsyncIterator[list[Any]]) -> None:
    """Reads a list to its end."""
    async for _ in pages:
        pass


USES: tuple[Use, ...] = (
    lambda gateway: gateway.account_id(),
    lambda gateway: gateway.products(),
    lambda gateway: gateway.plans(),
    lambda gateway: gateway.create_plan(
        PlanRequest("prod_x", "Plan", Money(2999, "usd"), 30), idempotency_key="create_plan"
    ),
    lambda gateway: gateway.archive_plan("plan_x"),
    lambda gateway: gateway.create_checkout(CheckoutRequest("plan_x", "http://127.0.0.1/", {}), idempotency_key="ch"),
    lambda gateway: gateway.retire_checkout("ch_x"),
    lambda gateway: gateway.membership("mem_x"),
    lambda gateway: gateway.memberships_of("mber_x"),
    lambda gateway: gateway.cancel_membership("mem_x", at_period_end=True, idempotency_key="cancel"),
    lambda gateway: gateway.keep_membership("mem_x"),
    lambda gateway: gateway.pause_membership("mem_x", until=None, idempotency_key="pause"),
    lambda gateway: gateway.resume_membership("mem_x", idempotency_key="resume"),
    lambda gateway: gateway.is_paused("mem_x", "mber_x"),
    lambda gateway: gateway.extend_membership("mem_x", days=1, idempotency_key="extend"),
    lambda gateway: gateway.apply_promo("mem_x", "CODE", idempotency_key="apply"),
    lambda gateway: gateway.payment("pay_x"),
    lambda gateway: gateway.payments_of("mem_x"),
    lambda gateway: gateway.payments_of_member("mber_x", created_after=LONG_AGO),
    lambda gateway: gateway.charge(ChargeRequest("mber_x", "payt_x", "plan_x"), idempotency_key="charge"),
    lambda gateway: gateway.retry_payment("pay_x", idempotency_key="retry"),
    lambda gateway: gateway.refund_payment("pay_x", amount=None, metadata={}, idempotency_key="refund"),
    lambda gateway: gateway.refund("rf_x"),
    lambda gateway: gateway.refunds_of("pay_x"),
    lambda gateway: gateway.invoice("inv_x"),
    lambda gateway: gateway.methods_of("mber_x"),
    lambda gateway: gateway.start_card_setup("http://127.0.0.1/", metadata={}, idempotency_key="setup"),
    lambda gateway: gateway.promos(),
    lambda gateway: gateway.create_promo(PromoRequest("CODE", Money(100, "usd"), []), idempotency_key="promo"),
    lambda gateway: gateway.archive_promo("promo_x"),
    lambda gateway: gateway.failure_behavior(),
    lambda gateway: gateway.webhook_endpoints(),
    lambda gateway: gateway.fees_of("pay_x"),
    lambda gateway: listed(gateway.payments_between(LONG_AGO, TODAY)),
    lambda gateway: listed(gateway.refunds_between(LONG_AGO, TODAY)),
    lambda gateway: listed(gateway.movements_between(LONG_AGO, TODAY)),
    lambda gateway: listed(gateway.payouts_between(LONG_AGO, TODAY)),
)


def documented() -> list[str]:
    """The permissions in the first column of the page's table."""
    rows = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([a-z_]+:[a-z_:]+)`", row)]


@asynccontextmanager
async def gateway_with(shop: Shop, permissions: list[str]) -> AsyncIterator[WhopGateway]:
    """A gateway whose key has these permissions only."""
    made = await shop.emulator.control.post("api_keys", json={"permissions": permissions})
    assert made.status_code == 201, made.text
    settings = replace(settings_for(shop.emulator), api_key=made.json()["secret"])
    gateway = connect(settings, read_retries=0, limiter=Limiter(per_minute=1_000_000))
    try:
        yield gateway
    finally:
        await gateway.close()


async def test_the_documented_permissions_suffice(shop: Shop) -> None:
    asked_for = {row["action"] for row in (await shop.api("GET", "/api_keys/permissions"))["data"]}
    membership, _ = await shop.buy()
    # Deliveries and the use of a saved card ask for permissions that only Whop itself looks at.
    async with gateway_with(shop, [name for name in documented() if name in asked_for]) as gateway:
        for use in USES:
            with suppress(GatewayNotFound):  # it was looked for
                await use(gateway)
        [method] = await gateway.methods_of(membership.member_id or "")
        used = await gateway.use_method(membership.membership_id, method.method_id)
        assert used.manage_url is not None


async def test_without_permissions_it_is_said_that_one_is_missing(shop: Shop) -> None:
    async with gateway_with(shop, ["access_pass:basic:read"]) as gateway:
        with pytest.raises(GatewayRejected) as caught:
            await gateway.charge(ChargeRequest("mber_x", "payt_x", "plan_x"), idempotency_key="charge")
        assert caught.value.extra["gateway_status"] == 403
        assert "permission" in caught.value.detail
