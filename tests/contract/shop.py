"""A shop at the emulator for the contract tests, and our gateway to it."""

from dataclasses import dataclass
from typing import Any, Final

import httpx

from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.gateway.port import CheckoutRequest, MembershipSnapshot, PaymentSnapshot, PlanRequest
from quntedge.gateway.whop.adapter import WhopGateway
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.money import Money

PRICE: Final = Money(2999, "usd")
PAYS: Final = "4242424242424242"
PAYS_TOO: Final = "5555555555554444"
FAILS_LATER: Final = "4000000000000341"
"""Pays at the checkout; every automatic charge afterwards is declined."""


@dataclass(frozen=True, slots=True)
class Shop:
    """An emulator, our gateway to it, and one product."""

    emulator: RunningEmulator
    gateway: WhopGateway
    product_id: str

    async def checkout(
        self, price: Money, period_days: int | None, *, trial_days: int | None = None
    ) -> tuple[str, str]:
        """A new plan and a checkout for it: (plan id, checkout id)."""
        request = PlanRequest(self.product_id, "Plan", price, period_days, trial_days)
        plan = await self.gateway.create_plan(
            request, idempotency_key=f"plan-{price.amount_minor}-{period_days}-{trial_days}"
        )
        checkout = await self.gateway.create_checkout(
            CheckoutRequest(plan.plan_id, "http://127.0.0.1/return", {"intent_id": "chk_42"}),
            idempotency_key=f"checkout-{plan.plan_id}",
        )
        return plan.plan_id, checkout.checkout_id

    async def buy(
        self,
        price: Money = PRICE,
        period_days: int | None = 30,
        *,
        trial_days: int | None = None,
        card: str = PAYS,
        email: str = "kim@customer.test",
    ) -> tuple[MembershipSnapshot, PaymentSnapshot]:
        """Somebody bought a plan: the membership and its first payment."""
        _, checkout_id = await self.checkout(price, period_days, trial_days=trial_days)
        bought = await self.emulator.pay(checkout_id, card, email=email)
        membership = await self.gateway.membership(bought["membership"]["id"])
        return membership, await self.gateway.payment(bought["payment"]["id"])

    async def save_card(self, card: str, email: str = "kim@customer.test") -> str:
        """A buyer saved a card without buying: the id of the method."""
        body = {"account_id": self.emulator.config.account_id, "mode": "setup"}
        checkout = await self.api("POST", "/checkout_configurations", body)
        saved = await self.emulator.pay(checkout["id"], card, email=email)
        method_id = saved["setup_intent"]["payment_method_id"]
        assert isinstance(method_id, str)
        return method_id

    async def customer(self, card: str = PAYS, email: str = "kim@customer.test") -> tuple[str, str]:
        """Somebody with a saved card who bought something once: (member id, method id)."""
        membership, _ = await self.buy(Money(100, "usd"), None, card=card, email=email)
        assert membership.member_id is not None
        [method] = await self.gateway.methods_of(membership.member_id)
        return membership.member_id, method.method_id

    async def plan(self, price: Money = PRICE, period_days: int | None = 30) -> str:
        """A new plan's id."""
        plan_id, _ = await self.checkout(price, period_days)
        return plan_id

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A call the port does not have (yet)."""
        headers = {"Authorization": f"Bearer {self.emulator.config.api_key}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, self.emulator.api_base_url + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()


def settings_for(emulator: RunningEmulator) -> WhopSettings:
    return WhopSettings("custom", emulator.config.api_key, emulator.config.account_id, emulator.api_base_url)
