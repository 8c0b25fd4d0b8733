"""Many customers at once: how they buy, and what the gateway and we know of them afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from quntedge.checkout.models import CheckoutIntent
from tests.journeys.world import PASSWORD, Product

GOOD = "4242424242424242"
FAILS_LATER = "4000000000000341"


@dataclass(frozen=True)
class Buyer:
    """Somebody who subscribes. `fate` is what happens apart from renewals."""

    number: int
    plan: str
    card: str = GOOD
    fate: str = ""

    @property
    def email(self) -> str:
        return f"buyer{self.number}@customers.test"


# Of twenty: fourteen with a plan that renews, two whose card fails for good, two whose next charge fails once, two who
# cancel at the end of their period. `monthly` begins with a trial of a week.
_PATTERN: Sequence[tuple[str, str, str]] = (
    *[("monthly", GOOD, "")] * 8,
    *[("quarterly", GOOD, "")] * 4,
    *[("yearly", GOOD, "")] * 2,
    ("monthly", FAILS_LATER, "fails"),
    ("quarterly", FAILS_LATER, "fails"),
    ("monthly", GOOD, "stumbles"),
    ("quarterly", GOOD, "stumbles"),
    ("monthly", GOOD, "leaves"),
    ("quarterly", GOOD, "leaves"),
)


def buyers(count: int) -> list[Buyer]:
    """A crowd of the same mixture, whatever its size (a multiple of twenty)."""
    return [Buyer(number, *_PATTERN[number % len(_PATTERN)]) for number in range(count)]


async def buy(product: Product, buyer: Buyer) -> None:
    """Signs up and pays; what comes of it arrives by webhook.

    Signing up passes by the pages, which allow one address only so many accounts a minute.
    """
    runtime = product.runtime
    async with runtime.units() as unit:
        signed_in = await runtime.services.accounts.sign_up(
            unit, buyer.email, PASSWORD, f"Buyer {buyer.number}", "en", True, None
        )
        await unit.commit()
    checkout = await runtime.services.checkout.start(signed_in.user_id, buyer.plan, f"crowd-{buyer.number}")
    async with runtime.units() as unit:
        intent = await unit.session.get_one(CheckoutIntent, checkout.id)
    assert intent.whop_checkout_id is not None
    paid = await product.emulator.pay(intent.whop_checkout_id, buyer.card, email=buyer.email)
    assert paid["outcome"] == "paid"
    membership = paid["membership"]["id"]
    if buyer.fate == "stumbles":
        await product.emulator.decline_next(membership)
    if buyer.fate == "leaves":
        await _cancel_at_period_end(product, membership)


async def _cancel_at_period_end(product: Product, membership: str) -> None:
    emulator = product.emulator
    headers = {"authorization": f"Bearer {emulator.config.api_key}"}
    async with httpx.AsyncClient(base_url=emulator.api_base_url, headers=headers, trust_env=False) as api:
        answer = await api.post(f"/memberships/{membership}/cancel", json={"cancel_at_period_end": True})
        assert answer.status_code == 200, answer.text


@dataclass(frozen=True)
class Charge:
    """A payment as the gateway has it."""

    id: str
    paid_at: datetime | None
    created_at: datetime
    failures: int
    renewal: bool


def charges(product: Product) -> list[Charge]:
    """Everything that was ever to be paid, apart from trials' beginnings, in order of time."""
    return [
        Charge(
            payment.id,
            payment.paid_at,
            payment.created_at,
            payment.payments_failed,
            payment.billing_reason == "subscription_cycle",
        )
        for payment in product.emulator.runtime.world.store.tables.payments.values()
        if payment.total.amount_minor > 0
    ]


async def mails(product: Product) -> list[dict[str, Any]]:
    """Our mails in the order in which they were sent."""
    return await product.rows(
        "SELECT n.kind, n.state, n.sent_at, n.created_at, n.params, n.user_id FROM notification n ORDER BY sent_at, id"
    )


def near(one: datetime | None, other: datetime | None, *, within: timedelta = timedelta(minutes=15)) -> bool:
    """Whether two times belong to one instant: happenings of one minute share a stop, at which a machine may dawdle."""
    return one is not None and other is not None and abs(one - other) < within
