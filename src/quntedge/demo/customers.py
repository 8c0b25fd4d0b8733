"""The demo's customers. They buy as customers do: sign up, open a checkout, pay at the emulator."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from sqlalchemy import select

from quntedge.accounts.models import AppUser
from quntedge.checkout.models import CheckoutIntent
from quntedge.demo.places import DemoProblem
from quntedge.gateway.emulator.rules.cards import CHALLENGE_PASSWORD
from quntedge.payments.models import PaymentTransaction
from quntedge.subscriptions.models import Subscription
from quntedge.wiring import Runtime

PASSWORD = "four-blue-candles"  # noqa: S105 - of the demo's customers, printed for everybody
_PATIENCE_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who has bought, or tried to. `outcome` is the subscription's status, None where there is none."""

    email: str
    name: str
    plan: str | None
    card: str = "4242424242424242"
    outcome: str | None = "active"
    locale: str = "en"


DEMO = Customer("demo@quntedge.test", "Dana Demo", "quarterly")
CUSTOMERS: Sequence[Customer] = (
    Customer("yara@quntedge.test", "Yara Lindqvist", "yearly"),
    Customer("tom@quntedge.test", "Tom Okafor", "monthly", outcome="trialing"),
    Customer("lise@quntedge.test", "Lise Moreau", "lifetime", outcome="completed", locale="fr"),
    Customer("rui@quntedge.test", "Rui Almeida", "monthly", card="4000000000000341", outcome="trialing"),
    Customer("nina@quntedge.test", "Nina Petrova", "quarterly", card="4000000000000002", outcome=None),
    Customer("free@quntedge.test", "Frank Ebert", None, outcome=None),
    DEMO,
)

CARDS: Sequence[tuple[str, str]] = (
    ("4242 4242 4242 4242", "pays"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 0341", "pays at the checkout, later charges are declined"),
    ("5385 3083 6013 5181", f"asks for 3-D Secure; the password is {CHALLENGE_PASSWORD}"),
)


class Shoppers:
    """Lets customers sign up and buy. Begun twice, it goes on where it stopped."""

    def __init__(self, runtime: Runtime, emulator: httpx.AsyncClient) -> None:
        """`emulator` has the emulator's control address as its base."""
        self._runtime = runtime
        self._emulator = emulator

    async def buy(self, customer: Customer) -> None:
        """Signs up and pays, unless that was done before. What comes of it arrives by webhook."""
        user_id = await self._account(customer)
        if customer.plan is None or await self._settled(customer, user_id):
            return
        checkout = await self._runtime.services.checkout.start(user_id, customer.plan, f"demo-seed-{customer.email}")
        async with self._runtime.units() as unit:
            intent = await unit.session.get_one(CheckoutIntent, checkout.id)
        paid = await self._emulator.post(
            "/pay",
            json={
                "checkout_id": intent.whop_checkout_id,
                "email": customer.email,
                "name": customer.name,
                "card": customer.card,
            },
        )
        paid.raise_for_status()

    async def settle(self, customers: Sequence[Customer]) -> None:
        """Waits until what the customers did has arrived. Raises `DemoProblem` when it does not."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        waiting = list(customers)
        while waiting:
            if time.monotonic() > deadline:
                names = ", ".join(customer.name for customer in waiting)
                raise DemoProblem(
                    f"The purchases of {names} did not arrive in {_PATIENCE_SECONDS:g} seconds; worker.log says why."
                )
            await asyncio.sleep(0.1)
            waiting = [customer for customer in waiting if not await self._has_outcome(customer)]

    async def _account(self, customer: Customer) -> str:
        user_id = await self.user_id(customer)
        if user_id is not None:
            return user_id
        async with self._runtime.units() as unit:
            signed_in = await self._runtime.services.accounts.sign_up(
                unit, customer.email, PASSWORD, customer.name, customer.locale, True, None
            )
            await unit.commit()
        return signed_in.user_id

    async def user_id(self, customer: Customer) -> str | None:
        """Our id of a customer; None before they signed up."""
        index = self._runtime.vault.email_index(customer.email)
        async with self._runtime.units() as unit:
            found: str | None = await unit.session.scalar(select(AppUser.id).where(AppUser.email_index == index))
        return found

    async def _has_outcome(self, customer: Customer) -> bool:
        user_id = await self.user_id(customer)
        return user_id is not None and (customer.plan is None or await self._settled(customer, user_id))

    async def _settled(self, customer: Customer, user_id: str) -> bool:
        async with self._runtime.units() as unit:
            if customer.outcome is None:
                refused = select(PaymentTransaction.id).where(
                    PaymentTransaction.user_id == user_id, PaymentTransaction.status == "failed"
                )
                return await unit.session.scalar(refused.limit(1)) is not None
            reached = select(Subscription.id).where(
                Subscription.user_id == user_id, Subscription.status == customer.outcome
            )
            return await unit.session.scalar(reached.limit(1)) is not None
