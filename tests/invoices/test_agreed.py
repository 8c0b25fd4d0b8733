"""What was agreed to come off stands on the invoice in the words of the preview; the gateway says how much."""

from typing import Any

import pytest
from sqlalchemy import insert, text

from quntedge.cancellations.models import SaveOfferOutcome
from quntedge.kit.metrics import INVOICE_DIFFERENCES
from quntedge.kit.money import Money
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.promotions.models import Promotion, PromotionCode, PromotionReservation
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import Subscription, SubscriptionMembership
from tests.catalog.rows import insert_plan
from tests.payments.builders import AT, USER, rows, snapshot

LINES = "SELECT kind, label, amount_minor FROM invoice_line ORDER BY position"
PROMOTION = {
    "id": "prm_1",
    "code": "launch",
    "name": "Launch",
    "kind": "percentage",
    "percent_bp": 1450,
    "every_plan": True,
    "first_purchase_only": False,
    "at_whop": False,
    "origin": "staff",
    "created_by": "cli:test",
    "created_at": AT,
    "updated_at": AT,
}
CODE = {"id": "prc_1", "promotion_id": "prm_1", "code": "LAUNCH", "created_by": "cli:test", "created_at": AT}
RESERVATION = {
    "id": "res_1",
    "promotion_id": "prm_1",
    "code_id": "prc_1",
    "user_id": USER,
    "checkout_id": "chk_1",
    "plan_id": "pln_1",
    "plan_version": 1,
    "whop_plan_id": "plan_1",
    "promotion_version": 1,
    "percent_bp": 1450,
    "currency": "usd",
    "price_minor": 2900,
    "discount_minor": 421,
    "whop_code": "LAUNCH-1",
    "whop_promo_id": "promo_1",
    "state": "used",
    "expires_at": AT,
    "created_at": AT,
}


async def _sell(units: UnitOfWorkFactory, promo: dict[str, Any], code: dict[str, Any], **held: Any) -> None:
    async with units() as unit:
        await insert_plan(unit.session, id="pln_1", created_at=AT)
        await unit.session.execute(insert(Promotion).values(PROMOTION | promo))
        await unit.session.execute(insert(PromotionCode).values(CODE | code))
        if held:
            await unit.session.execute(insert(PromotionReservation).values(RESERVATION | held))
        await unit.session.execute(text("UPDATE app_user SET locale = 'fr'"))
        await unit.commit()


async def _pay(units: UnitOfWorkFactory, charged: int, **over: Any) -> list[tuple[Any, ...]]:
    async def links(unit: UnitOfWork, observed: Any) -> dict[str, PaymentLink]:
        return {item.snapshot.payment_id: PaymentLink(USER, None, "pln_1") for item in observed}

    told = snapshot(total=Money(charged, "usd"), subtotal=Money(2900, "usd"), promo_code_id="promo_1", **over)
    async with units() as unit:
        await PaymentService().apply(unit, [ObservedPayment(told, "msg_1", from_gateway=True)], links)
        await unit.commit()
    return await rows(units, LINES)


def _differences(by: str = "promotion") -> float:
    return float(INVOICE_DIFFERENCES.labels(by)._value.get())


async def test_a_promotion_says_its_code_and_its_share(shop: UnitOfWorkFactory) -> None:
    before = _differences()
    await _sell(shop, {}, {}, percent_bp=1450)
    assert await _pay(shop, 2479) == [
        ("plan", "Monthly", 2900),
        ("discount", "LAUNCH\u00a0: 14,5\u202f% de remise", -421),
    ]
    assert _differences() == before


async def test_another_amount_than_agreed_is_the_gateways_and_is_counted(shop: UnitOfWorkFactory) -> None:
    before = _differences()
    amount = {"percent_bp": None, "amount_minor": 500, "price_minor": 2900, "discount_minor": 500}
    await _sell(shop, {}, {}, **amount)
    # Agreed upon were $5.00; the gateway took $5.01 off: it has the last word.
    assert await _pay(shop, 2399) == [("plan", "Monthly", 2900), ("discount", "LAUNCH", -501)]
    assert _differences() == before + 1


@pytest.mark.parametrize("known", [True, False])
async def test_a_code_that_stands_at_the_gateway_is_named(shop: UnitOfWorkFactory, known: bool) -> None:
    before = _differences()
    await _sell(shop, {"percent_bp": 1450, "at_whop": True}, {"whop_promo_id": "promo_1" if known else "promo_9"})
    label = "LAUNCH\u00a0: 14,5\u202f% de remise" if known else "Remise"
    # One cent less than we would have reckoned: there the rounding is the gateway's.
    assert await _pay(shop, 2480) == [("plan", "Monthly", 2900), ("discount", label, -420)]
    assert _differences() == before


async def test_the_full_price_is_asked_about_nothing(shop: UnitOfWorkFactory) -> None:
    await _sell(shop, {}, {}, percent_bp=1450)
    assert await _pay(shop, 2900) == [("plan", "Monthly", 2900)]


SUBSCRIPTION = {
    "id": "sub_1",
    "user_id": USER,
    "plan_id": "pln_1",
    "status": "active",
    "whop_membership_id": "mem_1",
    "started_at": AT,
    "created_at": AT,
    "updated_at": AT,
}
MEMBERSHIP = {
    "whop_membership_id": "mem_1",
    "subscription_id": "sub_1",
    "user_id": USER,
    "plan_id": "pln_1",
    "whop_plan_id": "plan_1",
    "status": "active",
    "raw_status": "active",
    "cancel_at_period_end": False,
    "first_seen_at": AT,
}
OFFER = {
    "id": "ofr_1",
    "user_id": USER,
    "subscription_id": "sub_1",
    "plan_id": "pln_1",
    "whop_membership_id": "mem_1",
    "kind": "discount",
    "currency": "usd",
    "periods": 3,
    "state": "accepted",
    "shown_at": AT,
}


@pytest.mark.parametrize(
    ("over", "label"),
    [
        ({"percent_bp": 2000}, "Offre de fidélité\u00a0: 20\u202f% de remise"),
        ({"amount_minor": 580}, "Offre de fidélité"),
        ({"percent_bp": 2000, "whop_membership_id": "mem_0"}, "Remise"),
        ({"percent_bp": 2000, "state": "failed"}, "Remise"),
    ],
)
async def test_an_offer_to_stay_is_named(shop: UnitOfWorkFactory, over: dict[str, Any], label: str) -> None:
    await _sell(shop, {}, {})
    async with shop() as unit:
        await unit.session.execute(insert(Subscription).values(SUBSCRIPTION))
        await unit.session.execute(insert(SubscriptionMembership).values(MEMBERSHIP))
        await unit.session.execute(insert(SaveOfferOutcome).values(OFFER | over))
        await unit.commit()
    assert await _pay(shop, 2320, membership_id="mem_1") == [("plan", "Monthly", 2900), ("discount", label, -580)]
